// Header lines on their way into node:http, in a form that it accepts.
//
//   a head as the proxy writes it  --linesOf-->  [name, value] ...  --setLines-->  node:http
//
// Objects with header names as keys are avoided on the way: `constructor` and `__proto__` are names like others.

import type { OutgoingMessage } from 'node:http';
import { CHUNKED_LIMITS } from '../http1/chunked.ts';
import { isTrailerAllowed } from '../http1/trailer.ts';

/** Name and value of a header line that is passed on. */
export type RawLine = readonly [name: string, value: string];

/** The lines between the first and the empty one. */
export function linesOf(headText: string): readonly RawLine[] {
  const lines = headText.split('\r\n');
  return lines.slice(1, lines.indexOf('')).map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}

/** node:http's rawHeaders and rawTrailers. */
export function pairsOf(raw: readonly string[]): readonly RawLine[] {
  return raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1] ?? ''] as const] : []));
}

export function withoutNames(
  lines: readonly RawLine[],
  isUnwanted: (lowerName: string) => boolean,
): readonly RawLine[] {
  return lines.filter(([name]) => !isUnwanted(name.toLowerCase()));
}

/** In place of what was set under the same names; cookies that the application had set stay, ours come after them. */
export function setLines(message: OutgoingMessage, lines: readonly RawLine[]): void {
  const seen = new Set(['set-cookie']);
  for (const [name, value] of lines) {
    const lower = name.toLowerCase();
    if (seen.has(lower)) message.appendHeader(name, value);
    else message.setHeader(name, value);
    seen.add(lower);
  }
}

/** null: the trailer section must not pass, by the rules that the standalone program has for it. */
export function trailersOf(raw: readonly string[]): [string, string][] | null {
  const { trailerCountMax, trailerBytesMax } = CHUNKED_LIMITS;
  let bytes = 0;
  const trailers: [string, string][] = [];
  for (const [name, value] of pairsOf(raw)) {
    bytes += name.length + value.length;
    if (!isTrailerAllowed(name)) return null;
    trailers.push([name, value]);
  }
  return trailers.length > trailerCountMax || bytes > trailerBytesMax ? null : trailers;
}
