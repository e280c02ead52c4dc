// Which server takes a request: session table first, then the cookie, then hash or policy.
//
//   identify ── choose ── commit ── (attempt fails: choose ── commit) ── answered ── finish
//
// choose only decides. commit writes the decision down. finish lets go of everything, whatever happened in between.

import type { Random } from '../base/random.ts';
import type { RequestHead, ResponseHead } from '../http1/message.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { PoolCounter } from '../shared/stripe.ts';
import { AddressLimit } from './address-limit.ts';
import { readAdopted } from './adopted-cookies.ts';
import { type Affinity, Finding } from './affinity.ts';
import { placeOf } from './cookie-scope.ts';
import { Elector } from './elector.ts';
import { Learning, saysSessionEnds } from './learning.ts';
import { Ledger } from './ledger.ts';
import { MovePace } from './move-pace.ts';
import { Moves } from './moves.ts';
import { believeCookies, compare, cookieFor, cookieRemoval, followCookie, isFresh } from './own-session.ts';
import { indexOfSlot, type PoolPlan, Source } from './plan.ts';
import { noteNobodys } from './preflight.ts';
import { Refusals } from './refusals.ts';
import { readSessionKey } from './session-key.ts';
import { Settling } from './settling.ts';

const SWITCHING = 101;

export class Chooser {
  readonly #shared: SharedState;
  readonly #ledger: Ledger;
  readonly #learning: Learning;
  readonly #elector: Elector;
  readonly #moves: Moves;
  readonly #settling: Settling;
  /** What this thread's connections to servers meet; whoever connects tells it. */
  readonly refusals: Refusals = new Refusals();
  /** Of new sessions per client address; whoever holds the chooser sets it. */
  readonly addressLimit: AddressLimit = new AddressLimit();

  constructor(shared: SharedState, random: Random) {
    this.#shared = shared;
    this.#ledger = new Ledger(shared);
    this.#learning = new Learning(shared, this.#ledger);
    const pace = new MovePace(shared.workers);
    this.#moves = new Moves(shared, this.#ledger, pace);
    this.#settling = new Settling(shared, this.#ledger, this.#moves, pace, this.addressLimit);
    this.#elector = new Elector(shared, this.#ledger, pace, this.refusals, random);
  }

