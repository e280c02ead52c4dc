// The better of two drawn at random, weights as chances (Mitzenmacher, "The Power of Two Choices", 2001): nearly as
// even as the best of all, and no herd runs to one server on old news.

import type { Random } from '../../base/random.ts';
import type { SharedState } from '../../shared/shared-state.ts';
import type { Candidates } from '../candidates.ts';
import { loadAfter, type Policy, type PolicyPool, strained } from './policy.ts';

export class RandomTwo implements Policy {
  choose(pool: PolicyPool, candidates: Candidates, shared: SharedState, random: Random): number {
    const { weightSum, weights } = candidates;
    const first = candidateAt(candidates, random.next() * weightSum);
    const firstIndex = candidates.indices[first] as number;
    if (candidates.count === 1) return firstIndex;
    const rest = random.next() * (weightSum - (weights[first] as number));
    const second = otherAt(candidates, first, rest);
    const secondIndex = candidates.indices[second] as number;
    const firstLoad = loadOf(pool.slots[firstIndex] as number, candidates, shared);
    const secondLoad = loadOf(pool.slots[secondIndex] as number, candidates, shared);
    return secondLoad < firstLoad ? secondIndex : firstIndex;
  }
}

function loadOf(slot: number, candidates: Candidates, shared: SharedState): number {
  return strained(loadAfter(shared, slot), shared.failing(slot, candidates.nowMs));
}

/** The candidate in whose part of the sum of weights the point lies. O(log candidates). */
function candidateAt({ weightsEnd, count }: Candidates, point: number): number {
  let low = 0;
  let high = count - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((weightsEnd[middle] as number) > point) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** The same among the n - 1 others, so that the second is never the first again. */
function otherAt(candidates: Candidates, first: number, point: number): number {
  const { weightsEnd, weights } = candidates;
  const isBefore = point < (weightsEnd[first] as number) - (weights[first] as number);
  const other = candidateAt(candidates, isBefore ? point : point + (weights[first] as number));
  if (other !== first) return other;
  // a point that was rounded up to the end of all
  return first === 0 ? 1 : first - 1;
}
