// What the application's listeners of 'proxyRes' do to the fields of a response: lines that they left alone go on as they
// came, the others as the listeners made them.

import type { IncomingMessage } from 'node:http';
import { type RawLine, withoutNames } from './lines.ts';

/** Header fields as the listeners see them. */
export type Fields = ReadonlyMap<string, string | readonly string[] | undefined>;

export function fieldsOf({ headers }: IncomingMessage): Fields {
  return new Map(Object.entries(headers).map(([name, value]) => [name, copyOf(value)]));
}

function copyOf(value: string | readonly string[] | undefined): string | readonly string[] | undefined {
  return typeof value === 'object' ? [...value] : value;
}

export function changedLines(lines: readonly RawLine[], before: Fields, after: Fields): readonly RawLine[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  const changed = new Set([...names].filter((name) => String(before.get(name)) !== String(after.get(name))));
  if (changed.size === 0) return lines;
  const added = [...changed].flatMap((name) =>
    [after.get(name) ?? []].flat().map((value): RawLine => [name, value]),
  );
  return [...withoutNames(lines, (name) => changed.has(name)), ...added];
}