  /** Reads the session key of the request for the pool's sticky mode and looks up the table. No choice yet. */
  identify(
    plan: PoolPlan,
    buffer: Buffer,
    head: RequestHead,
    clientAddress: string,
    nowMs: number,
    wallMs: number,
    affinity: Affinity,
  ): void {
    affinity.begin(clientAddress);
    if (plan.source === Source.none) return;
    affinity.isDelete = head.method === 'DELETE';
    // first, since what it takes away is not of the session's key
    const adopted = plan.adopted.length === 0 ? -1 : readAdopted(plan.adopted, buffer, head.lines);
    const entry = readSessionKey(plan, this.#shared.table, buffer, head, clientAddress, affinity);
    if (plan.learnsHeaders && (entry === -1 || affinity.isDelete))
      affinity.place = placeOf(buffer, head.pathBegin, head.pathEnd);
    if (entry !== -1 && this.#recognise(plan, affinity, entry, nowMs, wallMs)) return;
    believeCookies(plan, affinity, adopted, wallMs);
    noteNobodys(buffer, head, affinity);
  }

  /**
   * What `identify` would find, without leaving a trace: for explanations. Returns the session's entry, -1 when the
   * table has none; an expired one is returned too, with the arrival `expired`.
   */
  peek(
    plan: PoolPlan,
    buffer: Buffer,
    head: RequestHead,
    clientAddress: string,
    nowMs: number,
    wallMs: number,
    affinity: Affinity,
  ): number {
    affinity.reset();
    const adopted = readAdopted(plan.adopted, buffer, head.lines);
    const entry = readSessionKey(plan, this.#shared.table, buffer, head, clientAddress, affinity);
    if (entry === -1) {
      believeCookies(plan, affinity, adopted, wallMs);
    } else if (this.#endOf(plan, entry, nowMs) !== null) {
      this.#expire(plan, affinity);
    } else {
      this.#ledger.lookHome(plan, affinity, entry);
    }
    return entry;
  }

  /** The exchange waits for a server, and its pool has a new revision: the home is looked for among the servers of that. */
  adopt(plan: PoolPlan, affinity: Affinity): void {
    if (this.#ledger.holdsEntry(affinity)) this.#ledger.takeHome(plan, affinity);
    else if (affinity.isCookieOpen && !affinity.isBorn) followCookie(plan, affinity);
  }

  /** Slot for the next attempt, or -1: see Elector.choose. No effect on shared memory. */
  choose(plan: PoolPlan, affinity: Affinity, tried: readonly number[], nowMs: number): number {
    return this.#elector.choose(plan, affinity, tried, nowMs);
  }

  /**
   * Called right after choose: reserves the session at `slot` or moves it there. May be called again after a retry
   * elected another slot: nothing is counted twice, the cookie names the last. False: another request has just given the
   * session a home, or has taken the last place for one; nothing is done, and the choice is to be made again.
   */
  commit(plan: PoolPlan, affinity: Affinity, slot: number, nowMs: number, wallMs: number): boolean {
    const isSettled = this.#settling.settle(plan, affinity, slot, nowMs, wallMs);
    if (isSettled) this.refusals.asked(slot, nowMs);
    return isSettled;
  }

  /**
   * The response head of `slot` is here: learns or ends the session from what it says, or decides on our own cookie.
   * Returns the whole Set-Cookie value to add, '' for none; never twice per exchange.
   */
  answered(
    plan: PoolPlan,
    affinity: Affinity,
    slot: number,
    buffer: Buffer,
    head: ResponseHead,
    nowMs: number,
    wallMs: number,
    isSecure: boolean,
  ): string {
    affinity.isAnswered = true;
    this.refusals.reached(slot);
    if (plan.source === Source.none || affinity.isNobodys) return '';
    this.#ledger.holdsEntry(affinity); // sees whether the session has ended meanwhile
    this.#moves.arrive(plan, affinity, indexOfSlot(plan, slot), head.status);
    if (saysSessionEnds(buffer, head)) {
      const removal = this.#endSession(plan, affinity, nowMs, isSecure);
      if (!plan.learns) return removal;
    }
    // who is connected is there, though a tunnel shows no cookie again
    if (head.status === SWITCHING && this.#ledger.holdsEntry(affinity))
      affinity.isByTunnel = this.#ledger.confirm(affinity);
    if (plan.source === Source.ownCookie) {
      if (affinity.isEnded) return '';
      const index = indexOfSlot(plan, this.#homeOr(plan, affinity, slot));
      return cookieFor(plan, affinity, index, wallMs, isSecure);
    }
    if (plan.learns) {
      const index = indexOfSlot(plan, slot);
      this.#learning.learn(plan, this.addressLimit, affinity, index, buffer, head, nowMs, wallMs);
    } else if (affinity.isBorn && this.#ledger.holdsEntry(affinity)) {
      this.#ledger.confirm(affinity);
    }
    return '';
  }

  /** The application has ended the session: the entry goes, and our own cookie with it if the client has one. */
  #endSession(plan: PoolPlan, affinity: Affinity, nowMs: number, isSecure: boolean): string {
    const { isBorn } = affinity;
    if (this.#ledger.holdsEntry(affinity)) this.#ledger.logOut(plan, affinity, affinity.entry, nowMs);
    affinity.isEnded = true;
    if (plan.source !== Source.ownCookie || isBorn || !affinity.hasKey) return '';
    return cookieRemoval(plan, affinity, isSecure);
  }

  /** The exchange is over, whatever its outcome. A second call does nothing. */
  finish(plan: PoolPlan, affinity: Affinity, nowMs: number): void {
    if (!affinity.isOpen) return;
    affinity.isOpen = false;
    if (affinity.failure === 'session-lost') this.#moves.lose(plan, affinity);
    this.#moves.stay(plan, affinity);
    this.#ledger.release(affinity, nowMs);
    this.#ledger.unreserve(affinity);
    this.#shared.own.countPool(plan.id, PoolCounter.affinity + affinity.outcome);
  }

  /**
   * The table knows the key: the session goes on, unless it has been idle or has lived for too long. False when the
   * table has just let go of it.
   */
  #recognise(plan: PoolPlan, affinity: Affinity, entry: number, nowMs: number, wallMs: number): boolean {
    const ended = this.#endOf(plan, entry, nowMs);
    if (ended !== null) {
      this.#ledger.end(entry, affinity.keyLow, affinity.keyHigh, ended);
      if (ended === 'idle' && isFresh(plan, affinity, wallMs)) return false;
      this.#expire(plan, affinity);
      return true;
    }
    const seenAgoMs = nowMs - this.#shared.table.seenMs(entry);
    if (!this.#ledger.hold(plan, affinity, entry, nowMs)) return false;
    if (affinity.hasOldKey) this.#ledger.addAlias(affinity.newLow, affinity.newHigh, entry, nowMs);
    if (plan.source !== Source.ownCookie) return true;
    const elsewhere = compare(plan, affinity, this.#shared, seenAgoMs, wallMs);
    if (elsewhere !== -1) this.#moves.follow(plan, affinity, elsewhere);
    return true;
  }

  /** Why the session of the entry is over, null while it goes on. */
  #endOf(plan: PoolPlan, entry: number, nowMs: number): 'life' | 'idle' | null {
    const { table } = this.#shared;
    const { idleMs, lifeMs } = plan.config.sticky;
    if (nowMs - table.createdMs(entry) > lifeMs) return 'life';
    return nowMs - table.seenMs(entry) > idleMs && table.busy(entry) === 0 ? 'idle' : null;
  }

  /** Our own cookie is minted again; a key that is not ours goes on as a new session's. */
  #expire(plan: PoolPlan, affinity: Affinity): void {
    affinity.arrival = Finding.expired;
    affinity.hasKey = plan.source !== Source.ownCookie;
  }

  /** The session's home as the table has it now; `slot` when it has none of this pool. */
  #homeOr(plan: PoolPlan, affinity: Affinity, slot: number): number {
    if (!this.#ledger.holdsEntry(affinity)) return slot;
    this.#ledger.followHome(plan, affinity);
    return affinity.homeSlot === -1 ? slot : affinity.homeSlot;
  }
}
