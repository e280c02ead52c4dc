// Reads what identifies a request's session, as a 64-bit keyed hash: the raw value is not kept. No allocation.

import { hashBytes, hashed } from '../base/hash.ts';
import { COLON, equalsIgnoreCase } from '../http1/bytes.ts';
import { CookieRange, findCookie } from '../http1/cookies.ts';
import { Field, type FieldLines, NOT_WATCHED, type RequestHead } from '../http1/message.ts';
import { type Affinity, Finding } from './affinity.ts';
import { cookieLength, hashCookieKey } from './own-cookie.ts';
import { type PoolPlan, Source } from './plan.ts';

/** Longest address text. */
const ADDRESS_MAX = 64;

const range = new CookieRange();
const addressBytes = Buffer.alloc(ADDRESS_MAX);

/**
 * Sets key and hasKey, and what the arrival is when it is not a known session. A value that cannot be the balancer's
 * own cookie is `invalid` here already; whether it is forged shows later, when the table does not know it.
 */
export function readSessionKey(
  plan: PoolPlan,
  buffer: Buffer,
  head: RequestHead,
  clientAddress: string,
  affinity: Affinity,
): void {
  switch (plan.source) {
    case Source.none:
      return;
    case Source.ownCookie:
      readOwnCookie(plan, buffer, head, affinity);
      return;
    case Source.applicationCookie:
      if (!findInCookies(plan, buffer, head.lines) || range.valueBegin === range.valueEnd) return;
      hashBytes(plan.keys.hash, buffer, range.valueBegin, range.valueEnd);
      break;
    case Source.header:
      if (!findHeader(plan.headerName, buffer, head.lines)) return;
      hashBytes(plan.keys.hash, buffer, range.valueBegin, range.valueEnd);
      break;
    case Source.address:
      hashAddress(plan, clientAddress);
      break;
  }
  affinity.arrival = Finding.new;
  takeKey(affinity);
}

/** The value range of the header in `lines`; null when there is none or it is empty. Valid until the next call. */
export function findSessionHeader(name: string, buffer: Buffer, lines: FieldLines): CookieRange | null {
  return findHeader(name, buffer, lines) ? range : null;
}

function takeKey(affinity: Affinity): void {
  affinity.keyLow = hashed.low;
  affinity.keyHigh = hashed.high;
  affinity.hasKey = true;
}

function readOwnCookie(plan: PoolPlan, buffer: Buffer, head: RequestHead, affinity: Affinity): void {
  affinity.arrival = Finding.new;
  if (!findInCookies(plan, buffer, head.lines)) return;
  const { valueBegin } = range;
  const length = range.valueEnd - valueBegin;
  if (length !== cookieLength(plan)) {
    affinity.arrival = Finding.invalid;
    return;
  }
  const { cookieText } = affinity;
  for (let at = 0; at < length; at += 1) cookieText[at] = buffer[valueBegin + at] as number;
  hashCookieKey(plan, cookieText, 0);
  takeKey(affinity);
}

/** The first cookie of the pool's name, over all Cookie lines. */
function findInCookies(plan: PoolPlan, buffer: Buffer, lines: FieldLines): boolean {
  for (let line = 0; line < lines.count; line += 1) {
    if (lines.field[line] !== Field.cookie) continue;
    const begin = lines.valueBegin[line] as number;
    if (findCookie(buffer, begin, lines.valueEnd[line] as number, plan.cookieName, range) > 0) return true;
  }
  return false;
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
    return range.valueBegin < range.valueEnd;
  }
  return false;
}

/** All addresses of a network are one client, as the mask says, however they are written. */
function hashAddress(plan: PoolPlan, clientAddress: string): void {
  const network = plan.addressMask.of(clientAddress);
  const length = Math.min(network.length, ADDRESS_MAX);
  for (let at = 0; at < length; at += 1) addressBytes[at] = network.charCodeAt(at);
  hashBytes(plan.keys.hash, addressBytes, 0, length);
}
