// What the metrics of a running balancer are read from.

import type { AccessLogWriter } from '../control/access-log-writer.ts';
import type { Discovery } from '../control/discovery.ts';
import type { Revising } from '../control/revising.ts';
import type { SessionControl } from '../control/session-control.ts';
import { createMetrics, type Metrics } from '../metrics/registry.ts';
import type { MetricsSource } from '../metrics/source.ts';
import type { Certificates } from './certificates.ts';
import { type DescriptorBudget, openDescriptors } from './descriptors.ts';
import type { Fleet } from './fleet.ts';

interface Measured extends Pick<MetricsSource, 'shared' | 'health'> {
  readonly options: { readonly version: string };
  readonly revision: NonNullable<ReturnType<MetricsSource['revision']>>;
  readonly threads: number;
  readonly revising: Revising;
  readonly fleet: Fleet;
  readonly descriptors: DescriptorBudget | null;
  readonly accessLog: AccessLogWriter;
  readonly discovery: Discovery;
  readonly certificates: Certificates;
  readonly sweeper: MetricsSource['sweep'];
  readonly sessionControl: SessionControl;
}

export function balancerMetrics(balancer: Measured): Metrics {
  return createMetrics({
    version: balancer.options.version,
    shared: balancer.shared,
    revision: () => balancer.revision,
    threads: () => balancer.threads,
    reloads: () => balancer.revising.results,
    workerRestarts: () => balancer.fleet.restarts,
    descriptors: () => ({ open: openDescriptors(), limit: balancer.descriptors?.limit ?? null }),
    accessLogDropped: () => balancer.accessLog.dropped,
    discovery: () => balancer.discovery.reports(),
    certificates: () => balancer.certificates.expiries(),
    health: balancer.health,
    sweep: balancer.sweeper,
    rebalance: balancer.sessionControl.rebalancer,
  });
}
