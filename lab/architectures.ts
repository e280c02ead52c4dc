// The architectures compared: which demo backends, behind which affinity. One row each, tables elsewhere refer to it.
import type { DemoOptions } from '../demo/launch.ts';
import type { Rehoming } from './rolling.ts';

/**
 * What decides on which server a new session begins. One whose server is gone goes to the next best by the hash of its
 * key in every mode, so that several balancers agree: see rolling.ts.
 */
export type Placement = 'none' | 'least' | 'turn' | 'random';

export interface StoreOperations {
  readonly read: number;
  readonly write: number;
}

const NO_OPERATIONS: StoreOperations = { read: 0, write: 0 };
/** express-session reads the session, then writes it or renews its life. */
const TWO_EACH: StoreOperations = { read: 2, write: 2 };

export interface Architecture {
  /** As in docs/session-architectures.md. */
  readonly code: string;
  /** What `--only` takes. */
  readonly name: string;
  readonly title: string;
  readonly demo: DemoOptions;
  /** Sticky mode of the balancer; null: as the demo has it. */
  readonly sticky: string | null;
  readonly policy: string | null;
  readonly placement: Placement;
  /** Sessions live in one server's memory only. */
  readonly isLocal: boolean;
  /** Sessions live in one server's memory, and the store has a copy of each. */
  readonly isBacked: boolean;
  /** Process outside the backends that holds sessions or a deny list. */
  readonly store: 'none' | 'sessiond' | 'redis';
  /** Operations on that store for one request of each kind. */
  readonly storeOperations: StoreOperations;
  /** The client carries the session. */
  readonly isCarried: boolean;
  /** Copies of each session in the memory of the servers and of the store that stats can see. */
  readonly copies: (servers: number) => number;
}

const LOCAL = {
  demo: { architecture: 'memory' },
  isLocal: true,
  isBacked: false,
  store: 'none',
  storeOperations: NO_OPERATIONS,
  isCarried: false,
  copies: () => 1,
} as const;

const SHARED = { sticky: null, policy: null, placement: 'none', isLocal: false, isBacked: false } as const;
const CARRIED = { ...SHARED, isCarried: true, copies: () => 0 } as const;
const REPLICATED = {
  ...SHARED,
  store: 'none',
  storeOperations: NO_OPERATIONS,
  isCarried: false,
  copies: (servers: number) => servers,
} as const;
const REDIS = {
  ...SHARED,
  store: 'redis',
  storeOperations: TWO_EACH,
  isCarried: false,
  copies: () => 1,
} as const;

const HOME = {
  sticky: 'cookie-hash',
  policy: 'least-sessions',
  placement: 'least',
  isLocal: false,
  isBacked: true,
  store: 'redis',
  storeOperations: { read: 0, write: 1 },
  isCarried: false,
  copies: () => 1,
} as const;

/** Every architecture the lab knows, in the order of the report. */
export const ARCHITECTURES: readonly Architecture[] = [
  {
    ...LOCAL,
    code: 'A0',
    name: 'memory-none',
    title: 'memory, no affinity',
    sticky: 'none',
    policy: 'round-robin',
    placement: 'none',
  },
  {
    ...LOCAL,
    code: 'A1',
    name: 'memory',
    title: 'memory, sticky (cookie-hash, least sessions)',
    sticky: 'cookie-hash',
    policy: 'least-sessions',
    placement: 'least',
  },
  {
    ...LOCAL,
    code: 'A1',
    name: 'memory-learn',
    title: 'memory, sticky (learn: table only, least sessions)',
    sticky: 'learn',
    policy: 'least-sessions',
    placement: 'least',
  },
  {
    ...LOCAL,
    code: 'A1',
    name: 'memory-turn',
    title: 'memory, sticky (learn, placed in turn)',
    sticky: 'learn',
    policy: 'round-robin',
    placement: 'turn',
  },
  {
    ...LOCAL,
    code: 'A1',
    name: 'memory-random',
    title: 'memory, sticky (header-hash: placed by chance)',
    sticky: 'header-hash',
    policy: 'round-robin',
    placement: 'random',
  },
  {
    ...REPLICATED,
    code: 'A2a',
    name: 'replicated',
    title: 'replicated, asynchronous',
    demo: { architecture: 'replicated', replication: 'async' },
  },
  {
    ...REPLICATED,
    code: 'A2b',
    name: 'replicated-sync',
    title: 'replicated, synchronous',
    demo: { architecture: 'replicated', replication: 'sync' },
  },
  {
    ...SHARED,
    code: 'A3',
    name: 'database',
    title: 'central database',
    demo: { architecture: 'database' },
    store: 'sessiond',
    storeOperations: TWO_EACH,
    isCarried: false,
    copies: () => 1,
  },
  {
    ...REDIS,
    code: 'A4a',
    name: 'redis',
    title: 'Redis, no persistence',
    demo: { architecture: 'redis', redis: 'single' },
  },
  {
    ...REDIS,
    code: 'A4b',
    name: 'redis-aof',
    title: 'Redis, append-only file',
    demo: { architecture: 'redis', redis: 'aof' },
  },
  {
    ...REDIS,
    code: 'A4c',
    name: 'redis-sentinel',
    title: 'Redis, replica and 3 Sentinels',
    demo: { architecture: 'redis', redis: 'sentinel' },
  },
  {
    ...CARRIED,
    code: 'A5',
    name: 'cookie',
    title: 'sealed cookie',
    demo: { architecture: 'cookie' },
    store: 'none',
    storeOperations: NO_OPERATIONS,
  },
  {
    ...CARRIED,
    code: 'A6a',
    name: 'jwt',
    title: 'JWT',
    demo: { architecture: 'jwt' },
    store: 'none',
    storeOperations: NO_OPERATIONS,
  },
  {
    ...CARRIED,
    code: 'A6b',
    name: 'jwt-deny',
    title: 'JWT with deny list',
    demo: { architecture: 'jwt', denyList: true },
    store: 'sessiond',
    storeOperations: { read: 1, write: 1 },
  },
  {
    ...HOME,
    code: 'A7a',
    name: 'home',
    title: 'at home, backup in Redis without persistence',
    demo: { architecture: 'home', redis: 'single' },
  },
  {
    ...HOME,
    code: 'A7b',
    name: 'home-sentinel',
    title: 'at home, backup in Redis with replica and 3 Sentinels',
    demo: { architecture: 'home', redis: 'sentinel' },
  },
];

/** Sessions live where they began, and are better served there. */
export function hasHomes({ isLocal, isBacked }: Architecture): boolean {
  return isLocal || isBacked;
}

/** How a session that has lost its server comes to another. */
export function rehomingOf({ sticky }: Architecture): Rehoming {
  if (sticky === 'learn') return 'fewest';
  return sticky === 'header-hash' ? 'hash' : 'kept-key';
}

/** Architectures that `--only NAME` means: the name itself, or all whose backends are of that architecture. */
export function architecturesNamed(name: string): readonly Architecture[] {
  const exact = ARCHITECTURES.filter((one) => one.name === name);
  return exact.length > 0 ? exact : ARCHITECTURES.filter((one) => one.demo.architecture === name);
}
