// What an application may say of its sessions, checked, with the defaults.
import type { RedisSource } from './store-connection.ts';

/** Options of HomeSessions and HomeStore. */
export interface SessionsOptions {
  /**
   * A client of the package `redis`, from createClient(). It is the pattern for a connection of this store's own, and need
   * not be connected. For Sentinel: a function that makes one for the primary, called for each new connection.
   */
  readonly client: RedisSource;
  /** Name of this server, for people who read the store. Default: none. */
  readonly server?: string;
  /** Seconds that a session lives after its last use, where its cookie does not say. Default 86400. */
  readonly ttl?: number;
  /** Milliseconds that a change waits for the store's word. Default 100. */
  readonly ackTimeout?: number;
  /** Milliseconds that a session which is not here is waited for. Default 1000. */
  readonly loadTimeout?: number;
  /** What a change gets while the store does not answer: done, without a backup (default), or an error. */
  readonly whenStoreIsAway?: 'serve' | 'refuse';
  /** Sessions in memory at most; those used least recently go, if the store has them. Default 0: no limit. */
  readonly maxSessions?: number;
  /** Bytes of sessions in memory at most, roughly. 0: no limit. Default 256 MiB. */
  readonly maxBytes?: number;
  /** Begin of all keys in the store. Default `holdfast:`. */
  readonly prefix?: string;
  /** Keys the hashes of ids in the store; the same at all servers. Default: none, good for ids that cannot be guessed. */
  readonly secret?: string;
  /** Seal sessions in the store: the first seals, all open. The same at all servers. Default: none, in the clear. */
  readonly seal?: string | readonly string[];
  /** Prefix of the sessions that connect-redis keeps in the same store (`sess:`); they are taken over. Default: none. */
  readonly adopt?: string;
  /** Told why the store is away or refuses. Default: a warning of the process, once for each reason. */
  readonly onTrouble?: (error: Error) => void;
}

export interface CheckedOptions {
  readonly client: RedisSource;
  readonly server: string;
  readonly ttlMs: number;
  readonly ackTimeoutMs: number;
  readonly loadTimeoutMs: number;
  readonly whenStoreIsAway: 'serve' | 'refuse';
  readonly limits: { readonly sessions: number; readonly bytes: number };
  readonly prefix: string;
  readonly secret: string;
  readonly seal: readonly string[];
  readonly adopt: string | null;
  readonly onTrouble: (error: Error) => void;
}

const SECRET_LENGTH_MIN = 32;
const BYTES_MAX = 256 * 1024 * 1024;
const NAMES = [
  ...['client', 'server', 'ttl', 'ackTimeout', 'loadTimeout', 'whenStoreIsAway', 'maxSessions', 'maxBytes'],
  ...['prefix', 'secret', 'seal', 'adopt', 'onTrouble'],
];

/** Throws TypeError for what would surprise later. */
export function checkOptions(options: SessionsOptions): CheckedOptions {
  for (const name of Object.keys(options))
    if (!NAMES.includes(name))
      throw new TypeError(`${name} is no option of the session store: ${NAMES.join(', ')} are`);
  const { client, whenStoreIsAway = 'serve', prefix = 'holdfast:', secret = '', adopt = null } = options;
  checkClient(client);
  if (whenStoreIsAway !== 'serve' && whenStoreIsAway !== 'refuse')
    throw new TypeError(`whenStoreIsAway is ${String(whenStoreIsAway)}: serve or refuse is allowed`);
  const seal = typeof options.seal === 'string' ? [options.seal] : (options.seal ?? []);
  for (const text of [...seal, ...(secret === '' ? [] : [secret])])
    if (text.length < SECRET_LENGTH_MIN)
      throw new TypeError(`secret and seal need ${SECRET_LENGTH_MIN} characters or more`);
  if (prefix === '') throw new TypeError('prefix is empty: sessions need keys of their own');
  if (adopt === prefix) throw new TypeError('adopt is the prefix of another store, not of this one');
  return {
    ...{ client, whenStoreIsAway, prefix, secret, seal, adopt },
    server: options.server ?? '',
    ttlMs: numberOf('ttl', options.ttl, 86_400, 1) * 1000,
    ackTimeoutMs: numberOf('ackTimeout', options.ackTimeout, 100, 1),
    loadTimeoutMs: numberOf('loadTimeout', options.loadTimeout, 1000, 1),
    limits: {
      sessions: numberOf('maxSessions', options.maxSessions, 0, 0),
      bytes: numberOf('maxBytes', options.maxBytes, BYTES_MAX, 0),
    },
    onTrouble: options.onTrouble ?? warnOnce(),
  };
}

function checkClient(client: unknown): void {
  if (typeof client === 'function') return;
  const found = (typeof client === 'object' && client !== null ? client : {}) as Record<string, unknown>;
  if ('masters' in found || 'getMasterNode' in found)
    throw new TypeError(
      'client is of a cluster or of Sentinel: sessions are on one primary, so give a function that makes a client for it',
    );
  if (typeof found['duplicate'] !== 'function')
    throw new TypeError('client is no client of the package redis: createClient() makes one');
}

function numberOf(name: string, value: number | undefined, byDefault: number, min: number): number {
  if (value === undefined) return byDefault;
  if (Number.isFinite(value) && value >= min) return value;
  throw new TypeError(`${name} is ${value}: a number from ${min} is allowed`);
}

function warnOnce(): (error: Error) => void {
  const warned = new Set<string>();
  return ({ message }) => {
    const reason = message.replace(/\d+/g, 'N');
    if (warned.has(reason) || warned.size >= 20) return;
    warned.add(reason);
    process.emitWarning(`session store: ${message}`, 'HoldfastWarning');
  };
}
