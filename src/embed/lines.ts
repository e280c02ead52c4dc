// Header lines on their way into node:http, in a form that it accepts.
//
//   a head as the proxy writes it  --linesOf-->  [name, value] ...  --setLines-->  node:http
//
// Objects with header names as keys are avoided on the way: `constructor` and `__proto__` are names like others.

import { withoutBlanks } from '../http1/bytes.ts';

/** Name and value of a header line that is passed on. */
export type RawLine = readonly [name: string, value: string];

/** A message of node:http or node:http2 that is to be sent. */
interface HeaderSink {
  setHeader(name: string, value: string): unknown;
  appendHeader(name: string, value: string): unknown;
}

/** The lines between the first and the empty one. */
export function linesOf(headText: string): readonly RawLine[] {
  const lines: RawLine[] = [];
  let begin = headText.indexOf('\r\n') + 2;
  for (let end = headText.indexOf('\r\n', begin); end > begin; end = headText.indexOf('\r\n', begin)) {
    const colon = headText.indexOf(':', begin);
    lines.push([headText.slice(begin, colon), withoutBlanks(headText.slice(colon + 1, end))]);
    begin = end + 2;
  }
  return lines;
}

export function withoutNames(
  lines: readonly RawLine[],
  isUnwanted: (lowerName: string) => boolean,
): readonly RawLine[] {
  return lines.filter(([name]) => !isUnwanted(name.toLowerCase()));
}

/** In place of what was set under the same names; cookies that the application had set stay, ours come after them. */
export function setLines(message: HeaderSink, lines: readonly RawLine[]): void {
  const seen = new Set(['set-cookie']);
  for (const [name, value] of lines) {
    const lower = name.toLowerCase();
    if (seen.has(lower)) message.appendHeader(name, value);
    else message.setHeader(name, value);
    seen.add(lower);
  }
}

/** node:http's rawHeaders and rawTrailers. */
export function pairsOf(raw: readonly string[]): [string, string][] {
  return raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? '']] : []));
}
