// What is answered to whoever asks something of a running balancer: the admin API, an embedding program, a signal.

import type { Explanation } from '../choose/explain.ts';
import type { ServerMode } from '../config/model.ts';
import type { SessionPlan } from '../sessions/plan.ts';

/** What an operator wants of a server; at least one of the two is there. */
export interface ServerChange {
  readonly mode?: ServerMode;
  /** 0..1000 */
  readonly weight?: number;
}

export interface Refusal {
  readonly ok: false;
  readonly code: 'bad-request' | 'not-found' | 'conflict';
  readonly message: string;
}

export type ChangeResult = { readonly ok: true } | Refusal;

/** On success what is different, one sentence each. On failure nothing has changed and the message says why. */
export type ReloadResult =
  | { readonly ok: true; readonly revision: number; readonly changes: readonly string[] }
  | Refusal;

export type PlanResult = { readonly ok: true; readonly plan: SessionPlan } | Refusal;
export type ExplainResult = { readonly ok: true; readonly explanation: Explanation } | Refusal;

/** Something happened that an onlooker wants to know at once; `type` says what, the rest is free. */
export interface ChangeEvent {
  readonly type: string;
  readonly [detail: string]: unknown;
}
