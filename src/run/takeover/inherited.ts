// What the process before this one has in use is in use here, for as long as that process lives and says so.

import type { Clock } from '../../base/clock.ts';
import type { SharedState } from '../../shared/shared-state.ts';
import { Gauge } from '../../shared/stripe.ts';

/** How often a process that is finishing says what it still has in use. */
export const SEND_AGAIN_MS = 5_000;
/** One that has not said anything for so long hangs, or is of a version that does not say it again. */
const SILENCE_MS = 6 * SEND_AGAIN_MS;

export class Inherited {
  readonly #shared: SharedState;
  readonly #clock: Clock;
  /** Places for sessions that requests under way there may begin, by slot: counted here as our own. */
  #places: ReadonlyMap<number, number> = new Map();
  #timer: NodeJS.Timeout | null = null;
  #onOver: () => void = () => undefined;
  /** Resolves when it has said nothing for so long, or `end` was called. Once only, it may come back. */
  readonly over: Promise<void> = new Promise((resolve) => {
    this.#onOver = resolve;
  });

  constructor(shared: SharedState, clock: Clock) {
    this.#shared = shared;
    this.#clock = clock;
  }

  /** The other process has told what it has in use. */
  renew(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(), SILENCE_MS);
    this.#timer.unref();
  }

  /** So many places it holds now. */
  hold(places: ReadonlyMap<number, number>): void {
    for (const slot of new Set([...this.#places.keys(), ...places.keys()])) {
      const more = (places.get(slot) ?? 0) - (this.#places.get(slot) ?? 0);
      this.#shared.own.addGaugeInOrder(slot, Gauge.sessionsReserved, more);
    }
    this.#places = places;
  }

  /** The other process is no more, or hangs: nothing is in use there. */
  end(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#onOver();
    this.hold(new Map());
    // what was in use was so until now
    const nowMs = this.#clock.nowMs();
    const { table } = this.#shared;
    table.holds.clearOwn((entry) => table.see(entry, nowMs));
  }
}
