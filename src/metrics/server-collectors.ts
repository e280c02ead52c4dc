// Collectors of the metrics that have a pool and a server label: read from the servers' stripes and control cells.

import { MODE_NAMES, REPORT_NAMES, VERDICT_NAMES, Verdict, WEIGHT_SCALE } from '../shared/control.ts';
import type { SharedState } from '../shared/shared-state.ts';
import {
  CODE_CLASSES,
  Counter,
  END_REASONS,
  Gauge,
  LOST_REASONS,
  PASSIVE_KINDS,
  PoolCounter,
  SERVER_LOST_REASONS,
} from '../shared/stripe.ts';
import { histogramSamples } from './histogram.ts';
import type { MetricsSource, Sample, ServerRow } from './source.ts';

type ServerCollector = (source: MetricsSource, rows: readonly ServerRow[]) => Sample[];

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
  holdfast_passive_failures_total: byList(PASSIVE_KINDS, 'kind', Counter.passive),
  holdfast_server_first_byte_seconds: single((shared, { slot }) => firstByteSeconds(shared, slot)),
  holdfast_upstream_connections: ({ shared }, rows) =>
    rows.flatMap((row) => [
      row.sampleWith('state', 'active', Math.max(0, shared.sumGauge(row.slot, Gauge.upstreamActive))),
      row.sampleWith('state', 'idle', Math.max(0, shared.sumGauge(row.slot, Gauge.upstreamIdle))),
    ]),
  holdfast_server_up: single((shared, { slot }) => (shared.control.verdict(slot) === Verdict.up ? 1 : 0)),
  holdfast_server_verdict: oneOf(VERDICT_NAMES, 'verdict', (shared, slot) => shared.control.verdict(slot)),
  holdfast_server_mode: oneOf(MODE_NAMES, 'mode', (shared, slot) => shared.control.operatorMode(slot)),
  holdfast_server_report: oneOf(REPORT_NAMES, 'report', (shared, slot) => shared.control.report(slot)),
  holdfast_sessions_unbacked: single((shared, { slot }) => shared.control.unbacked(slot)),
  holdfast_server_weight: single((shared, { slot }) => shared.control.weight(slot) / WEIGHT_SCALE),
  holdfast_server_max_connections: single((_shared, { limits }) => limits.maxConnections),
  holdfast_server_max_sessions: single((_shared, { limits }) => limits.maxSessions),
  holdfast_server_transitions_total: counted('to', (source, slot) => source.health.transitions(slot)),
  holdfast_health_checks_total: counted('result', (source, slot) => source.health.checks(slot)),
  holdfast_sessions: single((shared, { slot }) => shared.control.sessions(slot)),
  holdfast_sessions_tentative: single((shared, { slot }) => shared.control.tentative(slot)),
  holdfast_sessions_created_total: single((shared, { slot }) => shared.sumCounter(slot, Counter.created)),
  holdfast_sessions_ended_total: byList(END_REASONS, 'reason', Counter.ended),
  holdfast_sessions_lost_total: (source, rows) => [
    ...byList(SERVER_LOST_REASONS, 'reason', Counter.lost)(source, rows),
    ...lostWithServers(source),
  ],
} as const satisfies Record<string, ServerCollector>;

/** A removed server has no series of its own any more, and its sessions come back only later. */
function lostWithServers(source: MetricsSource): Sample[] {
  const offset = PoolCounter.lost + LOST_REASONS.indexOf('removed');
  return (source.revision()?.pools ?? []).map(({ id, config }) => ({
    labels: { pool: config.name, server: '(removed)', reason: 'removed' },
    value: source.shared.sumPoolCounter(id, offset),
  }));
}

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
  return ({ shared }, rows) => rows.map((row) => row.sample(read(shared, row)));
}

/** Neighbouring counters, one for each of `names`. */
function byList(names: readonly string[], label: string, offset: number): ServerCollector {
  return ({ shared }, rows) =>
    rows.flatMap((row) =>
      names.map((name, index) => row.sampleWith(label, name, shared.sumCounter(row.slot, offset + index))),
    );
}

/** 1 for the state the server is in, 0 for the others. */
function oneOf(
  names: readonly string[],
  label: string,
  read: (shared: SharedState, slot: number) => number,
): ServerCollector {
  return ({ shared }, rows) =>
    rows.flatMap((row) => {
      const current = read(shared, row.slot);
      return names.map((name, index) => row.sampleWith(label, name, index === current ? 1 : 0));
    });
}

/** Counts that main keeps itself, by name. */
function counted(
  label: string,
  read: (source: MetricsSource, slot: number) => Readonly<Record<string, number>>,
): ServerCollector {
  return (source, rows) =>
    rows.flatMap((row) =>
      Object.entries(read(source, row.slot)).map(([name, value]) => row.sampleWith(label, name, value)),
    );
}

function histogram(metric: string, sumOffset: number): ServerCollector {
  return ({ shared }, rows) =>
    rows.flatMap((row) =>
      histogramSamples(
        metric,
        (offset) => shared.sumCounter(row.slot, sumOffset + offset),
        (le, value) => (le === null ? row.sample(value) : row.sampleWith('le', le, value)),
      ),
    );
}
