// Reads what identifies a request's session, as a 64-bit keyed hash, and looks it up: the raw value is not kept.
//
// A request may show several values under one cookie name, one for each path and domain. All are tried: the first that
// the table knows as a session says where the request belongs (browsers send the longest path first), else the first
// that it knows at all, else the first. Each value is tried under every secret, the first one first. No allocation.
//
// A value whose session the user has ended a moment ago names none: the request was sent before he knew.

import { hashBytes, hashed } from '../base/hash.ts';
import { COLON, equalsIgnoreCase } from '../http1/bytes.ts';
import { CookieRange, nextCookie } from '../http1/cookies.ts';
import { Field, type FieldLines, NOT_WATCHED, type RequestHead } from '../http1/message.ts';
import type { SessionTable } from '../shared/session-table.ts';
import { type Affinity, Finding, SHOWN_MAX } from './affinity.ts';
import { ANY_NAME, defaultScopeOf, nameOf } from './cookie-scope.ts';
import { findInTarget, type KeySource } from './key-sources.ts';
import type { OpeningKeys } from './keys.ts';
import { hashCookieKey, isCookieLength, open } from './own-cookie.ts';
import { type PoolPlan, Source } from './plan.ts';

/** Longest address text. */
const ADDRESS_MAX = 64;
const UNKNOWN = -1;

const range = new CookieRange();
const addressBytes = Buffer.alloc(ADDRESS_MAX);

/**
 * Sets key and hasKey, and what the arrival is when it is not a known session. Returns the session's entry, -1 when
 * the table has none. Our own cookie is then opened and speaks for itself; one that cannot be opened is `invalid`.
 */
export function readSessionKey(
  plan: PoolPlan,
  table: SessionTable,
  buffer: Buffer,
  head: RequestHead,
  clientAddress: string,
  affinity: Affinity,
): number {
  switch (plan.source) {
    case Source.none:
      return UNKNOWN;
    case Source.ownCookie:
      return readOwnCookie(plan, table, buffer, head.lines, affinity);
    case Source.named:
      return readNamed(plan, table, buffer, head, affinity);
    case Source.address: {
      const length = copyAddress(plan, clientAddress);
      return offer(plan, table, addressBytes, 0, length, UNKNOWN, affinity);
    }
  }
}

/** The value range of the header in `lines`; null when there is none or it is empty. Valid until the next call. */
export function findSessionHeader(name: string, buffer: Buffer, lines: FieldLines): CookieRange | null {
  return findHeader(name, buffer, lines) ? range : null;
}

/** The first of the plan's sources that the request has a value for. */
function readNamed(
  plan: PoolPlan,
  table: SessionTable,
  buffer: Buffer,
  head: RequestHead,
  affinity: Affinity,
): number {
  const { pathBegin, pathEnd, lines } = head;
  if (plan.readsCookies) affinity.defaultScope = defaultScopeOf(buffer, pathBegin, pathEnd);
  for (let at = 0; at < plan.sources.length; at += 1) {
    const source = plan.sources[at] as KeySource;
    let found = UNKNOWN;
    if (source.kind === 'cookie') found = readCookies(plan, source, table, buffer, lines, affinity);
    else if (
      source.kind === 'header'
        ? findHeader(source.name, buffer, lines)
        : findInTarget(source, buffer, pathBegin, pathEnd, range)
    )
      found = offer(plan, table, buffer, range.valueBegin, range.valueEnd, UNKNOWN, affinity);
    if (affinity.shownCount === 0) continue;
    affinity.source = at;
    return found;
  }
  return UNKNOWN;
}

/** All cookies of the source's name, over all Cookie lines. */
function readCookies(
  plan: PoolPlan,
  { bytes: name, isPrefix }: KeySource,
  table: SessionTable,
  buffer: Buffer,
  lines: FieldLines,
  affinity: Affinity,
): number {
  let found = UNKNOWN;
  for (let line = 0; line < lines.count; line += 1) {
    if (lines.field[line] !== Field.cookie) continue;
    const end = lines.valueEnd[line] as number;
    let at = nextCookie(buffer, lines.valueBegin[line] as number, end, name, range, isPrefix);
    while (at !== -1 && affinity.shownCount < SHOWN_MAX) {
      if (range.valueBegin < range.valueEnd) {
        found = offer(plan, table, buffer, range.valueBegin, range.valueEnd, found, affinity);
        if (isPrefix) affinity.shownNames[affinity.shownCount - 1] = nameOf(buffer, range);
      }
      at = nextCookie(buffer, at, end, name, range, isPrefix);
    }
  }
  return found;
}

