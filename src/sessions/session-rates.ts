// How fast the sessions of a pool come and go, over the last minute: what estimates of time rest on.

import type { PoolRevision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Counter, END_REASONS } from '../shared/stripe.ts';

const WINDOW_MS = 60_000;
/** Ends that must have been seen before a mean life is believed. */
const ENDS_MIN = 20;

interface Sample {
  readonly atMs: number;
  readonly ended: number;
  readonly sessions: number;
}

export class SessionRates {
  readonly #shared: SharedState;
  readonly #samples = new Map<string, Sample[]>();

  constructor(shared: SharedState) {
    this.#shared = shared;
  }

  /** After a sweep, once a second or so. */
  sample(pools: readonly PoolRevision[], nowMs: number): void {
    for (const name of [...this.#samples.keys()]) {
      if (!pools.some((pool) => pool.config.name === name)) this.#samples.delete(name);
    }
    for (const pool of pools) {
      const samples = this.#samples.get(pool.config.name) ?? [];
      this.#samples.set(pool.config.name, samples);
      samples.push({ atMs: nowMs, ...this.#totals(pool) });
      while ((samples[0]?.atMs ?? nowMs) < nowMs - WINDOW_MS) samples.shift();
    }
  }

  /**
   * Mean life of a session by Little's law: sessions over the rate at which they end. Null when too few have ended to
   * tell, or when servers came and went meanwhile.
   */
  meanLifeMs(pool: string): number | null {
    const samples = this.#samples.get(pool) ?? [];
    const first = samples[0];
    const last = samples.at(-1);
    if (first === undefined || last === undefined || last.ended - first.ended < ENDS_MIN) return null;
    const sessions = samples.reduce((sum, sample) => sum + sample.sessions, 0) / samples.length;
    return (sessions * (last.atMs - first.atMs)) / (last.ended - first.ended);
  }

  #totals(pool: PoolRevision): { readonly ended: number; readonly sessions: number } {
    let ended = 0;
    let sessions = 0;
    for (const slot of pool.slots) {
      sessions += this.#shared.control.sessions(slot);
      END_REASONS.forEach((_reason, index) => {
        ended += this.#shared.sumCounter(slot, Counter.ended + index);
      });
    }
    return { ended, sessions };
  }
}
