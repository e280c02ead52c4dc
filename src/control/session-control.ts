// What main does about sessions beside counting them: moves them (rebalancer), paces what new servers get (slow start),
// and answers what would happen to them (plan) and where a request would go (explain).

import { systemClock } from '../base/clock.ts';
import { SeededRandom, unpredictableSeed } from '../base/random.ts';
import { Chooser } from '../choose/chooser.ts';
import { type ExplainQuestion, explain } from '../choose/explain.ts';
import { compilePool, type PoolPlan } from '../choose/plan.ts';
import { SlowStart } from '../health/slow-start.ts';
import { comparedSlots } from '../sessions/load.ts';
import { type PlanAction, planChange } from '../sessions/plan.ts';
import { type PhaseChange, Rebalancer } from '../sessions/rebalancer.ts';
import { SessionRates } from '../sessions/session-rates.ts';
import { WEIGHT_SCALE } from '../shared/control.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import type { ExplainResult, PlanResult } from './results.ts';

export interface SessionControlOptions {
  readonly shared: SharedState;
  readonly operatorWeight: (slot: number) => number | null;
  readonly onPhase: (change: PhaseChange) => void;
}

export class SessionControl {
  readonly rebalancer: Rebalancer;
  readonly #shared: SharedState;
  readonly #slowStart: SlowStart;
  readonly #rates: SessionRates;
  readonly #random = new SeededRandom(unpredictableSeed());
  readonly #chooser: Chooser;
  #pools: readonly PoolRevision[] = [];
  /** Compiled when first asked for, by pool name. */
  readonly #plans = new Map<string, PoolPlan>();

  constructor({ shared, operatorWeight, onPhase }: SessionControlOptions) {
    this.#shared = shared;
    this.rebalancer = new Rebalancer({ shared, clock: systemClock, onPhase });
    this.#slowStart = new SlowStart({ shared, clock: systemClock, operatorWeight });
    this.#rates = new SessionRates(shared);
    this.#chooser = new Chooser(shared, this.#random);
  }

  /** Right after the slots' weights were written, before any worker hears of the revision. */
  apply(revision: Revision): void {
    this.#pools = revision.pools;
    this.#plans.clear();
    this.#slowStart.apply(revision);
    this.rebalancer.apply(revision);
  }

  /** A sweep has published its counts. */
  afterSweep(): void {
    this.#rates.sample(this.#pools, systemClock.nowMs());
    this.rebalancer.afterSweep();
  }

  stop(): void {
    this.#slowStart.stop();
    this.rebalancer.stop();
  }

  /** What the change would do to the pool's sessions. */
  plan(poolName: string, action: PlanAction, server: string, weight: number): PlanResult {
    const pool = this.#pools.find(({ config }) => config.name === poolName);
    if (pool === undefined) return unknownPool(poolName);
    const { control } = this.#shared;
    const members = comparedSlots(pool, this.#shared);
    const servers = pool.config.servers.map(({ name, maxSessions }, index) => {
      const slot = pool.slots[index] ?? 0;
      return {
        name,
        sessions: control.sessions(slot),
        weight: control.weight(slot) / WEIGHT_SCALE,
        isMember: members.includes(slot),
        sessionsMax: maxSessions,
      };
    });
    const meanLifeMs = this.#rates.meanLifeMs(poolName);
    const plan = planChange({ action, server, weight, config: pool.config, servers, meanLifeMs });
    if (typeof plan !== 'string') return { ok: true, plan };
    return {
      ok: false,
      code: action === 'add' ? 'conflict' : 'not-found',
      message: `${plan} in pool ${poolName}`,
    };
  }

  /** Where the request would go, and why. */
  explain(poolName: string, question: ExplainQuestion): ExplainResult {
    const pool = this.#pools.find(({ config }) => config.name === poolName);
    if (pool === undefined) return unknownPool(poolName);
    const plan = this.#plans.get(poolName) ?? compilePool(pool, this.#random);
    this.#plans.set(poolName, plan);
    const [nowMs, wallMs] = [systemClock.nowMs(), systemClock.wallMs()];
    const explanation = explain(this.#chooser, plan, this.#shared, question, nowMs, wallMs);
    if (typeof explanation === 'string') return { ok: false, code: 'bad-request', message: explanation };
    return { ok: true, explanation };
  }
}

function unknownPool(name: string): {
  readonly ok: false;
  readonly code: 'not-found';
  readonly message: string;
} {
  return { ok: false, code: 'not-found', message: `there is no pool ${name}` };
}
