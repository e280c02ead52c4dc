// Redis for the demo: one server, or a primary with a replica and three Sentinels, on free loopback ports with a
// password of its own, in a folder of its own, gone when the demo goes.
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { type Child, ChildFailure, startChild } from './child.ts';
import type { DemoStore } from './demo-store.ts';
import { REDIS_PASSWORD_VARIABLE } from './flags.ts';
import { freePort } from './free-port.ts';

/** Which Redis: one server without persistence, one with an append-only file, or primary, replica and Sentinels. */
export type RedisKind = 'single' | 'aof' | 'sentinel';

const MASTER_NAME = 'demo';
const SENTINELS = 3;
const READY_REPLICA = 'Finished with success';
/** How long a primary must be silent before Sentinels replace it; Redis's own default is 30 s. */
export const DOWN_AFTER_MS = 1000;

/** Null when redis-server can be run, otherwise how to get it. */
export function redisMissing(): string | null {
  if (spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0) return null;
  return 'redis-server is not on the PATH; get it with "apt-get install redis-server" (Debian, Ubuntu), "brew install redis" (macOS) or "dnf install redis" (Fedora)';
}

/** Starts Redis and resolves when it answers. */
export async function startRedis(kind: RedisKind): Promise<DemoStore> {
  const missing = redisMissing();
  if (missing !== null) throw new ChildFailure(missing);
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-redis-'));
  const password = randomBytes(24).toString('hex');
  const others: Child[] = [];
  const primaryPort = await freePort();
  const startPrimary = (): Promise<Child> =>
    startServer(primaryPort, join(folder), password, kind === 'aof', null);
  let backendFlags = ['--redis', `redis://127.0.0.1:${primaryPort}`];
  let primary: Child | null = null;
  const stop = async (): Promise<void> => {
    const all = primary === null ? others : [...others, primary];
    await Promise.all(all.map((child) => child.end('SIGKILL')));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    primary = await startPrimary();
    if (kind === 'sentinel') {
      others.push(await startServer(await freePort(), folder, password, false, primaryPort));
      const ports: number[] = [];
      for (let index = 0; index < SENTINELS; index += 1) ports.push(await freePort());
      const sentinels = ports.map((port) => startSentinel(port, folder, password, primaryPort));
      const started = await Promise.allSettled(sentinels);
      for (const result of started) if (result.status === 'fulfilled') others.push(result.value);
      for (const result of started) if (result.status === 'rejected') throw result.reason;
      backendFlags = [
        '--redis',
        ports.map((port) => `redis://127.0.0.1:${port}`).join(','),
        '--sentinel',
        MASTER_NAME,
      ];
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const running = { primary };
  return {
    kind: 'redis',
    get pid() {
      return running.primary.pid;
    },
    get isAlive() {
      return running.primary.isAlive;
    },
    backendFlags,
    backendEnvironment: { [REDIS_PASSWORD_VARIABLE]: password },
    kill: () => running.primary.end('SIGKILL'),
    signal: (signal) => running.primary.signal(signal),
    async restart() {
      await running.primary.end('SIGTERM');
      running.primary = await startPrimary();
      primary = running.primary;
    },
    fill: () => forbidGrowth(primaryPort, password),
    stop,
  };
}

/** One byte is less than Redis itself takes, so it counts as full at once. */
async function forbidGrowth(port: number, password: string): Promise<void> {
  const client = createClient({ url: `redis://127.0.0.1:${port}`, password });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.configSet({ 'maxmemory-policy': 'noeviction', maxmemory: '1' });
  } finally {
    client.destroy();
  }
}

function startServer(
  port: number,
  folder: string,
  password: string,
  appendOnly: boolean,
  primaryPort: number | null,
): Promise<Child> {
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    'save ""',
    `appendonly ${appendOnly ? 'yes' : 'no'}`,
    `appenddirname aof-${port}`,
    `dbfilename ${port}.rdb`,
    `dir ${folder}`,
    `requirepass ${password}`,
    `masterauth ${password}`,
    // A primary otherwise waits 5 s for more replicas to come.
    'repl-diskless-sync-delay 0',
    ...(primaryPort === null ? [] : [`replicaof 127.0.0.1 ${primaryPort}`]),
  ];
  return startChild({
    title: `redis-server on port ${port}`,
    command: 'redis-server',
    args: ['-'],
    input: `${lines.join('\n')}\n`,
    folder,
    ours: false,
    // A replica is one only when it holds what the primary holds.
    isReady: (output) =>
      output.includes(primaryPort === null ? 'Ready to accept connections' : READY_REPLICA),
  });
}

async function startSentinel(
  port: number,
  folder: string,
  password: string,
  primaryPort: number,
): Promise<Child> {
  // A Sentinel rewrites its configuration, so it needs a file.
  const file = join(folder, `sentinel-${port}.conf`);
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    `sentinel monitor ${MASTER_NAME} 127.0.0.1 ${primaryPort} 2`,
    `sentinel auth-pass ${MASTER_NAME} ${password}`,
    `sentinel down-after-milliseconds ${MASTER_NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${MASTER_NAME} 5000`,
  ];
  await writeFile(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  return startChild({
    title: `Redis Sentinel on port ${port}`,
    command: 'redis-server',
    args: [file, '--sentinel'],
    folder,
    ours: false,
    // It can replace the primary only once it knows the replica and the Sentinels it needs for a majority.
    isReady: (output) => output.includes('+slave ') && output.split('+sentinel ').length === SENTINELS,
  });
}
