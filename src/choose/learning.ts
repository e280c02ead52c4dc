// Sessions that the application begins and ends: read from the Set-Cookie fields, or the session header, of its
// response. The server that set the key is the session's home.

import { hashBytes, hashed } from '../base/hash.ts';
import { parseSetCookie, SetCookie } from '../http1/cookies.ts';
import { Field, type ResponseHead } from '../http1/message.ts';
import { type AddressLimit, mayBegin } from './address-limit.ts';
import { type Affinity, Finding } from './affinity.ts';
import type { Ledger } from './ledger.ts';
import { type PoolPlan, Source } from './plan.ts';
import { findSessionHeader } from './session-key.ts';

const Said = { nothing: 0, ended: 1, key: 2 } as const;
type Said = (typeof Said)[keyof typeof Said];

const parsed = new SetCookie();

/** Takes over what the response head of server `index` says about the session; a new one within the limit. */
export function learn(
  plan: PoolPlan,
  ledger: Ledger,
  limit: AddressLimit,
  affinity: Affinity,
  index: number,
  buffer: Buffer,
  head: ResponseHead,
  nowMs: number,
  wallMs: number,
): void {
  const said =
    plan.source === Source.header
      ? readHeader(plan, buffer, head)
      : readSetCookie(plan, buffer, head, wallMs);
  const hasEntry = ledger.holdsEntry(affinity);
  if (said === Said.nothing) {
    if (hasEntry && isAccepted(plan, affinity, head)) ledger.confirm(affinity);
    return;
  }
  if (said === Said.ended) {
    if (hasEntry) ledger.end(affinity.entry, affinity.keyLow, affinity.keyHigh, 'logout');
    affinity.entry = -1;
    return;
  }
  if (hasEntry && affinity.keyLow === hashed.low && affinity.keyHigh === hashed.high) {
    ledger.confirm(affinity);
    return;
  }
  if (hasEntry || mayBegin(limit, affinity, nowMs)) adopt(plan, ledger, affinity, index, nowMs, hasEntry);
}

/**
 * Does the answer say that the key the client has shown again is a living session? Only where any server could know
 * it: with state local a key that the balancer has not seen set is most likely one whose server has lost it.
 */
function isAccepted(plan: PoolPlan, affinity: Affinity, head: ResponseHead): boolean {
  return plan.config.state === 'shared' && !affinity.isBorn && head.status < 400;
}

/**
 * The new key in `hashed` is the session's from now on. An older key of the request ends without being counted: the
 * application regenerated the id (at log-in), the session is the same.
 */
function adopt(
  plan: PoolPlan,
  ledger: Ledger,
  affinity: Affinity,
  index: number,
  nowMs: number,
  hasEntry: boolean,
): void {
  const wasReal = hasEntry && ledger.isReal(affinity);
  if (hasEntry) ledger.end(affinity.entry, affinity.keyLow, affinity.keyHigh, null);
  ledger.unreserve(affinity);
  affinity.keyLow = hashed.low;
  affinity.keyHigh = hashed.high;
  affinity.hasKey = true;
  affinity.isBorn = false;
  ledger.begin(plan, affinity, index, nowMs, false, wasReal);
  if (!wasReal && affinity.verdict === Finding.none) affinity.verdict = Finding.new;
}

/** `x-holdfast-session: end`. The field itself never reaches the client, like all x-holdfast-*. */
export function saysSessionEnds(buffer: Buffer, head: ResponseHead): boolean {
  const { lines } = head;
  for (let line = 0; line < lines.count; line += 1) {
    if (lines.field[line] !== Field.holdfast) continue;
    const begin = lines.lineBegin[line] as number;
    const end = lines.valueEnd[line] as number;
    if (/^x-holdfast-session: *end$/i.test(buffer.toString('latin1', begin, end))) return true;
  }
  return false;
}

/** Of several fields for the same cookie the last counts, as in a browser. Leaves a key in `hashed`. */
function readSetCookie(plan: PoolPlan, buffer: Buffer, head: ResponseHead, wallMs: number): Said {
  const { lines } = head;
  for (let line = lines.count - 1; line >= 0; line -= 1) {
    if (lines.field[line] !== Field.setCookie) continue;
    const begin = lines.valueBegin[line] as number;
    const end = lines.valueEnd[line] as number;
    if (!startsWithName(plan.cookieName, buffer, begin, end)) continue;
    if (!parseSetCookie(buffer, begin, end, wallMs, parsed)) continue;
    if (parsed.nameEnd - parsed.nameBegin !== plan.cookieName.length) continue;
    if (parsed.isDeletion) return Said.ended;
    hashBytes(plan.keys.hash, buffer, parsed.valueBegin, parsed.valueEnd);
    return Said.key;
  }
  return Said.nothing;
}

function startsWithName(name: Uint8Array, buffer: Buffer, begin: number, end: number): boolean {
  if (end - begin < name.length) return false;
  for (let at = 0; at < name.length; at += 1) if (buffer[begin + at] !== name[at]) return false;
  return true;
}

function readHeader(plan: PoolPlan, buffer: Buffer, head: ResponseHead): Said {
  const range = findSessionHeader(plan.headerName, buffer, head.lines);
  if (range === null) return Said.nothing;
  hashBytes(plan.keys.hash, buffer, range.valueBegin, range.valueEnd);
  return Said.key;
}
