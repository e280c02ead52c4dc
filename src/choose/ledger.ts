// The effects that choosing has on shared memory: entries begun and ended, each with its counts. Moves are in moves.ts.
//
//   Stripe.addEntry      +1 and -1 with every entry (tentative ones too): what placement reckons with
//   sessionsReserved     +1 and -1 with every reservation: it reckons with them too
//   Counter.created      a session became real: its client has shown the key, or the application has set it
//   Counter.ended        real sessions only, at the home they had
//
// The cells of a removed server stay its own until the slot is given to another: then nothing is counted there any more.

import { homeGeneration, homeSlot } from '../shared/session-table.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Counter, END_REASONS, type EndReason, Gauge } from '../shared/stripe.ts';
import type { Affinity } from './affinity.ts';
import { type PoolPlan, Source } from './plan.ts';

export class Ledger {
  readonly #shared: SharedState;

  constructor(shared: SharedState) {
    this.#shared = shared;
  }

  /** The entry the affinity holds is still its session's. Otherwise that has ended, and it is let go of. */
  holdsEntry(affinity: Affinity): boolean {
    const { entry, keyLow, keyHigh } = affinity;
    if (entry === -1) return false;
    if (this.#shared.table.isSessionOf(entry, keyLow, keyHigh)) return true;
    this.#letGo(affinity);
    affinity.isEnded = true;
    return false;
  }

  /** Of an entry that is not its session's any more. */
  #letGo(affinity: Affinity): void {
    this.#shared.table.holds.drop(affinity.entry);
    affinity.entry = -1;
  }

  /**
   * Holds the entry busy for this exchange. Its client has shown the key: a session of ours counts from now on. That a
   * client shows an application's key proves nothing, it may have outlived its session: see `learn`. False when the
   * session has just ended.
   */
  hold(plan: PoolPlan, affinity: Affinity, entry: number, nowMs: number): boolean {
    if (!this.#shared.table.touch(entry, affinity.keyLow, affinity.keyHigh, nowMs)) return false;
    this.#seeAlias(affinity, nowMs);
    affinity.entry = entry;
    this.takeHome(plan, affinity);
    if (!plan.learns) this.confirm(affinity);
    return true;
  }

  /** Reads the session's home without holding its entry, for explanations. */
  lookHome(plan: PoolPlan, affinity: Affinity, entry: number): void {
    affinity.entry = entry;
    this.takeHome(plan, affinity);
    affinity.entry = -1;
  }

  /** Reads the home again; another request or the rebalancer may have moved the session. True when it had. */
  followHome(plan: PoolPlan, affinity: Affinity): boolean {
    if (this.#shared.table.home(affinity.entry) === affinity.home) return false;
    this.takeHome(plan, affinity);
    return true;
  }

  /** No other request has used the held session, ever. */
  isAlone({ entry }: Affinity): boolean {
    return this.#shared.table.requests(entry) <= 1;
  }

  /** The held session counts already: its entry is not tentative. */
  isReal(affinity: Affinity): boolean {
    return !this.#shared.table.isTentative(affinity.entry);
  }

  /** Makes a tentative session real, at its home. False for a real one: nothing is done. */
  confirm(affinity: Affinity): boolean {
    return this.confirmEntry(affinity.entry);
  }

  confirmEntry(entry: number): boolean {
    const { table, own } = this.#shared;
    if (!table.confirm(entry)) return false;
    const home = table.home(entry);
    if (this.hasCells(home)) own.count(homeSlot(home), Counter.created);
    return true;
  }

  /** The held session counts no more, until it is confirmed again; its key still leads home. False when it did not count. */
  suspend(affinity: Affinity, reason: EndReason): boolean {
    const { table, own } = this.#shared;
    if (!table.doubt(affinity.entry)) return false;
    const home = table.home(affinity.entry);
    if (this.hasCells(home)) own.count(homeSlot(home), Counter.ended + END_REASONS.indexOf(reason));
    return true;
  }

  /**
   * Begins the session of the affinity's key at server `index` and holds it. A tentative one is real once confirmed. Where
   * the table is full of sessions in use there is no entry, and the next request with the key is the first one again.
   * `createdMs`: its life has begun then, where it is only the table that does not know it.
   */
  begin(
    plan: PoolPlan,
    affinity: Affinity,
    index: number,
    nowMs: number,
    isTentative: boolean,
    createdMs: number = nowMs,
  ): void {
    const home = plan.homes[index] as number;
    const { keyLow, keyHigh } = affinity;
    const entry = this.#insert(keyLow, keyHigh, home, createdMs, isTentative);
    const isHeld = entry !== -1 && this.#shared.table.touch(entry, keyLow, keyHigh, nowMs);
    affinity.entry = isHeld ? entry : -1;
    affinity.home = home;
    affinity.homeSlot = homeSlot(home);
    affinity.isHomeRemoved = false;
  }

  /** Begins one more session beside the one that the exchange holds. */
  add(plan: PoolPlan, keyLow: number, keyHigh: number, index: number, nowMs: number): void {
    this.#insert(keyLow, keyHigh, plan.homes[index] as number, nowMs, false);
  }

  /** The key leads to the session at `entry` from now on; counted is the session alone. */
  addAlias(keyLow: number, keyHigh: number, entry: number, nowMs: number): void {
    const { table, control } = this.#shared;
    const [sessionLow, sessionHigh] = [table.keyLow(entry), table.keyHigh(entry)];
    if (sessionLow === 0 || (sessionLow === keyLow && sessionHigh === keyHigh)) return;
    const home = table.home(entry);
    table.insert(keyLow, keyHigh, home, nowMs, control.sweepEpoch(), false, sessionLow, sessionHigh);
    this.#countEvicted();
  }

  /** Lets go of a tentative session whose client gets another key; it ends unless other requests hold it too. */
  giveWay(affinity: Affinity, nowMs: number): void {
    const { entry, keyLow, keyHigh } = affinity;
    const { table } = this.#shared;
    table.release(entry, keyLow, keyHigh, nowMs);
    affinity.entry = -1;
    if (table.busy(entry) === 0) this.end(entry, keyLow, keyHigh, null);
  }

  #insert(keyLow: number, keyHigh: number, home: number, nowMs: number, isTentative: boolean): number {
    const { table, own, control } = this.#shared;
    const entry = table.insert(keyLow, keyHigh, home, nowMs, control.sweepEpoch(), isTentative);
    if (entry === -1) return -1;
    this.addDelta(home, 1);
    if (table.replacedHome !== -1) this.addDelta(table.replacedHome, -1);
    this.#countEvicted();
    if (!isTentative) own.count(homeSlot(home), Counter.created);
    return entry;
  }

  #countEvicted(): void {
    const { table } = this.#shared;
    if (table.evictedHome !== -1) this.#countEnd(table.evictedHome, table.evictedTentative, 'evicted');
  }

