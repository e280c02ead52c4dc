// Starts a demo: backend processes and whatever their session architecture needs (a session process, Redis).
// Everything started is stopped again when a part fails, when stop() is called, and when this process dies.
import { randomBytes } from 'node:crypto';
import { announced, type Child, ChildFailure, entryPath, startChild } from './child.ts';
import type { DemoStore } from './demo-store.ts';
import { OLD_SECRET_VARIABLE, SECRET_VARIABLE } from './flags.ts';
import type { RedisKind } from './redis-servers.ts';
import type { Architecture } from './session-layer.ts';
import { startStore } from './stores.ts';

/** Options of startDemo; what is left out takes the default given. */
export interface DemoOptions {
  /** Default memory. */
  readonly architecture?: Architecture;
  /** Number of backends, 1 to 26; default 4. */
  readonly servers?: number;
  /** First backend's port, the others follow; default 0, the kernel chooses. */
  readonly port?: number;
  /** Name of the option that sets `port`, for the message when one is taken; default --backend-port. */
  readonly portOption?: string;
  /** Flags passed to every backend as they are, e.g. ['--idle', '5s']. */
  readonly flags?: readonly string[];
  /** Run backends with --expose-gc, so that heapUsed in /lab/stats is exact; default false. */
  readonly exposeGc?: boolean;
  /** Redis architecture: single (no persistence, default), aof, or sentinel (primary, replica, three Sentinels). */
  readonly redis?: RedisKind;
  /** Replicated architecture: default async. */
  readonly replication?: 'async' | 'sync';
  /** JWT architecture: keep a deny list in the session process; default false. */
  readonly denyList?: boolean;
  /** scrypt N of the demo users' passwords; default: what costs about 3 ms to check. */
  readonly scryptCost?: number;
  /** Shared by the backends; default: a fresh random one. */
  readonly secret?: string;
}

/** One backend process. Its name and ports stay when it is restarted, its pid changes. */
export interface DemoBackend {
  readonly name: string;
  readonly url: string;
  /** Base URL of the loopback port with /lab/stats, /lab/store-delay and /admin/ban. */
  readonly statsUrl: string;
  readonly pid: number;
  /** Ends the process with a signal (default SIGKILL); resolves with its exit code, null when a signal ended it. */
  kill(signal?: NodeJS.Signals): Promise<number | null>;
  /** Sends a signal (SIGSTOP, SIGCONT, ...) without waiting for anything. */
  signal(signal: NodeJS.Signals): void;
  /** Starts it again on the same ports (a running one gets SIGTERM first); resolves when it is ready. */
  restart(): Promise<void>;
}

/** A running demo. */
export interface Demo {
  readonly architecture: Architecture;
  readonly backends: readonly DemoBackend[];
  /** What the sessions live in outside the backends; its kind is none where they do not. */
  readonly store: DemoStore;
  /** Starts one more backend; resolves when it is ready. */
  add(): Promise<DemoBackend>;
  /** Starts again, on the same ports, what has died, the store first; resolves with it when it is ready. */
  revive(): Promise<Revived>;
  /**
   * Restarts all backends at once with a new secret; with `keepsOld` they still read what the old one keyed. Once, and
   * only where the secret is the backends' own: not with replication or a session process.
   */
  rotateSecret(keepsOld: boolean): Promise<void>;
  /** Stops everything; safe to call twice. */
  stop(): Promise<void>;
}

/** Most backends of one demo: their names are letters. */
export const SERVERS_MAX = 26;

/** Starts a demo and resolves when every part is ready (at most 15 s each); rejects with a message for people. */
export async function startDemo(options: DemoOptions = {}): Promise<Demo> {
  const architecture = options.architecture ?? 'memory';
  const count = options.servers ?? 4;
  if (!Number.isInteger(count) || count < 1 || count > SERVERS_MAX) {
    throw new ChildFailure(`a demo of ${count} servers: 1 to ${SERVERS_MAX} are allowed`);
  }
  const secret = options.secret ?? randomSecret();
  const secrets: Secrets = { current: secret, old: null };
  const { redis = 'single', denyList = false, scryptCost = null } = options;
  const store = await startStore({ architecture, secret, redis, denyList, scryptCost });
  const backends: Backend[] = [];
  const add = async (): Promise<Backend> => {
    const index = backends.length;
    if (index >= SERVERS_MAX) throw new ChildFailure(`a demo has at most ${SERVERS_MAX} servers`);
    const backend = new Backend(backendPlan(options, architecture, index), store, secrets, backends);
    backends.push(backend);
    try {
      await backend.restart();
    } catch (error) {
      backends.splice(backends.indexOf(backend), 1);
      throw error;
    }
    return backend;
  };
  let stopping: Promise<void> | null = null;
  const stopAll = async (): Promise<void> => {
    await Promise.all(backends.map((backend) => backend.kill('SIGTERM')));
    await store.stop();
  };
  const stop = (): Promise<void> => {
    stopping ??= stopAll();
    return stopping;
  };
  try {
    // Replicated backends introduce themselves to those that are already there, so they start one after the other.
    if (architecture === 'replicated') for (let index = 0; index < count; index += 1) await add();
    else await allOrFirstFailure(Array.from({ length: count }, add));
  } catch (error) {
    await stop();
    throw error;
  }
  const rotateSecret = async (keepsOld: boolean): Promise<void> => {
    secrets.old = keepsOld ? secrets.current : null;
    secrets.current = randomSecret();
    await allOrFirstFailure(backends.map((backend) => backend.restart()));
  };
  const revive = async (): Promise<Revived> => {
    const isStoreDead = !store.isAlive;
    if (isStoreDead) await store.restart();
    const dead = backends.filter((backend) => !backend.isAlive);
    await allOrFirstFailure(dead.map((backend) => backend.restart()));
    return { store: isStoreDead ? store : null, backends: dead };
  };
  return { architecture, backends, store, add, revive, rotateSecret, stop };
}

