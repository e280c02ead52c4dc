// The TypeScript type of what an embedding program may write, generated from the JSON Schema: with the manual's words
// where an editor shows them, and without the table of keys in what a compiler says of a wrong key.

import { configJsonSchema, type SchemaNode } from './json-schema.ts';

const OPENING = `// What a configuration may be written as, for programs that embed a balancer.
// Generated from the table of keys (schema.ts) by "npm run docs". Do not edit.

/** A value from the environment, as in \`'\${PORT}'\`: it may stand in the place of every single value. */
export type Substitution = \`\${string}\\\${\${string}\`;`;

/** The text of src/config/balancer-config.ts. */
export function balancerConfigText(): string {
  const { $defs, ...root } = configJsonSchema();
  const definitions = Object.entries(isNode($defs) ? $defs : {}).filter(([name]) => name !== 'substitution');
  const interfaces = [
    interfaceText('BalancerConfig', 'The whole configuration; the keys are those of a file.', root),
    ...definitions.map(([name, node]) => interfaceText(typeName(name), `One ${words(name)}.`, node)),
  ];
  return `${[OPENING, ...interfaces].join('\n\n')}\n`;
}

function interfaceText(name: string, says: string, node: unknown): string {
  return `/** ${says} */\nexport interface ${name} ${isNode(node) ? mappingText(node, '') : '{}'}`;
}

function mappingText({ properties, required }: SchemaNode, indent: string): string {
  const inner = `${indent}  `;
  const needed: readonly unknown[] = Array.isArray(required) ? required : [];
  const lines = Object.entries(isNode(properties) ? properties : {}).flatMap(([key, node]) => {
    if (!isNode(node)) return [];
    const isNeeded = needed.includes(key);
    const type = `${typeText(node, inner)}${isNeeded ? '' : ' | undefined'}`;
    return [
      `${inner}/** ${docText(node)} */`,
      `${inner}readonly ${propertyName(key)}${isNeeded ? '' : '?'}: ${type};`,
    ];
  });
  return `{\n${lines.join('\n')}\n${indent}}`;
}

/** The manual's sentence, and the default where it is a single value. */
function docText({ description, default: preset }: SchemaNode): string {
  const isShown = preset !== undefined && preset !== '' && typeof preset !== 'object';
  return `${description}${isShown ? `. Default: \`${preset}\`` : ''}.`.replaceAll('*/', '*\\/');
}

function typeText(node: SchemaNode, indent: string): string {
  const all = [...new Set(typesOf(node, indent))];
  // a text out of the environment is a text
  return all.filter((type) => type !== 'Substitution' || !all.includes('string')).join(' | ');
}

function typesOf(node: SchemaNode, indent: string): readonly string[] {
  const { $ref, anyOf, enum: words, const: only, type, items, additionalProperties } = node;
  if (typeof $ref === 'string') return [typeName($ref.replace('#/$defs/', ''))];
  if (Array.isArray(anyOf)) return anyOf.filter(isNode).flatMap((form) => typesOf(form, indent));
  if (Array.isArray(words)) return words.map(literal);
  if (only !== undefined) return [literal(only)];
  if (isNode(items)) return [`readonly ${inBrackets(typeText(items, indent))}[]`];
  if (isNode(additionalProperties))
    return [`Readonly<Record<string, ${typeText(additionalProperties, indent)}>>`];
  if (type === 'object') return [mappingText(node, indent)];
  const types: readonly unknown[] = Array.isArray(type) ? type : [type];
  return types.map((word) => (word === 'integer' ? 'number' : String(word)));
}

function inBrackets(type: string): string {
  return type.includes(' | ') ? `(${type})` : type;
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}

/** `rateLimit`: BalancerRateLimit. */
function typeName(definition: string): string {
  const name = `${definition.charAt(0).toUpperCase()}${definition.slice(1)}`;
  return name === 'Substitution' ? name : `Balancer${name}`;
}

/** `rateLimit`: rate limit. */
function words(definition: string): string {
  return definition.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

function isNode(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Quoted where a name has characters that the language has other uses for. */
function propertyName(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? key : `'${key}'`;
}
