// Collectors of the metrics that have a pool label but no server, and of those that have neither.

import { FAILURE_KINDS, RETRY_REASONS } from '../base/failure.ts';
import { ABUSE_KINDS } from '../http2/abuse.ts';
import { clientErrors, LOAD_KINDS, loadSkew, sessionSkew } from '../sessions/load.ts';
import type { Skew } from '../sessions/skew.ts';
import { Mode, Verdict } from '../shared/control.ts';
import type { PoolRevision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import {
  AFFINITY_OUTCOMES,
  GC_KINDS,
  HANDSHAKE_RESULTS,
  MOVE_REASONS,
  NO_POOL,
  PoolCounter,
  type Stripe,
} from '../shared/stripe.ts';
import { histogramSamples } from './histogram.ts';
import type { Labels, MetricsSource, Sample } from './source.ts';

export type PoolCollector = (source: MetricsSource, pools: readonly PoolRevision[]) => Sample[];
type GlobalCollector = (source: MetricsSource) => Sample[];

export const POOL_COLLECTORS = {
  holdfast_retries_total: byList(RETRY_REASONS, 'reason', PoolCounter.retries),
  holdfast_retries_refused_total: single(({ shared }, { id }) =>
    shared.sumPoolCounter(id, PoolCounter.retriesRefused),
  ),
  holdfast_retry_budget_remaining: single(({ shared }, { id }) =>
    shared.sumPoolCounter(id, PoolCounter.retryTokens),
  ),
  holdfast_queued_requests_total: single(({ shared }, { id }) =>
    shared.sumPoolCounter(id, PoolCounter.queued),
  ),
  holdfast_pool_requests_total: single(({ shared }, { id }) =>
    shared.sumPoolCounter(id, PoolCounter.requests),
  ),
  holdfast_client_errors_total: single(({ shared }, { id }) => clientErrors(shared, id)),
  holdfast_servers_ejected: single(
    ({ shared }, { slots }) =>
      slots.filter((slot) => shared.control.verdict(slot) === Verdict.ejected).length,
  ),
  holdfast_pool_servers_eligible: single(({ shared }, pool) => countEligible(shared, pool)),
  holdfast_session_moves_total: byList(MOVE_REASONS, 'reason', PoolCounter.moves),
  holdfast_rebalance_active: rebalance(({ phase }) => (phase === 'running' ? 1 : 0)),
  holdfast_rebalance_cycles_total: rebalance(({ cycles }) => cycles),
  holdfast_affinity_decisions_total: byList(AFFINITY_OUTCOMES, 'verdict', PoolCounter.affinity),
  holdfast_session_skew_ratio: skew((found) => found.ratio),
  holdfast_session_skew_trough: skew((found) => found.trough),
  holdfast_session_skew_cv: skew((found) => found.cv),
  holdfast_session_skew_jain: skew((found) => found.jain),
  holdfast_session_skew_gini: skew((found) => found.gini),
  holdfast_session_skew_floor: skew((found) => found.floor),
  holdfast_session_skew_floor_cv: skew((found) => found.floorCv),
  holdfast_session_skew_excess: skew((found) => found.excess),
  holdfast_session_skew_chi2: skew((found) => found.chi2),
  holdfast_session_skew_chi2_limit: skew((found) => found.chi2Limit),
  holdfast_load_skew_ratio: skewOfLoad((found) => found.ratio),
  holdfast_load_skew_trough: skewOfLoad((found) => found.trough),
  holdfast_load_skew_cv: skewOfLoad((found) => found.cv),
  holdfast_load_skew_jain: skewOfLoad((found) => found.jain),
  holdfast_load_skew_gini: skewOfLoad((found) => found.gini),
  holdfast_session_hottest_share: single(
    ({ sweep }, { config }) => sweep.hottest(config.name)[0]?.share ?? 0,
  ),
  holdfast_sessions_effective: single(({ sweep }, { config }) => sweep.effectiveSessions(config.name)),
} as const satisfies Record<string, PoolCollector>;

export const GLOBAL_COLLECTORS = {
  holdfast_client_connections: (source) => {
    const { config, listenerIds } = source.revision() ?? {};
    return (config?.listen ?? []).map(({ address }, index) => {
      const id = listenerIds?.[index] ?? index;
      const open = source.shared.stripes.reduce((sum, stripe) => sum + stripe.clientConnections(id), 0);
      return { labels: { listener: address }, value: open };
    });
  },
  holdfast_rejected_requests_total: (source) => {
    const { pools = [] } = source.revision() ?? {};
    const numbers = [['', NO_POOL] as const, ...pools.map(({ config, id }) => [config.name, id] as const)];
    return numbers.flatMap(([pool, id]) =>
      FAILURE_KINDS.map((reason, index) => ({
        labels: { reason, pool },
        value: source.shared.sumRejected(index, id),
      })),
    );
  },
  holdfast_session_table_entries: ({ sweep }) => [{ labels: {}, value: sweep.report.entries }],
  holdfast_session_table_capacity: ({ shared }) => [{ labels: {}, value: shared.table.capacity }],
  holdfast_session_sweep_seconds: ({ sweep }) => [{ labels: {}, value: sweep.report.busyMs / 1_000 }],
  holdfast_config_revision: (source) => [{ labels: {}, value: source.revision()?.number ?? 0 }],
  holdfast_reloads_total: (source) =>
    Object.entries(source.reloads()).map(([result, value]) => ({ labels: { result }, value })),
  holdfast_worker_restarts_total: (source) => [{ labels: {}, value: source.workerRestarts() }],
  holdfast_discovery_servers: (source) =>
    (source.discovery?.() ?? []).map(({ pool, source: from, servers }) => ({
      labels: { pool, source: from },
      value: servers,
    })),
  holdfast_discovery_failures_total: (source) =>
    (source.discovery?.() ?? []).map(({ pool, source: from, failures }) => ({
      labels: { pool, source: from },
      value: failures,
    })),
  holdfast_access_log_dropped_total: (source) => [{ labels: {}, value: source.accessLogDropped() }],
  holdfast_tls_handshakes_total: (source) => {
    const { config, listenerIds } = source.revision() ?? {};
    return (config?.listen ?? []).flatMap(({ address, tls }, index) => {
      const id = listenerIds?.[index] ?? index;
      return (tls === null ? [] : HANDSHAKE_RESULTS).map((result) => ({
        labels: { listener: address, result },
        value: source.shared.sumHandshakes(id, result),
      }));
    });
  },
  holdfast_http2_connections: (source) =>
    perHttp2Listener(source, (id, { shared }) => sum(shared, (stripe) => stripe.http2Connections(id))),
  holdfast_http2_streams: (source) =>
    perHttp2Listener(source, (id, { shared }) => sum(shared, (stripe) => stripe.http2Streams(id))),
  holdfast_http2_abuse_total: (source) =>
    ABUSE_KINDS.flatMap((kind) =>
      perHttp2Listener(source, (id, { shared }) => shared.sumHttp2Abuse(id, kind), { kind }),
    ),
  holdfast_certificate_expiry_seconds: (source) =>
    (source.certificates?.() ?? []).map(({ listener, name, notAfterMs }) => ({
      labels: { listener, name },
      value: Math.floor(notAfterMs / 1000),
    })),
  holdfast_certificate_orders_total: (source) =>
    Object.entries(source.orders?.() ?? {}).map(([result, value]) => ({ labels: { result }, value })),
  holdfast_descriptors: (source) => known(source.descriptors?.().open),
  holdfast_descriptors_limit: (source) => known(source.descriptors?.().limit),
  holdfast_gc_pause_seconds: ({ shared }) =>
    GC_KINDS.flatMap((kind) =>
      histogramSamples(
        'holdfast_gc_pause_seconds',
        (offset) => sum(shared, (stripe) => stripe.gcPauses(kind, offset)),
        (le, value) => ({ labels: { kind, ...(le === null ? {} : { le }) }, value }),
      ),
    ),
  holdfast_threads: (source) => [{ labels: {}, value: source.threads() }],
  holdfast_build_info: ({ version }) => [{ labels: { version, node: process.version }, value: 1 }],
} as const satisfies Record<string, GlobalCollector>;

/** A value for each listener that speaks HTTP/2. */
function perHttp2Listener(
  source: MetricsSource,
  read: (listener: number, source: MetricsSource) => number,
  more: Labels = {},
): Sample[] {
  const { config, listenerIds } = source.revision() ?? {};
  return (config?.listen ?? []).flatMap(({ address, tls, h2c }, index) => {
    if (!(h2c || tls?.alpn.includes('h2') === true)) return [];
    return [{ labels: { listener: address, ...more }, value: read(listenerIds?.[index] ?? index, source) }];
  });
}

function sum({ stripes }: SharedState, read: (stripe: Stripe) => number): number {
  return stripes.reduce((total, stripe) => total + read(stripe), 0);
}

/** Nothing where the value is not known. */
function known(value: number | null | undefined): Sample[] {
  return value == null ? [] : [{ labels: {}, value }];
}

/** One value per pool. */
function single(read: (source: MetricsSource, pool: PoolRevision) => number): PoolCollector {
  return (source, pools) =>
    pools.map((pool) => ({ labels: { pool: pool.config.name }, value: read(source, pool) }));
}

/** Only pools that keep sessions have a skew of them. */
function skew(pick: (found: Skew) => number): PoolCollector {
  return ({ shared }, pools) =>
    pools
      .filter((pool) => pool.config.sticky.mode !== 'none')
      .map((pool) => ({ labels: { pool: pool.config.name }, value: pick(sessionSkew(pool, shared)) }));
}

/** By each kind of load; pools without sessions have it too. */
function skewOfLoad(pick: (found: Skew) => number): PoolCollector {
  return ({ shared, sweep }, pools) =>
    pools.flatMap((pool) =>
      LOAD_KINDS.map((by) => ({
        labels: { pool: pool.config.name, by },
        value: pick(loadSkew(pool, shared, by, (slot) => sweep.recentRequests(slot))),
      })),
    );
}

/** Only pools whose sessions may be moved. */
function rebalance(
  pick: (report: { readonly phase: string; readonly cycles: number }) => number,
): PoolCollector {
  return (source, pools) =>
    pools.flatMap(({ config }) => {
      const report = source.rebalance?.report(config.name) ?? null;
      return report === null ? [] : [{ labels: { pool: config.name }, value: pick(report) }];
    });
}

/** Neighbouring counters of each pool, one for each of `names`. */
function byList(names: readonly string[], label: string, offset: number): PoolCollector {
  return ({ shared }, pools) =>
    pools.flatMap(({ id, config }) =>
      names.map((name, index) => ({
        labels: { pool: config.name, [label]: name },
        value: shared.sumPoolCounter(id, offset + index),
      })),
    );
}

function countEligible({ control }: SharedState, pool: PoolRevision): number {
  return pool.slots.filter((slot) => {
    const isReady = control.mode(slot) === Mode.ready && control.verdict(slot) === Verdict.up;
    return isReady && control.weight(slot) > 0;
  }).length;
}
