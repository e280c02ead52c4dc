// Sessions that leave a home that is gone, each with its counts.
//
//   move ───────────────────────────> at the new home    its state was in the old one (state local), or nothing may come back
//   leave ── answered by the server ─> at the new home   a failure has driven it out, and any server can serve it (state shared)
//     ├───── answered with 503 ──────> stays             the server could not load the session, as while its store is away
//     └───── no answer, another try ─> stays
//
// Who is served elsewhere once is not moved: nothing is counted, and the token of `sticky.moveRate` comes back. Where servers take
// so many sessions and no more, the one where it may arrive counts it as reserved meanwhile.
//
//   Counter.lost   real sessions only, at the home they had, and by pool, which outlives its servers

import { homeGeneration, homeSlot } from '../shared/session-table.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Counter, LOST_REASONS, MOVE_REASONS, PoolCounter } from '../shared/stripe.ts';
import { type Affinity, Finding, Reason } from './affinity.ts';
import type { Ledger } from './ledger.ts';
import type { MovePace } from './move-pace.ts';
import { type PoolPlan, Source } from './plan.ts';

/** Index in LOST_REASONS of each of MOVE_REASONS, -1 where such a move loses nothing. */
const LOST_BY_MOVE = MOVE_REASONS.map((reason) => (LOST_REASONS as readonly string[]).indexOf(reason));

const LOST_REMOVED = LOST_REASONS.indexOf('removed');
const UNAVAILABLE = 503;

export class Moves {
  readonly #shared: SharedState;
  readonly #ledger: Ledger;
  readonly #pace: MovePace;

  constructor(shared: SharedState, ledger: Ledger, pace: MovePace) {
    this.#shared = shared;
    this.#ledger = ledger;
    this.#pace = pace;
  }

  /** Moves the held session to server `index`. False when another request moved it first: then that home is taken over. */
  move(plan: PoolPlan, affinity: Affinity, index: number): boolean {
    const { table } = this.#shared;
    const [from, to] = [affinity.home, plan.homes[index] as number];
    if (!table.move(affinity.entry, affinity.keyLow, affinity.keyHigh, from, to)) {
      if (this.#ledger.holdsEntry(affinity)) this.#ledger.takeHome(plan, affinity);
      return false;
    }
    this.#ledger.addDelta(from, -1);
    this.#ledger.addDelta(to, 1);
    if (!affinity.isBorn) this.countMove(plan, affinity, from);
    table.notes.arrived(affinity.entry, to);
    settle(affinity, to);
    affinity.isCookieDue = plan.source === Source.ownCookie;
    return true;
  }

  /**
   * Another balancer has moved the held session to server `index`, by its cookie, which this one has not written: so it is
   * here, and is no move of ours.
   */
  follow(plan: PoolPlan, affinity: Affinity, index: number): void {
    const { table } = this.#shared;
    const { entry, keyLow, keyHigh, home: from } = affinity;
    const to = plan.homes[index] as number;
    if (!table.move(entry, keyLow, keyHigh, from, to)) return;
    this.#ledger.addDelta(from, -1);
    this.#ledger.addDelta(to, 1);
    table.notes.clearMoved(entry);
    table.notes.arrived(entry, to);
    settle(affinity, to);
  }

  /** The session is about to be served at `slot`, and moves there once that has taken it. `stay` or `arrive` is next. */
  leave(plan: PoolPlan, affinity: Affinity, slot: number, nowMs: number): void {
    affinity.isLeaving = true;
    // else parallel requests of the session would not find room where the first has gone
    if (plan.hasSessionLimits) this.#ledger.reserve(affinity, slot);
    this.#pace.begin(plan, affinity.keyLow, nowMs);
  }

  /** It does not move after all, or not there. Nothing for one that has not left. */
  stay(plan: PoolPlan, affinity: Affinity): void {
    if (affinity.isLeaving) this.#endLeave(plan, affinity, false);
  }

  /** Server `index` has answered with `status` what it was sent while the session was leaving. */
  arrive(plan: PoolPlan, affinity: Affinity, index: number, status: number): void {
    if (!affinity.isLeaving) return;
    const hasMoved = status !== UNAVAILABLE && this.#moveOrFollow(plan, affinity, index);
    this.#endLeave(plan, affinity, hasMoved);
    // another request may have been first, with the same server
    const isThere = status !== UNAVAILABLE && affinity.home === plan.homes[index];
    if (!hasMoved) affinity.outcome = isThere ? Finding.home : Finding.overflow;
  }

  /** False when another request has moved the session, or it has ended. */
  #moveOrFollow(plan: PoolPlan, affinity: Affinity, index: number): boolean {
    if (this.#ledger.holdsEntry(affinity)) return this.move(plan, affinity, index);
    if (affinity.isEnded) return false;
    // the table has no room for it: only its cookie knows
    this.countMove(plan, affinity, affinity.home);
    settle(affinity, plan.homes[index] as number);
    affinity.isCookieDue = true;
    return true;
  }

  #endLeave(plan: PoolPlan, affinity: Affinity, hasMoved: boolean): void {
    affinity.isLeaving = false;
    this.#pace.end(plan, affinity.keyLow, hasMoved);
    this.#ledger.unreserve(affinity);
  }

  /** Counts a move of a real session away from `from` (-1: nobody knows any more), once per exchange. */
  countMove(plan: PoolPlan, affinity: Affinity, from: number): void {
    const reason = affinity.pendingReason;
    if (reason === Reason.none || affinity.moveReason !== Reason.none) return;
    affinity.moveReason = reason;
    const { own, table } = this.#shared;
    own.countPool(plan.id, PoolCounter.moves + reason);
    const { entry } = affinity;
    if (
      entry !== -1 &&
      reason === Reason.failure &&
      plan.config.sticky.failBack !== 'stay' &&
      this.#isCurrent(from)
    ) {
      table.notes.rememberOrigin(entry, from);
    }
    if (plan.config.state !== 'local') return;
    // the application at the new home has never heard of it: only the route is left, until it sets a session again
    if (plan.learns && entry !== -1 && !table.doubt(entry)) return;
    this.#countLost(plan, from, reason);
  }

  /** Its client has been told that the session is lost with its home, where its key still leads: it counts no more. */
  lose(plan: PoolPlan, affinity: Affinity): void {
    const { table } = this.#shared;
    if (!this.#ledger.holdsEntry(affinity) || !table.doubt(affinity.entry)) return;
    table.marks.deny(affinity.entry);
    this.#countLost(plan, affinity.home, affinity.pendingReason);
  }

  #countLost(plan: PoolPlan, from: number, reason: number): void {
    const lost = LOST_BY_MOVE[reason] as number;
    if (lost === -1) return;
    const { own } = this.#shared;
    const index = this.#isCurrent(from) ? lost : LOST_REMOVED;
    own.countPool(plan.id, PoolCounter.lost + index);
    if (this.#ledger.hasCells(from)) own.count(homeSlot(from), Counter.lost + index);
  }

  /** The home's server is there, and is the one that the session knew. */
  #isCurrent(home: number): boolean {
    return home !== -1 && this.#shared.control.generation(homeSlot(home)) === homeGeneration(home);
  }
}

/** The session is at `home`, a server of the plan. */
function settle(affinity: Affinity, home: number): void {
  affinity.home = home;
  affinity.homeSlot = homeSlot(home);
  affinity.isHomeRemoved = false;
}
