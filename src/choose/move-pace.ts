// Paced fail-over: how many sessions of a pool may leave a home that is gone, so that a full server that dies does not
// send all its sessions to the others within a second. A bucket per pool that fills at the thread's part of
// `sticky.moveRate` and holds a second of it, one session at least: new connections spread evenly over threads.
//
// A session that is on its way takes one token, however many requests of it are, and gives it back when it does not move.

import type { PoolPlan } from './plan.ts';

interface Bucket {
  left: number;
  atMs: number;
}

/** Requests that are under way with the session, and whether one of them has moved it. */
interface Leaving {
  requests: number;
  hasMoved: boolean;
}

export class MovePace {
  readonly #threads: number;
  /** By pool number. */
  readonly #buckets = new Map<number, Bucket>();
  /** By the lower half of the session's key. */
  readonly #leaving = new Map<number, Leaving>();

  constructor(threads: number) {
    this.#threads = Math.max(1, threads);
  }

  /** May the session move now? Counts nothing. */
  hasRoom(plan: PoolPlan, keyLow: number, nowMs: number): boolean {
    const rate = plan.config.sticky.movesPerSecond;
    return rate === null || this.#leaving.has(keyLow) || this.#left(plan.id, this.#part(rate), nowMs) >= 1;
  }

  /** A session of the pool moves. */
  take(plan: PoolPlan, nowMs: number): void {
    const rate = plan.config.sticky.movesPerSecond;
    if (rate === null) return;
    const left = this.#left(plan.id, this.#part(rate), nowMs) - 1;
    this.#buckets.set(plan.id, { left: Math.max(0, left), atMs: nowMs });
  }

  /** A request of the session goes elsewhere, and may move it. */
  begin(plan: PoolPlan, keyLow: number, nowMs: number): void {
    if (plan.config.sticky.movesPerSecond === null) return;
    const leaving = this.#leaving.get(keyLow);
    if (leaving !== undefined) leaving.requests += 1;
    else {
      this.#leaving.set(keyLow, { requests: 1, hasMoved: false });
      this.take(plan, nowMs);
    }
  }

  /** That request is over, or goes another way. */
  end(plan: PoolPlan, keyLow: number, hasMoved: boolean): void {
    const leaving = this.#leaving.get(keyLow);
    if (leaving === undefined) return;
    leaving.requests -= 1;
    leaving.hasMoved ||= hasMoved;
    if (leaving.requests > 0) return;
    this.#leaving.delete(keyLow);
    const bucket = this.#buckets.get(plan.id);
    if (!leaving.hasMoved && bucket !== undefined) bucket.left += 1;
  }

  /** Of a rate of the pool, this thread's. */
  #part(rate: number): number {
    return rate / this.#threads;
  }

  #left(pool: number, perSecond: number, nowMs: number): number {
    const most = Math.max(1, perSecond);
    const bucket = this.#buckets.get(pool);
    if (bucket === undefined) return most;
    return Math.min(most, bucket.left + ((nowMs - bucket.atMs) / 1_000) * perSecond);
  }
}
