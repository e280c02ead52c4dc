// One round of moves over the session table: finds the sessions that may move, idlest first, and moves as many as were
// planned. Pools whose cycle is due together share one walk.

import type { PoolRevision } from '../shared/revision.ts';
import { homeSlot, packHome } from '../shared/session-table.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { MOVE_REASONS, type MoveReason, PoolCounter } from '../shared/stripe.ts';
import { Idlest } from './idlest.ts';
import type { Transfer } from './transfers.ts';

/** A session moved so recently is left where it is. */
export const COOL_DOWN_MS = 300_000;
/** What mode `idle` and `home-when-idle` call idle. */
export const IDLE_MS = 5_000;
/**
 * More sessions are found than are wanted: those idle for longest are the next to come back, and while the walk goes on
 * some do. Sixteen and a quarter of the wanted.
 */
const SPARES = { least: 16, share: 0.25 } as const;
/** A session that ends so soon anyway is not moved. */
const ENDS_SOON_MS = 60_000;

/** What one pool wants of a round. Transfers name servers by their place in the configuration. */
export interface RoundOrder {
  readonly pool: PoolRevision;
  /** Most sessions to move in all. */
  readonly grant: number;
  readonly draining: readonly Transfer[];
  readonly levelling: readonly Transfer[];
  /** Only sessions idle for IDLE_MS are moved for levelling. */
  readonly isIdleOnly: boolean;
  /** Servers that take back the sessions a failure drove from them. */
  readonly returnsTo: readonly number[];
  readonly isReturnIdleOnly: boolean;
}

interface Giver {
  readonly isDrain: boolean;
  readonly idlest: Idlest;
}

interface PoolRound {
  readonly order: RoundOrder;
  readonly homes: readonly number[];
  readonly givers: ReadonlyMap<number, Giver>;
  readonly returning: Idlest;
}

/** Sessions moved by a round, per pool name. */
export type RoundResult = ReadonlyMap<string, number>;

export class MoveRound {
  readonly #shared: SharedState;
  readonly #nowMs: number;
  readonly #rounds: readonly PoolRound[];
  /** By slot. */
  readonly #roundOf: (PoolRound | undefined)[] = [];
  #next = 0;

  constructor(shared: SharedState, orders: readonly RoundOrder[], nowMs: number) {
    this.#shared = shared;
    this.#nowMs = nowMs;
    this.#rounds = orders.map((order) => this.#prepare(order));
  }

