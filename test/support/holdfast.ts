// Runs the real program, in its own process or in the test's, on ports the kernel chooses.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { LAUNCHER, program } from './launcher.ts';
import { whenDone } from './lifetime.ts';

const START_MS = 60_000;

/** A balancer that runs, wherever it does. */
export interface Holdfast {
  /** First listener, `http://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly ports: readonly number[];
  readonly adminUrl: string;
  readonly configFile: string;
  readonly directory: string;
  /** Everything announced on standard output so far. */
  output(): string;
  /** Everything logged so far. */
  log(): string;
  status(): Promise<StatusDocument>;
  metrics(): Promise<string>;
  /** Value of one sample, 0 when it is not there. `labels` must be a subset of the sample's. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  /** Stops gracefully; resolves when all has ended. */
  stop(): Promise<unknown>;
}

export interface RunningHoldfast extends Holdfast {
  readonly child: ChildProcess;
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

export interface InsideOptions {
  readonly threads?: number;
  /** Beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Do not wait until servers have been checked. */
  readonly unready?: boolean;
  readonly directory?: string;
}

export interface RunOptions extends InsideOptions {
  readonly args?: readonly string[];
  /** Program and arguments that run what follows them: `['sh', '-c', '…; exec "$@"', 'sh']`. */
  readonly under?: readonly string[];
}

/** Starts `holdfast run` on the YAML; it is killed when the test ends. Waits until /readyz says yes. */
export async function runHoldfast(yaml: string, options: RunOptions = {}): Promise<RunningHoldfast> {
  const home = homeOf(yaml, options);
  const args = [LAUNCHER, 'run', '--config', home.configFile, ...(options.args ?? [])];
  if (options.threads !== undefined) args.push('--threads', String(options.threads));
  const [runner = '', ...rest] = [...(options.under ?? []), process.execPath, ...args];
  const child = spawn(runner, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  const said = { output: '', log: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said.output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.log += text));
  const exit = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  whenDone(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await exit;
    home.remove();
  });
  const addresses = await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`holdfast exited with ${child.exitCode}:\n${said.log}`);
      return addressesIn(said.output);
    },
    { deadlineMs: START_MS, what: () => `holdfast to listen; it printed:\n${said.output}${said.log}` },
  );
  const stop = (): Promise<number | null> => {
    child.kill('SIGTERM');
    return exit;
  };
  const running = { ...holdfastAt(addresses, home, said), child, stop, exited: () => exit };
  if (options.unready !== true) await untilReady(running);
  return running;
}

/**
 * As `runHoldfast`, inside this process, for what is not about the process: a third of the cost. What `holdfast run` does
 * besides (signals, exit codes, standard streams) is not there.
 */
export async function runInside(yaml: string, options: InsideOptions = {}): Promise<Holdfast> {
  const home = homeOf(yaml, options);
  whenDone(home.remove);
  setVariables(options.env ?? {});
  const { startProgram } = await program();
  const said = { output: '', log: '' };
  const started = await startProgram({
    configFile: home.configFile,
    threads: options.threads ?? null,
    onAnnounced: (line) => {
      said.output += `${line}\n`;
    },
    onLog: (line) => {
      said.log += line;
    },
  });
  let stopping: Promise<boolean> | null = null;
  const stop = (): Promise<boolean> => (stopping ??= started.stop());
  whenDone(async () => {
    // nobody is waited for
    await started.balancer.fleet.end();
    await stop();
  });
  const running = { ...holdfastAt(addressesIn(said.output)!, home, said), stop };
  if (options.unready !== true) await untilReady(running);
  return running;
}

/** Resolves when all threads have the configuration; SIGHUP and the revision in the status do not say so. */
export async function reload(
  { configFile, adminUrl }: Pick<Holdfast, 'configFile' | 'adminUrl'>,
  yaml: string,
): Promise<void> {
  writeFileSync(configFile, yaml);
  const response = await fetch(`${adminUrl}/api/reload`, { method: 'POST' });
  if (response.status !== 200) throw new Error(`reload refused: ${await response.text()}`);
}

/** Of this process: a reload reads them again. */
function setVariables(env: Readonly<Record<string, string>>): void {
  const former = Object.keys(env).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, env);
  whenDone(() => {
    for (const [name, value] of former) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
}

interface Home {
  readonly directory: string;
  readonly configFile: string;
  /** Nothing where the directory is the caller's. */
  readonly remove: () => void;
}

function homeOf(yaml: string, options: InsideOptions): Home {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'holdfast-test-'));
  const configFile = join(directory, 'holdfast.yaml');
  writeFileSync(configFile, yaml);
  const remove = (): void => {
    if (options.directory === undefined) rmSync(directory, { recursive: true, force: true });
  };
  return { directory, configFile, remove };
}

interface Addresses {
  readonly ports: readonly number[];
  readonly adminUrl: string;
}

/** Null as long as not all is announced. */
function addressesIn(output: string): Addresses | null {
  const lines = [...output.matchAll(/^listening on https?:\/\/.*:(\d+)$/gm)];
  const adminUrl = /^admin on (http:\S+)$/m.exec(output)?.[1];
  return lines.length > 0 && adminUrl !== undefined
    ? { ports: lines.map((line) => Number(line[1])), adminUrl }
    : null;
}

function holdfastAt(
  { ports, adminUrl }: Addresses,
  { directory, configFile }: Home,
  said: { readonly output: string; readonly log: string },
): Omit<Holdfast, 'stop'> {
  const metrics = async (): Promise<string> => (await fetch(`${adminUrl}/metrics`)).text();
  return {
    port: ports[0]!,
    ports,
    url: `http://127.0.0.1:${ports[0]}`,
    adminUrl,
    configFile,
    directory,
    output: () => said.output,
    log: () => said.log,
    status: async () => (await (await fetch(`${adminUrl}/api/status`)).json()) as StatusDocument,
    metrics,
    metric: async (name, labels = {}) => sampleOf(await metrics(), name, labels),
  };
}

function untilReady({ adminUrl, log }: Holdfast): Promise<unknown> {
  return eventually(async () => (await fetch(`${adminUrl}/readyz`)).status === 200, {
    deadlineMs: START_MS,
    what: () => `holdfast to be ready; its log:\n${log()}`,
  });
}

/** The operator's change of a server, `POOL/SERVER`. Rejects when it is not made. */
export async function changeServer(
  { adminUrl }: Pick<Holdfast, 'adminUrl'>,
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
