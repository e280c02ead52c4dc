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
  /** File descriptors of this process: open now, and how many it may have; null where the system does not say. */
  descriptors?(): { readonly open: number | null; readonly limit: number | null };
  /** Lines of the access log that could not be written. */
  accessLogDropped(): number;
  /** Discovery fits; absent: there is none. */
  discovery?(): readonly {
    readonly pool: string;
    readonly source: string;
    readonly servers: number;
    readonly failures: number;
  }[];
  /** Ends of the certificates in use, wall time; absent: there are none. */
  certificates?(): readonly {
    readonly listener: string;
    readonly name: string;
    readonly notAfterMs: number;
  }[];
  /** Orders of certificates that came to their end; absent: none are ordered. */
  orders?(): Readonly<Record<'issued' | 'refused' | 'unreachable' | 'failed', number>>;
  /** HealthMonitor fits. */
  readonly health: {
    checks(slot: number): Readonly<Record<'success' | 'failure' | 'timeout', number>>;
    transitions(slot: number): Readonly<Record<'starting' | 'up' | 'down' | 'ejected', number>>;
  };
  /** Rebalancer fits; absent: nothing is moved. */
  readonly rebalance?: {
    report(pool: string): { readonly phase: string; readonly cycles: number } | null;
  };
  /** Sweeper fits. */
  readonly sweep: {
    readonly report: { readonly entries: number; readonly busyMs: number };
    recentRequests(slot: number): number;
    effectiveSessions(pool: string): number;
    hottest(pool: string): readonly { readonly share: number }[];
  };
}

export type Labels = Readonly<Record<string, string>>;

/** One value of one metric, in the form that prom-client's registry prints. */
export interface Sample {
  readonly labels: Labels;
  /** Printed as well. The registry remembers the text of the same object, which makes a scrape three times cheaper. */
  readonly sharedLabels?: Labels;
  readonly value: number;
  /** Only where it differs from the metric's own name: the parts of a histogram. */
  readonly metricName?: string;
}

const NO_LABELS: Labels = {};

/** One server of the running revision, as the collectors see it. */
export class ServerRow {
  readonly slot: number;
  readonly limits: { readonly maxConnections: number; readonly maxSessions: number };
  readonly #labels: Labels;
  readonly #extended = new Map<string, Labels>();

  constructor(slot: number, pool: string, server: string, limits: ServerRow['limits']) {
    this.slot = slot;
    this.limits = limits;
    this.#labels = { pool, server };
  }

  /** A value with the server's own labels. */
  sample(value: number): Sample {
    return { labels: NO_LABELS, sharedLabels: this.#labels, value };
  }

  /** A value with one label more; there are few of them, so their objects are kept. */
  sampleWith(label: string, text: string, value: number): Sample {
    const key = `${label} ${text}`;
    let sharedLabels = this.#extended.get(key);
    if (sharedLabels === undefined) {
      sharedLabels = { ...this.#labels, [label]: text };
      this.#extended.set(key, sharedLabels);
    }
    return { labels: NO_LABELS, sharedLabels, value };
  }
}
