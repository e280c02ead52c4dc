// Collectors of the metrics that have a pool and a server label: read from the servers' stripes and control cells.

import { MODE_NAMES, VERDICT_NAMES, Verdict, WEIGHT_SCALE } from '../shared/control.ts';
import type { SharedState } from '../shared/shared-state.ts';
import {
  BUCKETS,
  CODE_CLASSES,
  Counter,
  DURATION_BUCKETS_SECONDS,
  END_REASONS,
  Gauge,
  LOST_REASONS,
} from '../shared/stripe.ts';
import type { MetricsSource, Sample, ServerRow } from './source.ts';

type ServerCollector = (source: MetricsSource, rows: readonly ServerRow[]) => Sample[];

/** Upper bounds as Prometheus writes them. */
const BOUNDS = [...DURATION_BUCKETS_SECONDS.map(String), '+Inf'];

export const SERVER_COLLECTORS = {
  holdfast_requests_total: byList(CODE_CLASSES, 'code', Counter.code),
  holdfast_request_duration_seconds: histogram('holdfast_request_duration_seconds', Counter.durationSum),
  holdfast_upstream_connect_duration_seconds: histogram(
    'holdfast_upstream_connect_duration_seconds',
    Counter.connectSum,
  ),
  holdfast_requests_in_flight: single((shared, { slot }) => Math.max(0, shared.inFlight(slot))),
  holdfast_request_bytes_total: single((shared, { slot }) => shared.sumCounter(slot, Counter.requestBytes)),
  holdfast_response_bytes_total: single((shared, { slot }) => shared.sumCounter(slot, Counter.responseBytes)),
  holdfast_upstream_failures_total: single((shared, { slot }) => shared.sumCounter(slot, Counter.failures)),
  holdfast_server_first_byte_seconds: single((shared, { slot }) => firstByteSeconds(shared, slot)),
  holdfast_upstream_connections: ({ shared }, rows) =>
    rows.flatMap(({ slot, labels }) => [
      {
        labels: { ...labels, state: 'active' },
        value: Math.max(0, shared.sumGauge(slot, Gauge.upstreamActive)),
      },
      { labels: { ...labels, state: 'idle' }, value: Math.max(0, shared.sumGauge(slot, Gauge.upstreamIdle)) },
    ]),
  holdfast_server_up: single((shared, { slot }) => (shared.control.verdict(slot) === Verdict.up ? 1 : 0)),
  holdfast_server_verdict: oneOf(VERDICT_NAMES, 'verdict', (shared, slot) => shared.control.verdict(slot)),
  holdfast_server_mode: oneOf(MODE_NAMES, 'mode', (shared, slot) => shared.control.mode(slot)),
  holdfast_server_weight: single((shared, { slot }) => shared.control.weight(slot) / WEIGHT_SCALE),
  holdfast_server_max_connections: single((_shared, { maxConnections }) => maxConnections),
  holdfast_server_transitions_total: counted('to', (source, slot) => source.health.transitions(slot)),
  holdfast_health_checks_total: counted('result', (source, slot) => source.health.checks(slot)),
  holdfast_sessions: single((shared, { slot }) => shared.control.sessions(slot)),
  holdfast_sessions_tentative: single((shared, { slot }) => shared.control.tentative(slot)),
  holdfast_sessions_created_total: single((shared, { slot }) => shared.sumCounter(slot, Counter.created)),
  holdfast_sessions_ended_total: byList(END_REASONS, 'reason', Counter.ended),
  holdfast_sessions_lost_total: byList(LOST_REASONS, 'reason', Counter.lost),
} as const satisfies Record<string, ServerCollector>;

/** Average over the threads that have measured the server. */
function firstByteSeconds(shared: SharedState, slot: number): number {
  const measured = shared.stripes
    .map((stripe) => stripe.counter(slot, Counter.firstByteMs))
    .filter((ms) => ms > 0);
  if (measured.length === 0) return 0;
  return measured.reduce((sum, ms) => sum + ms, 0) / measured.length / 1_000;
}

/** One value per server. */
function single(read: (shared: SharedState, row: ServerRow) => number): ServerCollector {
  return ({ shared }, rows) => rows.map((row) => ({ labels: row.labels, value: read(shared, row) }));
}

/** Neighbouring counters, one for each of `names`. */
function byList(names: readonly string[], label: string, offset: number): ServerCollector {
  return ({ shared }, rows) =>
    rows.flatMap(({ slot, labels }) =>
      names.map((name, index) => ({
        labels: { ...labels, [label]: name },
        value: shared.sumCounter(slot, offset + index),
      })),
    );
}

/** 1 for the state the server is in, 0 for the others. */
function oneOf(
  names: readonly string[],
  label: string,
  read: (shared: SharedState, slot: number) => number,
): ServerCollector {
  return ({ shared }, rows) =>
    rows.flatMap(({ slot, labels }) => {
      const current = read(shared, slot);
      return names.map((name, index) => ({
        labels: { ...labels, [label]: name },
        value: index === current ? 1 : 0,
      }));
    });
}

/** Counts that main keeps itself, by name. */
function counted(
  label: string,
  read: (source: MetricsSource, slot: number) => Readonly<Record<string, number>>,
): ServerCollector {
  return (source, rows) =>
    rows.flatMap(({ slot, labels }) =>
      Object.entries(read(source, slot)).map(([name, value]) => ({
        labels: { ...labels, [label]: name },
        value,
      })),
    );
}

/** Buckets are kept apart in shared memory and summed up here, as Prometheus wants them. */
function histogram(metric: string, sumOffset: number): ServerCollector {
  return ({ shared }, rows) =>
    rows.flatMap(({ slot, labels }) => {
      const samples: Sample[] = [];
      let count = 0;
      for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
        count += shared.sumCounter(slot, sumOffset + 1 + bucket);
        samples.push({
          labels: { ...labels, le: BOUNDS[bucket] ?? '+Inf' },
          value: count,
          metricName: `${metric}_bucket`,
        });
      }
      samples.push({ labels, value: shared.sumCounter(slot, sumOffset), metricName: `${metric}_sum` });
      samples.push({ labels, value: count, metricName: `${metric}_count` });
      return samples;
    });
}
