// Of each pool on one thread what outlives a revision: the retry budget, the queue, and whose turn it is when requests of
// several threads wait for the same servers.

import type { TurnClock } from '../base/clock.ts';
import type { Chooser } from '../choose/chooser.ts';
import type { PoolPlan } from '../choose/plan.ts';
import { RetryBudget } from '../choose/retry.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { PoolCounter } from '../shared/stripe.ts';
import type { Deadlines } from './deadlines.ts';
import { ANY_SLOT, WaitQueue } from './wait-queue.ts';

interface PoolRuntime {
  readonly budget: RetryBudget;
  readonly budgetShare: number;
  readonly queue: WaitQueue;
  /** The last free place went to this thread's queue though others wait too: the next is for them. */
  isOthersTurn: boolean;
}

export class PoolRuntimes {
  readonly #shared: SharedState;
  readonly #clock: TurnClock;
  readonly #deadlines: Deadlines;
  readonly #runtimes = new Map<number, PoolRuntime>();
  /** Pools for which offers of other threads are awaited. */
  readonly #listening = new Set<number>();

  constructor(shared: SharedState, clock: TurnClock, deadlines: Deadlines) {
    this.#shared = shared;
    this.#clock = clock;
    this.#deadlines = deadlines;
  }

  /** Queue and retry budget go on; a changed size or share takes effect at once, new servers for who waits too. */
  configure(plan: PoolPlan, chooser: Chooser): void {
    const { retry, queue } = plan.config;
    const old = this.#runtimes.get(plan.id);
    if (old !== undefined) old.queue.sizeMax = queue.size;
    const isKept = old !== undefined && old.budgetShare === retry.budget;
    this.#runtimes.set(plan.id, {
      budget: isKept ? old.budget : new RetryBudget(retry.budget),
      budgetShare: retry.budget,
      queue: old?.queue ?? new WaitQueue(queue.size, (isWaiting) => this.#setWaiting(plan.id, isWaiting)),
      isOthersTurn: false,
    });
    this.#publishBudget(plan.id, this.#of(plan).budget, this.#clock.nowMs());
    old?.queue.adopt(plan, chooser);
  }

  /** Throws when the pool was never configured. */
  of(plan: PoolPlan): Readonly<PoolRuntime> {
    return this.#of(plan);
  }

  #of(plan: PoolPlan): PoolRuntime {
    const runtime = this.#runtimes.get(plan.id);
    if (runtime === undefined) throw new Error(`no runtime for pool ${plan.config.name}`);
    return runtime;
  }

  /** Whether the pool's budget has a retry left; takes it if so. */
  takeRetry(plan: PoolPlan, nowMs: number): boolean {
    const { budget, budgetShare } = this.#of(plan);
    if (budget.take(nowMs)) return true;
    if (budgetShare > 0) this.#shared.own.countPool(plan.id, PoolCounter.retriesRefused);
    return false;
  }

  /**
   * A request has left a server of the pool: its place goes to who waits here or, where other threads wait too, every
   * other time to them. What they do not take in a millisecond is ours again.
   */
  slotFreed(plan: PoolPlan, slot: number): void {
    if (slot < 0) return;
    const runtime = this.#of(plan);
    const { queue } = runtime;
    const { waiting } = this.#shared;
    if (waiting.othersWait(plan.id)) {
      runtime.isOthersTurn = !runtime.isOthersTurn || queue.length === 0;
      if (runtime.isOthersTurn) {
        waiting.offer(plan.id, slot);
        if (queue.length > 0) this.#deadlines.soon(() => queue.serve(slot, this.#clock.turn()));
        return;
      }
    }
    if (queue.length > 0) queue.serve(slot, this.#clock.nowMs());
  }

  /** The first of the pool's requests on this thread begins to wait, or none waits any more. */
  #setWaiting(pool: number, isWaiting: boolean): void {
    this.#shared.waiting.set(pool, isWaiting);
    if (isWaiting && !this.#listening.has(pool)) this.#listen(pool);
  }

  #listen(pool: number): void {
    this.#listening.add(pool);
    this.#shared.waiting.onOffer(pool, (slot) => {
      this.#listening.delete(pool);
      const queue = this.#runtimes.get(pool)?.queue;
      if (queue === undefined || queue.length === 0) return;
      // before serving: an offer that comes meanwhile must find us listening
      this.#listen(pool);
      queue.serve(slot, this.#clock.turn());
    });
  }

  /** Serves who waits: other threads free connections too, and a server may have come back. Publishes the budgets. */
  onTick(nowMs: number): void {
    for (const [pool, { queue, budget }] of this.#runtimes) {
      if (queue.length > 0) queue.serve(ANY_SLOT, nowMs);
      this.#publishBudget(pool, budget, nowMs);
    }
  }

  #publishBudget(pool: number, budget: RetryBudget, nowMs: number): void {
    this.#shared.own.setPool(pool, PoolCounter.retryTokens, budget.remaining(nowMs));
  }
}
