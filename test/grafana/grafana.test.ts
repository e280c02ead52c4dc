import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { dashboards } from '../../grafana/build.ts';
import { CATALOGUE, type MetricDescription } from '../../src/metrics/catalogue.ts';
import { needs } from '../support/needs.ts';

const FOLDER = fileURLToPath(new URL('../../grafana/', import.meta.url));
const read = (path: string): string => readFileSync(`${FOLDER}${path}`, 'utf8');
const metrics: Readonly<Record<string, MetricDescription>> = CATALOGUE;
const ofNode = new Set(namesOfNode());

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
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

test('provisioning names the data source and the folder of the dashboards', () => {
  expect(parse(read('provisioning/datasources/prometheus.yml'))).toMatchObject({
    datasources: [{ type: 'prometheus', isDefault: true }],
  });
  expect(parse(read('provisioning/dashboards/holdfast.yml'))).toMatchObject({
    providers: [{ type: 'file', options: { path: '/etc/grafana/dashboards' } }],
  });
});
