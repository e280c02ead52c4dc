import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, test } from 'vitest';
import { FAILURE_KINDS } from '../../src/base/failure.ts';
import { CATALOGUE, METRIC_NAMES } from '../../src/metrics/catalogue.ts';
import { metricsManual } from '../../src/metrics/manual.ts';
import { createMetrics } from '../../src/metrics/registry.ts';
import { Mode, Verdict } from '../../src/shared/control.ts';
import { AFFINITY_OUTCOMES, Counter, Gauge, NO_POOL, PoolCounter } from '../../src/shared/stripe.ts';
import { Balancer, POOL } from './fixture.ts';

/** What is promised to who reads our metrics: name, type, labels. */
const CONTRACT = [
  ['holdfast_requests_total', 'counter', 'pool server code'],
  ['holdfast_request_duration_seconds', 'histogram', 'pool server'],
  ['holdfast_upstream_connect_duration_seconds', 'histogram', 'pool server'],
  ['holdfast_requests_in_flight', 'gauge', 'pool server'],
  ['holdfast_request_bytes_total', 'counter', 'pool server'],
  ['holdfast_response_bytes_total', 'counter', 'pool server'],
  ['holdfast_client_connections', 'gauge', 'listener'],
  ['holdfast_upstream_connections', 'gauge', 'pool server state'],
  ['holdfast_rejected_requests_total', 'counter', 'reason pool'],
  ['holdfast_retries_total', 'counter', 'pool reason'],
  ['holdfast_server_up', 'gauge', 'pool server'],
  ['holdfast_server_mode', 'gauge', 'pool server mode'],
  ['holdfast_server_transitions_total', 'counter', 'pool server to'],
  ['holdfast_health_checks_total', 'counter', 'pool server result'],
  ['holdfast_sessions', 'gauge', 'pool server'],
  ['holdfast_sessions_created_total', 'counter', 'pool server'],
  ['holdfast_sessions_ended_total', 'counter', 'pool server reason'],
  ['holdfast_sessions_lost_total', 'counter', 'pool server reason'],
  ['holdfast_session_moves_total', 'counter', 'pool reason'],
  ['holdfast_affinity_decisions_total', 'counter', 'pool verdict'],
  ['holdfast_session_skew_ratio', 'gauge', 'pool'],
  ['holdfast_session_skew_cv', 'gauge', 'pool'],
  ['holdfast_session_skew_jain', 'gauge', 'pool'],
  ['holdfast_session_skew_gini', 'gauge', 'pool'],
  ['holdfast_session_skew_floor', 'gauge', 'pool'],
  ['holdfast_load_skew_ratio', 'gauge', 'pool by'],
  ['holdfast_session_table_entries', 'gauge', ''],
  ['holdfast_session_table_capacity', 'gauge', ''],
  ['holdfast_config_revision', 'gauge', ''],
  ['holdfast_reloads_total', 'counter', 'result'],
  ['holdfast_worker_restarts_total', 'counter', ''],
  ['holdfast_build_info', 'gauge', 'version node'],
] as const;

let balancer: Balancer;
beforeEach(() => {
  balancer = new Balancer();
  balancer.apply(POOL);
});

/** Sample lines of one metric, without its prefix. */
async function lines(name: string, accept = ''): Promise<string[]> {
  const { body } = await createMetrics(balancer).render(accept);
  return body.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
}

