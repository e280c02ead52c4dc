// Which servers have just refused a connection, as one thread has met it: a server that restarts is asked again by one
// request at a time, ten times a second, and the first good connect tells all.
//
//   quiet ── refused ──> held for 100 ms ── asked: held again ──> refused ...
//     ^──────────────────── reached ────────────────┘
//
// While a server is held nobody else is sent there. Refused twice, at different times, is confirmed: that is for pools
// without health checks, where nobody else would ever say that a server is gone. One that accepts the connection and does
// not come to TLS is held just so, but it is there: nothing confirms that it is gone.

import { SLOTS_MAX } from '../shared/limits.ts';

/** A server that has refused is left alone for so long. */
export const REFUSED_MS = 100;
/** What is older says nothing any more. */
const STALE_MS = 1_000;
/** What is known of a server, in this order; 0 while nothing is. */
const FAILED = 1;
const REFUSED = 2;
const CONFIRMED = 3;

export class Refusals {
  /** By slot. */
  readonly #known = new Uint8Array(SLOTS_MAX);
  readonly #refusedMs = new Float64Array(SLOTS_MAX);
  readonly #heldFromMs = new Float64Array(SLOTS_MAX);
  #latestMs = Number.NEGATIVE_INFINITY;

  /** A connection to the slot's server was refused, or it could not be reached. */
  refused(slot: number, nowMs: number): void {
    const known = this.#known[slot] as number;
    const isAnother = known < REFUSED || nowMs - (this.#refusedMs[slot] as number) >= REFUSED_MS;
    this.#hold(slot, nowMs);
    if (!isAnother) return;
    this.#known[slot] = known < REFUSED ? REFUSED : CONFIRMED;
    this.#refusedMs[slot] = nowMs;
  }

  /** It has accepted a connection, which came to nothing. */
  failed(slot: number, nowMs: number): void {
    this.#known[slot] = Math.max(FAILED, this.#known[slot] as number);
    this.#hold(slot, nowMs);
  }

  /** A connection stands, or the server is another one now. */
  reached(slot: number): void {
    this.#known[slot] = 0;
  }

  /** A request is sent there: until its end is known no other is. */
  asked(slot: number, nowMs: number): void {
    const known = this.#known[slot] as number;
    if (known === 0) return;
    if (nowMs - (this.#refusedMs[slot] as number) > STALE_MS) this.#known[slot] = Math.min(REFUSED, known);
    this.#hold(slot, nowMs);
  }

  #hold(slot: number, nowMs: number): void {
    this.#heldFromMs[slot] = nowMs;
    this.#latestMs = nowMs;
  }

  /** No server is held. */
  isQuiet(nowMs: number): boolean {
    return nowMs - this.#latestMs >= REFUSED_MS;
  }

  /** Nobody is to be sent there now. */
  isHeld(slot: number, nowMs: number): boolean {
    return this.#known[slot] !== 0 && nowMs - (this.#heldFromMs[slot] as number) < REFUSED_MS;
  }

  /** Refused more than once, not only by requests that were under way together. */
  isConfirmed(slot: number, nowMs: number): boolean {
    return this.#known[slot] === CONFIRMED && this.isHeld(slot, nowMs);
  }
}
