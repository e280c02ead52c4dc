// What one exchange leaves in its thread's counters.

import { ONE_CLIENT } from '../base/client-address.ts';
import { FAILURE_KINDS, FAILURES, type FailureKind } from '../base/failure.ts';
import type { PoolPlan } from '../choose/plan.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Counter, NO_POOL, PASSIVE_KINDS, PoolCounter, type Stripe } from '../shared/stripe.ts';

const CONNECT = Counter.passive + PASSIVE_KINDS.indexOf('connect');
const RESPONSE = Counter.passive + PASSIVE_KINDS.indexOf('response');
const STATUS = Counter.passive + PASSIVE_KINDS.indexOf('status');
/** A status from here on is the server's fault. */
export const SERVER_ERROR = 500;
const CONNECT_KINDS: ReadonlySet<FailureKind> = new Set(['connect-failed', 'connect-timeout', 'tls-failed']);

/** A request is over. `codeClass`: index into CODE_CLASSES. */
export function countRequest(
  own: Stripe,
  slot: number,
  codeClass: number,
  requestBytes: number,
  responseBytes: number,
  seconds: number,
): void {
  own.count(slot, Counter.code + codeClass);
  own.count(slot, Counter.requestBytes, requestBytes);
  own.count(slot, Counter.responseBytes, responseBytes);
  own.observe(slot, Counter.durationSum, seconds);
}

/** A request was not answered by a server, or not wholly. `pool`: number of the one it was for, or NO_POOL. */
export function countRejection(own: Stripe, kind: FailureKind, pool: number): void {
  own.countRejected(FAILURE_KINDS.indexOf(kind), pool);
}

/** A request was routed to the pool, and then refused before it could become an exchange. null: not even routed. */
export function countRefusal(own: Stripe, kind: FailureKind, plan: PoolPlan | null): void {
  if (plan !== null) own.countPool(plan.id, PoolCounter.requests);
  countRejection(own, kind, plan?.id ?? NO_POOL);
}

/** An attempt on the server failed. What is the server's fault is a signal for passive health. */
export function countFailure(
  shared: SharedState,
  slot: number,
  kind: FailureKind,
  address: string,
  nowMs: number,
): void {
  const { own, control } = shared;
  if (FAILURES[kind].side === 'self') return;
  own.count(slot, Counter.failures);
  // a server that does not take a request says so in order: it goes away, or has enough to do
  if (FAILURES[kind].side !== 'server' || kind === 'stream-refused') return;
  const isConnect = CONNECT_KINDS.has(kind);
  own.count(slot, isConnect ? CONNECT : RESPONSE);
  own.noteOutcome(slot, true, nowMs);
  control.noteFailingClient(slot, clientBit(address));
}

/**
 * The server has answered, `tookMs` after the request was sent; negative: not known. A status is a signal for passive health only where the
 * pool says so: it is the application that answers. That errors are quick is no reason to send a server more.
 */
export function countAnswer(
  shared: SharedState,
  plan: PoolPlan,
  slot: number,
  status: number,
  address: string,
  tookMs: number,
  nowMs: number,
): void {
  const { own, control } = shared;
  const isError = status >= SERVER_ERROR;
  own.noteOutcome(slot, isError, nowMs);
  if (!isError && tookMs >= 0) own.smoothFirstByte(slot, tookMs);
  if (plan.config.passive?.status.includes(status) !== true) return;
  own.count(slot, STATUS);
  control.noteFailingClient(slot, clientBit(address));
}

/** A number from 0 to 31 for whoever may be one client: an address, or the /64 of an IPv6 address. */
function clientBit(address: string): number {
  const client = ONE_CLIENT.of(address);
  let hash = 0;
  for (let at = 0; at < client.length; at += 1) hash = Math.imul(hash ^ client.charCodeAt(at), 0x9e3779b1);
  return hash >>> 27;
}
