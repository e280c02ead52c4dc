// Writes down which server a request goes to: its session is reserved there, begun, moved, or left where it is.

import { hashed } from '../base/hash.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { type AddressLimit, mayBegin } from './address-limit.ts';
import { type Affinity, Reason } from './affinity.ts';
import type { Ledger } from './ledger.ts';
import type { MovePace } from './move-pace.ts';
import type { Moves } from './moves.ts';
import { mint } from './own-cookie.ts';
import { ageOf } from './own-session.ts';
import { indexOfSlot, type PoolPlan, Source } from './plan.ts';

export class Settling {
  readonly #shared: SharedState;
  readonly #ledger: Ledger;
  readonly #moves: Moves;
  readonly #pace: MovePace;
  readonly #addressLimit: AddressLimit;

  constructor(shared: SharedState, ledger: Ledger, moves: Moves, pace: MovePace, addressLimit: AddressLimit) {
    this.#shared = shared;
    this.#ledger = ledger;
    this.#moves = moves;
    this.#pace = pace;
    this.#addressLimit = addressLimit;
  }

  /** False: nothing is done, and the choice is to be made again. See Chooser.commit. */
  settle(plan: PoolPlan, affinity: Affinity, slot: number, nowMs: number, wallMs: number): boolean {
    return plan.hasSessionLimits && placesSession(plan, affinity, slot)
      ? this.#settleWithinLimit(plan, affinity, slot, nowMs, wallMs)
      : this.#settle(plan, affinity, slot, nowMs, wallMs);
  }

  /** The place is held while the session is settled, which counts by itself. */
  #settleWithinLimit(
    plan: PoolPlan,
    affinity: Affinity,
    slot: number,
    nowMs: number,
    wallMs: number,
  ): boolean {
    const most = plan.sessionsMax[indexOfSlot(plan, slot)] as number;
    if (most === 0) return this.#settle(plan, affinity, slot, nowMs, wallMs);
    if (!this.#shared.takePlace(slot, most)) return false;
    const isSettled = this.#settle(plan, affinity, slot, nowMs, wallMs);
    this.#shared.givePlaceBack(slot);
    return isSettled;
  }

  #settle(plan: PoolPlan, affinity: Affinity, slot: number, nowMs: number, wallMs: number): boolean {
    this.#moves.stay(plan, affinity);
    if (goesWithout(plan, affinity)) return true;
    const index = indexOfSlot(plan, slot);
    if (leavesOnAnswer(plan, affinity)) return this.#leave(plan, affinity, slot, nowMs, wallMs);
    const isMove = affinity.pendingReason !== Reason.none && affinity.moveReason === Reason.none;
    if (this.#ledger.holdsEntry(affinity)) {
      if (affinity.home === plan.homes[index]) return true;
      if (!this.#moves.move(plan, affinity, index)) return false;
    } else if (affinity.isEnded) {
      return true;
    } else if (affinity.hasKey) {
      if (!this.#beginKnown(plan, affinity, index, nowMs, wallMs)) return false;
    } else if (plan.source === Source.ownCookie) {
      if (mayBegin(this.#addressLimit, affinity, nowMs)) this.#beginOwn(plan, affinity, index, nowMs, wallMs);
    } else if (plan.learns) {
      this.#ledger.reserve(affinity, slot);
    }
    if (isMove) this.#pace.take(plan, nowMs);
    return true;
  }

  /** The session stays where it is until `slot` has answered. False: it is somewhere else by now. */
  #leave(plan: PoolPlan, affinity: Affinity, slot: number, nowMs: number, wallMs: number): boolean {
    const home = indexOfSlot(plan, affinity.homeSlot);
    if (!this.#ledger.holdsEntry(affinity)) {
      if (affinity.isEnded) return true;
      if (!this.#beginKnown(plan, affinity, home, nowMs, wallMs)) return false;
    }
    this.#moves.leave(plan, affinity, slot, nowMs);
    return true;
  }

  /**
   * The key is known, the table has no entry (any more). False: another request was first, and has chosen another home, or
   * has just ended the session.
   */
  #beginKnown(plan: PoolPlan, affinity: Affinity, index: number, nowMs: number, wallMs: number): boolean {
    const { table } = this.#shared;
    const found = table.resolve(affinity.keyLow, affinity.keyHigh);
    if (found !== -1) {
      affinity.keyLow = table.resolvedLow;
      affinity.keyHigh = table.resolvedHigh;
      if (!this.#ledger.hold(plan, affinity, found, nowMs)) return false;
      const isThere = affinity.home === plan.homes[index];
      affinity.isCookieDue ||= plan.source === Source.ownCookie && !isThere;
      return isThere;
    }
    if (table.wasOver) {
      affinity.isEnded = true;
      return true;
    }
    const isVerified = plan.source === Source.ownCookie && !affinity.isBorn;
    if (!isVerified && !affinity.isBorn && !mayBegin(this.#addressLimit, affinity, nowMs)) return true;
    const from = affinity.home;
    const isMove = isVerified && from !== plan.homes[index];
    // a key beside the cookie of the balancer before us is of a session that it has kept, where that can be served
    const isKept = affinity.isAdopted && (plan.config.state === 'shared' || from === plan.homes[index]);
    const isTentative = !isVerified && !isKept;
    const ageMs = isVerified && affinity.isCookieOpen ? ageOf(affinity, wallMs) : 0;
    this.#ledger.begin(plan, affinity, index, nowMs, isTentative, nowMs - ageMs);
    if (isMove) {
      this.#moves.countMove(plan, affinity, from);
      affinity.isCookieDue = true;
    }
    affinity.isBorn ||= !isVerified;
    return true;
  }

  /** A new session by our own cookie: tentative until the cookie comes back. */
  #beginOwn(plan: PoolPlan, affinity: Affinity, index: number, nowMs: number, wallMs: number): void {
    mint(plan, wallMs, affinity.cookie);
    affinity.keyLow = hashed.low;
    affinity.keyHigh = hashed.high;
    affinity.hasKey = true;
    affinity.isCookieOpen = true;
    affinity.isCookieDue = true;
    affinity.isBorn = true;
    this.#ledger.begin(plan, affinity, index, nowMs, true);
  }
}

/** A failure has driven the session from a home that is not the only one to have it: who takes it shows by its answer. */
function leavesOnAnswer(plan: PoolPlan, affinity: Affinity): boolean {
  if (affinity.pendingReason !== Reason.failure || affinity.moveReason !== Reason.none) return false;
  if (plan.config.state !== 'shared' || affinity.isAdopted || affinity.isEnded) return false;
  return affinity.entry !== -1 || affinity.hasKey;
}

/** Is the request served without a session, or with one that stays where it is? */
function goesWithout({ source }: PoolPlan, { isOverflow, isLimited, isNobodys }: Affinity): boolean {
  return source === Source.none || isOverflow || isLimited || isNobodys;
}

/** Does the server get a session that it does not count yet? */
function placesSession(plan: PoolPlan, affinity: Affinity, slot: number): boolean {
  if (goesWithout(plan, affinity)) return false;
  return slot !== affinity.homeSlot && slot !== affinity.reservedSlot;
}
