// Every cell of the shared state holds a number of its own, and the whole exposition is compared with the cells it
// should come from: whatever is read from another cell, thread, server or pool is another number. A new metric gets
// its line in `expected`.

import { expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { FAILURE_KINDS, RETRY_REASONS } from '../../src/base/failure.ts';
import { createMetrics } from '../../src/metrics/registry.ts';
import type { MetricsSource } from '../../src/metrics/source.ts';
import { LOAD_KINDS, loadSkew, sessionSkew } from '../../src/sessions/load.ts';
import type { Skew } from '../../src/sessions/skew.ts';
import { MODE_NAMES, Mode, REPORT_NAMES, Report, VERDICT_NAMES, Verdict } from '../../src/shared/control.ts';
import type { PoolRevision } from '../../src/shared/revision.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import {
  AFFINITY_OUTCOMES,
  CODE_CLASSES,
  Counter,
  DURATION_BUCKETS_SECONDS,
  END_REASONS,
  Gauge,
  GC_KINDS,
  LOST_REASONS,
  MOVE_REASONS,
  NO_POOL,
  PASSIVE_KINDS,
  PoolCounter,
} from '../../src/shared/stripe.ts';
import { Revisions } from '../support/revision.ts';

const clock = new ManualClock();
const shared = SharedState.create(2, 1000, clock.nowMs());
const revisions = new Revisions(shared);
// places in the configuration are not numbers in shared memory: others were there before
revisions.next(
  { name: 'gone', servers: ['x=http://127.0.0.1:9'] },
  { name: 'api', servers: ['e=http://127.0.0.1:5'] },
);
const revision = revisions.next(
  {
    name: 'shop',
    more: 'sticky: { mode: cookie-hash }',
    servers: [
      'a=http://127.0.0.1:1 weight:5 maxConnections:71',
      'b=http://127.0.0.1:2 weight:3',
      'c=http://127.0.0.1:3',
      'f=http://127.0.0.1:6 weight:4',
      'g=http://127.0.0.1:7',
      'h=http://127.0.0.1:8',
    ],
  },
  {
    name: 'api',
    more: 'sticky: none',
    servers: ['d=http://127.0.0.1:4 maxConnections:72', 'e=http://127.0.0.1:5'],
  },
);
const servers = revision.pools.flatMap((pool) =>
  pool.slots.map((slot, index) => {
    const { name, maxConnections, maxSessions } = pool.config.servers[
      index
    ] as PoolRevision['config']['servers'][number];
    return { pool: pool.config.name, server: name, maxConnections, maxSessions, slot };
  }),
);

/** Each number is given once. */
let last = 1000;
const next = (): number => {
  last += 7;
  return last;
};

