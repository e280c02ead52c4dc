// A real Prometheus with our configuration and rules, scraping one Holdfast every second.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { parse, stringify } from 'yaml';
import { eventually } from './eventually.ts';
import { freePort } from './free-port.ts';
import { needs } from './needs.ts';

const FOLDER = fileURLToPath(new URL('../../grafana/prometheus/', import.meta.url));

/** One element of an instant vector. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [seconds: number, value: string];
}

export interface RuleHealth {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
  readonly type: 'recording' | 'alerting';
  readonly query: string;
  /** Alerting rules only. */
  readonly state?: 'inactive' | 'pending' | 'firing';
}

export interface RunningPrometheus {
  readonly url: string;
  /** Instant query. Throws with Prometheus' message when it is not valid. */
  query(expr: string): Promise<readonly Sample[]>;
  rules(): Promise<readonly RuleHealth[]>;
  labelValues(label: string, match: string): Promise<readonly string[]>;
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: unknown;
}

/** Runs with its own data directory until the test ends; ready, and has scraped at least once. */
export async function runPrometheus(
  target: string,
  skip: (reason: string) => never,
): Promise<RunningPrometheus> {
  const program = needs('prometheus', skip);
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-prometheus-'));
  writeFileSync(join(directory, 'prometheus.yml'), configFor(target));
  const url = `http://127.0.0.1:${await freePort()}`;
  const child = spawn(
    program,
    [
      `--config.file=${join(directory, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=${new URL(url).host}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  });
  const ask = async (path: string, query: Readonly<Record<string, string>>): Promise<unknown> => {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(query)}`);
    const answer = (await response.json()) as Answer;
    if (answer.status !== 'success') throw new Error(`${path} ${JSON.stringify(query)}: ${answer.error}`);
    return answer.data;
  };
  const running: RunningPrometheus = {
    url,
    query: async (expr) => ((await ask('query', { query: expr })) as { result: Sample[] }).result,
    rules: async () => {
      const { groups } = (await ask('rules', {})) as { groups: { rules: RuleHealth[] }[] };
      return groups.flatMap(({ rules }) => rules);
    },
    labelValues: async (label, match) =>
      (await ask(`label/${label}/values`, { 'match[]': match })) as readonly string[],
  };
  await eventually(
    async () => {
      if (child.exitCode !== null) throw new Error(`prometheus exited with ${child.exitCode}:\n${log}`);
      const up = await running.query('up').catch(() => []);
      return up.some(({ value }) => value[1] === '1');
    },
    { deadlineMs: 30_000, what: () => `prometheus to scrape ${target}; its log:\n${log}` },
  );
  return running;
}

/** Our prometheus.yml, with this target, a second between scrapes, and the rules where they are. */
function configFor(target: string): string {
  const config = parse(readFileSync(join(FOLDER, 'prometheus.yml'), 'utf8')) as {
    global: Record<string, string>;
    rule_files: string[];
    scrape_configs: { static_configs: { targets: string[] }[] }[];
  };
  const [scrape] = config.scrape_configs;
  return stringify({
    ...config,
    global: { ...config.global, scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: config.rule_files.map((name) => join(FOLDER, name)),
    scrape_configs: [{ ...scrape, static_configs: [{ targets: [target] }] }],
  });
}
