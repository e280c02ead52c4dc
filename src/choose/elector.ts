// Which server the next attempt of an exchange goes to. Decides only; nothing in shared memory changes.
//
//   has it a home?  no ── place: hash or policy
//        yes
//   is the home gone?  removed, in maintenance, down, refusing and confirmed ── move (or wait: whenDown refuse)
//        no
//   can it be asked now?  yes ── home, tried before or not
//        no: full, or it refused a moment ago      state local ── wait       state shared ── elsewhere, this once
//
// Nothing else moves a session: a slow, broken or bad answer of a home that lives is no reason, nor is its ejection.
//
// A session whose home is gone goes to the best-ranked eligible server by its key, not to the policy's pick: other
// balancers then come to the same answer on their own, while different sessions still spread over all survivors by
// weight. A learned key tells other balancers nothing, so there nobody gets more than the fair share of sessions.

import type { Random } from '../base/random.ts';
import { Mode, Verdict } from '../shared/control.ts';
import { homeGeneration } from '../shared/session-table.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { type Affinity, type ChoiceFailure, Finding, Reason } from './affinity.ts';
import { Gathered, isFull, NEEDS_NO_PLACE } from './candidates.ts';
import type { Ledger } from './ledger.ts';
import type { MovePace } from './move-pace.ts';
import { NONE_FREE, Placement } from './placement.ts';
import { indexOfSlot, type PoolPlan, Source } from './plan.ts';
import type { Refusals } from './refusals.ts';
import { FAILOVER_TURN } from './rendezvous.ts';

const NO_SLOT = -1;
const GATHERED_FAILURES = {
  [Gathered.busy]: 'busy',
  [Gathered.full]: 'full',
  [Gathered.none]: 'no-server',
} as const;
/** A bound: who has as many sessions as its weight is due gets no more. */
const FAIR_SHARE = 1;

export class Elector {
  readonly #shared: SharedState;
  readonly #ledger: Ledger;
  readonly #movePace: MovePace;
  readonly #refusals: Refusals;
  readonly #placement: Placement;

  constructor(shared: SharedState, ledger: Ledger, pace: MovePace, refusals: Refusals, random: Random) {
    this.#shared = shared;
    this.#ledger = ledger;
    this.#movePace = pace;
    this.#refusals = refusals;
    this.#placement = new Placement(shared, refusals, random);
  }