/** Gives a number of its own to the cell in each thread's stripe; their sum, and of each stripe where it must be known. */
function fill(write: (stripe: SharedState['own'], value: number) => void): readonly number[] {
  return shared.stripes.map((stripe) => {
    const value = next();
    write(stripe, value);
    return value;
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

const COUNTERS = Counter.passive + PASSIVE_KINDS.length;
const counters = servers.map(({ slot }) =>
  Array.from({ length: COUNTERS }, (_, offset) => fill((stripe, value) => stripe.count(slot, offset, value))),
);
const gauges = servers.map(({ slot }) =>
  Object.values(Gauge).map((gauge) => sum(fill((stripe, value) => stripe.addGauge(slot, gauge, value)))),
);
const POOL_CELLS = PoolCounter.rejected + FAILURE_KINDS.length;
const pools = revision.pools.map(({ id }) =>
  Array.from({ length: POOL_CELLS }, (_, offset) =>
    sum(fill((stripe, value) => stripe.countPool(id, offset, value))),
  ),
);
const rejected = FAILURE_KINDS.map((_, kind) =>
  sum(
    shared.stripes.map((stripe, thread) => {
      const times = 1 + thread * 100 + kind;
      for (let count = 0; count < times; count += 1) stripe.countRejected(kind, NO_POOL);
      return times;
    }),
  ),
);
const pauses = GC_KINDS.map((kind) => {
  // a pause for each bucket, as often as the thread's number says, and longer than all of them
  const seconds = [...DURATION_BUCKETS_SECONDS, 100];
  for (const [thread, stripe] of shared.stripes.entries())
    for (const each of seconds)
      for (let count = 0; count <= thread; count += 1) stripe.observeGcPause(kind, each);
  return shared.stripes.map((stripe) => stripe.gcPauses(kind, 0));
});
const [listenerId = -1] = revision.listenerIds ?? [];
const clients = sum(fill((stripe, value) => stripe.addClientConnections(listenerId, value)));
fill((stripe, value) => stripe.addClientConnections(listenerId + 1, value));
/** Up and ready, so that there is something to compare: f, g and h. */
const isPlain = (index: number): boolean => 'fgh'.includes(servers[index]?.server ?? '-');
const control = servers.map(({ slot }, index) => {
  const cells = {
    sessions: next(),
    tentative: next(),
    unbacked: next(),
    verdict: isPlain(index) ? Verdict.up : (index + 1) % 4,
    mode: isPlain(index) ? Mode.ready : index % 3,
    weight: 100 * next(),
  };
  shared.control.publishSweep(slot, cells.sessions, cells.tentative, next());
  shared.control.setUnbacked(slot, cells.unbacked);
  shared.control.setVerdict(slot, cells.verdict as 0);
  shared.control.setWeight(slot, cells.weight);
  shared.control.setMode(slot, cells.mode as 0);
  const report = isPlain(index) ? Report.ready : index % 3;
  shared.control.setReport(slot, report as Report);
  return { ...cells, report };
});

const health = new Map(
  servers.map(({ slot }) => [
    slot,
    {
      checks: { success: next(), failure: next(), timeout: next() },
      transitions: { starting: next(), up: next(), down: next(), ejected: next() },
    },
  ]),
);
const recent = new Map(servers.map(({ slot }) => [slot, next()]));
const byPool = new Map(
  revision.pools.map(({ config }) => [
    config.name,
    {
      effective: next(),
      share: 1 / next(),
      cycles: next(),
      phase: config.name === 'shop' ? 'running' : 'idle',
    },
  ]),
);
const sweep = { entries: next(), busyMs: next() };
const single = { threads: next(), success: next(), failure: next(), restarts: next(), dropped: next() };
const found = { pool: 'api', source: 'dns A api.internal', servers: next(), failures: next() };

const source: MetricsSource = {
  version: '1.2.3',
  shared,
  revision: () => revision,
  threads: () => single.threads,
  reloads: () => ({ success: single.success, failure: single.failure }),
  workerRestarts: () => single.restarts,
  accessLogDropped: () => single.dropped,
  discovery: () => [found],
  health: {
    checks: (slot) => health.get(slot)?.checks ?? { success: -1, failure: -1, timeout: -1 },
    transitions: (slot) => health.get(slot)?.transitions ?? { starting: -1, up: -1, down: -1, ejected: -1 },
  },
  rebalance: { report: (pool) => byPool.get(pool) ?? null },
  sweep: {
    report: sweep,
    recentRequests: (slot) => recent.get(slot) ?? -1,
    effectiveSessions: (pool) => byPool.get(pool)?.effective ?? -1,
    hottest: (pool) => [{ share: byPool.get(pool)?.share ?? -1 }, { share: 0 }],
  },
};

/** `name{label="value",...} number`, as the text format writes it. */
function expected(): readonly string[] {
  const lines: string[] = [];
  const say = (name: string, labels: Readonly<Record<string, string>>, value: number): void => {
    const inner = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
    lines.push(`holdfast_${name}${inner.length === 0 ? '' : `{${inner.join(',')}}`} ${value}`);
  };
  for (const [at, { pool, server, slot, maxConnections, maxSessions }] of servers.entries()) {
    const of = { pool, server };
    const cell = (offset: number): number => sum(counters[at]?.[offset] ?? []);
    const each = (name: string, label: string, names: readonly string[], offset: number): void => {
      for (const [index, value] of names.entries())
        say(name, { ...of, [label]: value }, cell(offset + index));
    };
    const histogram = (name: string, offset: number): void => {
      let count = 0;
      for (const [bucket, le] of [...DURATION_BUCKETS_SECONDS, '+Inf'].entries()) {
        count += cell(offset + 1 + bucket);
        say(`${name}_bucket`, { ...of, le: String(le) }, count);
      }
      say(`${name}_sum`, of, cell(offset));
      say(`${name}_count`, of, count);
    };
    const oneOf = (name: string, label: string, names: readonly string[], is: number): void => {
      for (const [index, value] of names.entries())
        say(name, { ...of, [label]: value }, index === is ? 1 : 0);
    };
    const counted = (name: string, label: string, counts: Readonly<Record<string, number>> = {}): void => {
      for (const [value, count] of Object.entries(counts)) say(name, { ...of, [label]: value }, count);
    };
    each('requests_total', 'code', CODE_CLASSES, Counter.code);
    histogram('request_duration_seconds', Counter.durationSum);
    histogram('upstream_connect_duration_seconds', Counter.connectSum);
    say('request_bytes_total', of, cell(Counter.requestBytes));
    say('response_bytes_total', of, cell(Counter.responseBytes));
    say('upstream_failures_total', of, cell(Counter.failures));
    each('passive_failures_total', 'kind', PASSIVE_KINDS, Counter.passive);
    // an average, not a sum: all three threads have measured
    say('server_first_byte_seconds', of, cell(Counter.firstByteMs) / 3 / 1000);
    say('sessions_created_total', of, cell(Counter.created));
    each('sessions_ended_total', 'reason', END_REASONS, Counter.ended);
    each('sessions_lost_total', 'reason', ['failure', 'drain', 'operator'], Counter.lost);
    say('requests_in_flight', of, gauges[at]?.[Gauge.inFlight] ?? -1);
    say('upstream_connections', { ...of, state: 'active' }, gauges[at]?.[Gauge.upstreamActive] ?? -1);
    say('upstream_connections', { ...of, state: 'idle' }, gauges[at]?.[Gauge.upstreamIdle] ?? -1);
    say('server_max_connections', of, maxConnections);
    say('server_max_sessions', of, maxSessions);
    const cells = control[at];
    if (cells === undefined) continue;
    say('server_up', of, VERDICT_NAMES[cells.verdict] === 'up' ? 1 : 0);
    oneOf('server_verdict', 'verdict', VERDICT_NAMES, cells.verdict);
    oneOf('server_mode', 'mode', MODE_NAMES, cells.mode);
    oneOf('server_report', 'report', REPORT_NAMES, cells.report);
    say('server_weight', of, cells.weight / 1000);
    say('sessions', of, cells.sessions);
    say('sessions_tentative', of, cells.tentative);
    say('sessions_unbacked', of, cells.unbacked);
    counted('server_transitions_total', 'to', health.get(slot)?.transitions);
    counted('health_checks_total', 'result', health.get(slot)?.checks);
  }
  for (const [at, revised] of revision.pools.entries()) {
    const pool = revised.config.name;
    const of = { pool };
    const cell = (offset: number): number => pools[at]?.[offset] ?? -1;
    const each = (name: string, label: string, names: readonly string[], offset: number): void => {
      for (const [index, value] of names.entries())
        say(name, { ...of, [label]: value }, cell(offset + index));
    };
    each('retries_total', 'reason', RETRY_REASONS, PoolCounter.retries);
    say('retries_refused_total', of, cell(PoolCounter.retriesRefused));
    say('retry_budget_remaining', of, cell(PoolCounter.retryTokens));
    say('queued_requests_total', of, cell(PoolCounter.queued));
    say('pool_requests_total', of, cell(PoolCounter.requests));
    const kinds = FAILURE_KINDS.map((reason, kind) => ({
      reason,
      pool,
      value: cell(PoolCounter.rejected + kind),
    }));
    for (const { value, ...labels } of kinds) say('rejected_requests_total', labels, value);
    const seen = kinds.filter(
      ({ reason }) => !['client-aborted', 'redirected', 'max-forwards'].includes(reason),
    );
    say('client_errors_total', of, sum([cell(PoolCounter.serverErrors), ...seen.map(({ value }) => value)]));
    each('session_moves_total', 'reason', MOVE_REASONS, PoolCounter.moves);
    each('affinity_decisions_total', 'verdict', AFFINITY_OUTCOMES, PoolCounter.affinity);
    say(
      'sessions_lost_total',
      { ...of, server: '(removed)', reason: 'removed' },
      cell(PoolCounter.lost + LOST_REASONS.indexOf('removed')),
    );
    const own = control.filter((_, index) => servers[index]?.pool === pool);
    const has = (verdict: string) => own.filter((cells) => VERDICT_NAMES[cells.verdict] === verdict);
    say('servers_ejected', of, has('ejected').length);
    const isReady = (cells: (typeof own)[number]): boolean =>
      MODE_NAMES[cells.mode] === 'ready' && REPORT_NAMES[cells.report] === 'ready';
    say('pool_servers_eligible', of, has('up').filter(isReady).length);
    const facts = byPool.get(pool);
    say('rebalance_active', of, facts?.phase === 'running' ? 1 : 0);
    say('rebalance_cycles_total', of, facts?.cycles ?? -1);
    say('session_hottest_share', of, facts?.share ?? -1);
    say('sessions_effective', of, facts?.effective ?? -1);
    saySkews(say, revised);
  }
  say('client_connections', { listener: '127.0.0.1:0' }, clients);
  for (const [kind, reason] of FAILURE_KINDS.entries())
    say('rejected_requests_total', { reason, pool: '' }, rejected[kind] ?? -1);
  say('session_table_entries', {}, sweep.entries);
  say('session_table_capacity', {}, shared.table.capacity);
  say('session_sweep_seconds', {}, sweep.busyMs / 1000);
  say('config_revision', {}, revision.number);
  say('reloads_total', { result: 'success' }, single.success);
  say('reloads_total', { result: 'failure' }, single.failure);
  say('worker_restarts_total', {}, single.restarts);
  say('discovery_servers', { pool: found.pool, source: found.source }, found.servers);
  say('discovery_failures_total', { pool: found.pool, source: found.source }, found.failures);
  say('access_log_dropped_total', {}, single.dropped);
  const each = sum(shared.stripes.map((_, thread) => thread + 1));
  for (const [index, kind] of GC_KINDS.entries()) {
    for (const [bucket, le] of [...DURATION_BUCKETS_SECONDS, '+Inf'].entries())
      say('gc_pause_seconds_bucket', { kind, le: String(le) }, (bucket + 1) * each);
    say('gc_pause_seconds_sum', { kind }, sum(pauses[index] ?? []));
    say('gc_pause_seconds_count', { kind }, (DURATION_BUCKETS_SECONDS.length + 1) * each);
  }
  say('threads', {}, single.threads);
  say('build_info', { version: '1.2.3', node: process.version }, 1);
  return lines;
}

/** The measures themselves are tested with them (sessions/skew.test.ts): here, that each is exported under its name. */
function saySkews(
  say: (name: string, labels: Readonly<Record<string, string>>, value: number) => void,
  revised: PoolRevision,
): void {
  const pool = revised.config.name;
  const names: Readonly<Record<string, keyof Skew>> = {
    ratio: 'ratio',
    trough: 'trough',
    cv: 'cv',
    jain: 'jain',
    gini: 'gini',
    floor: 'floor',
    floor_cv: 'floorCv',
    excess: 'excess',
    chi2: 'chi2',
    chi2_limit: 'chi2Limit',
  };
  if (revised.config.sticky.mode !== 'none') {
    const skew = sessionSkew(revised, shared);
    for (const [name, field] of Object.entries(names))
      say(`session_skew_${name}`, { pool }, Number(skew[field]));
  }
  for (const by of LOAD_KINDS) {
    const skew = loadSkew(revised, shared, by, (slot) => recent.get(slot) ?? -1);
    for (const name of ['ratio', 'trough', 'cv', 'jain', 'gini'])
      say(`load_skew_${name}`, { pool, by }, Number(skew[names[name] as keyof Skew]));
  }
}

test('each metric shows its own cells, of its own server, pool and all threads, and nothing else', async () => {
  const { body } = await createMetrics(source).render('');
  const shown = body.split('\n').filter((line) => line.startsWith('holdfast_'));
  expect(shown.toSorted()).toEqual(expected().toSorted());
});

test('the numbers of the test tell cells apart', () => {
  const all = [
    ...counters.flat(2),
    ...control.flatMap(({ sessions, tentative, weight }) => [sessions, tentative, weight]),
  ];
  expect(new Set(all).size).toBe(all.length);
  const lines = expected().filter((line) => line.startsWith('holdfast_session_skew_'));
  const values = lines.map((line) => line.split(' ')[1]);
  expect(new Set(values).size).toBe(10);
});
