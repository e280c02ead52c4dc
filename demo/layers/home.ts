// Sessions at home with a backup in Redis: express-session over the library that this repository publishes.
import { setTimeout as wait } from 'node:timers/promises';
import type session from 'express-session';
import { createClient, createSentinel } from 'redis';
import { SessionEndedError } from '../../src/session-store/errors.ts';
import { HomeSessions } from '../../src/session-store/home-sessions.ts';
import type { RedisClient, RedisConnection } from '../../src/session-store/store-connection.ts';
import type { BackendOptions } from '../flags.ts';
import { asSessionState, type BanResult, type LayerStats } from '../session-layer.ts';
import type { SessionRecords } from './express-store.ts';

type Options = Pick<BackendOptions, 'redisUrls' | 'sentinelName' | 'name'>;

/** Longest wait for a session that has to be loaded; as long as any session layer of the demo waits for its store. */
const LOAD_MS_MAX = 2000;

/** Session records in this server's memory and in Redis. */
export class HomeRecords implements SessionRecords {
  readonly sentence =
    'Each server keeps its sessions in its own memory, with a backup in Redis that the next server reads if this one dies.';
  readonly #sessions: HomeSessions<session.SessionData>;
  readonly #endSource: () => void;

  /** `delayMs` is read at every operation on the store. */
  constructor(options: Options, password: string, delayMs: () => number) {
    const { source, end } = sourceOf(options, password);
    this.#endSource = end;
    this.#sessions = new HomeSessions({
      client: async () => slowed(await source(), delayMs),
      server: options.name,
      loadTimeout: LOAD_MS_MAX,
      onTrouble: () => {},
    });
  }

  begin(): Promise<void> {
    return Promise.resolve();
  }

  load(id: string): Promise<session.SessionData | null> {
    return this.#sessions.get(id);
  }

  async create(id: string, data: session.SessionData, ttlMs: number): Promise<void> {
    await this.#sessions.set(id, data, ttlMs / 1000);
  }

  async replace(id: string, data: session.SessionData, ttlMs: number): Promise<boolean> {
    try {
      await this.#sessions.set(id, data, ttlMs / 1000);
      return true;
    } catch (error) {
      if (error instanceof SessionEndedError) return false;
      throw error;
    }
  }

  touch(id: string, _data: session.SessionData, ttlMs: number): Promise<void> {
    return this.#sessions.touch(id, ttlMs / 1000);
  }

  async remove(id: string): Promise<void> {
    await this.#sessions.destroy(id);
  }

  async ban(user: string): Promise<BanResult> {
    const ended = await this.#sessions.endWhere((data) => asSessionState(data.state)?.user === user);
    return { ended, scope: 'pool' };
  }

  stats(): Promise<Partial<LayerStats>> {
    const { sessions, dataBytes, loads, operations } = this.#sessions.stats();
    return Promise.resolve({
      sessions,
      bytes: dataBytes,
      storeReads: loads,
      storeWrites: operations - loads,
    });
  }

  isBacked(id: string): boolean | null {
    return this.#sessions.isBacked(id);
  }

  healthHeaders(): Readonly<Record<string, string>> {
    return this.#sessions.healthHeaders();
  }

  async end(): Promise<void> {
    await this.#sessions.close();
    this.#endSource();
  }
}

interface Source {
  readonly source: () => Promise<RedisClient>;
  readonly end: () => void;
}

function sourceOf({ redisUrls, sentinelName }: Options, password: string): Source {
  const secret = password === '' ? {} : { password };
  if (sentinelName === null) {
    const client = createClient({ url: redisUrls[0] ?? '', ...secret });
    return { source: async () => client, end: () => {} };
  }
  const sentinelRootNodes = redisUrls.map((url) => ({
    host: new URL(url).hostname,
    port: Number(new URL(url).port),
  }));
  const sentinel = createSentinel({ name: sentinelName, sentinelRootNodes, nodeClientOptions: secret });
  sentinel.on('error', () => {});
  return {
    source: async () => {
      if (!sentinel.isOpen) await sentinel.connect();
      const node = sentinel.getMasterNode();
      if (node === undefined) throw new Error('the Sentinels name no primary');
      return createClient({ socket: { host: node.host, port: node.port }, ...secret });
    },
    end: () => void sentinel.destroy(),
  };
}

/** The same client whose connections wait before each command, as a store far away would. */
function slowed(client: RedisClient, delayMs: () => number): RedisClient {
  return {
    ...(client.options === undefined ? {} : { options: client.options }),
    // It is the pattern of all connections, and must not go with the first.
    destroy: () => {},
    duplicate: (overrides) => slowedConnection(client.duplicate(overrides), delayMs),
  };
}

function slowedConnection(connection: RedisConnection, delayMs: () => number): RedisConnection {
  return {
    connect: () => connection.connect(),
    destroy: () => connection.destroy(),
    subscribe: (channel, listener) => connection.subscribe(channel, listener),
    on: (event, listener) => connection.on(event, listener),
    async sendCommand(args) {
      const ms = delayMs();
      if (ms > 0) await wait(ms);
      return connection.sendCommand(args);
    },
  };
}
