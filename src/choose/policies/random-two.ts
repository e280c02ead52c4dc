// The better of two drawn at random, weights as chances (Mitzenmacher, "The Power of Two Choices", 2001): nearly as
// even as the best of all, and no herd runs to one server on old news.

import type { Random } from '../../base/random.ts';
import type { SharedState } from '../../shared/shared-state.ts';
import type { Candidates } from '../candidates.ts';
import { loadAfter, type Policy, type PolicyPool, strained } from './policy.ts';

const NOBODY = -1;

export class RandomTwo implements Policy {
  choose(pool: PolicyPool, candidates: Candidates, shared: SharedState, random: Random): number {
    let total = 0;
    for (let at = 0; at < candidates.count; at += 1) {
      const weight = shared.control.weight(pool.slots[candidates.indices[at] as number] as number);
      candidates.loads[at] = weight;
      total += weight;
    }
    const first = draw(candidates, total, NOBODY, random);
    const firstIndex = candidates.indices[first] as number;
    if (candidates.count === 1) return firstIndex;
    const second = draw(candidates, total - (candidates.loads[first] as number), first, random);
    const secondIndex = candidates.indices[second] as number;
    const firstLoad = loadOf(pool.slots[firstIndex] as number, candidates, shared);
    const secondLoad = loadOf(pool.slots[secondIndex] as number, candidates, shared);
    return secondLoad < firstLoad ? secondIndex : firstIndex;
  }
}

function loadOf(slot: number, candidates: Candidates, shared: SharedState): number {
  return strained(loadAfter(shared, slot), shared.failing(slot, candidates.nowMs));
}

/** A candidate other than `without`, by weight: the second draw is from the n - 1 others, so that it is never the first again. */
function draw(candidates: Candidates, total: number, without: number, random: Random): number {
  let point = random.next() * total;
  let last = 0;
  for (let at = 0; at < candidates.count; at += 1) {
    if (at === without) continue;
    last = at;
    point -= candidates.loads[at] as number;
    if (point < 0) break;
  }
  return last;
}