  /**
   * Slot for the next attempt, or -1 with affinity.failure: 'no-server' (none eligible), 'home-down' (the home alone
   * will do, and is away), 'paced' (moveRate used up), 'busy' (all that will do are at maxConnections), 'full' (none takes
   * another session: maxSessions). All but 'paced' may change soon: wait and call again. Never a slot in `tried` that is
   * not the home while another is eligible.
   */
  choose(plan: PoolPlan, affinity: Affinity, tried: readonly number[], nowMs: number): number {
    affinity.failure = null;
    affinity.isOverflow = false;
    affinity.isHomeOnly = false;
    affinity.pendingReason = Reason.none;
    if (this.#ledger.holdsEntry(affinity)) {
      this.#ledger.followHome(plan, affinity);
      // where other requests of it have gone meanwhile is its home as any
      if (affinity.isBorn && !this.#ledger.isAlone(affinity)) affinity.isBorn = false;
    }
    const hasHome = affinity.homeSlot !== -1 || affinity.isHomeRemoved;
    if (!hasHome || (affinity.isBorn && !affinity.isAdopted)) {
      return this.#place(plan, affinity, tried, nowMs);
    }
    const reason = this.#reasonToLeave(plan, affinity, tried, nowMs);
    if (reason === Reason.none) return this.#stay(plan, affinity, tried, nowMs);
    // one that is over has nothing to lose, and does not move
    if (affinity.isEnded) return this.#place(plan, affinity, tried, nowMs);
    // a removed home never comes back, so that waiting for it would be refusing for ever
    if (plan.config.sticky.whenDown === 'refuse' && reason !== Reason.removed) {
      affinity.isHomeOnly = true;
      return this.#fail(affinity, 'home-down', Finding.refused);
    }
    // who shows no session, only the cookie of the balancer before us, has none to lose
    if (plan.losesSessions && affinity.hasKey && affinity.moveReason === Reason.none) {
      affinity.pendingReason = reason;
      return this.#fail(affinity, 'session-lost', Finding.refused);
    }
    const isFirstMove = affinity.moveReason === Reason.none;
    if (isFirstMove && !this.#movePace.hasRoom(plan, affinity.keyLow, nowMs)) {
      return this.#fail(affinity, 'paced', Finding.refused);
    }
    return this.#rehome(plan, affinity, tried, reason, nowMs);
  }

  /** Reason.none while the home lives. One not checked yet is taken to live: others might lose the session. */
  #reasonToLeave(plan: PoolPlan, affinity: Affinity, tried: readonly number[], nowMs: number): number {
    if (affinity.isHomeRemoved) return Reason.removed;
    const { control } = this.#shared;
    const slot = affinity.homeSlot;
    if (control.mode(slot) === Mode.maintenance) return Reason.operator;
    if (control.verdict(slot) === Verdict.down) {
      // main removes a server before this thread has the plan without it
      const isRemoved = control.generation(slot) !== homeGeneration(affinity.home);
      return isRemoved ? Reason.removed : Reason.failure;
    }
    // a home that only this exchange has given it, and that has not answered, is none yet
    if (affinity.moveReason !== Reason.none && !affinity.isAnswered && tried.includes(slot))
      return affinity.moveReason;
    const isGone = plan.config.health === null && this.#refusals.isConfirmed(slot, nowMs);
    return isGone ? Reason.failure : Reason.none;
  }

  /**
   * The home lives. When it is full or has just refused a connection the request waits, since only the home has the
   * session; where any server can serve it (state shared) it is served elsewhere, this once, and the session stays.
   */
  #stay(plan: PoolPlan, affinity: Affinity, tried: readonly number[], nowMs: number): number {
    const slot = affinity.homeSlot;
    const isHeld = this.#refusals.isHeld(slot, nowMs);
    const isOver = isHeld || isFull(plan, this.#shared, indexOfSlot(plan, slot));
    const isShared = plan.config.state === 'shared' && this.#shared.control.unbacked(slot) === 0;
    affinity.isHomeOnly = !isShared;
    const isDoubtful = tried.includes(slot) || this.#shared.control.verdict(slot) === Verdict.ejected;
    if (isShared && (isOver || isDoubtful)) {
      const other = this.#elsewhere(plan, affinity, tried, nowMs);
      if (other !== NO_SLOT) return other;
    }
    if (isShared && !isOver && plan.isBoundByRequests) {
      const other = this.#relief(plan, affinity, tried, nowMs);
      if (other !== NO_SLOT) return other;
    }
    if (isOver) return this.#fail(affinity, isHeld ? 'home-down' : 'busy', Finding.none);
    affinity.outcome = affinity.isAdopted ? Finding.adopted : Finding.home;
    return slot;
  }

  #elsewhere(plan: PoolPlan, affinity: Affinity, tried: readonly number[], nowMs: number): number {
    if (this.#placement.gather(plan, tried, nowMs, countedSlot(affinity)) !== Gathered.some) return NO_SLOT;
    const index = this.#placement.byPolicy(plan);
    if (index === NONE_FREE) return NO_SLOT;
    const slot = plan.slots[index] as number;
    affinity.isOverflow = slot !== affinity.homeSlot;
    affinity.outcome = affinity.isOverflow ? Finding.overflow : Finding.home;
    return slot;
  }

