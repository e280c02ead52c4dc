// Every query of every panel and rule, asked of a real Prometheus that scrapes the running demo under load, has an
// answer; and when a server is killed, the figures and the alert say so.

import { expect, onTestFinished, test } from 'vitest';
import { dashboards } from '../../grafana/build.ts';
import { CATALOGUE } from '../../src/metrics/catalogue.ts';
import { runDemo, visitDemo } from '../support/demo.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningPrometheus, runPrometheus } from '../support/prometheus.ts';

const VISITORS = 40;

interface Query {
  readonly place: string;
  readonly expr: string;
}

/** With what Grafana would put in place of its variables. */
function filledIn(expr: string): string {
  return expr.replaceAll('$__rate_interval', '5s').replaceAll(/\$(pool|instance|server)/g, '.*');
}

/** The queries of all panels. */
function panelQueries(): Query[] {
  return [...dashboards()].flatMap(([name, text]) => {
    const { panels } = JSON.parse(text) as { panels: { title: string; targets?: { expr: string }[] }[] };
    return panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({ place: `${name}, ${title}`, expr: filledIn(expr) })),
    );
  });
}

/** What is marked in every panel. */
function annotationQueries(): Query[] {
  return [...dashboards()].flatMap(([name, text]) => {
    const { annotations } = JSON.parse(text) as { annotations: { list: { name: string; expr: string }[] } };
    return annotations.list.map((one) => ({ place: `${name}, ${one.name}`, expr: filledIn(one.expr) }));
  });
}

/** Metrics with their matchers: what an alert looks at. The alert itself has an answer only when it fires. */
function selectors(expr: string): readonly string[] {
  return expr.match(/\b(?:[a-z]+:)?holdfast_\w+(?::\w+)?(?:\{[^}]*\})?/g) ?? [];
}

/** Waits: a rate needs two samples, a recorded one two evaluations more. */
async function allAnswered(prometheus: RunningPrometheus, queries: readonly Query[]): Promise<void> {
  let left: string[] = [];
  await eventually(
    async () => {
      left = await unanswered(prometheus, queries);
      return left.length === 0;
    },
    { deadlineMs: 30_000, what: () => `an answer to:\n${left.join('\n')}` },
  );
}

async function unanswered(prometheus: RunningPrometheus, queries: readonly Query[]): Promise<string[]> {
  const found: string[] = [];
  for (const { place, expr } of queries) {
    const samples = await prometheus.query(expr);
    if (samples.length === 0) found.push(`${place}: ${expr}`);
  }
  return found;
}

/** The demo's certificate signs itself. */
function trustAnybody(): void {
  const verification = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
  process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
  onTestFinished(() => {
    if (verification === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = verification;
  });
}

test('every panel and every rule has an answer, and a killed server is seen', async ({ skip }) => {
  trustAnybody();
  const demo = await runDemo('--tls', '--servers', '4', '--threads', '1');
  const prometheus = await runPrometheus(new URL(demo.adminUrl).host, skip);
  await visitDemo(demo.url, VISITORS);
  const queries = panelQueries();
  expect(queries.length).toBeGreaterThan(60);

  await allAnswered(prometheus, queries);

  const rules = await prometheus.rules();
  const asked = rules.flatMap(({ name, type, query }): Query[] =>
    type === 'recording'
      ? [{ place: name, expr: name }]
      : selectors(query).map((expr) => ({ place: name, expr })),
  );
  expect(asked.length).toBeGreaterThan(rules.length);
  await allAnswered(prometheus, asked);
  const evaluated = await prometheus.rules();
  expect(
    evaluated.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError}`),
  ).toEqual([]);
  expect(evaluated.filter(({ state }) => state === 'firing').map(({ name }) => name)).toEqual([]);

  // the variable of the dashboards, and no metric that the catalogue does not know
  expect(await prometheus.labelValues('pool', 'holdfast_server_up')).toEqual(['demo']);
  const scraped = await prometheus.labelValues('__name__', '{__name__=~"holdfast_.+"}');
  const known = new Set<string>(Object.keys(CATALOGUE));
  expect(
    scraped.filter((name) => !known.has(name) && !known.has(name.replace(/_(bucket|sum|count)$/, ''))),
  ).toEqual([]);

  // Losses are what a Prometheus sees grow: the series were there at zero before.
  const counted = 'sum(holdfast_sessions)';
  await eventually(async () => Number((await prometheus.query(counted))[0]?.value[1]) === VISITORS, {
    deadlineMs: 60_000,
    what: () => `all ${VISITORS} sessions to be counted`,
  });
  const held = Number((await prometheus.query('holdfast_sessions{server="b"}'))[0]?.value[1]);
  expect(held).toBeGreaterThan(0);
  process.kill(demo.pids.get('b') ?? 0, 'SIGKILL');
  const lost = 'sum(holdfast_sessions_lost_total{server="b"})';
  await eventually(async () => Number((await prometheus.query(lost))[0]?.value[1]) === held, {
    deadlineMs: 15_000,
    what: () => `${held} lost sessions`,
  });
  // what is marked: no restart, no reload, no drain
  for (const { place, expr } of annotationQueries())
    expect([place, (await prometheus.query(expr)).length > 0]).toEqual([place, place.endsWith(', Losses')]);
  const firing = 'ALERTS{alertname="HoldfastSessionsLost", alertstate="firing", server="b"}';
  await eventually(async () => (await prometheus.query(firing)).length > 0, {
    deadlineMs: 15_000,
    what: () => firing,
  });
  // one is down: its share is the others', in the panel as in the skew
  const overShare = queries.find(({ place }) => place.endsWith(', Over fair share'))?.expr ?? '';
  await eventually(
    async () => {
      const [fullest, skew] = await Promise.all([
        prometheus.query(`max(${overShare})`),
        prometheus.query('max(holdfast_session_skew_ratio)'),
      ]);
      const [mine, ours] = [fullest, skew].map((samples) => Number(samples[0]?.value[1]));
      return (await prometheus.query(overShare)).length === 3 && Math.abs((mine ?? 0) - (ours ?? 9)) < 0.001;
    },
    { deadlineMs: 20_000, what: () => 'the largest over fair share to be the skew' },
  );
  const pending = 'ALERTS{alertname="HoldfastServerDown", server="b"}';
  await eventually(async () => (await prometheus.query(pending)).length > 0, {
    deadlineMs: 15_000,
    what: () => pending,
  });

  // all of them: nothing falls silent, and what should be red is
  for (const name of ['a', 'c', 'd']) process.kill(demo.pids.get(name) ?? 0, 'SIGKILL');
  const figure = async (title: string): Promise<number> => {
    const { expr = '' } = queries.find(({ place }) => place === `holdfast-overview.json, ${title}`) ?? {};
    return Number((await prometheus.query(expr))[0]?.value[1]);
  };
  await eventually(async () => (await figure('Servers not up')) === 4 && (await figure('Errors')) > 0.9, {
    deadlineMs: 60_000,
    what: () => 'four servers down and clients with errors',
  });
  // no two servers are there to be compared
  const ofSeveral = /, (Over fair share|Beyond chance)$/;
  await allAnswered(
    prometheus,
    queries.filter(({ place }) => !ofSeveral.test(place)),
  );
  for (const alert of [
    'HoldfastNoEligibleServer',
    'HoldfastServerDown',
    'HoldfastErrors',
    'HoldfastSessionsLost',
  ])
    await eventually(async () => (await prometheus.query(`ALERTS{alertname="${alert}"}`)).length > 0, {
      deadlineMs: 60_000,
      what: () => alert,
    });
}, 240_000);
