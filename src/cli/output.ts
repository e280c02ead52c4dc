// Standard output of the admin commands: lines for people, JSON for scripts.

import { printable } from '../base/printable.ts';
import { type Line, type Screen, screenOf, textOf } from './screen.ts';

/** Prints the lines, or with `json` the document instead, on one line. */
export function print(lines: readonly Line[], document: unknown, json: boolean | undefined): void {
  const { hasColours } = standardOutput();
  const text =
    json === true ? JSON.stringify(document) : lines.map((line) => textOf(line, hasColours)).join('\n');
  process.stdout.write(`${text}\n`);
}

/** A remark, or why the command failed, on standard error. What others have put into it stays text; its lines stay lines. */
export function remark(text: string): void {
  process.stderr.write(`${text.split('\n').map(printable).join('\n')}\n`);
}

export function standardOutput(): Screen {
  return screenOf(process.stdout, process.env['COLUMNS']);
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
