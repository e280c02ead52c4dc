// Holds a document against its description in the API.

import { SCHEMAS, type Schema, type SchemaName } from '../../src/admin/openapi-schemas.ts';

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

/** Where the value is not what the schema says, has more than it says, or less. */
export function faults(value: unknown, schema: Schema, path: string): string[] {
  const { $ref, type, items, properties, additionalProperties, enum: words } = schema;
  if ($ref !== undefined)
    return faults(value, SCHEMAS[$ref.slice($ref.lastIndexOf('/') + 1) as SchemaName], path);
  const types = [type ?? []].flat();
  const is = typeOf(value);
  if (!types.includes(is) && !(is === 'integer' && types.includes('number')))
    return [`${path} is ${is}, not ${types.join(' or ')}`];
  if (words !== undefined && !words.includes(String(value))) return [`${path} is ${value}`];
  if (Array.isArray(value)) return value.flatMap((one) => faults(one, items ?? {}, `${path}[]`));
  if (is !== 'object') return [];
  const inner = value as Readonly<Record<string, unknown>>;
  const missing = Object.keys(properties ?? {}).filter((name) => !(name in inner));
  return [
    ...missing.map((name) => `${path}.${name} is missing`),
    ...Object.entries(inner).flatMap(([name, one]) => {
      const known = properties?.[name] ?? additionalProperties;
      return known === undefined
        ? [`${path}.${name} is not described`]
        : faults(one, known, `${path}.${name}`);
    }),
  ];
}
