// Paced fail-over: how many sessions of a pool may leave a home that is gone, so that a full server that dies does not
// send all its sessions to the others within a second. A bucket per pool that fills at the thread's part of
// `sticky.moveRate` and holds a second of it, one session at least: new connections spread evenly over threads.

import type { PoolPlan } from './plan.ts';

interface Bucket {
  left: number;
  atMs: number;
}

export class MovePace {
  readonly #threads: number;
  /** By pool number. */
  readonly #buckets = new Map<number, Bucket>();

  constructor(threads: number) {
    this.#threads = Math.max(1, threads);
  }

  /** May a session of the pool move now? Counts nothing. */
  hasRoom(plan: PoolPlan, nowMs: number): boolean {
    const rate = plan.config.sticky.movesPerSecond;
    return rate === null || this.#left(plan.id, rate / this.#threads, nowMs) >= 1;
  }

  /** A session of the pool moves. */
  take(plan: PoolPlan, nowMs: number): void {
    const rate = plan.config.sticky.movesPerSecond;
    if (rate === null) return;
    const left = this.#left(plan.id, rate / this.#threads, nowMs) - 1;
    this.#buckets.set(plan.id, { left: Math.max(0, left), atMs: nowMs });
  }

  #left(pool: number, perSecond: number, nowMs: number): number {
    const most = Math.max(1, perSecond);
    const bucket = this.#buckets.get(pool);
    if (bucket === undefined) return most;
    return Math.min(most, bucket.left + ((nowMs - bucket.atMs) / 1_000) * perSecond);
  }
}
