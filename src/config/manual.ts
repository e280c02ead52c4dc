// docs/configuration.md, generated: the prose of manual-text.ts around one table per section of the schema.

import { annotatedSchema, isNode, type SchemaNode } from './json-schema.ts';
import { MANUAL_AFTER, MANUAL_BEFORE, SECTION_NOTES } from './manual-text.ts';

interface Section {
  /** Path with `NAME` for the keys of a record and `[]` for the items of a list; empty for the top. */
  readonly title: string;
  readonly node: SchemaNode;
}

export function manualText(): string {
  const schema = annotatedSchema();
  const parts = sections({ title: '', node: schema }, schema).map((section) => sectionText(section, schema));
  return `${[MANUAL_BEFORE, ...parts, MANUAL_AFTER].join('\n\n')}\n`;
}

/** The section itself, then what it holds, in the order of the schema. */
function sections(section: Section, root: SchemaNode): readonly Section[] {
  const inner = Object.entries(properties(section.node)).flatMap(([key, node]) => {
    const found = mapping(node, root);
    if (found === null) return [];
    const title = `${section.title === '' ? '' : `${section.title}.`}${key}${found.suffix}`;
    return sections({ title, node: found.node }, root);
  });
  return [section, ...inner];
}

function sectionText({ title, node }: Section, root: SchemaNode): string {
  const heading = title === '' ? '### Top level' : `### ${title}`;
  const { required } = node;
  const requiredKeys: readonly unknown[] = Array.isArray(required) ? required : [];
  const rows = Object.entries(properties(node)).map(([key, property]) => {
    const { description, default: preset } = property;
    const presetText = requiredKeys.includes(key) ? 'required' : defaultText(preset);
    const cells = [`\`${key}\``, typeText(title, key, property, root), presetText, String(description ?? '')];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  const table = ['| key | type | default | meaning |', '|---|---|---|---|', ...rows].join('\n');
  const note = SECTION_NOTES[title];
  return [heading, ...(note === undefined ? [] : [note]), table].join('\n\n');
}

function defaultText(preset: unknown): string {
  if (preset === undefined) return 'none';
  if (isNode(preset) || isListOfMappings(preset)) return 'as below';
  return preset === '' ? 'empty' : `\`${Array.isArray(preset) ? `[${preset.join(', ')}]` : String(preset)}\``;
}

function typeText(title: string, key: string, property: SchemaNode, root: SchemaNode): string {
  const found = mapping(property, root);
  if (found === null) return leafText(resolve(property, root), root);
  const path = `${title === '' ? '' : `${title}.`}${key}${found.suffix}`;
  const noun = { '': 'mapping', '.NAME': 'mapping of names', '[]': 'list' }[found.suffix];
  const words = alternatives(property, root).flatMap((node) => (isLeaf(node) ? [leafText(node, root)] : []));
  return [`[${noun}](#${anchor(path)})`, ...words].join(' or ');
}

function leafText(node: SchemaNode, root: SchemaNode): string {
  const { enum: words, items, 'x-kind': kind, 'x-range': range } = node;
  if (Array.isArray(words)) return words.map((word) => `\`${word}\``).join(' | ');
  if (isNode(items)) return `list of ${leafText(resolve(items, root), root)}`;
  return range === undefined ? String(kind) : `${kind}, ${range}`;
}

type Suffix = '' | '.NAME' | '[]';

/** The mapping behind a property, and how its title grows: itself, a list of it, or one per name. */
function mapping(property: SchemaNode, root: SchemaNode): { node: SchemaNode; suffix: Suffix } | null {
  for (const node of alternatives(property, root)) {
    const { items, additionalProperties } = node;
    if (isNode(items)) {
      const item = alternatives(items, root).find(hasProperties);
      if (item !== undefined) return { node: item, suffix: '[]' };
    }
    if (isNode(additionalProperties)) return { node: resolve(additionalProperties, root), suffix: '.NAME' };
    if (hasProperties(node)) return { node, suffix: '' };
  }
  return null;
}

function alternatives(node: SchemaNode, root: SchemaNode): readonly SchemaNode[] {
  const resolved = resolve(node, root);
  const { anyOf } = resolved;
  if (!Array.isArray(anyOf) || isLeaf(resolved)) return [resolved];
  return anyOf.filter(isNode).flatMap((form) => alternatives(form, root));
}

function resolve(node: SchemaNode, root: SchemaNode): SchemaNode {
  const { $ref } = node;
  const { $defs } = root;
  if (typeof $ref !== 'string' || !isNode($defs)) return node;
  const target = $defs[$ref.replace('#/$defs/', '')];
  if (!isNode(target)) throw new Error(`the schema has no definition ${$ref}`);
  return target;
}

function properties(node: SchemaNode): Readonly<Record<string, SchemaNode>> {
  const { properties: all } = node;
  return isNode(all)
    ? Object.fromEntries(
        Object.entries(all).filter((entry): entry is [string, SchemaNode] => isNode(entry[1])),
      )
    : {};
}

function hasProperties(node: SchemaNode): boolean {
  return 'properties' in node;
}

function isLeaf(node: SchemaNode): boolean {
  return node['x-kind'] !== undefined;
}

function isListOfMappings(value: unknown): boolean {
  return Array.isArray(value) && value.some(isNode);
}

/** As GitHub makes anchors of headings. */
function anchor(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^a-z0-9_ -]/g, '')
    .replaceAll(' ', '-');
}