/** What was dead. */
export interface Revived {
  readonly store: DemoStore | null;
  readonly backends: readonly DemoBackend[];
}

/** What the backends of a demo share, for their next start. */
interface Secrets {
  current: string;
  old: string | null;
}

function randomSecret(): string {
  return randomBytes(32).toString('hex');
}

interface BackendPlan {
  readonly name: string;
  readonly port: number;
  readonly portOption: string;
  readonly nodeFlags: readonly string[];
  readonly flags: readonly string[];
  readonly architecture: Architecture;
}

function backendPlan(options: DemoOptions, architecture: Architecture, index: number): BackendPlan {
  const firstPort = options.port ?? 0;
  return {
    name: String.fromCharCode('a'.charCodeAt(0) + index),
    port: firstPort === 0 ? 0 : firstPort + index,
    portOption: options.portOption ?? '--backend-port',
    nodeFlags: options.exposeGc === true ? ['--expose-gc'] : [],
    flags: [
      ...(architecture === 'jwt' && options.denyList === true ? ['--deny-list'] : []),
      ...['--replication', options.replication ?? 'async'],
      ...(options.scryptCost === undefined ? [] : ['--scrypt-cost', String(options.scryptCost)]),
      ...(options.flags ?? []),
    ],
    architecture,
  };
}

class Backend implements DemoBackend {
  readonly #plan: BackendPlan;
  readonly #store: DemoStore;
  readonly #secrets: Secrets;
  readonly #all: readonly Backend[];
  #child: Child | null = null;
  #alive = false;
  #url = '';
  #statsUrl = '';
  #peerUrl = '';

  constructor(plan: BackendPlan, store: DemoStore, secrets: Secrets, all: readonly Backend[]) {
    this.#plan = plan;
    this.#store = store;
    this.#secrets = secrets;
    this.#all = all;
  }

  get name(): string {
    return this.#plan.name;
  }

  get url(): string {
    return this.#url;
  }

  get statsUrl(): string {
    return this.#statsUrl;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    return this.#child !== null && this.#alive ? this.#child.end(signal) : null;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.signal(signal);
  }

  async restart(): Promise<void> {
    await this.kill('SIGTERM');
    const child = await this.#start();
    this.#child = child;
    this.#alive = true;
    void child.ended.then(() => {
      if (this.#child === child) this.#alive = false;
    });
    this.#url = announced(child.output, 'listening on');
    this.#statsUrl = announced(child.output, 'stats on');
    this.#peerUrl = this.#plan.architecture === 'replicated' ? announced(child.output, 'peers on') : '';
  }

  async #start(): Promise<Child> {
    const { name, architecture, nodeFlags, flags } = this.#plan;
    const port = portOf(this.#url, this.#plan.port);
    const peers = this.#all.filter((other) => other !== this && other.#alive).map((other) => other.#peerUrl);
    const addresses = [
      ...['--port', String(port), '--stats-port', String(portOf(this.#statsUrl, 0))],
      ...[
        '--peer-port',
        String(portOf(this.#peerUrl, 0)),
        '--peers',
        peers.filter((url) => url !== '').join(','),
      ],
    ];
    try {
      return await startChild({
        title: `backend ${name}`,
        command: process.execPath,
        args: [
          ...nodeFlags,
          entryPath('backend'),
          ...['--architecture', architecture, '--name', name],
          ...addresses,
          ...this.#store.backendFlags,
          ...flags,
        ],
        environment: {
          [SECRET_VARIABLE]: this.#secrets.current,
          ...(this.#secrets.old === null ? {} : { [OLD_SECRET_VARIABLE]: this.#secrets.old }),
          ...this.#store.backendEnvironment,
        },
        ours: true,
        isReady: (output) => /^ready after/m.test(output),
      });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (!message.includes(`port ${port} `) || !message.includes('is taken')) throw error;
      throw new ChildFailure(
        `port ${port} for backend ${name} is taken; choose another with ${this.#plan.portOption}`,
      );
    }
  }
}

/** Waits for all even when one fails, so that whatever was still starting can be stopped. */
async function allOrFirstFailure(parts: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(parts);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

function portOf(url: string, fallback: number): number {
  return url === '' ? fallback : Number(new URL(url).port);
}
