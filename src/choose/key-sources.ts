// Where a request names its session: the places of `sticky.from` in their order, or the one that `cookie` or `header` says.
// Those in the target are read here; cookies and fields where the lines of the head are (session-key.ts).
//
//   cookie          Cookie: sid=VALUE              a name that ends in * stands for all that begin like it
//   header          x-session-id: VALUE
//   query           /buy?sid=VALUE
//   path-parameter  /buy;jsessionid=VALUE?x=1      in any segment (RFC 3986 section 3.3)
//   path            /rooms/VALUE/join              by a pattern such as /rooms/*: the segment at the last *

import type { StickyConfig } from '../config/model.ts';
import { beginsWith, EQUALS, SEMICOLON, SLASH } from '../http1/bytes.ts';
import type { CookieRange } from '../http1/cookies.ts';

const AMPERSAND = 0x26;
const QUESTION_MARK = 0x3f;

const WORDS = {
  cookie: "application's cookie",
  header: 'header',
  query: 'query parameter',
  'path-parameter': 'path parameter',
  path: 'path',
} as const;
export type KeyKind = keyof typeof WORDS;

export interface KeySource {
  readonly kind: KeyKind;
  /** Of a header in lower case; of a path its pattern. */
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Every cookie whose name begins with `bytes`. */
  readonly isPrefix: boolean;
  /** Of a path's pattern, null for any. */
  readonly segments: readonly (Uint8Array | null)[];
}

/** In the order in which they are asked; none where the key is the balancer's own cookie, or an address. */
export function keySources(sticky: StickyConfig): readonly KeySource[] {
  const { mode, from, header, cookie, cookieOwner } = sticky;
  if (mode !== 'learn' && mode !== 'header-hash' && mode !== 'cookie-hash') return [];
  if (from !== null)
    return from.map((one) => {
      if (one.cookie !== null) return source('cookie', one.cookie);
      if (one.header !== null) return source('header', one.header);
      if (one.query !== null) return source('query', one.query);
      if (one.pathParameter !== null) return source('path-parameter', one.pathParameter);
      return source('path', one.path ?? '');
    });
  if (mode === 'cookie-hash') return cookieOwner === 'application' ? [source('cookie', cookie)] : [];
  return header === null ? [source('cookie', cookie)] : [source('header', header)];
}

/** For people, and to tell whether two configurations read the same. */
export function describeSources(sources: readonly KeySource[]): string {
  return sources.map(({ kind, name }) => `the ${WORDS[kind]} ${name}`).join(', else ');
}

function source(kind: KeyKind, written: string): KeySource {
  const name = kind === 'header' ? written.toLowerCase() : written;
  const isPrefix = kind === 'cookie' && name.endsWith('*');
  const bytes = Buffer.from(isPrefix ? name.slice(0, -1) : name, 'latin1');
  const [, ...parts] = kind === 'path' ? name.split('/') : [];
  const segments = parts.map((part) => (part === '*' ? null : Buffer.from(part, 'latin1')));
  return { kind, name, bytes, isPrefix, segments };
}

/** The value in the target begin..end, into `found`; false when there is none or it is empty. Compared as it is written. */
export function findInTarget(
  { kind, bytes, segments }: KeySource,
  buffer: Buffer,
  begin: number,
  end: number,
  found: CookieRange,
): boolean {
  const pathEnd = endOf(buffer, begin, end, QUESTION_MARK, QUESTION_MARK);
  if (kind === 'query') return findNamed(bytes, buffer, pathEnd, end, AMPERSAND, found);
  if (kind === 'path-parameter') return findNamed(bytes, buffer, begin, pathEnd, SEMICOLON, found);
  return findSegment(segments, buffer, begin, pathEnd, found);
}

/** What follows `separator NAME =`, or the begin and NAME =. A parameter of a path ends with its segment too. */
function findNamed(
  name: Uint8Array,
  buffer: Buffer,
  begin: number,
  end: number,
  separator: number,
  found: CookieRange,
): boolean {
  const other = separator === SEMICOLON ? SLASH : separator;
  for (let at = begin; at < end; at += 1) {
    const isFirst = at === begin && separator === AMPERSAND;
    if ((buffer[at] !== separator && !isFirst) || !beginsWith(name, buffer, at + 1, end)) continue;
    const valueBegin = at + 1 + name.length + 1;
    if (valueBegin > end || buffer[valueBegin - 1] !== EQUALS) continue;
    found.valueBegin = valueBegin;
    found.valueEnd = endOf(buffer, valueBegin, end, separator, other);
    if (found.valueBegin < found.valueEnd) return true;
  }
  return false;
}

function findSegment(
  segments: readonly (Uint8Array | null)[],
  buffer: Buffer,
  begin: number,
  end: number,
  found: CookieRange,
): boolean {
  let at = begin;
  let isFound = false;
  for (const segment of segments) {
    if (at >= end || buffer[at] !== SLASH) return false;
    const first = at + 1;
    const last = endOf(buffer, first, end, SLASH, SEMICOLON);
    if (segment === null) {
      isFound = first < last;
      if (!isFound) return false;
      found.valueBegin = first;
      found.valueEnd = last;
    } else if (last - first !== segment.length || !beginsWith(segment, buffer, first, last)) return false;
    at = endOf(buffer, last, end, SLASH, SLASH);
  }
  return isFound;
}

function endOf(buffer: Buffer, begin: number, end: number, one: number, other: number): number {
  let at = begin;
  while (at < end && buffer[at] !== one && buffer[at] !== other) at += 1;
  return at;
}
