// Shortest expected wait: time to the first byte × requests in flight, for its weight.
//
// A server with nothing measured, nothing in flight and nothing failed goes first, to be measured. Until its first
// answer is here it is taken to be as fast as the others are on average, so that a newcomer is probed and not flooded.
// Only good answers are measured: an error is no proof of speed. Exact among up to COMPARED_MAX candidates.

import type { Random } from '../../base/random.ts';
import type { SharedState } from '../../shared/shared-state.ts';
import { Counter } from '../../shared/stripe.ts';
import type { Candidates } from '../candidates.ts';
import {
  COMPARED_MAX,
  comparedSlot,
  firstCompared,
  leastOf,
  loadAfter,
  type Policy,
  type PolicyPool,
  strained,
} from './policy.ts';

const UNMEASURED = 0;

export class LeastTime implements Policy {
  choose(pool: PolicyPool, candidates: Candidates, shared: SharedState, random: Random): number {
    const compared = Math.min(candidates.count, COMPARED_MAX);
    const first = firstCompared(candidates, random);
    let sumMs = 0;
    let measured = 0;
    for (let step = 0; step < compared; step += 1) {
      const firstByteMs = firstByteOf(shared, comparedSlot(pool, candidates, first, step));
      candidates.loads[step] = firstByteMs;
      if (firstByteMs === UNMEASURED) continue;
      sumMs += firstByteMs;
      measured += 1;
    }
    const usualMs = measured === 0 ? 1 : sumMs / measured;
    for (let step = 0; step < compared; step += 1) {
      const slot = comparedSlot(pool, candidates, first, step);
      const firstByteMs = candidates.loads[step] as number;
      const failing = shared.failing(slot, candidates.nowMs);
      const isProbe = firstByteMs === UNMEASURED && shared.inFlight(slot) === 0 && failing === 0;
      const expectedMs = firstByteMs === UNMEASURED ? usualMs : firstByteMs;
      candidates.loads[step] = isProbe ? 0 : strained(expectedMs * loadAfter(shared, slot), failing);
    }
    return leastOf(candidates, random, first, compared);
  }
}

/** Mean of what the threads measured; threads that measured nothing are left out. */
function firstByteOf(shared: SharedState, slot: number): number {
  let sum = 0;
  let threads = 0;
  for (const stripe of shared.stripes) {
    const firstByteMs = stripe.counter(slot, Counter.firstByteMs);
    if (firstByteMs <= 0) continue;
    sum += firstByteMs;
    threads += 1;
  }
  return threads === 0 ? UNMEASURED : sum / threads;
}
