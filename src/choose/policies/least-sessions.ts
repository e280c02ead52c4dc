// Fewest sessions for its weight, reserved and tentative ones counted, over all threads.

import type { Random } from '../../base/random.ts';
import type { SharedState } from '../../shared/shared-state.ts';
import type { Candidates } from '../candidates.ts';
import { leastOf, type Policy, type PolicyPool } from './policy.ts';

export class LeastSessions implements Policy {
  choose(pool: PolicyPool, candidates: Candidates, shared: SharedState, random: Random): number {
    for (let at = 0; at < candidates.count; at += 1) {
      const slot = pool.slots[candidates.indices[at] as number] as number;
      candidates.loads[at] = (shared.placedSessions(slot) + 1) / shared.control.weight(slot);
    }
    return leastOf(candidates, random);
  }
}
