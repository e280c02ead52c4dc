// What a policy is: it picks one of the candidates and has no other effect.

import type { Random } from '../../base/random.ts';
import type { SharedState } from '../../shared/shared-state.ts';
import type { Candidates } from '../candidates.ts';

/** The part of a pool's plan that a policy reads. */
export interface PolicyPool {
  /** Slot of each server, by its place in the configuration. */
  readonly slots: Int32Array;
}

export interface Policy {
  /** Place in the configuration of one of the candidates. `candidates.count` is at least 1. */
  choose(pool: PolicyPool, candidates: Candidates, shared: SharedState, random: Random): number;
}

/** The candidate with the least load; ties are broken at random with equal chances. `candidates.loads` is filled. */
export function leastOf(candidates: Candidates, random: Random): number {
  let best = 0;
  let ties = 1;
  for (let at = 1; at < candidates.count; at += 1) {
    const load = candidates.loads[at] as number;
    const bestLoad = candidates.loads[best] as number;
    if (load > bestLoad) continue;
    if (load < bestLoad) ties = 0;
    ties += 1;
    if (ties === 1 || random.below(ties) === 0) best = at;
  }
  return candidates.indices[best] as number;
}

/** Requests in flight if this one went there too, per unit of weight. */
export function loadAfter(shared: SharedState, slot: number): number {
  return (shared.inFlight(slot) + 1) / shared.control.weight(slot);
}

/** Behind every load of a server that does not fail. */
const LAST = 1e12;

/**
 * The load with what failed of late reckoned in: a server that fails fast looks idle, and would be sent everybody. One
 * that fails every other request or more comes after all others, until that is some seconds ago.
 */
export function strained(load: number, failing: number): number {
  if (failing === 0) return load;
  return failing < 0.5 ? load / (1 - failing) : LAST + load;
}