  #prepare(order: RoundOrder): PoolRound {
    const { pool, grant } = order;
    const homes = pool.slots.map((slot, index) => packHome(slot, pool.generations[index] ?? 0));
    const givers = new Map<number, Giver>();
    for (const transfers of [order.draining, order.levelling]) {
      for (const { from } of transfers) {
        const wanted = transfers.reduce((sum, other) => sum + (other.from === from ? other.sessions : 0), 0);
        const isDrain = transfers === order.draining;
        givers.set(homes[from] ?? -1, { isDrain, idlest: new Idlest(withSpares(wanted)) });
      }
    }
    const returning = new Idlest(order.returnsTo.length > 0 ? withSpares(grant) : 0);
    const round = { order, homes, givers, returning };
    for (const slot of pool.slots) this.#roundOf[slot] = round;
    return round;
  }

  /** Looks at the next `entries` entries; true when the walk is over. */
  scan(entries: number): boolean {
    const { table } = this.#shared;
    const end = Math.min(table.capacity, this.#next + entries);
    for (let entry = this.#next; entry < end; entry += 1) {
      if (!table.isUsed(entry)) continue;
      const home = table.home(entry);
      const round = this.#roundOf[homeSlot(home)];
      if (round === undefined) continue;
      const giver = round.givers.get(home);
      if (giver !== undefined && this.#mayGive(entry, round, giver))
        giver.idlest.offer(entry, table.seenMs(entry));
      if (this.#returnIndex(entry, home, round) !== -1) round.returning.offer(entry, table.seenMs(entry));
    }
    this.#next = end;
    return end >= table.capacity;
  }

  /** Moves what was found, as far as it may still be moved now. */
  act(): RoundResult {
    return new Map(this.#rounds.map((round) => [round.order.pool.config.name, this.#actFor(round)]));
  }

  #actFor(round: PoolRound): number {
    const { draining, levelling, grant } = round.order;
    const drained = this.#transfer(round, draining, 'drain');
    const returned = this.#sendHome(round, grant - drained);
    // what went home has changed the holdings that levelling was planned for: the next cycle plans again
    const evened = returned > 0 ? 0 : this.#transfer(round, levelling, 'rebalance');
    return drained + returned + evened;
  }

  #transfer(round: PoolRound, transfers: readonly Transfer[], reason: MoveReason): number {
    const lists = new Map<number, Iterator<number>>();
    let moved = 0;
    for (const { from, to, sessions } of transfers) {
      const home = round.homes[from] ?? -1;
      const giver = round.givers.get(home);
      if (giver === undefined) continue;
      const list = lists.get(from) ?? giver.idlest.list()[Symbol.iterator]();
      lists.set(from, list);
      for (let left = sessions; left > 0; ) {
        const { value: entry, done } = list.next();
        if (done === true) break;
        const isRight = this.#shared.table.home(entry) === home && this.#mayGive(entry, round, giver);
        if (!isRight || !this.#move(entry, round, home, to, reason)) continue;
        moved += 1;
        left -= 1;
      }
    }
    return moved;
  }

  #sendHome(round: PoolRound, most: number): number {
    let moved = 0;
    for (const entry of round.returning.list()) {
      if (moved >= most) break;
      const home = this.#shared.table.home(entry);
      const index = this.#returnIndex(entry, home, round);
      if (index !== -1 && this.#move(entry, round, home, index, 'rebalance')) moved += 1;
    }
    return moved;
  }

  #mayGive(entry: number, { order }: PoolRound, giver: Giver): boolean {
    const { table } = this.#shared;
    if (!this.#isMovable(entry, order.pool)) return false;
    // an operator's drain does not wait for the cool-down
    if (giver.isDrain) return true;
    if (table.notes.movedWithin(entry, COOL_DOWN_MS, this.#nowMs)) return false;
    return !order.isIdleOnly || this.#nowMs - table.seenMs(entry) >= IDLE_MS;
  }

  /** Server that the session is to go back to, -1 for none. */
  #returnIndex(entry: number, home: number, { order, homes }: PoolRound): number {
    const { table } = this.#shared;
    if (order.returnsTo.length === 0 || !table.isUsed(entry) || !table.notes.hasOrigin(entry)) return -1;
    if (!homes.includes(home) || !this.#isMovable(entry, order.pool)) return -1;
    if (table.notes.movedWithin(entry, COOL_DOWN_MS, this.#nowMs)) return -1;
    if (order.isReturnIdleOnly && this.#nowMs - table.seenMs(entry) < IDLE_MS) return -1;
    const index =
      order.returnsTo.find((candidate) => table.notes.isOrigin(entry, homes[candidate] ?? -1)) ?? -1;
    return index !== -1 && homes[index] !== home ? index : -1;
  }

  #isMovable(entry: number, pool: PoolRevision): boolean {
    const { table } = this.#shared;
    if (!table.isUsed(entry) || table.marks.isAlias(entry)) return false;
    if (table.isTentative(entry) || table.busy(entry) > 0) return false;
    // which of its home's sessions have no other copy is not known: none of them goes
    if (this.#shared.control.unbacked(homeSlot(table.home(entry))) > 0) return false;
    return this.#nowMs - table.createdMs(entry) < pool.config.sticky.lifeMs - ENDS_SOON_MS;
  }

  /** The place there is held until the session counts. False when there is none, or as `#moveTo`. */
  #move(
    entry: number,
    { order, homes }: PoolRound,
    from: number,
    index: number,
    reason: MoveReason,
  ): boolean {
    const to = homes[index] ?? -1;
    if (to === -1) return false;
    const most = order.pool.config.servers[index]?.maxSessions ?? 0;
    if (most === 0) return this.#moveTo(entry, order, from, to, reason);
    if (!this.#shared.takePlace(homeSlot(to), most)) return false;
    const isMoved = this.#moveTo(entry, order, from, to, reason);
    this.#shared.givePlaceBack(homeSlot(to));
    return isMoved;
  }

  /** False when the session was quicker: a request of it has begun, or somebody else has moved it. */
  #moveTo(entry: number, order: RoundOrder, from: number, to: number, reason: MoveReason): boolean {
    const { table, own } = this.#shared;
    const keyLow = table.keyLow(entry);
    const keyHigh = table.keyHigh(entry);
    if (!table.move(entry, keyLow, keyHigh, from, to)) return false;
    if (table.busy(entry) > 0 && table.move(entry, keyLow, keyHigh, to, from)) return false;
    table.notes.stampMove(entry, this.#nowMs);
    own.addEntry(homeSlot(from), -1);
    own.addEntry(homeSlot(to), 1);
    own.countPool(order.pool.id, PoolCounter.moves + MOVE_REASONS.indexOf(reason));
    return true;
  }
}

function withSpares(wanted: number): number {
  return wanted + SPARES.least + Math.ceil(wanted * SPARES.share);
}
