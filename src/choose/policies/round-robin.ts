// Smooth weighted round robin, as nginx does it: each step every candidate's credit grows by its weight, the richest
// is chosen and pays the sum of all weights. 5:1:1 gives a a b a c a a, not a a a a a b c.
//
// One instance per thread and pool. It starts at a random place of its cycle, so that threads do not march in step.

import type { Random } from '../../base/random.ts';
import type { Candidates } from '../candidates.ts';
import type { Policy, PolicyPool } from './policy.ts';

/** Steps of the cycle that a start may skip. */
const START_STEPS_MAX = 256;

export class RoundRobin implements Policy {
  readonly #credits: Float64Array;

  /** `weights`: the configured ones, for the random start. */
  constructor(weights: Float64Array, random: Random) {
    this.#credits = new Float64Array(weights.length);
    for (let step = random.below(START_STEPS_MAX); step > 0; step -= 1) this.#skip(weights);
  }

  choose(_pool: PolicyPool, { indices, weights, weightSum, count }: Candidates): number {
    const credits = this.#credits;
    let best = indices[0] as number;
    for (let at = 0; at < count; at += 1) {
      const index = indices[at] as number;
      const credit = (credits[index] as number) + (weights[at] as number);
      credits[index] = credit;
      if (credit > (credits[best] as number)) best = index;
    }
    credits[best] = (credits[best] as number) - weightSum;
    return best;
  }

  #skip(weights: Float64Array): void {
    let best = 0;
    let total = 0;
    for (let index = 0; index < weights.length; index += 1) {
      const weight = weights[index] as number;
      const credit = (this.#credits[index] as number) + weight;
      this.#credits[index] = credit;
      total += weight;
      if (credit > (this.#credits[best] as number)) best = index;
    }
    this.#credits[best] = (this.#credits[best] as number) - total;
  }
}
