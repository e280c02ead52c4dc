// The command line of one demo backend: text in, one frozen options value or a list of complaints out.
import { parseArgs } from 'node:util';
import { ARCHITECTURES, type Architecture, isArchitecture, type SessionLimits } from './session-layer.ts';

/** Environment variable that carries the secret shared by all backends; argv would show it in `ps`. */
export const SECRET_VARIABLE = 'HOLDFAST_DEMO_SECRET';
/** Environment variable with the secret before this one, whose cookies and tokens are still read; absent: there is none. */
export const OLD_SECRET_VARIABLE = 'HOLDFAST_DEMO_OLD_SECRET';
/** Environment variable with the password of Redis, if it has one. */
export const REDIS_PASSWORD_VARIABLE = 'HOLDFAST_DEMO_REDIS_PASSWORD';
/** Shortest secret accepted; iron-session demands as much. */
export const SECRET_LENGTH_MIN = 32;

/** Everything one backend process needs to know. */
export interface BackendOptions {
  readonly architecture: Architecture;
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly statsPort: number;
  readonly limits: SessionLimits;
  readonly sessionBytes: number;
  readonly cookieName: string;
  readonly secret: string;
  /** Keys what clients brought from before the secret was changed: read, never written. Null: they are logged out. */
  readonly oldSecret: string | null;
  /** Failed log-ins per user and address within the window before 429. */
  readonly loginFailuresMax: number;
  readonly loginWindowMs: number;
  /** user1 to userN exist beside the named ones. */
  readonly userCount: number;
  readonly scryptCost: number;
  /** Added to every session store operation. */
  readonly storeDelayMs: number;
  /** How long SIGTERM keeps accepting with /healthz at 503, so that balancers can look away first. */
  readonly graceMs: number;
  readonly replication: 'async' | 'sync';
  readonly peers: readonly string[];
  readonly peerPort: number;
  /** Base URL of the central session process; null when the architecture has none. */
  readonly sessiondUrl: string | null;
  readonly redisUrls: readonly string[];
  /** Name of the Sentinel master group; then redisUrls are Sentinels. null: redisUrls is one server. */
  readonly sentinelName: string | null;
  /** fail: commands fail at once while Redis is away. queue: node-redis's own default, requests hang. */
  readonly redisOffline: 'fail' | 'queue';
  readonly denyList: boolean;
}

const FLAGS = {
  architecture: { type: 'string', default: 'memory' },
  name: { type: 'string', default: 'a' },
  host: { type: 'string', default: '127.0.0.1' },
  port: { type: 'string', default: '0' },
  'stats-port': { type: 'string', default: '0' },
  idle: { type: 'string', default: '30m' },
  life: { type: 'string', default: '12h' },
  'session-bytes': { type: 'string', default: '1024' },
  'cookie-name': { type: 'string' },
  'login-failures': { type: 'string', default: '10' },
  'login-window': { type: 'string', default: '1m' },
  users: { type: 'string', default: '10000' },
  'scrypt-cost': { type: 'string', default: '1024' },
  'store-delay': { type: 'string', default: '0ms' },
  grace: { type: 'string', default: '0ms' },
  replication: { type: 'string', default: 'async' },
  peers: { type: 'string', default: '' },
  'peer-port': { type: 'string', default: '0' },
  sessiond: { type: 'string' },
  redis: { type: 'string', default: 'redis://127.0.0.1:6379' },
  sentinel: { type: 'string' },
  'redis-offline': { type: 'string', default: 'fail' },
  'deny-list': { type: 'boolean', default: false },
} as const;

const UNIT_MS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Reads `250ms`, `5s`, `30m`, `12h` or plain milliseconds; NaN for anything else. */
export function durationMs(text: string): number {
  const match = /^(\d{1,10})(ms|s|m|h|)$/.exec(text);
  return match === null ? Number.NaN : Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? Number.NaN);
}

