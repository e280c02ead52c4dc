// Picks a server for a session that has no home, or whose home is gone: by rendezvous rank where the key decides, by
// the pool's policy otherwise. No effect on shared memory.

import type { Random } from '../base/random.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Gathered, isFull } from './candidates.ts';
import type { PoolPlan } from './plan.ts';
import type { Refusals } from './refusals.ts';
import { rankWord, scoreOf, winnerOf } from './rendezvous.ts';

/** Whoever may be chosen is at its connection limit. */
export const NONE_FREE = -1;

export class Placement {
  readonly #shared: SharedState;
  readonly #refusals: Refusals;
  readonly #random: Random;
  /** The latest ranked choice passed over a server that had more than its share. */
  wasBounded = false;

  constructor(shared: SharedState, refusals: Refusals, random: Random) {
    this.#shared = shared;
    this.#refusals = refusals;
    this.#random = random;
  }

  /**
   * Finds who may be chosen now; call before the two below, which need Gathered.some. `countedSlot`: the server that counts
   * the session already, -1 for none.
   */
  gather(plan: PoolPlan, tried: readonly number[], nowMs: number, countedSlot: number = -1): Gathered {
    return plan.candidates.gather(plan, this.#shared, tried, this.#refusals, countedSlot, nowMs);
  }

  /** Index of the server the policy picks; NONE_FREE when all are at their connection limit. */
  byPolicy(plan: PoolPlan): number {
    this.wasBounded = false;
    const index = plan.policy.choose(plan, plan.candidates, this.#shared, this.#random);
    if (!isFull(plan, this.#shared, index)) return index;
    if (plan.candidates.gatherFree(plan, this.#shared) !== Gathered.some) return NONE_FREE;
    return plan.policy.choose(plan, plan.candidates, this.#shared, this.#random);
  }

  /**
   * Index of the best-ranked candidate for the key. With `factor` above 0, the best-ranked of those that would not exceed
   * that multiple of their fair share of sessions, or of requests in flight (Mirrokni, Thorup, Zadimoghaddam 2018).
   * NONE_FREE as byPolicy.
   */
  byRank(
    plan: PoolPlan,
    keyLow: number,
    keyHigh: number,
    turn: number,
    factor: number,
    isByRequests = false,
  ): number {
    const word = rankWord(keyLow, keyHigh, turn);
    const index = this.#ranked(plan, word, factor, isByRequests);
    if (!isFull(plan, this.#shared, index)) return index;
    if (plan.candidates.gatherFree(plan, this.#shared) !== Gathered.some) return NONE_FREE;
    return this.#ranked(plan, word, factor, isByRequests);
  }

  #ranked(plan: PoolPlan, word: number, factor: number, isByRequests: boolean): number {
    const { candidates } = plan;
    this.wasBounded = false;
    const first = winnerOf(plan, candidates.indices, candidates.count, word);
    if (factor === 0) return first;
    return this.#withinBound(plan, word, factor * this.#countLoads(plan, isByRequests), first);
  }

  /** Whether one request more at the server would be more than `factor` allows. O(servers × threads). */
  isAboveBound(plan: PoolPlan, index: number, factor: number): boolean {
    const { indices, count } = plan.candidates;
    const allowed = factor * this.#countLoads(plan, true);
    for (let at = 0; at < count; at += 1) if (indices[at] === index) return !this.#hasRoom(plan, at, allowed);
    return false;
  }

  /** Loads of the candidates; returns their sum with one more. O(servers × threads). */
  #countLoads(plan: PoolPlan, isByRequests: boolean): number {
    const { indices, loads, count } = plan.candidates;
    let total = 1;
    for (let at = 0; at < count; at += 1) {
      const slot = plan.slots[indices[at] as number] as number;
      const load = isByRequests ? this.#shared.inFlight(slot) : this.#shared.placedSessions(slot);
      loads[at] = load;
      total += load;
    }
    return total;
  }

  /** `allowed`: what all candidates may have together. */
  #hasRoom(plan: PoolPlan, at: number, allowed: number): boolean {
    const { loads, weights, weightSum } = plan.candidates;
    return (loads[at] as number) + 1 <= Math.ceil((allowed * (weights[at] as number)) / weightSum);
  }

  #withinBound(plan: PoolPlan, word: number, allowed: number, first: number): number {
    const { indices, count } = plan.candidates;
    let best = -1;
    let bestScore = 0;
    for (let at = 0; at < count; at += 1) {
      if (!this.#hasRoom(plan, at, allowed)) continue;
      const index = indices[at] as number;
      const score = scoreOf(plan, index, word);
      if (best !== -1 && score >= bestScore) continue;
      best = index;
      bestScore = score;
    }
    if (best === -1) return first;
    this.wasBounded = best !== first;
    return best;
  }
}
