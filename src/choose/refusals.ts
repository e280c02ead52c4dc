// Which servers have just refused a connection, as one thread has met it: a server that restarts is asked again by one
// request at a time, ten times a second, and the first good connect tells all.
//
//   quiet ── refused ──> held for 100 ms ── asked: held again ──> refused ...
//     ^──────────────────── reached ────────────────┘
//
// While a server is held nobody else is sent there. Refused twice, at different times, is confirmed: that is for pools
// without health checks, where nobody else would ever say that a server is gone.

import { SLOTS_MAX } from '../shared/limits.ts';

/** A server that has refused is left alone for so long. */
export const REFUSED_MS = 100;
/** What is older says nothing any more. */
const STALE_MS = 1_000;
const CONFIRMED = 2;

export class Refusals {
  /** By slot: 0 while nothing is known. */
  readonly #times = new Uint8Array(SLOTS_MAX);
  readonly #refusedMs = new Float64Array(SLOTS_MAX);
  readonly #heldFromMs = new Float64Array(SLOTS_MAX);
  #latestMs = Number.NEGATIVE_INFINITY;

  /** A connection to the slot's server was refused, or it could not be reached. */
  refused(slot: number, nowMs: number): void {
    const times = this.#times[slot] as number;
    const isAnother = times === 0 || nowMs - (this.#refusedMs[slot] as number) >= REFUSED_MS;
    this.#hold(slot, nowMs);
    if (!isAnother) return;
    this.#times[slot] = Math.min(CONFIRMED, times + 1);
    this.#refusedMs[slot] = nowMs;
  }

  /** A connection stands, or the server is another one now. */
  reached(slot: number): void {
    this.#times[slot] = 0;
  }

  /** A request is sent there: until its end is known no other is. */
  asked(slot: number, nowMs: number): void {
    if (this.#times[slot] === 0) return;
    if (nowMs - (this.#refusedMs[slot] as number) > STALE_MS) this.#times[slot] = 1;
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
    return this.#times[slot] !== 0 && nowMs - (this.#heldFromMs[slot] as number) < REFUSED_MS;
  }

  /** Refused more than once, not only by requests that were under way together. */
  isConfirmed(slot: number, nowMs: number): boolean {
    return this.#times[slot] === CONFIRMED && this.isHeld(slot, nowMs);
  }
}
