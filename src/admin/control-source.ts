// What the admin server and an embedding program ask of a control plane, answered.

import { systemClock } from '../base/clock.ts';
import { packageVersion } from '../base/version.ts';
import type { ExplainQuestion } from '../choose/explain.ts';
import type { ControlPlane } from '../control/control-plane.ts';
import type { ChangeResult, ExplainResult, PlanResult, ServerChange } from '../control/results.ts';
import type { PlanAction } from '../sessions/plan.ts';
import type { AdminSource } from './source.ts';
import { buildStatus, type StatusDocument } from './status.ts';

/** Answered at once. */
export interface ControlSource
  extends Pick<AdminSource, 'status' | 'metrics' | 'subscribe' | 'history' | 'recentEvents'> {
  setServer(pool: string, server: string, change: ServerChange, by: string): ChangeResult;
  plan(pool: string, action: PlanAction, server: string, weight: number): PlanResult;
  explain(pool: string, question: ExplainQuestion): ExplainResult;
}

export function statusOf(control: ControlPlane): StatusDocument {
  const { revision, shared, threads, startedMs, health, sweeper, sessionControl, slots, history } = control;
  return buildStatus(revision, shared, {
    version: packageVersion(),
    threads,
    uptimeSeconds: (systemClock.nowMs() - startedMs) / 1000,
    health,
    sweep: sweeper,
    rebalance: sessionControl.rebalancer,
    recent: (pool) => history.recent(pool),
    operatorWeight: (slot) => slots.operatorWeight(slot),
  });
}

export function controlSource(control: ControlPlane): ControlSource {
  const { sessionControl } = control;
  return {
    status: () => statusOf(control),
    metrics: (accept) => control.metrics.render(accept),
    setServer: (pool, server, change, by) => {
      if (control.changeServer(pool, server, change, by)) return { ok: true };
      return { ok: false, code: 'not-found', message: `there is no server ${server} in a pool ${pool}` };
    },
    plan: (pool, action, server, weight) => sessionControl.plan(pool, action, server, weight),
    explain: (pool, question) => sessionControl.explain(pool, question),
    history: () => control.history.document(),
    recentEvents: () => control.events.recent,
    subscribe: (listener) => control.subscribe(listener),
  };
}
