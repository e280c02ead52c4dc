// Standard output of the admin commands: lines for people, JSON for scripts.

import { printable } from '../base/printable.ts';

/** Prints the lines, or with `json` the document instead, on one line. */
export function print(lines: readonly string[], document: unknown, json: boolean | undefined): void {
  const text = json === true ? JSON.stringify(document) : lines.map(printable).join('\n');
  process.stdout.write(`${text}\n`);
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