/** One more value that the request shows; returns the better of the entry found so far and its own. */
function offer(
  plan: PoolPlan,
  table: SessionTable,
  bytes: Uint8Array,
  begin: number,
  end: number,
  found: number,
  affinity: Affinity,
): number {
  hashBytes(plan.keys.hash, bytes, begin, end);
  const { low, high } = hashed;
  let entry = table.resolve(low, high);
  let { wasOver } = table;
  let isOld = false;
  for (let at = 1; entry === UNKNOWN && at < plan.openers.length; at += 1) {
    hashBytes((plan.openers[at] as OpeningKeys).hash, bytes, begin, end);
    entry = table.resolve(hashed.low, hashed.high);
    wasOver ||= table.wasOver;
    isOld = entry !== UNKNOWN;
  }
  const isKnown = entry !== UNKNOWN;
  const keyLow = isKnown ? table.resolvedLow : low;
  const keyHigh = isKnown ? table.resolvedHigh : high;
  const { shown, shownNames, shownCount } = affinity;
  shown[2 * shownCount] = keyLow;
  shown[2 * shownCount + 1] = keyHigh;
  shownNames[shownCount] = ANY_NAME;
  affinity.shownCount = shownCount + 1;
  const isBetter = isKnown && (found === UNKNOWN || (table.isTentative(found) && !table.isTentative(entry)));
  if (!affinity.hasKey) affinity.arrival = Finding.new;
  if (isBetter || (!affinity.hasKey && !wasOver)) {
    takeKey(affinity, keyLow, keyHigh);
    affinity.foundBy = isKnown ? table.resolvedBy : UNKNOWN;
    noteOldKey(affinity, isOld, low, high);
  }
  return isBetter ? entry : found;
}

/** The first of our cookies that the table knows, else the one written last of those that can be opened. */
function readOwnCookie(
  plan: PoolPlan,
  table: SessionTable,
  buffer: Buffer,
  lines: FieldLines,
  affinity: Affinity,
): number {
  affinity.arrival = Finding.new;
  let isAny = false;
  let tries = 0;
  for (let which = 0; which < plan.cookieNames.length; which += 1) {
    const name = plan.cookieNames[which] as Uint8Array;
    for (let line = 0; line < lines.count; line += 1) {
      if (lines.field[line] !== Field.cookie) continue;
      const end = lines.valueEnd[line] as number;
      let at = nextCookie(buffer, lines.valueBegin[line] as number, end, name, range);
      for (; at !== -1 && tries < SHOWN_MAX; at = nextCookie(buffer, at, end, name, range)) {
        tries += 1;
        // a cookie of the other name may be another pool's
        isAny ||= which === 0;
        const entry = lookUpOwn(plan, table, buffer, affinity);
        if (entry === UNKNOWN) continue;
        affinity.isCookieDue = which > 0;
        return entry;
      }
    }
  }
  if (tries > 0) openNewest(plan, table, buffer, lines, affinity);
  if (isAny && !affinity.hasKey) affinity.arrival = Finding.invalid;
  return UNKNOWN;
}

/** Entry of the cookie in `range`; its characters are copied when there is one. */
function lookUpOwn(plan: PoolPlan, table: SessionTable, buffer: Buffer, affinity: Affinity): number {
  const { valueBegin, valueEnd } = range;
  if (!isCookieLength(valueEnd - valueBegin)) return UNKNOWN;
  hashCookieKey(plan.keys, buffer, valueBegin);
  const { low, high } = hashed;
  let entry = table.resolve(low, high);
  let isOld = false;
  for (let at = 1; entry === UNKNOWN && at < plan.openers.length; at += 1) {
    hashCookieKey(plan.openers[at] as OpeningKeys, buffer, valueBegin);
    entry = table.resolve(hashed.low, hashed.high);
    isOld = entry !== UNKNOWN;
  }
  if (entry === UNKNOWN) return UNKNOWN;
  takeKey(affinity, table.resolvedLow, table.resolvedHigh);
  affinity.foundBy = table.resolvedBy;
  noteOldKey(affinity, isOld, low, high);
  copyCookie(buffer, affinity);
  return entry;
}