  /** The home has more requests in flight than its share: who is next by the key and has not, -1 when nobody is. */
  #relief(plan: PoolPlan, affinity: Affinity, tried: readonly number[], nowMs: number): number {
    if (this.#placement.gather(plan, tried, nowMs, countedSlot(affinity)) !== Gathered.some) return NO_SLOT;
    const home = indexOfSlot(plan, affinity.homeSlot);
    if (!this.#placement.isAboveBound(plan, home, plan.config.sticky.bound.factor)) return NO_SLOT;
    const index = this.#rank(plan, affinity);
    if (index === home || index === NONE_FREE) return NO_SLOT;
    affinity.isOverflow = true;
    affinity.outcome = Finding.overflow;
    return plan.slots[index] as number;
  }

  #rehome(
    plan: PoolPlan,
    affinity: Affinity,
    tried: readonly number[],
    reason: number,
    nowMs: number,
  ): number {
    const gathered = this.#placement.gather(plan, tried, nowMs, countedSlot(affinity));
    if (gathered !== Gathered.some) return this.#failGathered(affinity, gathered);
    const { keyLow, keyHigh } = affinity;
    const isForeign = plan.source !== Source.ownCookie;
    const turn = isForeign && plan.isHashed ? 0 : FAILOVER_TURN;
    const { by, factor } = plan.config.sticky.bound;
    const bound = isForeign ? (by === 'sessions' && factor) || (plan.isHashed ? 0 : FAIR_SHARE) : 0;
    const index = this.#placement.byRank(plan, keyLow, keyHigh, turn, bound);
    if (index === NONE_FREE) return this.#failGathered(affinity, Gathered.busy);
    const slot = plan.slots[index] as number;
    const isMove = slot !== affinity.homeSlot;
    affinity.pendingReason = isMove ? reason : Reason.none;
    affinity.outcome = isMove || affinity.moveReason !== Reason.none ? Finding.moved : Finding.home;
    return slot;
  }

  /** A session without a home: by hash where the key is not ours to mint, otherwise by policy. */
  #place(plan: PoolPlan, affinity: Affinity, tried: readonly number[], nowMs: number): number {
    const gathered = this.#placement.gather(plan, tried, nowMs, countedSlot(affinity));
    if (gathered !== Gathered.some) return this.#failGathered(affinity, gathered);
    const isByPolicy = !affinity.hasKey || !plan.isHashed || plan.source === Source.ownCookie;
    const index = isByPolicy ? this.#placement.byPolicy(plan) : this.#rank(plan, affinity);
    if (index === NONE_FREE) return this.#failGathered(affinity, Gathered.busy);
    const isOver = this.#placement.wasBounded && affinity.arrival === Finding.new;
    affinity.outcome = isOver ? Finding.overflow : affinity.arrival;
    // its home is the best-ranked, which is busy only now
    affinity.isOverflow = this.#placement.wasBounded && plan.isBoundByRequests;
    return plan.slots[index] as number;
  }

  /** By the key, within the bound. */
  #rank(plan: PoolPlan, { keyLow, keyHigh }: Affinity): number {
    return this.#placement.byRank(
      plan,
      keyLow,
      keyHigh,
      0,
      plan.config.sticky.bound.factor,
      plan.isBoundByRequests,
    );
  }

  #failGathered(affinity: Affinity, gathered: keyof typeof GATHERED_FAILURES): number {
    return this.#fail(affinity, GATHERED_FAILURES[gathered], Finding.none);
  }

  /** A forged or expired cookie is counted as such even when nobody serves it. */
  #fail(affinity: Affinity, failure: ChoiceFailure, outcome: number): number {
    affinity.failure = failure;
    const { arrival } = affinity;
    affinity.outcome = arrival === Finding.invalid || arrival === Finding.expired ? arrival : outcome;
    return NO_SLOT;
  }
}

/** The server that counts the session already; -1 for none. */
function countedSlot({ homeSlot, reservedSlot, isNobodys }: Affinity): number {
  if (isNobodys) return NEEDS_NO_PLACE;
  return homeSlot === -1 ? reservedSlot : homeSlot;
}