describe('the catalogue', () => {
  test.each(CONTRACT)('%s is a %s by [%s]', (name, type, labels) => {
    expect(CATALOGUE[name].type).toBe(type);
    expect([...CATALOGUE[name].labels].join(' ')).toBe(labels);
  });

  test('counters end in _total and nothing else does', () => {
    for (const name of METRIC_NAMES) expect(name.endsWith('_total')).toBe(CATALOGUE[name].type === 'counter');
  });

  test('docs/metrics.md is in step: `node src/metrics/write-docs.ts` writes it', () => {
    const written = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
    expect(written).toBe(metricsManual());
  });

  test('every metric is exported with exactly its labels', async () => {
    const { body } = await createMetrics(balancer).render('');
    for (const name of METRIC_NAMES) {
      const { type, labels } = CATALOGUE[name];
      expect(body).toContain(`# TYPE ${name} ${type}\n`);
      const suffix = type === 'histogram' ? '_count' : '';
      const sample = body.split('\n').find((line) => new RegExp(`^${name}${suffix}[{ ]`).test(line)) ?? '';
      const found = [...sample.matchAll(/([a-z]+)="/g)].map((match) => match[1]);
      expect([name, ...found]).toEqual([name, ...labels]);
    }
  });
});

describe('values', () => {
  test('counters are summed over threads', async () => {
    const slot = balancer.slot('shop/a');
    balancer.workers[0]?.own.count(slot, Counter.code + 2, 5);
    balancer.workers[1]?.own.count(slot, Counter.code + 2, 7);
    balancer.workers[1]?.own.count(slot, Counter.code + 5);
    expect((await lines('holdfast_requests_total')).slice(0, 6)).toEqual([
      'holdfast_requests_total{pool="shop",server="a",code="none"} 0',
      'holdfast_requests_total{pool="shop",server="a",code="1xx"} 0',
      'holdfast_requests_total{pool="shop",server="a",code="2xx"} 12',
      'holdfast_requests_total{pool="shop",server="a",code="3xx"} 0',
      'holdfast_requests_total{pool="shop",server="a",code="4xx"} 0',
      'holdfast_requests_total{pool="shop",server="a",code="5xx"} 1',
    ]);
  });

  test('histogram buckets add up to the count', async () => {
    const slot = balancer.slot('shop/b');
    balancer.workers[0]?.own.observe(slot, Counter.durationSum, 0.002);
    balancer.workers[1]?.own.observe(slot, Counter.durationSum, 0.02);
    balancer.workers[1]?.own.observe(slot, Counter.durationSum, 90);
    const buckets = (await lines('holdfast_request_duration_seconds_bucket')).filter((line) =>
      line.includes('server="b"'),
    );
    const values = buckets.map((line) => Number(line.split(' ')[1]));
    expect(values).toEqual([0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3]);
    expect(buckets[0]).toBe('holdfast_request_duration_seconds_bucket{pool="shop",server="b",le="0.0005"} 0');
    expect(buckets[16]).toBe('holdfast_request_duration_seconds_bucket{pool="shop",server="b",le="+Inf"} 3');
    expect(await lines('holdfast_request_duration_seconds_count')).toContain(
      'holdfast_request_duration_seconds_count{pool="shop",server="b"} 3',
    );
    const sum = (await lines('holdfast_request_duration_seconds_sum')).find((line) =>
      line.includes('server="b"'),
    );
    expect(Number(sum?.split(' ')[1])).toBeCloseTo(90.022, 9);
  });

  test('skew of load, by requests in flight', async () => {
    // weights 2 and 1 are compared, c drains: 6 and 0 of 6, so that x is 1.5 and 0
    balancer.workers[0]?.own.addGauge(balancer.slot('shop/a'), Gauge.inFlight, 6);
    const found = await Promise.all(
      ['ratio', 'trough', 'cv', 'jain', 'gini'].map(async (measure) => {
        const all = await lines(`holdfast_load_skew_${measure}`);
        return Number(all.find((line) => line.includes('by="in_flight"'))?.split(' ')[1]);
      }),
    );
    const wanted = [1.5, 0, Math.sqrt((2 / 3) * 0.25 + 1 / 3), 0.5, 1 / 3];
    for (const [index, value] of wanted.entries()) expect(found[index]).toBeCloseTo(value, 9);
  });

  test('gauges of servers', async () => {
    const slot = balancer.slot('shop/b');
    balancer.workers[0]?.own.addGauge(slot, Gauge.inFlight, 2);
    balancer.workers[1]?.own.addGauge(slot, Gauge.upstreamIdle, 3);
    balancer.shared.control.setVerdict(slot, Verdict.ejected);
    expect(await lines('holdfast_requests_in_flight')).toContain(
      'holdfast_requests_in_flight{pool="shop",server="b"} 2',
    );
    expect(await lines('holdfast_upstream_connections')).toContain(
      'holdfast_upstream_connections{pool="shop",server="b",state="idle"} 3',
    );
    expect(await lines('holdfast_server_up')).toEqual([
      'holdfast_server_up{pool="shop",server="a"} 1',
      'holdfast_server_up{pool="shop",server="b"} 0',
      'holdfast_server_up{pool="shop",server="c"} 1',
    ]);
    expect(await lines('holdfast_server_verdict')).toContain(
      'holdfast_server_verdict{pool="shop",server="b",verdict="ejected"} 1',
    );
    expect((await lines('holdfast_server_mode')).filter((line) => line.endsWith(' 1'))).toEqual([
      'holdfast_server_mode{pool="shop",server="a",mode="ready"} 1',
      'holdfast_server_mode{pool="shop",server="b",mode="ready"} 1',
      'holdfast_server_mode{pool="shop",server="c",mode="drain"} 1',
    ]);
    expect(await lines('holdfast_server_weight')).toContain(
      'holdfast_server_weight{pool="shop",server="a"} 2',
    );
    expect(await lines('holdfast_pool_servers_eligible')).toEqual([
      'holdfast_pool_servers_eligible{pool="shop"} 1',
    ]);
  });

  test('sessions and their skew; servers that drain are not compared', async () => {
    balancer.place('shop/a', 40);
    balancer.place('shop/b', 50);
    balancer.place('shop/c', 10);
    balancer.place('shop/b', 3, true);
    balancer.sweep.sweepNow();
    expect(await lines('holdfast_sessions')).toEqual([
      'holdfast_sessions{pool="shop",server="a"} 40',
      'holdfast_sessions{pool="shop",server="b"} 50',
      'holdfast_sessions{pool="shop",server="c"} 10',
    ]);
    expect(await lines('holdfast_sessions_tentative')).toContain(
      'holdfast_sessions_tentative{pool="shop",server="b"} 3',
    );
    const [ratio] = await lines('holdfast_session_skew_ratio');
    expect(Number(ratio?.split(' ')[1])).toBeCloseTo(50 / 30, 9);
    expect(await lines('holdfast_session_table_entries')).toEqual(['holdfast_session_table_entries 103']);
  });

  test('a server that is up and ready with weight 0 is not eligible', async () => {
    const { control } = balancer.shared;
    for (const name of ['a', 'b']) {
      control.setVerdict(balancer.slot(`shop/${name}`), Verdict.up);
      control.setMode(balancer.slot(`shop/${name}`), Mode.ready);
    }
    control.setWeight(balancer.slot('shop/a'), 0);
    expect(await lines('holdfast_pool_servers_eligible')).toEqual([
      'holdfast_pool_servers_eligible{pool="shop"} 1',
    ]);
  });

  test('the time to the first byte is averaged over the threads that have measured it', async () => {
    balancer.workers[1]?.own.smoothFirstByte(balancer.slot('shop/a'), 250);
    balancer.workers[0]?.own.smoothFirstByte(balancer.slot('shop/b'), 100);
    balancer.workers[1]?.own.smoothFirstByte(balancer.slot('shop/b'), 300);
    expect(await lines('holdfast_server_first_byte_seconds')).toEqual([
      'holdfast_server_first_byte_seconds{pool="shop",server="a"} 0.25',
      'holdfast_server_first_byte_seconds{pool="shop",server="b"} 0.2',
      'holdfast_server_first_byte_seconds{pool="shop",server="c"} 0',
    ]);
  });

  test('client connections go by the listener, wherever a reload puts it', async () => {
    const { current } = balancer;
    if (current === null) throw new Error('no revision yet');
    const [first] = current.config.listen;
    if (first === undefined) throw new Error('no listener');
    const listen = [
      { ...first, address: '127.0.0.1:3', h2c: true },
      { ...first, address: '127.0.0.1:1', h2c: true },
    ];
    balancer.current = { ...current, config: { ...current.config, listen }, listenerIds: [2, 0] };
    balancer.workers[0]?.own.addClientConnections(0, 5);
    balancer.workers[1]?.own.addClientConnections(1, 11);
    balancer.workers[1]?.own.addClientConnections(2, 7);
    for (const [thread, listener, times] of [
      [0, 0, 2],
      [1, 1, 4],
      [1, 2, 3],
    ] as const) {
      balancer.workers[thread]?.own.addHttp2Connections(listener, times);
      balancer.workers[thread]?.own.addHttp2Streams(listener, 10 * times);
      for (let time = 0; time < times; time += 1)
        balancer.workers[thread]?.own.countHttp2Abuse(listener, 'resets');
    }
    expect(await lines('holdfast_client_connections')).toEqual([
      'holdfast_client_connections{listener="127.0.0.1:3"} 7',
      'holdfast_client_connections{listener="127.0.0.1:1"} 5',
    ]);
    for (const [metric, more, factor] of [
      ['holdfast_http2_connections', '', 1],
      ['holdfast_http2_streams', '', 10],
      ['holdfast_http2_abuse_total', ',kind="resets"', 1],
    ] as const) {
      expect((await lines(metric)).filter((line) => line.includes(more))).toEqual([
        `${metric}{listener="127.0.0.1:3"${more}} ${3 * factor}`,
        `${metric}{listener="127.0.0.1:1"${more}} ${2 * factor}`,
      ]);
    }
  });

  test('pool and global counters', async () => {
    const id = balancer.current?.pools[0]?.id ?? -1;
    balancer.workers[0]?.own.countPool(id, PoolCounter.affinity + AFFINITY_OUTCOMES.indexOf('home'), 9);
    balancer.workers[1]?.own.countRejected(FAILURE_KINDS.indexOf('no-server'), NO_POOL);
    balancer.workers[1]?.own.addClientConnections(0, 5);
    expect(await lines('holdfast_affinity_decisions_total')).toContain(
      'holdfast_affinity_decisions_total{pool="shop",verdict="home"} 9',
    );
    expect(await lines('holdfast_rejected_requests_total')).toContain(
      'holdfast_rejected_requests_total{reason="no-server",pool=""} 1',
    );
    expect(await lines('holdfast_client_connections')).toEqual([
      'holdfast_client_connections{listener="127.0.0.1:0"} 5',
    ]);
    expect(await lines('holdfast_reloads_total')).toEqual([
      'holdfast_reloads_total{result="success"} 3',
      'holdfast_reloads_total{result="failure"} 1',
    ]);
    expect(await lines('holdfast_worker_restarts_total')).toEqual(['holdfast_worker_restarts_total 4']);
    expect(await lines('holdfast_build_info')).toEqual([
      `holdfast_build_info{version="0.1.0",node="${process.version}"} 1`,
    ]);
  });

  test('series of a removed server disappear, the others keep their counts', async () => {
    balancer.workers[0]?.own.count(balancer.slot('shop/b'), Counter.code + 2, 3);
    balancer.apply({ ...POOL, servers: ['b=http://127.0.0.1:2'] });
    expect(await lines('holdfast_server_up')).toEqual(['holdfast_server_up{pool="shop",server="b"} 1']);
    expect(await lines('holdfast_requests_total')).toContain(
      'holdfast_requests_total{pool="shop",server="b",code="2xx"} 3',
    );
  });

  test('before the first revision there is nothing about servers, and nothing fails', async () => {
    balancer.current = null;
    expect(await lines('holdfast_server_up')).toEqual([]);
    expect(await lines('holdfast_config_revision')).toEqual(['holdfast_config_revision 0']);
  });
});

describe('formats', () => {
  test('OpenMetrics on request, the text format before and after it', async () => {
    const metrics = createMetrics(balancer);
    const before = await metrics.render('text/plain');
    const open = await metrics.render('application/openmetrics-text; version=1.0.0,text/plain;q=0.5');
    const after = await metrics.render('');
    expect(before.contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(open.contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect(open.body).toContain('# TYPE holdfast_requests counter\nholdfast_requests_total{');
    expect(open.body.endsWith('\n# EOF\n')).toBe(true);
    const ours = (body: string): string[] => body.split('\n').filter((line) => line.includes('holdfast_'));
    expect(ours(after.body)).toEqual(ours(before.body));
  });

  test('promtool finds nothing wrong', async ({ skip }) => {
    if (spawnSync('promtool', ['--version']).error !== undefined) skip('promtool is not installed');
    const { body } = await createMetrics(balancer).render('');
    const ours = body
      .split('\n')
      .filter((line) => / ?holdfast_/.test(line))
      .join('\n');
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: `${ours}\n` });
    expect([status, stdout.toString(), stderr.toString()]).toEqual([0, '', '']);
  });

  test('a scrape of 100 servers costs less than 20 ms', async () => {
    balancer.apply({
      ...POOL,
      servers: Array.from({ length: 100 }, (_, index) => `s${index}=http://127.0.0.1:${index + 1}`),
    });
    const metrics = createMetrics(balancer);
    const times: number[] = [];
    for (let round = 0; round < 30; round += 1) {
      const before = process.threadCpuUsage();
      await metrics.render('');
      const { user, system } = process.threadCpuUsage(before);
      times.push((user + system) / 1_000);
    }
    // The best of many, and its own time: on a shared machine the others measure its neighbours.
    expect(Math.min(...times)).toBeLessThan(20);
  });
});
