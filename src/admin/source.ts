// What the admin server asks of the supervisor. It knows nothing else of the program.

import type { ExplainQuestion, Explanation } from '../choose/explain.ts';
import type { ServerMode } from '../config/model.ts';
import type { MetricsPage } from '../metrics/registry.ts';
import type { PlanAction, SessionPlan } from '../sessions/plan.ts';
import type { StatusDocument } from './status.ts';

/** What an operator wants of a server; at least one of the two is there. */
export interface ServerChange {
  readonly mode?: ServerMode;
  /** 0..1000 */
  readonly weight?: number;
}

/** Codes of the API's errors; each belongs to one status, see ERROR_STATUS. */
export type ErrorCode =
  | 'bad-request'
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'too-large'
  | 'unsupported-media-type'
  | 'too-many-streams'
  | 'internal';

export interface Refusal {
  readonly ok: false;
  readonly code: ErrorCode;
  readonly message: string;
}

export type ChangeResult = { readonly ok: true } | Refusal;

/** On success what is different, in words. On failure nothing has changed and the message says why. */
export type ReloadResult =
  | { readonly ok: true; readonly revision: number; readonly changes: readonly string[] }
  | Refusal;

/** Where the process that takes over finds what it needs; readable by this user only. */
export type TakeoverResult = { readonly ok: true; readonly directory: string } | Refusal;

export type { ExplainQuestion };
/** Which server a request would go to, and why. */
export type ExplainDocument = Explanation;
/** The document of GET /api/pools/:pool/plan. */
export type PlanDocument = SessionPlan;
export type PlanResult = { readonly ok: true; readonly plan: PlanDocument } | Refusal;
export type ExplainResult = { readonly ok: true; readonly explanation: ExplainDocument } | Refusal;

/** Something happened that an onlooker wants to know at once; `type` says what, the rest is free. */
export interface ChangeEvent {
  readonly type: string;
  readonly [detail: string]: unknown;
}

export interface AdminSource {
  status(): StatusDocument;
  metrics(accept: string): Promise<MetricsPage>;
  /** Whether traffic should come here; the reasons when not. */
  ready(): { readonly ok: boolean; readonly reasons: readonly string[] };
  /** Refuses with `not-found` for an unknown pool or server, `conflict` when it cannot be now. */
  setServer(pool: string, server: string, change: ServerChange): ChangeResult | Promise<ChangeResult>;
  /** Refuses with `conflict` when the configuration is not valid. */
  reload(): ReloadResult | Promise<ReloadResult>;
  /** Another process wants to take over. Absent: there is no process to be replaced. */
  takeOver?(): Promise<TakeoverResult>;
  /** What the change would do to the pool's sessions; `weight` is of a server to be added. Absent: cannot be told. */
  plan?(pool: string, action: PlanAction, server: string, weight: number): PlanResult;
  /** Where a request would go, and why. Changes nothing. Absent: cannot be told. */
  explain?(pool: string, question: ExplainQuestion): ExplainResult;
  /** Calls the listener for each change from now on; the returned function ends that. */
  subscribe(listener: (event: ChangeEvent) => void): () => void;
}
