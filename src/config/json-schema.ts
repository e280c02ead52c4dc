// The JSON Schema (draft 2020-12) for editors, generated from the schema the checks use.

import * as z from 'zod';
import { configSchema } from './schema.ts';

export interface SchemaNode {
  readonly [keyword: string]: unknown;
}

const TITLE = 'Holdfast configuration';
const SUBSTITUTION = {
  type: 'string',
  pattern: '\\$\\{[A-Za-z_]',
  description: 'a value from the environment',
};
const ANNOTATIONS = ['description', 'default', 'writeOnly'] as const;

/** With `x-kind` and `x-range`, for the manual. */
export function annotatedSchema(): SchemaNode {
  return z.toJSONSchema(configSchema, { io: 'input', target: 'draft-2020-12' });
}

/** For editors: plain keywords only, and every single value may come from the environment. */
export function configJsonSchema(): SchemaNode {
  const { $schema, ...schema } = annotatedSchema();
  const { $defs, ...forEditors } = editorNode(schema);
  return {
    $schema,
    title: TITLE,
    ...forEditors,
    $defs: { ...(isNode($defs) ? $defs : {}), substitution: SUBSTITUTION },
  };
}

/** The text of config/holdfast.schema.json. */
export function configJsonSchemaText(): string {
  return `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
}

export function isNode(value: unknown): value is SchemaNode {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function editorNode(node: SchemaNode): SchemaNode {
  const isLeaf = node['x-kind'] !== undefined;
  const kept: Record<string, unknown> = {};
  for (const [keyword, value] of Object.entries(node)) {
    if (!keyword.startsWith('x-')) kept[keyword] = keyword === 'default' ? value : editorValue(value);
  }
  const { type } = kept;
  if (!isLeaf || type === 'string') return kept;
  const outside = Object.fromEntries(
    ANNOTATIONS.flatMap((name) => (name in kept ? [[name, kept[name]]] : [])),
  );
  for (const name of ANNOTATIONS) delete kept[name];
  return { ...outside, anyOf: [kept, { $ref: '#/$defs/substitution' }] };
}

function editorValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(editorValue);
  return isNode(value) ? editorNode(value) : value;
}
