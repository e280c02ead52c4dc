// What the metrics are made from, beside shared memory. The supervisor hands it over; everything is read at scrape time.

import type { Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';

export interface MetricsSource {
  readonly version: string;
  readonly shared: SharedState;
  /** The running revision; null before the first. */
  revision(): Revision | null;
  /** Data-plane threads running. */
  threads(): number;
  reloads(): { readonly success: number; readonly failure: number };
  workerRestarts(): number;
  /** HealthMonitor fits. */
  readonly health: {
    checks(slot: number): Readonly<Record<'success' | 'failure' | 'timeout', number>>;
    transitions(slot: number): Readonly<Record<'starting' | 'up' | 'down' | 'ejected', number>>;
  };
  /** Sweeper fits. */
  readonly sweep: {
    readonly report: { readonly entries: number; readonly busyMs: number };
    recentRequests(slot: number): number;
    effectiveSessions(pool: string): number;
    hottest(pool: string): readonly { readonly share: number }[];
  };
}

/** One value of one metric. `name` only where it differs from the metric's: the parts of a histogram. */
export interface Sample {
  readonly labels: Partial<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

/** One server of the running revision, as the collectors see it. */
export interface ServerRow {
  readonly slot: number;
  readonly labels: { readonly pool: string; readonly server: string };
  readonly maxConnections: number;
}
