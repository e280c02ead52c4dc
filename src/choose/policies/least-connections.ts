// Fewest requests in flight for its weight, over all threads. Exact among up to COMPARED_MAX candidates.

import type { Random } from '../../base/random.ts';
import type { SharedState } from '../../shared/shared-state.ts';
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

export class LeastConnections implements Policy {
  choose(pool: PolicyPool, candidates: Candidates, shared: SharedState, random: Random): number {
    const compared = Math.min(candidates.count, COMPARED_MAX);
    const first = firstCompared(candidates, random);
    for (let step = 0; step < compared; step += 1) {
      const slot = comparedSlot(pool, candidates, first, step);
      candidates.loads[step] = strained(loadAfter(shared, slot), shared.failing(slot, candidates.nowMs));
    }
    return leastOf(candidates, random, first, compared);
  }
}
