// Runs the real program in its own process, on ports the kernel chooses.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { LAUNCHER } from './launcher.ts';
import { whenDone } from './lifetime.ts';

const START_MS = 60_000;

export interface RunningHoldfast {
  readonly child: ChildProcess;
  /** First listener, `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly ports: readonly number[];
  readonly adminUrl: string;
  readonly configFile: string;
  readonly directory: string;
  /** Everything written to standard output so far. */
  output(): string;
  /** Everything written to standard error so far. */
  log(): string;
  status(): Promise<StatusDocument>;
  metrics(): Promise<string>;
  /** Value of one sample, 0 when it is not there. `labels` must be a subset of the sample's. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
  exited(): Promise<number | null>;
}

export interface StatusServer {
  name: string;
  url: string;
  state: string;
  mode: string;
  weight: number;
  sessions: number;
  unbacked: number;
  inFlight: number;
  requests: number;
  failures: number;
}
export interface StatusDocument {
  version: string;
  revision: number;
  threads: number;
  pools: {
    name: string;
    sessions: number;
    skew: Record<string, number>;
    servers: StatusServer[];
  }[];
}

export interface RunOptions {
  readonly threads?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Do not wait until servers have been checked. */
  readonly unready?: boolean;
  readonly directory?: string;
  readonly args?: readonly string[];
  /** Program and arguments that run what follows them: `['sh', '-c', '…; exec "$@"', 'sh']`. */
  readonly under?: readonly string[];
}

/** Starts `holdfast run` on the YAML; it is stopped when the test ends. Waits until /readyz says yes. */
export async function runHoldfast(yaml: string, options: RunOptions = {}): Promise<RunningHoldfast> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  const configFile = join(directory, 'holdfast.yaml');
  writeFileSync(configFile, yaml);
  const args = [LAUNCHER, 'run', '--config', configFile, ...(options.args ?? [])];
  if (options.threads !== undefined) args.push('--threads', String(options.threads));
  const [program = '', ...rest] = [...(options.under ?? []), process.execPath, ...args];
  const child = spawn(program, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let output = '';
  let log = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const exit = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  whenDone(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exit;
    if (options.directory === undefined) rmSync(directory, { recursive: true, force: true });
  });
  const match = await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`holdfast exited with ${child.exitCode}:\n${log}`);
      const ports = [...output.matchAll(/^listening on https?:\/\/.*:(\d+)$/gm)].map((line) =>
        Number(line[1]),
      );
      const admin = /^admin on (http:\S+)$/m.exec(output)?.[1];
      return ports.length > 0 && admin !== undefined ? { ports, admin } : null;
    },
    { deadlineMs: START_MS, what: () => `holdfast to listen; it printed:\n${output}${log}` },
  );
  const adminUrl = match.admin;
  const running: RunningHoldfast = {
    child,
    port: match.ports[0]!,
    ports: match.ports,
    url: `http://127.0.0.1:${match.ports[0]}`,
    adminUrl,
    configFile,
    directory,
    output: () => output,
    log: () => log,
    status: async () => (await (await fetch(`${adminUrl}/api/status`)).json()) as StatusDocument,
    metrics: async () => (await fetch(`${adminUrl}/metrics`)).text(),
    metric: async (name, labels = {}) =>
      sampleOf(await (await fetch(`${adminUrl}/metrics`)).text(), name, labels),
    stop: () => {
      child.kill('SIGTERM');
      return exit;
    },
    exited: () => exit,
  };
  if (options.unready !== true) {
    await eventually(async () => (await fetch(`${adminUrl}/readyz`)).status === 200, {
      deadlineMs: START_MS,
      what: () => `holdfast to be ready; its log:\n${log}`,
    });
  }
  return running;
}

/** The operator's change of a server, `POOL/SERVER`. Rejects when it is not made. */
export async function changeServer(
  { adminUrl }: Pick<RunningHoldfast, 'adminUrl'>,
  path: string,
  change: { readonly mode?: string; readonly weight?: number },
): Promise<void> {
  const response = await fetch(`${adminUrl}/api/pools/${path.replace('/', '/servers/')}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(change),
  });
  if (response.status !== 200)
    throw new Error(`changing ${path}: ${response.status} ${await response.text()}`);
}

/** Sum of the samples of a metric whose labels include those given. */
export function sampleOf(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    if (!line.startsWith(name)) continue;
    const match = /^([a-z_0-9]+)(\{.*\})? (\S+)/.exec(line);
    if (match === null || match[1] !== name) continue;
    const isWanted = Object.entries(labels).every(
      ([key, value]) => match[2]?.includes(`${key}="${value}"`) === true,
    );
    if (isWanted) sum += Number(match[3]);
  }
  return sum;
}
