// The rebalancer: in main, for pools whose sessions any server can serve. Each cycle it reads counts from shared memory,
// asks rebalance.ts what to move, walks the table in short slices for sessions that may, and moves them.
//
// A cycle begins right after a sweep has published, never on its own timer: then counts are fresh, and moves fall between
// two sweeps, which would else count a session at both servers.

import type { Clock } from '../base/clock.ts';
import { type Scheduled, type Scheduler, systemScheduler } from '../base/scheduler.ts';
import { Mode, Verdict } from '../shared/control.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { CODE_CLASSES, Counter } from '../shared/stripe.ts';
import { comparedSlots, totalRequests } from './load.ts';
import { MoveRound, type RoundOrder } from './move-round.ts';
import {
  type CycleFacts,
  INITIAL_STATE,
  planCycle,
  type RebalancePhase,
  type RebalanceServer,
  type RebalanceState,
  spend,
} from './rebalance.ts';
import { Stability, settleMs } from './stability.ts';

/** Entries looked at between two looks at the clock. */
const SLICE_ENTRIES = 8_192;
const SLICE_MS = 5;
/** Sweeps come about once a second; a cycle may begin this much early rather than a whole sweep late. */
const EARLY_MS = 500;
const SERVER_ERROR = Counter.code + CODE_CLASSES.indexOf('5xx');

/** The rebalancer's view of one pool, for the API. */
export interface RebalanceReport {
  readonly phase: RebalancePhase;
  readonly why: string;
  /** Moves made by drain, rebalance and return, since the start. */
  readonly moved: number;
  /** Moved in the last cycle that moved any. */
  readonly lastMoved: number;
  readonly cycles: number;
}

/** The rebalancer's phase for a pool has changed. */
export interface PhaseChange {
  readonly pool: string;
  readonly from: RebalancePhase;
  readonly to: RebalancePhase;
  readonly why: string;
}

export interface RebalancerOptions {
  readonly shared: SharedState;
  readonly clock: Clock;
  readonly scheduler?: Scheduler;
  readonly onPhase?: (change: PhaseChange) => void;
}

interface Watched {
  revision: PoolRevision;
  state: RebalanceState;
  dueMs: number;
  /** Totals at the last cycle. */
  requests: number;
  failures: number;
  moved: number;
  lastMoved: number;
  cycles: number;
}

export class Rebalancer {
  readonly #shared: SharedState;
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #onPhase: (change: PhaseChange) => void;
  readonly #stability: Stability;
  #pools: readonly Watched[] = [];
  #round: MoveRound | null = null;
  #timer: Scheduled | null = null;

  constructor(options: RebalancerOptions) {
    this.#shared = options.shared;
    this.#clock = options.clock;
    this.#stability = new Stability(options.shared);
    this.#scheduler = options.scheduler ?? systemScheduler;
    this.#onPhase = options.onPhase ?? (() => undefined);
  }

