// A cookie is its name, domain and path (RFC 6265 section 5.3, step 11): several of one name live side by side in a
// browser. Domain and path are kept as one small number, enough to tell the few applications of one site apart.

import type { CookieRange, SetCookie } from '../http1/cookies.ts';
import { SCOPES } from '../shared/entry-marks.ts';

const SLASH = 0x2f;
const DOT = 0x2e;
const QUESTION_MARK = 0x3f;
const OFFSET_BASIS = 0x811c9dc5;
const PRIME = 0x01000193;

/** Of a cookie for the whole of one host: what a cookie of unknown scope is taken for. */
export const WHOLE_HOST: number = toScope(mix(mix(OFFSET_BASIS, 0), SLASH));

/** Of a path without its query and a slash at its end: what a header's session has for a scope, the place where it began. */
export function placeOf(buffer: Buffer, begin: number, end: number): number {
  let pathEnd = begin;
  while (pathEnd < end && buffer[pathEnd] !== QUESTION_MARK) pathEnd += 1;
  if (buffer[pathEnd - 1] === SLASH) pathEnd -= 1;
  return scopeOf(buffer, 0, 0, begin, pathEnd);
}

/** Of a cookie whose name is known. */
export const ANY_NAME = 0;

/** Tells cookies apart of which only the begin of the name is known. Not ANY_NAME. */
export function nameOf(buffer: Buffer, { nameBegin, nameEnd }: CookieRange): number {
  let state = OFFSET_BASIS;
  for (let at = nameBegin; at < nameEnd; at += 1) state = mix(state, buffer[at] as number);
  return state | 1;
}

/** Of a cookie set without a path by the answer to this target (RFC 6265 section 5.1.4). 1..SCOPES. */
export function defaultScopeOf(buffer: Buffer, begin: number, end: number): number {
  if (buffer[begin] !== SLASH) return WHOLE_HOST;
  let pathEnd = begin + 1;
  for (let at = begin + 1; at < end && buffer[at] !== QUESTION_MARK; at += 1) {
    if (buffer[at] === SLASH) pathEnd = at;
  }
  return scopeOf(buffer, 0, 0, begin, pathEnd);
}

/** Of the cookie that the field sets or deletes. `defaultScope` is for one that says neither domain nor path. */
export function setCookieScope(buffer: Buffer, cookie: SetCookie, defaultScope: number): number {
  const { domainBegin, domainEnd, pathBegin, pathEnd } = cookie;
  const saysPath = pathBegin < pathEnd && buffer[pathBegin] === SLASH;
  if (!saysPath && domainBegin === domainEnd) return defaultScope;
  // a domain without a path is rare enough for every path to be taken for the default one
  return saysPath
    ? scopeOf(buffer, domainBegin, domainEnd, pathBegin, pathEnd)
    : scopeOf(buffer, domainBegin, domainEnd, 0, 0);
}

function scopeOf(
  buffer: Buffer,
  domainBegin: number,
  domainEnd: number,
  pathBegin: number,
  pathEnd: number,
): number {
  let state = OFFSET_BASIS;
  const first = domainBegin < domainEnd && buffer[domainBegin] === DOT ? domainBegin + 1 : domainBegin;
  // domains are compared without regard to case, paths with it
  for (let at = first; at < domainEnd; at += 1) state = mix(state, (buffer[at] as number) | 0x20);
  state = mix(state, 0);
  for (let at = pathBegin; at < pathEnd; at += 1) state = mix(state, buffer[at] as number);
  return toScope(state);
}

/** FNV-1a. */
function mix(state: number, byte: number): number {
  return Math.imul(state ^ byte, PRIME);
}

function toScope(state: number): number {
  return (((state ^ (state >>> 16)) >>> 0) % SCOPES) + 1;
}
