// Sessions in Redis: express-session, connect-redis and node-redis as most readers run them, on one server or
// behind Sentinel.
import { RedisStore } from 'connect-redis';
import type session from 'express-session';
import { createClient, createSentinel } from 'redis';
import type { BackendOptions } from '../flags.ts';
import { asSessionState, type BanResult, type LayerStats, SessionEnded } from '../session-layer.ts';
import type { SessionRecords } from './express-store.ts';

type Options = Pick<BackendOptions, 'redisUrls' | 'sentinelName' | 'redisOffline'>;

const PREFIX = 'sess:';
const SCAN_COUNT = 1000;
const CONNECT_MS_MAX = 1000;
/** Longest wait for one operation. node-redis times a command only until it is sent, not until it is answered. */
export const COMMAND_MS_MAX = 2000;
/** Commands that may wait for Redis in one process. */
const QUEUE_LENGTH_MAX = 10_000;
/** Longest wait between two attempts to reach a Redis that went away. */
export const RECONNECT_MS_MAX = 500;

/** The few commands used, which the plain and the Sentinel client have in common. */
interface Commands {
  connect(): Promise<unknown>;
  destroy(): unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  get(key: string): Promise<unknown>;
  set(key: string, value: string, options: object): Promise<unknown>;
  expire(key: string, seconds: number): Promise<unknown>;
  del(keys: string[]): Promise<unknown>;
  mGet(keys: string[]): Promise<unknown[]>;
  scan(cursor: string, options: object): Promise<{ readonly cursor: unknown; readonly keys: unknown[] }>;
}

/** Session records in Redis. */
export class RedisRecords implements SessionRecords {
  readonly sentence: string;
  readonly #client: Commands;
  readonly #waits: boolean;
  readonly #creating: RedisStore;
  readonly #replacing: RedisStore;
  /** Time to live of the operation under way; connect-redis asks for it synchronously. */
  #ttlMs = 0;

  constructor(options: Options, password: string) {
    this.sentence =
      options.sentinelName === null
        ? 'Sessions are in one Redis server that all servers share; add and remove servers freely.'
        : 'Sessions are in Redis with a replica; Sentinels promote it when the primary dies.';
    this.#waits = options.redisOffline === 'queue';
    this.#client = connectTo(options, password);
    // The client reconnects by itself; without a listener the event would end the process.
    this.#client.on('error', () => {});
    const ttl = (): number => Math.max(1, Math.ceil(this.#ttlMs / 1000));
    this.#creating = new RedisStore({ client: this.#client, prefix: PREFIX, ttl });
    this.#replacing = new RedisStore({ client: onlyExisting(this.#client), prefix: PREFIX, ttl });
  }

  async begin(): Promise<void> {
    await this.#client.connect();
  }

  async load(id: string): Promise<session.SessionData | null> {
    return (await this.#within(this.#creating.get(id))) as session.SessionData | null;
  }

  async create(id: string, data: session.SessionData, ttlMs: number): Promise<void> {
    this.#ttlMs = ttlMs;
    await this.#within(this.#creating.set(id, data));
  }

  async replace(id: string, data: session.SessionData, ttlMs: number): Promise<boolean> {
    this.#ttlMs = ttlMs;
    try {
      await this.#within(this.#replacing.set(id, data));
      return true;
    } catch (error) {
      if (error instanceof SessionEnded) return false;
      throw error;
    }
  }

  async touch(id: string, data: session.SessionData, ttlMs: number): Promise<void> {
    this.#ttlMs = ttlMs;
    await this.#within(this.#creating.touch(id, data));
  }

  async remove(id: string): Promise<void> {
    await this.#within(this.#creating.destroy(id));
  }

  /** Looks at every session: Redis has no index by user unless the application keeps one. */
  async ban(user: string): Promise<BanResult> {
    const all = await this.#within(this.#all());
    const keys = [...all].filter(([, text]) => userOf(text) === user).map(([key]) => key);
    if (keys.length > 0) await this.#client.del(keys);
    return { ended: keys.length, scope: 'pool' };
  }

  async stats(): Promise<Partial<LayerStats>> {
    try {
      const all = await this.#within(this.#all());
      const bytes = [...all.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0);
      return { sessionsScope: 'pool', sessions: all.size, bytes };
    } catch {
      // Redis is down: that is what the null says.
      return { sessionsScope: 'pool', sessions: null, bytes: null };
    }
  }

  end(): Promise<void> {
    this.#client.destroy();
    return Promise.resolve();
  }

  /** With --redis-offline queue the wait is as long as Redis is away: what an application gets that sets nothing. */
  async #within<T>(operation: Promise<T>): Promise<T> {
    if (this.#waits) return operation;
    let late: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_resolve, reject) => {
      late = setTimeout(() => reject(new Error(`no answer within ${COMMAND_MS_MAX} ms`)), COMMAND_MS_MAX);
    });
    try {
      return await Promise.race([operation, timeout]);
    } finally {
      clearTimeout(late);
    }
  }

  async #all(): Promise<ReadonlyMap<string, string>> {
    const found = new Map<string, string>();
    let cursor = '0';
    do {
      const page = await this.#client.scan(cursor, { MATCH: `${PREFIX}*`, COUNT: SCAN_COUNT });
      const keys = page.keys.map(String);
      const values = keys.length === 0 ? [] : await this.#client.mGet(keys);
      for (const [index, key] of keys.entries()) {
        const value = values[index];
        if (typeof value === 'string') found.set(key, value);
      }
      cursor = String(page.cursor);
    } while (cursor !== '0');
    return found;
  }
}

function connectTo(options: Options, password: string): Commands {
  const disableOfflineQueue = options.redisOffline === 'fail';
  const shared = {
    ...(password === '' ? {} : { password }),
    disableOfflineQueue,
    socket: {
      connectTimeout: CONNECT_MS_MAX,
      reconnectStrategy: (retries: number) => Math.min(50 * 2 ** retries, RECONNECT_MS_MAX),
    },
    commandsQueueMaxLength: QUEUE_LENGTH_MAX,
  };
  if (options.sentinelName === null) {
    return createClient({ url: options.redisUrls[0] ?? '', ...shared }) as unknown as Commands;
  }
  const sentinelRootNodes = options.redisUrls.map((url) => {
    const { hostname, port } = new URL(url);
    return { host: hostname, port: Number(port) };
  });
  return createSentinel({
    name: options.sentinelName,
    sentinelRootNodes,
    nodeClientOptions: shared,
  }) as unknown as Commands;
}

/** The same client whose `set` refuses to create, so that a late save cannot bring a logged-out session back. */
function onlyExisting(client: Commands): Pick<Commands, 'set'> {
  return {
    async set(key, value, options) {
      const reply = await client.set(key, value, { ...options, condition: 'XX' });
      if (reply === null) throw new SessionEnded('the session has ended');
      return reply;
    },
  };
}

function userOf(text: string): string | null {
  try {
    return asSessionState((JSON.parse(text) as session.SessionData).state)?.user ?? null;
  } catch {
    return null;
  }
}
