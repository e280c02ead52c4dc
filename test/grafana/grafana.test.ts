import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { dashboards } from '../../grafana/build.ts';
import { CATALOGUE, type MetricDescription } from '../../src/metrics/catalogue.ts';
import { createMetrics } from '../../src/metrics/registry.ts';
import { Balancer, POOL } from '../metrics/fixture.ts';
import { needs } from '../support/needs.ts';

const FOLDER = fileURLToPath(new URL('../../grafana/', import.meta.url));
const read = (path: string): string => readFileSync(`${FOLDER}${path}`, 'utf8');
const metrics: Readonly<Record<string, MetricDescription>> = CATALOGUE;
const ofNode = new Set(namesOfNode());

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly annotations?: { readonly runbook_url?: string };
}
const rules = (parse(read('prometheus/rules.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const recorded = new Set(rules.map((rule) => rule.record));

/** Every `expr` and variable query in a dashboard, with the panel it belongs to. */
function expressions(value: unknown, place = ''): [place: string, expr: string][] {
  if (typeof value !== 'object' || value === null) return [];
  const here = 'title' in value && typeof value.title === 'string' ? value.title : place;
  const own: [string, string][] =
    'expr' in value && typeof value.expr === 'string' ? [[here, value.expr]] : [];
  const variable =
    'definition' in value || 'query' in value
      ? Object.values(value).filter((text) => /^label_values/.test(String(text)))
      : [];
  return [
    ...own,
    ...variable.map((text): [string, string] => [here, String(text)]),
    ...Object.values(value).flatMap((inner) => expressions(inner, here)),
  ];
}

/** Names of the metrics that prom-client has of the process. */
function namesOfNode(): string[] {
  const register = new Registry();
  collectDefaultMetrics({ register });
  return register.getMetricsAsArray().map(({ name }) => name);
}

/** What is wrong with the names in a PromQL expression. */
function faults(expr: string): string[] {
  // whether the balancer can be scraped at all is what Prometheus itself says
  if (expr === 'up{job="holdfast"} == 0') return [];
  const names = expr.match(/\b(?:[a-z]*:?holdfast_|process_|nodejs_)\w+(?::\w+)?/g) ?? [];
  const wrong = names.filter((name) => {
    const base = name.replace(/_(bucket|sum|count)$/, '');
    const isHistogramPart = base !== name && metrics[base]?.type === 'histogram';
    return metrics[name] === undefined && !isHistogramPart && !recorded.has(name) && !ofNode.has(name);
  });
  const labelsOf = (name: string): readonly string[] =>
    metrics[name.replace(/_(bucket|sum|count)$/, '')]?.labels ?? metrics[name]?.labels ?? [];
  const known = new Set([
    ...names.flatMap(labelsOf),
    'le',
    'instance',
    ...(names.some((name) => recorded.has(name)) ? ['pool'] : []),
  ]);
  const used = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap((match) =>
    (match[1] ?? '').split(/,\s*/),
  );
  const matched = [...expr.matchAll(/(\w+)\s*(?:=~|!=|!~|=)\s*"/g)].map((match) => match[1] ?? '');
  return [
    ...wrong.map((name) => `no such metric: ${name}`),
    ...[...used, ...matched].filter((label) => !known.has(label)).map((label) => `no such label: ${label}`),
    ...(names.length === 0 ? ['no metric at all'] : []),
  ];
}

test('the checker itself finds wrong names', () => {
  expect(faults('sum by (pool) (holdfast_nope{server="a"})')).toContain('no such metric: holdfast_nope');
  expect(faults('sum by (code) (holdfast_sessions)')).toEqual(['no such label: code']);
  expect(faults('holdfast_sessions_bucket')).toHaveLength(1);
  expect(faults('up')).toEqual(['no metric at all']);
});

describe('dashboards', () => {
  test('the written files are what `node grafana/build.ts` makes', () => {
    expect(readdirSync(`${FOLDER}dashboards`).sort()).toEqual([...dashboards().keys()].sort());
    for (const [name, text] of dashboards()) expect(read(`dashboards/${name}`)).toBe(text);
  });

  test.each([...dashboards()])('%s asks only for metrics and labels that exist', (_name, text) => {
    const found = expressions(JSON.parse(text));
    expect(found.length).toBeGreaterThan(15);
    expect(
      found.flatMap(([place, expr]) => faults(expr).map((fault) => `${place}: ${fault}: ${expr}`)),
    ).toEqual([]);
  });
});

describe('rules', () => {
  test('ask only for metrics and labels that exist', () => {
    expect(
      rules.flatMap((rule) => faults(rule.expr).map((fault) => `${rule.record ?? rule.alert}: ${fault}`)),
    ).toEqual([]);
  });

  test('every rule has a unit test', () => {
    const tests = read('prometheus/rules-test.yml');
    const untested = rules
      .map(({ record, alert }) => record ?? alert ?? '')
      .filter(
        (name) =>
          !tests.includes(`alertname: ${name}`) && !tests.includes(`${name}{`) && !tests.includes(`${name},`),
      );
    expect(untested).toEqual([]);
  });

  test('promtool finds them valid and firing when they should', ({ skip }) => {
    const promtool = needs('promtool', skip);
    for (const command of [
      ['check', 'config', 'prometheus.yml'],
      ['check', 'rules', 'rules.yml'],
      ['test', 'rules', 'rules-test.yml'],
    ]) {
      const { status, stdout, stderr } = spawnSync(promtool, command, {
        cwd: `${FOLDER}prometheus`,
        encoding: 'utf8',
      });
      expect([command.join(' '), status, status === 0 ? '' : stdout + stderr]).toEqual([
        command.join(' '),
        0,
        '',
      ]);
    }
  });
});

test('promtool finds the metrics page clean', { timeout: 60_000 }, async ({ skip }) => {
  const promtool = needs('promtool', skip);
  const balancer = new Balancer();
  balancer.apply(POOL);
  const { body } = await createMetrics(balancer).render('');
  const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], {
    input: body,
    encoding: 'utf8',
  });
  expect([status, stdout, stderr]).toEqual([0, '', '']);
});

interface PanelModel {
  readonly title: string;
  readonly type: string;
  readonly description?: string;
  readonly targets?: readonly { readonly expr: string }[];
  readonly fieldConfig?: {
    readonly defaults: {
      readonly unit?: string;
      readonly decimals?: number;
      readonly thresholds?: {
        readonly steps: readonly { readonly value: number | null; readonly color: string }[];
      };
      readonly mappings?: readonly object[];
    };
  };
}

describe('every panel', () => {
  const panels = [...dashboards()].flatMap(([name, text]) =>
    (JSON.parse(text) as { panels: PanelModel[] }).panels
      .filter(({ type }) => type !== 'row')
      .map((panel) => ({ name: `${name}: ${panel.title}`, panel })),
  );

  test.each(panels)(
    '$name says what it shows, its unit, decimals, thresholds and words for states',
    ({ panel }) => {
      const { unit, decimals, thresholds, mappings = [] } = panel.fieldConfig?.defaults ?? {};
      expect(panel.description).toMatch(/\w/);
      expect(unit).toMatch(/\w/);
      expect(decimals).toBeGreaterThanOrEqual(0);
      const [base, ...steps] = thresholds?.steps ?? [];
      expect(base?.value).toBe(null);
      const values = steps.map(({ value }) => value ?? 0);
      const isLowBad = base?.color === 'red';
      expect(values).toEqual(values.toSorted((a, b) => a - b));
      expect(steps.every(({ color }) => (isLowBad ? color !== 'red' : color !== 'green'))).toBe(true);
      if (panel.type === 'state-timeline') expect(mappings.length).toBeGreaterThan(0);
    },
  );

  test.each(panels)('$name can be narrowed by what its metrics are labelled with', ({ panel }) => {
    for (const { expr } of panel.targets ?? []) {
      for (const [, name = '', matchers = ''] of expr.matchAll(/\b(holdfast_\w+)(?:\{([^}]*)\})?/g)) {
        const labels =
          metrics[name.replace(/_(bucket|sum|count)$/, '')]?.labels ?? metrics[name]?.labels ?? [];
        expect([name, matchers]).toEqual([name, expect.stringContaining('instance=~"$instance"')]);
        if (labels.includes('pool'))
          expect([name, matchers]).toEqual([name, expect.stringContaining('pool=~"$pool"')]);
      }
    }
  });
});

test('every dashboard has its variables, and marks what happened', () => {
  for (const [name, text] of dashboards()) {
    const { templating, annotations } = JSON.parse(text) as {
      templating: { list: { name: string }[] };
      annotations: { list: { name: string; expr: string }[] };
    };
    expect([name, templating.list.map((variable) => variable.name)]).toEqual([
      name,
      ['datasource', 'instance', 'pool', 'server'],
    ]);
    expect([name, annotations.list.map((annotation) => annotation.name)]).toEqual([
      name,
      ['Reloads', 'Starts and takeovers', 'Drains', 'Losses'],
    ]);
  }
});

test('every alert says which section of docs/operations.md tells what to do', () => {
  const manual = readFileSync(`${FOLDER}../docs/operations.md`, 'utf8');
  const headings = new Set([...manual.matchAll(/^#+ (\w+)$/gm)].map(([, heading = '']) => heading));
  const alerts = rules.filter(({ alert }) => alert !== undefined);
  expect(alerts.length).toBeGreaterThan(10);
  for (const { alert = '', annotations } of alerts) {
    expect([alert, annotations?.runbook_url]).toEqual([alert, `docs/operations.md#${alert.toLowerCase()}`]);
    expect([alert, headings.has(alert)]).toEqual([alert, true]);
  }
});

test('provisioning names the data source and the folder of the dashboards', () => {
  expect(parse(read('provisioning/datasources/prometheus.yml'))).toMatchObject({
    datasources: [{ type: 'prometheus', isDefault: true }],
  });
  expect(parse(read('provisioning/dashboards/holdfast.yml'))).toMatchObject({
    providers: [{ type: 'file', options: { path: '/etc/grafana/dashboards' } }],
  });
});