/** Opens the cookies that the table does not know; keeps the one written last of those whose session is not over, if any. */
function openNewest(
  plan: PoolPlan,
  table: SessionTable,
  buffer: Buffer,
  lines: FieldLines,
  affinity: Affinity,
): void {
  let newestBegin = -1;
  let newestEnd = 0;
  let newestSeconds = Number.NEGATIVE_INFINITY;
  let isNamedAnew = false;
  let tries = 0;
  for (let which = 0; which < plan.cookieNames.length; which += 1) {
    const name = plan.cookieNames[which] as Uint8Array;
    for (let line = 0; line < lines.count; line += 1) {
      if (lines.field[line] !== Field.cookie) continue;
      const end = lines.valueEnd[line] as number;
      let at = nextCookie(buffer, lines.valueBegin[line] as number, end, name, range);
      for (; at !== -1 && tries < SHOWN_MAX; at = nextCookie(buffer, at, end, name, range)) {
        tries += 1;
        if (!isCookieLength(range.valueEnd - range.valueBegin)) continue;
        copyCookie(buffer, affinity);
        const { cookie, cookieText, cookieLength } = affinity;
        if (!open(plan, cookieText, cookieLength, cookie)) continue;
        const isEnded = isOver(plan, table, cookieText);
        const seconds = isEnded ? -Number.MAX_VALUE : cookie.renewedSeconds;
        if (seconds <= newestSeconds) continue;
        newestSeconds = seconds;
        affinity.isEnded = isEnded;
        newestBegin = range.valueBegin;
        newestEnd = range.valueEnd;
        isNamedAnew = which > 0;
      }
    }
  }
  if (newestBegin === -1) return;
  range.valueBegin = newestBegin;
  range.valueEnd = newestEnd;
  copyCookie(buffer, affinity);
  affinity.isCookieOpen = open(plan, affinity.cookieText, affinity.cookieLength, affinity.cookie);
  affinity.isCookieDue = isNamedAnew;
  hashCookieKey(plan.keys, affinity.cookieText, 0);
  takeKey(affinity, hashed.low, hashed.high);
}

/** Has the session of the cookie been ended, under whichever secret it was begun? */
function isOver(plan: PoolPlan, table: SessionTable, cookieText: Uint8Array): boolean {
  return plan.openers.some((keys) => {
    hashCookieKey(keys, cookieText, 0);
    table.resolve(hashed.low, hashed.high);
    return table.wasOver;
  });
}

function copyCookie(buffer: Buffer, affinity: Affinity): void {
  const { valueBegin, valueEnd } = range;
  const length = valueEnd - valueBegin;
  const { cookieText } = affinity;
  for (let at = 0; at < length; at += 1) cookieText[at] = buffer[valueBegin + at] as number;
  affinity.cookieLength = length;
}

function takeKey(affinity: Affinity, low: number, high: number): void {
  affinity.keyLow = low;
  affinity.keyHigh = high;
  affinity.hasKey = true;
}

function noteOldKey(affinity: Affinity, isOld: boolean, low: number, high: number): void {
  affinity.hasOldKey = isOld;
  affinity.newLow = low;
  affinity.newHigh = high;
}

/** Compares names, not positions in HeadLimits.watched, so that the codec's list needs no particular order. */
function findHeader(name: string, buffer: Buffer, lines: FieldLines): boolean {
  for (let line = 0; line < lines.count; line += 1) {
    if (lines.watchedIndex[line] === NOT_WATCHED) continue;
    const begin = lines.lineBegin[line] as number;
    const end = begin + name.length;
    if (buffer[end] !== COLON || !equalsIgnoreCase(buffer, begin, end, name)) continue;
    range.valueBegin = lines.valueBegin[line] as number;
    range.valueEnd = lines.valueEnd[line] as number;
    if (range.valueBegin < range.valueEnd) return true;
  }
  return false;
}

/** Into `addressBytes`; returns how many. All addresses of a network are one client, as the mask says. */
function copyAddress(plan: PoolPlan, clientAddress: string): number {
  const network = plan.addressMask.of(clientAddress);
  const length = Math.min(network.length, ADDRESS_MAX);
  for (let at = 0; at < length; at += 1) addressBytes[at] = network.charCodeAt(at);
  return length;
}
