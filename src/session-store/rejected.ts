// Sessions that the store refuses again and again: longer than it takes, or under a key that is something else there. They
// stay without a backup and are tried once a minute, so that they hold up nobody.
import type { Clock } from '../base/clock.ts';
import type { Copy } from './copy.ts';

interface Refusals {
  readonly times: number;
  /** Characters that were refused. Fewer may do. */
  readonly length: number;
  readonly untilMs: number;
}

/** Once may have been chance, or about the store and not about the session. */
const TIMES_MAX = 2;
const REST_MS = 60_000;
/**
 * A store breaks the connection on which a value comes that is longer than it takes, and what it says of that may be lost
 * with it. None takes less than a megabyte, and a session may become four times as long on its way.
 */
const LONG_CHARACTERS = 256 * 1024;

export class Rejected {
  readonly #clock: Clock;
  readonly #refusals = new Map<Copy, Refusals>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Not to be tried for now. */
  rests(copy: Copy): boolean {
    const found = this.#refusals.get(copy);
    if (found === undefined || found.times < TIMES_MAX || copy.data.length < found.length) return false;
    return this.#clock.nowMs() < found.untilMs;
  }

  /** What was sent of it has failed. */
  note(copy: Copy, why: 'away' | 'full' | 'error'): void {
    const isLong = copy.data.length >= LONG_CHARACTERS && !copy.isBacked;
    if (why !== 'error' && (why !== 'away' || !isLong)) return;
    const times = (this.#refusals.get(copy)?.times ?? 0) + 1;
    this.#refusals.set(copy, { times, length: copy.data.length, untilMs: this.#clock.nowMs() + REST_MS });
  }

  /** The store has taken it, or it is gone. */
  forget(copy: Copy): void {
    this.#refusals.delete(copy);
  }

  /** How many have been refused more often than chance would have it. */
  get size(): number {
    let size = 0;
    for (const { times } of this.#refusals.values()) size += Number(times >= TIMES_MAX);
    return size;
  }
}
