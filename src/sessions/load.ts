// Load and skew of a pool as read from shared memory, and requests over the last minute.

import { ERROR_KINDS } from '../base/failure.ts';
import { Mode, Verdict, WEIGHT_SCALE } from '../shared/control.ts';
import { SLOTS_MAX } from '../shared/limits.ts';
import type { PoolRevision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { CODE_CLASSES, Counter, PoolCounter } from '../shared/stripe.ts';
import { measureSkew, type Skew } from './skew.ts';

/** What load is measured in for holdfast_load_skew_ratio. */
export const LOAD_KINDS = ['requests', 'in_flight'] as const;
export type LoadKind = (typeof LOAD_KINDS)[number];

const WINDOW_SAMPLES = 60;

/** Requests answered or broken off on the slot since it got its server. */
export function totalRequests(shared: SharedState, slot: number): number {
  let total = 0;
  for (let code = 0; code < CODE_CLASSES.length; code += 1)
    total += shared.sumCounter(slot, Counter.code + code);
  return total;
}

/** Requests of the pool that went wrong for the client: what a server answered with 5xx, and what we answered or broke off. */
export function clientErrors(shared: SharedState, pool: number): number {
  const rejected = ERROR_KINDS.reduce((sum, kind) => sum + shared.sumRejected(kind, pool), 0);
  return shared.sumPoolCounter(pool, PoolCounter.serverErrors) + rejected;
}

/**
 * Slots that share the pool's load at present: up, ready, of some weight, not a backup. The others hold sessions
 * or not for reasons of their own, and would only blur how well placement works.
 */
export function comparedSlots(pool: PoolRevision, shared: SharedState): readonly number[] {
  const { control } = shared;
  return pool.slots.filter((slot, index) => {
    const isReady = control.mode(slot) === Mode.ready && control.verdict(slot) === Verdict.up;
    return isReady && control.weight(slot) > 0 && pool.config.servers[index]?.backup === false;
  });
}

/** Skew of the sessions that the last sweep found. */
export function sessionSkew(pool: PoolRevision, shared: SharedState): Skew {
  return skewOf(pool, shared, (slot) => shared.control.sessions(slot));
}

/** Skew of the requests of the last minute, or of those in flight now. `recentRequests`: Sweeper's, by slot. */
export function loadSkew(
  pool: PoolRevision,
  shared: SharedState,
  kind: LoadKind,
  recentRequests: (slot: number) => number,
): Skew {
  return skewOf(pool, shared, kind === 'requests' ? recentRequests : (slot) => shared.inFlight(slot));
}

function skewOf(pool: PoolRevision, shared: SharedState, count: (slot: number) => number): Skew {
  const slots = comparedSlots(pool, shared);
  return measureSkew(
    slots.map((slot) => ({ count: count(slot), weight: shared.control.weight(slot) / WEIGHT_SCALE })),
  );
}

/** Requests per slot over the last 60 samples, of which main takes one a second. */
export class RequestWindow {
  readonly #totals = Array.from({ length: WINDOW_SAMPLES }, () => new Float64Array(SLOTS_MAX));
  readonly #latest = new Float64Array(SLOTS_MAX);
  readonly #generation = new Int32Array(SLOTS_MAX).fill(-1);
  #samples = 0;

  /** Notes the totals of these slots now. A slot with a new generation has begun at 0. */
  sample(shared: SharedState, slots: readonly number[]): void {
    const row = this.#totals[this.#samples % WINDOW_SAMPLES];
    if (row === undefined) return;
    for (const slot of slots) {
      const total = totalRequests(shared, slot);
      const generation = shared.control.generation(slot);
      if (this.#generation[slot] !== generation) {
        this.#generation[slot] = generation;
        for (const other of this.#totals) other[slot] = 0;
      }
      row[slot] = total;
      this.#latest[slot] = total;
    }
    this.#samples += 1;
  }

  /** Requests of the slot between the oldest sample that is kept and the latest. */
  recent(slot: number): number {
    const oldest = this.#samples > WINDOW_SAMPLES ? this.#samples % WINDOW_SAMPLES : 0;
    return Math.max(0, (this.#latest[slot] ?? 0) - (this.#totals[oldest]?.[slot] ?? 0));
  }
}
