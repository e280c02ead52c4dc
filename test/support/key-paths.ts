// The paths of all keys of a table of keys, for tests that hold documents and forms against it.

import type { Type } from '../../src/config/table.ts';

/** `pools.sticky.idle`: places in lists and names that the author gives are left out. */
export function keyPaths(type: Type, path: readonly string[] = []): readonly string[] {
  const found = inside(type, path);
  return [...new Set(found)];
}

function inside(type: Type, path: readonly string[]): readonly string[] {
  switch (type.form) {
    case 'leaf':
    case 'short':
      return [];
    case 'list':
    case 'names':
      return keyPaths(type.item, path);
    case 'either':
      return type.forms.flatMap((form) => keyPaths(form, path));
    case 'mapping':
      return Object.entries(type.keys).flatMap(([name, field]) => [
        [...path, name].join('.'),
        ...keyPaths(field.type, [...path, name]),
      ]);
  }
}
