// What a session carried by the client (sealed cookie, JWT) needs beside its state: when it was last seen, because
// no server remembers.
import { asSessionState, type SessionLimits, type SessionState, timeToLiveMs } from '../session-layer.ts';

/** A session as the client carries it. */
export interface Carried {
  readonly state: SessionState;
  /** Wall clock of the request that issued this value. */
  readonly seenAtMs: number;
}

/** Part of the idle timeout after which a read issues the value again; a write always does. */
const RENEW_AFTER = 0.25;

/** The session in `value`, whose authenticity was checked before; null when it is none or its time is over. */
export function readCarried(value: unknown, limits: SessionLimits, nowMs: number): Carried | null {
  if (typeof value !== 'object' || value === null) return null;
  const { state: found, seenAtMs } = value as { readonly state?: unknown; readonly seenAtMs?: unknown };
  const state = asSessionState(found);
  if (state === null || typeof seenAtMs !== 'number') return null;
  const isOver = nowMs - seenAtMs >= limits.idleMs || timeToLiveMs(state, limits, nowMs) <= 0;
  return isOver ? null : { state, seenAtMs };
}

/** True when a read should issue the value again, so that an active user does not time out. */
export function needsRenewal(carried: Carried, limits: SessionLimits, nowMs: number): boolean {
  return nowMs - carried.seenAtMs > limits.idleMs * RENEW_AFTER;
}