  /**
   * Ends the session of the key at `entry`. `reason` null: it is not over, it lives on under another key. With `keptFromMs`
   * its key stays in the table for a while: see `SessionTable.bury`.
   */
  end(
    entry: number,
    keyLow: number,
    keyHigh: number,
    reason: EndReason | null,
    keptFromMs?: number,
  ): boolean {
    const { table } = this.#shared;
    const home = table.home(entry);
    const isTentative = table.isTentative(entry);
    const isMine =
      keptFromMs === undefined
        ? table.remove(entry, keyLow, keyHigh)
        : table.bury(entry, keyLow, keyHigh, keptFromMs);
    if (isMine) this.#countEnd(home, isTentative, reason);
    return isMine;
  }

  /**
   * Its user has ended the session at `entry`, which the affinity may hold. Unless the key is the client's own it begins no
   * other: who shows it now has sent the request before he knew.
   */
  logOut(plan: PoolPlan, affinity: Affinity, entry: number, nowMs: number): void {
    const { table } = this.#shared;
    const isGiven = plan.source === Source.ownCookie || plan.learns;
    this.end(entry, table.keyLow(entry), table.keyHigh(entry), 'logout', isGiven ? nowMs : undefined);
    if (entry === affinity.entry) this.#letGo(affinity);
  }

  /** Counts on a session at `slot` whose key is not known yet, instead of any earlier reservation. */
  reserve(affinity: Affinity, slot: number): void {
    if (affinity.reservedSlot === slot) return;
    this.unreserve(affinity);
    affinity.reservedSlot = slot;
    this.#shared.own.addGauge(slot, Gauge.sessionsReserved, 1);
  }

  unreserve(affinity: Affinity): void {
    if (affinity.reservedSlot === -1) return;
    this.#shared.givePlaceBack(affinity.reservedSlot);
    affinity.reservedSlot = -1;
  }

  /** Lets go of the entry; takes a session back that began with this exchange and got no answer. */
  release(affinity: Affinity, nowMs: number): void {
    const { entry, keyLow, keyHigh } = affinity;
    if (entry === -1) return;
    const { table } = this.#shared;
    this.#endTunnel(affinity);
    const isUnanswered = affinity.isBorn && !affinity.isAnswered;
    const isTakenBack = isUnanswered && table.isTentative(entry) && this.isAlone(affinity);
    table.release(entry, keyLow, keyHigh, nowMs);
    this.#seeAlias(affinity, nowMs);
    affinity.entry = -1;
    if (isTakenBack) this.end(entry, keyLow, keyHigh, null);
  }

  #seeAlias({ foundBy, keyLow, keyHigh }: Affinity, nowMs: number): void {
    const { table } = this.#shared;
    if (foundBy !== -1 && table.marks.isAliasOf(foundBy, keyLow, keyHigh)) table.see(foundBy, nowMs);
  }

  /** Nobody has shown the key but the tunnel that is over: nobody knows whether its client still has it. */
  #endTunnel(affinity: Affinity): void {
    const { table } = this.#shared;
    if (!affinity.isByTunnel || !this.holdsEntry(affinity)) return;
    if (table.requests(affinity.entry) === 1 && table.busy(affinity.entry) === 1)
      this.suspend(affinity, 'idle');
  }

  /** Reads the home of the held session, as a server of the plan. */
  takeHome(plan: PoolPlan, affinity: Affinity): void {
    const home = this.#shared.table.home(affinity.entry);
    const slot = homeSlot(home);
    const index = plan.indexBySlot[slot] as number;
    const isOfPool = index >= 0 && plan.homes[index] === home;
    affinity.home = home;
    affinity.homeSlot = isOfPool ? slot : -1;
    affinity.isHomeRemoved = !isOfPool;
  }

  #countEnd(home: number, isTentative: boolean, reason: EndReason | null): void {
    this.addDelta(home, -1);
    if (reason === null || isTentative || !this.hasCells(home)) return;
    this.#shared.own.count(homeSlot(home), Counter.ended + END_REASONS.indexOf(reason));
  }

  /** A session more or fewer at the home, as placement reckons. */
  addDelta(home: number, amount: 1 | -1): void {
    if (this.hasCells(home)) this.#shared.own.addEntry(homeSlot(home), amount);
  }

  /** The slot's cells are this home's: removing its server has made the generation one more, a new one makes it two. */
  hasCells(home: number): boolean {
    if (home === -1) return false;
    const later = this.#shared.control.generation(homeSlot(home)) - homeGeneration(home);
    return later === 0 || later === 1;
  }
}
