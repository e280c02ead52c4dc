// What an architecture keeps its sessions in outside the backends, as processes one can kill.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { announced, type Child, ChildFailure, entryPath, startChild } from './child.ts';
import type { DemoStore } from './demo-store.ts';
import { SECRET_VARIABLE } from './flags.ts';
import { type RedisKind, startRedis } from './redis-servers.ts';
import type { Architecture } from './session-layer.ts';

/** What to start. */
export interface StoreRequest {
  readonly architecture: Architecture;
  readonly secret: string;
  readonly redis: RedisKind;
  readonly denyList: boolean;
  /** scrypt N of the passwords in the database; null: the default. */
  readonly scryptCost: number | null;
}

/** The store of architectures that have none. */
const NO_STORE: DemoStore = {
  kind: 'none',
  pid: 0,
  isAlive: true,
  backendFlags: [],
  backendEnvironment: {},
  kill: () => Promise.resolve(),
  signal: () => {},
  restart: () => Promise.resolve(),
  fill: () => Promise.reject(new ChildFailure('there is no store to fill')),
  stop: () => Promise.resolve(),
};

/** Starts the store that the architecture needs and resolves when it answers. */
export function startStore(request: StoreRequest): Promise<DemoStore> {
  const { architecture, secret } = request;
  if (architecture === 'redis' || architecture === 'home') return startRedis(request.redis);
  if (architecture === 'database' || (architecture === 'jwt' && request.denyList))
    return startSessiond(secret, request.scryptCost);
  return Promise.resolve(NO_STORE);
}

async function startSessiond(secret: string, scryptCost: number | null): Promise<DemoStore> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-demo-'));
  const start = (port: string): Promise<Child> =>
    startChild({
      title: 'the session database (sessiond)',
      command: process.execPath,
      args: [
        '--disable-warning=ExperimentalWarning',
        entryPath('sessiond'),
        ...['--port', port, '--file', join(folder, 'sessions.sqlite'), '--temporary'],
        ...(scryptCost === null ? [] : ['--scrypt-cost', String(scryptCost)]),
      ],
      environment: { [SECRET_VARIABLE]: secret },
      ours: true,
      isReady: (output) => /^listening on/m.test(output),
    });
  let child = await start('0').catch(async (error: unknown) => {
    await rm(folder, { recursive: true, force: true });
    throw error;
  });
  const url = announced(child.output, 'listening on');
  return {
    kind: 'sessiond',
    get pid() {
      return child.pid;
    },
    get isAlive() {
      return child.isAlive;
    },
    backendFlags: ['--sessiond', url],
    backendEnvironment: {},
    kill: () => child.end('SIGKILL'),
    signal: (signal) => child.signal(signal),
    async restart() {
      await child.end('SIGTERM');
      child = await start(new URL(url).port);
    },
    fill: () => Promise.reject(new ChildFailure('the session database grows with the disk')),
    async stop() {
      await child.end('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}