/** Parses argv (without node and script). Returns every complaint at once instead of options when there is any. */
export function parseBackendFlags(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): { readonly options: BackendOptions } | { readonly problems: readonly string[] } {
  const problems: string[] = [];
  let values: ReturnType<typeof readFlags>;
  try {
    values = readFlags(argv);
  } catch (error) {
    return { problems: [error instanceof Error ? error.message : String(error)] };
  }
  const { whole, duration, oneOf } = readers(values, problems);
  const architecture = isArchitecture(values.architecture)
    ? values.architecture
    : oneOf('architecture', ARCHITECTURES);
  const secret = environment[SECRET_VARIABLE] ?? '';
  if (secret.length < SECRET_LENGTH_MIN) {
    problems.push(
      `${SECRET_VARIABLE} must hold the secret the backends share, at least ${SECRET_LENGTH_MIN} characters`,
    );
  }
  const options: BackendOptions = {
    architecture,
    name: values.name,
    host: values.host,
    port: whole('port', 0, 65_535),
    statsPort: whole('stats-port', 0, 65_535),
    limits: { idleMs: duration('idle'), lifeMs: duration('life') },
    sessionBytes: whole('session-bytes', 0, 1_048_576),
    cookieName: values['cookie-name'] ?? defaultCookieName(architecture),
    secret,
    oldSecret: environment[OLD_SECRET_VARIABLE] ?? null,
    loginFailuresMax: whole('login-failures', 1, 1_000_000),
    loginWindowMs: duration('login-window'),
    userCount: whole('users', 0, 1_000_000),
    scryptCost: whole('scrypt-cost', 2, 1_048_576),
    storeDelayMs: duration('store-delay'),
    graceMs: duration('grace'),
    replication: oneOf('replication', ['async', 'sync']),
    peers: words(values.peers),
    peerPort: whole('peer-port', 0, 65_535),
    sessiondUrl: values.sessiond ?? null,
    redisUrls: words(values.redis),
    sentinelName: values.sentinel ?? null,
    redisOffline: oneOf('redis-offline', ['fail', 'queue']),
    denyList: values['deny-list'],
  };
  if (options.sessiondUrl === null && (architecture === 'database' || options.denyList)) {
    problems.push('--sessiond URL is missing: this architecture asks the central session process');
  }
  return problems.length > 0 ? { problems } : { options: Object.freeze(options) };
}

/** Readers of single flags that note what is wrong in `problems`. */
function readers(values: ReturnType<typeof readFlags>, problems: string[]) {
  const whole = (flag: keyof typeof FLAGS, min: number, max: number): number => {
    const value = Number(values[flag]);
    if (!Number.isInteger(value) || value < min || value > max) {
      problems.push(`--${flag} ${String(values[flag])}: a whole number from ${min} to ${max} is allowed`);
    }
    return value;
  };
  const duration = (flag: keyof typeof FLAGS): number => {
    const value = durationMs(String(values[flag]));
    if (Number.isNaN(value)) problems.push(`--${flag} ${String(values[flag])}: write 250ms, 5s, 30m or 12h`);
    return value;
  };
  const oneOf = <T extends string>(flag: keyof typeof FLAGS, allowed: readonly T[]): T => {
    const found = allowed.find((value) => value === values[flag]);
    if (found === undefined)
      problems.push(`--${flag} ${String(values[flag])}: one of ${allowed.join(', ')} is allowed`);
    return found ?? (allowed[0] as T);
  };
  return { whole, duration, oneOf };
}

function readFlags(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: FLAGS, strict: true }).values;
}

/** Name of the session cookie of an architecture when --cookie-name does not say otherwise. */
export function defaultCookieName(architecture: Architecture): string {
  return architecture === 'cookie' ? 'sealed' : architecture === 'jwt' ? 'token' : 'connect.sid';
}

function words(text: string): readonly string[] {
  return text.split(',').filter((word) => word !== '');
}
