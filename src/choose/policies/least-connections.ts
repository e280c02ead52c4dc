// Fewest requests in flight for its weight, over all threads.

import type { Random } from '../../base/random.ts';
import type { SharedState } from '../../shared/shared-state.ts';
import type { Candidates } from '../candidates.ts';
import { leastOf, loadAfter, type Policy, type PolicyPool, strained } from './policy.ts';

export class LeastConnections implements Policy {
  choose(pool: PolicyPool, candidates: Candidates, shared: SharedState, random: Random): number {
    for (let at = 0; at < candidates.count; at += 1) {
      const slot = pool.slots[candidates.indices[at] as number] as number;
      candidates.loads[at] = strained(loadAfter(shared, slot), shared.failing(slot, candidates.nowMs));
    }
    return leastOf(candidates, random);
  }
}
