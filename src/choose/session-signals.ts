// What the head of an answer says about sessions: the values that it sets and the cookies that it deletes, of every place
// that the pool reads keys from. Cookies are told apart by scope, domain and path.

import { hashBytes, hashed } from '../base/hash.ts';
import { beginsWith } from '../http1/bytes.ts';
import { parseSetCookie, SetCookie } from '../http1/cookies.ts';
import { Field, type ResponseHead } from '../http1/message.ts';
import { type Affinity, SAID_MAX } from './affinity.ts';
import { ANY_NAME, nameOf, setCookieScope } from './cookie-scope.ts';
import type { KeySource } from './key-sources.ts';
import type { PoolPlan } from './plan.ts';
import { findSessionHeader } from './session-key.ts';

export const NO_SCOPE = 0;

/** What one field says of the key of one place and scope. */
export interface SessionSignal {
  /** Place in the plan's sources. */
  source: number;
  scope: number;
  /** As Affinity.shownNames. */
  name: number;
  isDeletion: boolean;
  low: number;
  high: number;
}

const parsed = new SetCookie();

/** What `readSignals` has found last: valid up to the number that it returned. */
export const said: readonly SessionSignal[] = Array.from({ length: SAID_MAX }, () => ({
  source: 0,
  scope: NO_SCOPE,
  name: ANY_NAME,
  isDeletion: false,
  low: 0,
  high: 0,
}));

/** Into `said`, in the order of the plan's sources; returns how many. */
export function readSignals(
  plan: PoolPlan,
  affinity: Affinity,
  buffer: Buffer,
  head: ResponseHead,
  wallMs: number,
): number {
  let count = 0;
  for (let source = 0; source < plan.sources.length; source += 1) {
    const { kind } = plan.sources[source] as KeySource;
    if (kind === 'cookie') count = readSetCookies(plan, source, count, affinity, buffer, head, wallMs);
    else if (kind === 'header') count = readHeader(plan, source, count, buffer, head);
  }
  return count;
}

/** Of several fields for the same cookie the last counts, as in a browser. */
function readSetCookies(
  plan: PoolPlan,
  source: number,
  first: number,
  affinity: Affinity,
  buffer: Buffer,
  head: ResponseHead,
  wallMs: number,
): number {
  const { lines } = head;
  const { bytes, isPrefix } = plan.sources[source] as KeySource;
  let count = first;
  for (let line = 0; line < lines.count; line += 1) {
    if (lines.field[line] !== Field.setCookie) continue;
    const begin = lines.valueBegin[line] as number;
    const end = lines.valueEnd[line] as number;
    if (!beginsWith(bytes, buffer, begin, end)) continue;
    if (!parseSetCookie(buffer, begin, end, wallMs, parsed)) continue;
    if (!isPrefix && parsed.nameEnd - parsed.nameBegin !== bytes.length) continue;
    const scope = setCookieScope(buffer, parsed, affinity.defaultScope);
    let at = first;
    while (at < count && said[at]?.scope !== scope) at += 1;
    const one = said[at];
    if (one === undefined) continue;
    const name = isPrefix ? nameOf(buffer, parsed) : ANY_NAME;
    // of several names the one that is set goes on: a deleted one is what it replaces, or is no business of the session
    if (isPrefix && parsed.isDeletion && at < count && !one.isDeletion) continue;
    if (isPrefix && parsed.isDeletion && !isNameShown(affinity, name)) continue;
    one.source = source;
    one.scope = scope;
    one.name = name;
    one.isDeletion = parsed.isDeletion;
    hashBytes(plan.keys.hash, buffer, parsed.valueBegin, parsed.valueEnd);
    one.low = hashed.low;
    one.high = hashed.high;
    count = Math.max(count, at + 1);
  }
  return count;
}

function isNameShown({ shownNames, shownCount }: Affinity, name: number): boolean {
  return shownNames.subarray(0, shownCount).includes(name);
}

function readHeader(
  plan: PoolPlan,
  source: number,
  count: number,
  buffer: Buffer,
  head: ResponseHead,
): number {
  const { name } = plan.sources[source] as KeySource;
  const range = findSessionHeader(name, buffer, head.lines);
  const one = said[count];
  if (range === null || one === undefined) return count;
  hashBytes(plan.keys.hash, buffer, range.valueBegin, range.valueEnd);
  one.source = source;
  one.scope = NO_SCOPE;
  one.name = ANY_NAME;
  one.isDeletion = false;
  one.low = hashed.low;
  one.high = hashed.high;
  return count + 1;
}
