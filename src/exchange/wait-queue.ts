// Exchanges of one pool on one thread that wait for a server with a free connection: first in, first out, where those
// whose session is at home on another server than the one that became free are passed over.

import type { Affinity } from '../choose/affinity.ts';
import type { Chooser } from '../choose/chooser.ts';
import { describeSources } from '../choose/key-sources.ts';
import type { PoolPlan } from '../choose/plan.ts';

/** An exchange that waits. */
export interface Waiter {
  plan: PoolPlan | null;
  readonly affinity: Affinity;
  /** Slots of the servers that it has been to. */
  readonly tried: readonly number[];
  /** A server may be free: try again; `add` is called again when none is. */
  retryFromQueue(nowMs: number): void;
}

/** For `serve`: any server may have become free. */
export const ANY_SLOT = -1;

export class WaitQueue {
  sizeMax: number;
  readonly #waiting: Waiter[] = [];
  readonly #onWaiting: (isWaiting: boolean) => void;
  #isServing = false;
  #trying: Waiter | null = null;
  #isStillBusy = false;

  /** `onWaiting` hears when the first begins to wait, and when none does any more. */
  constructor(sizeMax: number, onWaiting: (isWaiting: boolean) => void = () => undefined) {
    this.sizeMax = sizeMax;
    this.#onWaiting = onWaiting;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** False when the queue is full. One that was just tried and found its servers busy keeps its place. */
  add(exchange: Waiter): boolean {
    if (exchange === this.#trying) {
      this.#isStillBusy = true;
      return true;
    }
    if (this.#waiting.length >= this.sizeMax) return false;
    this.#waiting.push(exchange);
    if (this.#waiting.length === 1) this.#onWaiting(true);
    return true;
  }

  remove(exchange: Waiter): void {
    const index = this.#waiting.indexOf(exchange);
    if (index >= 0) this.#takeOut(index);
  }

  #takeOut(index: number): void {
    this.#waiting.splice(index, 1);
    if (this.#waiting.length === 0) this.#onWaiting(false);
  }

  /**
   * The pool has a new revision: who waits goes by it from now on, so that servers that were added or have moved serve it.
   * Where the new one knows its sessions by something else, or is of another pool, the old plan stays.
   */
  adopt(plan: PoolPlan, chooser: Chooser): void {
    for (const exchange of this.#waiting) {
      const isSamePool = exchange.plan?.config.name === plan.config.name;
      if (!isSamePool || !readsSame(exchange.plan, plan)) continue;
      exchange.plan = plan;
      chooser.adopt(plan, exchange.affinity);
    }
  }

  /**
   * A connection to `slot` may be free: the longest waiting go first, until one that may go there finds it busy. One that
   * has been there waits for another server, one with an old plan goes by other limits, and one for whose session no server
   * has room by other limits than those that have one: what they find is so for their like, and not for all behind them.
   */
  serve(slot: number, nowMs: number): void {
    if (this.#isServing) return;
    this.#isServing = true;
    let busyBy: PoolPlan | null | undefined;
    let busyForTriedBy: PoolPlan | null | undefined;
    let fullBy: PoolPlan | null | undefined;
    let index = 0;
    while (index < this.#waiting.length) {
      const exchange = this.#waiting[index] as Waiter;
      const { plan } = exchange;
      const isBusy = isForNew(exchange)
        ? plan === fullBy
        : plan === busyBy || (plan === busyForTriedBy && hasTried(exchange, slot));
      const isPassedOver =
        slot === ANY_SLOT ? isBusy && mayGo(exchange, slot) : isBusy || !mayGo(exchange, slot);
      if (isPassedOver || !this.#try(exchange, nowMs)) index += 1;
      if (isPassedOver || !this.#isStillBusy || !tells(exchange, slot)) continue;
      if (isForNew(exchange)) fullBy = plan;
      else if (hasTried(exchange, slot)) busyForTriedBy = plan;
      else busyBy = plan;
      if (slot !== ANY_SLOT && busyBy === this.#waiting.at(-1)?.plan) break;
    }
    this.#isServing = false;
  }

  /** True when the exchange waits no longer. */
  #try(exchange: Waiter, nowMs: number): boolean {
    this.#trying = exchange;
    this.#isStillBusy = false;
    exchange.retryFromQueue(nowMs);
    this.#trying = null;
    // others may have left meanwhile, so that it stands elsewhere now
    if (!this.#isStillBusy) this.remove(exchange);
    return !this.#isStillBusy;
  }
}

/** Do both revisions of the pool know a session by the same? */
function readsSame(before: PoolPlan | null, now: PoolPlan): boolean {
  return before?.source === now.source && describeSources(before.sources) === describeSources(now.sources);
}

/** The only server that will do for the exchange; ANY_SLOT when another may take it as well. */
function homeOf({ affinity }: Waiter): number {
  return affinity.isHomeOnly ? affinity.homeSlot : ANY_SLOT;
}

/** With ANY_SLOT: to all of them. */
function mayGo(exchange: Waiter, slot: number): boolean {
  const home = homeOf(exchange);
  return home === ANY_SLOT || home === slot;
}

/** At the last try no server had room for its session. */
function isForNew({ affinity }: Waiter): boolean {
  return affinity.failure === 'full';
}

/** It goes there again only when nobody else is left, or home. */
function hasTried(exchange: Waiter, slot: number): boolean {
  return exchange.tried.includes(slot) && homeOf(exchange) !== slot;
}

/** It has found it busy: others may do so too. Asked after the try, which looks where its home is now. */
function tells(exchange: Waiter, slot: number): boolean {
  return mayGo(exchange, slot) && (slot !== ANY_SLOT || exchange.tried.length === 0);
}
