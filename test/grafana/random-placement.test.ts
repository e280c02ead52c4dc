// Random placement is not a fault: over twenty seeds the exported skew agrees with the exported floor and no alert
// fires; one server that gets double fires it in every one. Real sweep, real metrics, real rules in a real Prometheus.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { SeededRandom } from '../../src/base/random.ts';
import { createMetrics } from '../../src/metrics/registry.ts';
import { Balancer } from '../metrics/fixture.ts';
import { needs } from '../support/needs.ts';

const SEEDS = 20;
const SESSIONS = 800;
const NAMES = ['a', 'b', 'c', 'd'] as const;
const RULES = fileURLToPath(new URL('../../grafana/prometheus/rules.yml', import.meta.url));

/** Lines of the metrics page about a pool whose sessions were placed at random, `doubled` twice as often as another. */
async function skewOf(
  pool: string,
  seed: number,
  doubled: string | null,
): Promise<ReadonlyMap<string, number>> {
  const balancer = new Balancer();
  balancer.apply({
    name: pool,
    more: 'sticky: { mode: cookie-hash }',
    servers: NAMES.map((name, index) => `${name}=http://127.0.0.1:${index + 1}`),
  });
  const random = new SeededRandom(seed);
  const lots = doubled === null ? NAMES : [...NAMES, doubled];
  for (let session = 0; session < SESSIONS; session += 1)
    balancer.place(`${pool}/${lots[random.below(lots.length)]}`, 1);
  balancer.sweep.sweepNow();
  const { body } = await createMetrics(balancer).render('');
  const lines = body.matchAll(/^(holdfast_session_skew_\w+\{pool="[^"]+"\}) (\S+)$/gm);
  return new Map([...lines].map(([, series = '', value]) => [series, Number(value)]));
}

async function skews(name: string, doubled: string | null): Promise<ReadonlyMap<string, number>[]> {
  const seeds = Array.from({ length: SEEDS }, (_, index) => index + 1);
  return Promise.all(seeds.map((seed) => skewOf(`${name}-${seed}`, seed, doubled)));
}

/** One value of each seed. */
function values(found: readonly ReadonlyMap<string, number>[], metric: string): number[] {
  return found.map(
    (series) => [...series].find(([name]) => name.startsWith(`${metric}{`))?.[1] ?? Number.NaN,
  );
}

function mean(list: readonly number[]): number {
  return list.reduce((sum, value) => sum + value, 0) / list.length;
}

/** Three standard errors of the mean. */
function doubt(list: readonly number[]): number {
  const middle = mean(list);
  const variance = mean(list.map((value) => (value - middle) ** 2));
  return 3 * Math.sqrt(variance / list.length);
}

test('the measured skew of random placement agrees with the exported floor, and nothing is left beyond it', async () => {
  const found = await skews('chance', null);
  const ratios = values(found, 'holdfast_session_skew_ratio');
  const [floor = 0] = values(found, 'holdfast_session_skew_floor');
  expect(floor).toBeCloseTo(1.073, 3);
  expect(Math.abs(mean(ratios) - floor)).toBeLessThan(doubt(ratios));
  expect(doubt(ratios)).toBeLessThan(0.025);
  const [floorCv = 0] = values(found, 'holdfast_session_skew_floor_cv');
  const surplus = values(found, 'holdfast_session_skew_cv').map((cv) => cv ** 2 - floorCv ** 2);
  expect(Math.abs(mean(surplus))).toBeLessThan(doubt(surplus));
  expect(mean(values(found, 'holdfast_session_skew_excess'))).toBeLessThan(0.03);

  const uneven = await skews('double', 'b');
  expect(Math.min(...values(uneven, 'holdfast_session_skew_excess'))).toBeGreaterThan(0.2);
});

test('the alert fires where one server gets double, in every seed, and for chance in none', async ({
  skip,
}) => {
  const promtool = needs('promtool', skip);
  const all = [...(await skews('chance', null)), ...(await skews('double', 'b'))];
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-rules-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const firing = (alert: string): string =>
    `sum by (pool) (ALERTS{alertname="${alert}", alertstate="firing"})`;
  const doubled = Array.from({ length: SEEDS }, (_, index) => ({
    labels: `{pool="double-${index + 1}"}`,
    value: 1,
  }));
  const file = {
    rule_files: [RULES],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: all.flatMap((series) =>
          [...series].map(([name, value]) => ({ series: name, values: `${value}x20` })),
        ),
        promql_expr_test: [
          { expr: firing('HoldfastSkewBeyondChance'), eval_time: '4m', exp_samples: [] },
          { expr: firing('HoldfastSkewBeyondChance'), eval_time: '10m', exp_samples: doubled },
        ],
      },
    ],
  };
  writeFileSync(join(directory, 'test.yml'), stringify(file));
  const { status, stdout, stderr } = spawnSync(promtool, ['test', 'rules', 'test.yml'], {
    cwd: directory,
    encoding: 'utf8',
  });
  expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, '']);
});
