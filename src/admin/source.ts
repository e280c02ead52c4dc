// What the admin server asks of the supervisor. It knows nothing else of the program.

import type { ExplainQuestion, Explanation } from '../choose/explain.ts';
import type { KeptEvent } from '../control/event-log.ts';
import type { HistoryDocument } from '../control/history.ts';
import type {
  ChangeEvent,
  ChangeResult,
  ExplainResult,
  PlanResult,
  Refusal,
  ReloadResult,
  ServerChange,
} from '../control/results.ts';
import type { MetricsPage } from '../metrics/registry.ts';
import type { PlanAction, SessionPlan } from '../sessions/plan.ts';
import type { StatusDocument } from './status.ts';

/** Codes of the API's errors; each belongs to one status, see ERROR_STATUS. */
export type ErrorCode =
  | Refusal['code']
  | 'unauthorized'
  | 'forbidden'
  | 'too-large'
  | 'unsupported-media-type'
  | 'too-many-streams'
  | 'internal';

/** Where the process that takes over finds what it needs; readable by this user only. */
export type TakeoverResult = { readonly ok: true; readonly directory: string } | Refusal;

/** Which server a request would go to, and why. */
export type ExplainDocument = Explanation;
/** The document of GET /api/pools/:pool/plan. */
export type PlanDocument = SessionPlan;
export interface AdminSource {
  status(): StatusDocument;
  metrics(accept: string): Promise<MetricsPage>;
  /** Whether traffic should come here; the reasons when not. */
  ready(): { readonly ok: boolean; readonly reasons: readonly string[] };
  /** Refuses with `not-found` for an unknown pool or server, `conflict` when it cannot be now. `by`: who asks. */
  setServer(
    pool: string,
    server: string,
    change: ServerChange,
    by: string,
  ): ChangeResult | Promise<ChangeResult>;
  /** Refuses with `conflict` when the configuration is not valid. `by`: who asks. */
  reload(by: string): ReloadResult | Promise<ReloadResult>;
  /** Another process wants to take over. Absent: there is no process to be replaced. */
  takeOver?(): Promise<TakeoverResult>;
  /** What the change would do to the pool's sessions; `weight` is of a server to be added. Absent: cannot be told. */
  plan?(pool: string, action: PlanAction, server: string, weight: number): PlanResult;
  /** Where a request would go, and why. Changes nothing. Absent: cannot be told. */
  explain?(pool: string, question: ExplainQuestion): ExplainResult;
  /** The last hour. */
  history(): HistoryDocument;
  /** The last events, oldest first. */
  recentEvents(): readonly KeptEvent[];
  /** Calls the listener for each change from now on; the returned function ends that. */
  subscribe(listener: (event: ChangeEvent) => void): () => void;
}
