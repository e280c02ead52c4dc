// What one exchange leaves in its thread's counters.

import { FAILURES, type FailureKind } from '../base/failure.ts';
import { Counter, PASSIVE_KINDS, type Stripe } from '../shared/stripe.ts';

const CONNECT = Counter.passive + PASSIVE_KINDS.indexOf('connect');
const RESPONSE = Counter.passive + PASSIVE_KINDS.indexOf('response');
const GATEWAY = Counter.passive + PASSIVE_KINDS.indexOf('gateway');

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

/** An attempt on the server failed. What is the server's fault is a signal for passive health. */
export function countFailure(own: Stripe, slot: number, kind: FailureKind): void {
  if (FAILURES[kind].side === 'self') return;
  own.count(slot, Counter.failures);
  if (FAILURES[kind].side !== 'server') return;
  const isConnect = kind === 'connect-failed' || kind === 'connect-timeout';
  own.count(slot, isConnect ? CONNECT : RESPONSE);
}

/** The server itself answered 502, 503 or 504: it says that it cannot serve. Other 5xx are the application's. */
export function countGatewayError(own: Stripe, slot: number): void {
  own.count(slot, GATEWAY);
}
