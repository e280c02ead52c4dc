// The JSON Schema (draft 2020-12) for editors, by the table of keys.

import { configSchema } from './schema.ts';
import type { Key, Leaf, Mapping, Type } from './table.ts';

export interface SchemaNode {
  readonly [keyword: string]: unknown;
}

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';
const TITLE = 'Holdfast configuration';
const SUBSTITUTION = {
  type: 'string',
  pattern: '\\$\\{[A-Za-z_]',
  description: 'a value from the environment',
};

/** Plain keywords only, and every single value may come from the environment. */
export function configJsonSchema(): SchemaNode {
  const definitions = new Map<string, SchemaNode>();
  const root = nodeOf(configSchema, definitions);
  return {
    $schema: DIALECT,
    title: TITLE,
    ...root,
    $defs: { ...Object.fromEntries(definitions), substitution: SUBSTITUTION },
  };
}

/** The text of config/holdfast.schema.json. */
export function configJsonSchemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
}

type Definitions = Map<string, SchemaNode>;

function nodeOf(type: Type, definitions: Definitions): SchemaNode {
  switch (type.form) {
    case 'leaf':
      return leafNode(type);
    case 'short':
      return leafNode(type.leaf);
    case 'mapping':
      return type.id === '' ? mappingNode(type, definitions) : reference(type, definitions);
    case 'names':
      return { type: 'object', additionalProperties: nodeOf(type.item, definitions) };
    case 'either':
      return { anyOf: type.forms.map((form) => nodeOf(form, definitions)) };
    case 'list': {
      const { item, min, max } = type;
      const items = nodeOf(item, definitions);
      const all = { ...(min > 0 ? { minItems: min } : {}), maxItems: max, type: 'array', items };
      const { anyOf = [items] } = items;
      return type.mayBeAlone && Array.isArray(anyOf) ? { anyOf: [all, ...anyOf] } : all;
    }
  }
}

function reference(type: Mapping, definitions: Definitions): SchemaNode {
  if (!definitions.has(type.id)) {
    // keeps its place while what it holds is made
    definitions.set(type.id, {});
    definitions.set(type.id, mappingNode(type, definitions));
  }
  return { $ref: `#/$defs/${type.id}` };
}

function mappingNode({ keys }: Mapping, definitions: Definitions): SchemaNode {
  const fields = Object.entries(keys);
  const required = fields.filter(([, { presence }]) => presence === 'required').map(([name]) => name);
  return {
    type: 'object',
    properties: Object.fromEntries(fields.map(([name, field]) => [name, keyNode(field, definitions)])),
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  };
}

function keyNode({ type, says, preset, presence }: Key, definitions: Definitions): SchemaNode {
  const node = nodeOf(type, definitions);
  return { description: says, ...(presence === 'preset' ? { default: preset } : {}), ...node };
}

function leafNode({ shown }: Leaf): SchemaNode {
  const { kind, range, writeOnly, ...keywords } = shown;
  const outside = writeOnly === undefined ? {} : { writeOnly };
  const { type } = keywords;
  if (type === 'string') return { ...keywords, ...outside };
  return { ...outside, anyOf: [keywords, { $ref: '#/$defs/substitution' }] };
}
