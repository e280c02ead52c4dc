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

/**
 * So many candidates are compared with each other; of more, so many that stand next to each other, from a random one on.
 * The best of 32 is among the best tenth of all 96 times of 100, and what it costs does not grow.
 */
export const COMPARED_MAX = 32;

/** Place among the candidates of the first that is compared. */
export function firstCompared({ count }: Candidates, random: Random): number {
  return count <= COMPARED_MAX ? 0 : random.below(count);
}

/** The place `step` after the first. */
function comparedAt({ count }: Candidates, first: number, step: number): number {
  const at = first + step;
  return at < count ? at : at - count;
}

export function comparedSlot(pool: PolicyPool, candidates: Candidates, first: number, step: number): number {
  return pool.slots[candidates.indices[comparedAt(candidates, first, step)] as number] as number;
}

/**
 * The least of the loads, whose candidates stand next to each other from `first` on; ties are broken at random with equal
 * chances. `candidates.loads` is filled, the load of the first of them first.
 */
export function leastOf(
  candidates: Candidates,
  random: Random,
  first = 0,
  compared = candidates.count,
): number {
  const { loads } = candidates;
  let best = 0;
  let ties = 1;
  for (let step = 1; step < compared; step += 1) {
    const load = loads[step] as number;
    const bestLoad = loads[best] as number;
    if (load > bestLoad) continue;
    if (load < bestLoad) ties = 0;
    ties += 1;
    if (ties === 1 || random.below(ties) === 0) best = step;
  }
  return candidates.indices[comparedAt(candidates, first, best)] as number;
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