  /** Pools are now these; a walk under way is given up. A pool that stays keeps its state. */
  apply(revision: Revision): void {
    this.stop();
    this.#pools = revision.pools.filter(isMovable).map((pool) => {
      const known = this.#find(pool.config.name);
      if (known === undefined) return this.#watch(pool);
      known.revision = pool;
      known.dueMs = Math.min(known.dueMs, this.#clock.nowMs() + pool.config.rebalance.everyMs);
      return known;
    });
  }

  /** A sweep has published: begins the cycles that are due. */
  afterSweep(): void {
    const nowMs = this.#clock.nowMs();
    for (const { revision } of this.#pools) this.#stability.poll(revision, nowMs);
    if (this.#round !== null) return;
    const due = this.#pools.filter((pool) => nowMs + EARLY_MS >= pool.dueMs);
    const orders = due.flatMap((pool) => this.#cycle(pool, nowMs) ?? []);
    if (orders.length === 0) return;
    this.#round = new MoveRound(this.#shared, orders, nowMs);
    this.#timer = this.#scheduler.after(0, () => this.#walk());
  }

  /** Null for a pool whose sessions are not moved: state local, or no sessions. */
  report(pool: string): RebalanceReport | null {
    const known = this.#find(pool);
    if (known === undefined) return null;
    const { state, moved, lastMoved, cycles } = known;
    return { phase: state.phase, why: state.why, moved, lastMoved, cycles };
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#round = null;
  }

  #walk(): void {
    const round = this.#round;
    if (round === null) return;
    const endMs = this.#clock.nowMs() + SLICE_MS;
    let isOver = false;
    while (!isOver && this.#clock.nowMs() < endMs) isOver = round.scan(SLICE_ENTRIES);
    if (!isOver) {
      this.#timer = this.#scheduler.after(0, () => this.#walk());
      return;
    }
    this.#round = null;
    this.#timer = null;
    for (const [name, moved] of round.act()) {
      const pool = this.#find(name);
      if (pool === undefined || moved === 0) continue;
      pool.state = spend(pool.state, moved);
      pool.moved += moved;
      pool.lastMoved = moved;
    }
  }

  /** Decides; null when nothing is to be moved in this cycle. */
  #cycle(pool: Watched, nowMs: number): RoundOrder | null {
    const { rebalance, sticky } = pool.revision.config;
    const { everyMs } = rebalance;
    pool.dueMs = Math.max(pool.dueMs + everyMs, nowMs + everyMs - EARLY_MS);
    const from = pool.state.phase;
    const plan = planCycle(pool.state, rebalance, this.#facts(pool, nowMs));
    pool.state = plan.state;
    pool.cycles += 1;
    const { phase: to, why } = plan.state;
    if (from !== to) this.#onPhase({ pool: pool.revision.config.name, from, to, why });
    const returnsTo = sticky.failBack === 'stay' ? [] : this.#settledMembers(pool.revision, nowMs);
    const isIdle = plan.draining.length === 0 && plan.levelling.length === 0 && returnsTo.length === 0;
    if (isIdle || plan.grant < 1) return null;
    const { grant, draining, levelling } = plan;
    const isIdleOnly = rebalance.mode === 'idle';
    const isReturnIdleOnly = sticky.failBack === 'home-when-idle';
    return { pool: pool.revision, grant, draining, levelling, isIdleOnly, returnsTo, isReturnIdleOnly };
  }

  /** Servers that may take their own sessions back. */
  #settledMembers(pool: PoolRevision, nowMs: number): readonly number[] {
    const forMs = settleMs(pool.config.health);
    return comparedSlots(pool, this.#shared)
      .filter((slot) => this.#stability.isSettled(slot, forMs, nowMs))
      .map((slot) => pool.slots.indexOf(slot));
  }

  #facts(pool: Watched, nowMs: number): CycleFacts {
    const before = { requests: pool.requests, failures: pool.failures };
    this.#readTotals(pool);
    const servers = describeServers(pool.revision, this.#shared);
    const requests = Math.max(0, pool.requests - before.requests);
    const failures = Math.max(0, pool.failures - before.failures);
    return { nowMs, servers, requests, failures };
  }

  #readTotals(pool: Watched): void {
    pool.requests = 0;
    pool.failures = 0;
    for (const slot of pool.revision.slots) {
      pool.requests += totalRequests(this.#shared, slot);
      pool.failures += this.#shared.sumCounter(slot, SERVER_ERROR);
      pool.failures += this.#shared.sumCounter(slot, Counter.failures);
    }
  }

  #watch(revision: PoolRevision): Watched {
    const dueMs = this.#clock.nowMs() + revision.config.rebalance.everyMs;
    const state = INITIAL_STATE;
    const pool = { revision, state, dueMs, requests: 0, failures: 0, moved: 0, lastMoved: 0, cycles: 0 };
    this.#readTotals(pool);
    return pool;
  }

  #find(name: string): Watched | undefined {
    return this.#pools.find((pool) => pool.revision.config.name === name);
  }
}

function isMovable(pool: PoolRevision): boolean {
  return pool.config.state === 'shared' && pool.config.sticky.mode !== 'none';
}

/** Sessions as of the last sweep and what was placed, ended and moved since. */
function describeServers(pool: PoolRevision, shared: SharedState): readonly RebalanceServer[] {
  const { control } = shared;
  const members = new Set(comparedSlots(pool, shared));
  return pool.slots.map((slot) => {
    const isDraining = control.mode(slot) === Mode.drain && control.verdict(slot) === Verdict.up;
    return {
      sessions: Math.max(0, shared.placedSessions(slot) - control.tentative(slot)),
      weight: control.weight(slot),
      role: members.has(slot) ? 'member' : isDraining ? 'draining' : 'out',
    };
  });
}
