// Checked values to what would have been written for them, by the table of keys.

import { type Either, type Mapping, modelName, type Type } from './table.ts';

/** Undefined stands for a key that is not to be written; so does null where the key is optional. */
export function write(type: Type, value: unknown): unknown {
  switch (type.form) {
    case 'leaf':
      return type.write(value);
    case 'list':
      return Array.isArray(value) ? value.map((item) => write(type.item, item)) : value;
    case 'names':
      return Object.fromEntries(entries(value).map(([name, item]) => [name, write(type.item, item)]));
    case 'mapping':
      return writeMapping(type, value);
    case 'short':
      return write(type.type, value);
    case 'either':
      return writeEither(type, value);
  }
}

function writeMapping({ keys }: Mapping, value: unknown): object {
  const values = new Map(entries(value));
  return Object.fromEntries(
    Object.entries(keys).flatMap(([name, field]) => {
      const inner = values.get(modelName(name, field));
      const isLeftOut = inner === undefined || (inner === null && field.presence === 'optional');
      return isLeftOut ? [] : [[name, write(field.type, inner)]];
    }),
  );
}

/** The mapping that has all that the value has. */
function writeEither({ forms }: Either, value: unknown): unknown {
  if (value === null) return 'off';
  const names = entries(value).map(([name]) => name);
  const form = forms.find((candidate) => {
    if (candidate.form !== 'mapping') return false;
    const known = Object.entries(candidate.keys).map(([name, field]) => modelName(name, field));
    return names.every((name) => known.includes(name));
  });
  if (form === undefined) throw new Error(`no form of the table has the keys ${names.join(', ')}`);
  return write(form, value);
}

function entries(value: unknown): readonly (readonly [string, unknown])[] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}
