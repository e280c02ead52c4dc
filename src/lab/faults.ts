// What is done to the system while users are on it, and which architecture each fault says something about.
import type { Architecture } from './architectures.ts';

export const FAULTS = [
  'none',
  'kill-one',
  'rolling-restart',
  'sigstop',
  'add-server',
  'drain-server',
  'store-killed',
  'store-emptied',
  'store-slow',
  'balancer-restart',
  'hot-users',
  'session-growth',
  'parallel',
  'replay',
] as const;
export type Fault = (typeof FAULTS)[number];

/** How long each fault's load lasts, before it and after it. */
export interface Timeline {
  readonly beforeMs: number;
  readonly afterMs: number;
}

/** How long a hung server hangs. */
export const HANG_MS = 10_000;
/** How long a killed store stays down. */
export const STORE_DOWN_MS = 5000;
/** What the slow store takes longer for each operation. */
export const STORE_DELAY_MS = 50;
/** How long a draining server is waited for. */
export const DRAIN_MS = 5000;
/** Mean life of a session where users come and go. */
export const CHURN_MEAN_MS = 6000;
/** Absolute timeout of sessions in the replay cells. */
export const REPLAY_LIFE_MS = 6000;

/** A sentence per fault, for the report. */
export const FAULT_TITLES: Readonly<Record<Fault, string>> = {
  none: 'nothing happens',
  'kill-one': 'one server is killed (SIGKILL) and stays away',
  'rolling-restart': 'every server is restarted, one after the other',
  sigstop: 'one server hangs for 10 s (SIGSTOP), then goes on',
  'add-server': 'one more server joins',
  'drain-server': 'one server is drained for 5 s, then stopped',
  'store-killed': 'the session store is killed, and is back after 5 s',
  'store-emptied': 'the session store is killed and restarted at once',
  'store-slow': 'every store operation takes 50 ms longer',
  'balancer-restart': 'the balancer is restarted',
  'hot-users': 'a few users make most requests (Zipf)',
  'session-growth': 'sessions grow until something refuses',
  parallel: 'every user sends two writes at once',
  replay: 'a copied cookie is used after log-out',
};

const EVERYBODY = (): boolean => true;
const has =
  (...names: readonly string[]) =>
  ({ name }: Architecture): boolean =>
    names.includes(name);
/** One variant of each way to keep sessions, where the variants do not differ. */
const MAIN = has(
  'memory',
  'memory-turn',
  'replicated',
  'replicated-sync',
  'database',
  'redis',
  'cookie',
  'jwt',
  'jwt-deny',
);

/** Which cells make sense. */
export const APPLIES: Readonly<Record<Fault, (architecture: Architecture) => boolean>> = {
  none: EVERYBODY,
  'kill-one': ({ name }) => name !== 'memory-none' && name !== 'memory-learn',
  'rolling-restart': MAIN,
  sigstop: has('memory', 'replicated-sync', 'redis'),
  'add-server': (architecture) =>
    architecture.name === 'memory-learn' || (MAIN(architecture) && architecture.name !== 'replicated-sync'),
  'drain-server': has('memory', 'memory-learn', 'replicated', 'redis', 'jwt'),
  'store-killed': ({ store }) => store !== 'none',
  'store-emptied': has('redis', 'redis-aof'),
  'store-slow': has('database', 'redis', 'jwt-deny'),
  'balancer-restart': has('memory', 'memory-learn', 'redis'),
  'hot-users': has('memory', 'redis'),
  'session-growth': has('memory', 'redis', 'cookie', 'jwt'),
  parallel: has('memory', 'replicated', 'database', 'redis', 'cookie', 'jwt'),
  replay: has('memory', 'replicated', 'redis', 'cookie', 'jwt', 'jwt-deny'),
};

/** Cells of `--quick`: fault by names. */
export const QUICK: Readonly<Partial<Record<Fault, readonly string[]>>> = {
  none: ['memory-none', 'memory', 'replicated', 'redis', 'jwt'],
  'kill-one': ['memory', 'replicated', 'redis', 'jwt'],
  replay: ['jwt', 'jwt-deny'],
};

/** True when the users of this cell come and go: where it matters how long a session lives. */
export function hasChurn(architecture: Architecture, fault: Fault): boolean {
  if (fault === 'drain-server') return architecture.name === 'memory-learn';
  return (
    fault === 'add-server' && (architecture.name === 'memory-learn' || architecture.name === 'memory-turn')
  );
}

/** A rolling restart: how long each server is down and how long the next one waits after it. */
export function rollingPace(
  architecture: Architecture,
  periodMs: number,
): { readonly downMs: number; readonly upMs: number } {
  // The formulas take for granted that every user comes back while the server is away; only local sessions care.
  return architecture.isLocal ? { downMs: 1.45 * periodMs, upMs: 900 } : { downMs: 300, upMs: 500 };
}

/** A server's stop, start and first passed health check. */
const RESTART_MS = 700;

/** How long the load lasts before and after the fault. */
export function timelineOf(
  architecture: Architecture,
  fault: Fault,
  servers: number,
  periodMs: number,
): Timeline {
  // Every user comes by once more, detection included.
  const settleMs = 800 + 1.4 * periodMs;
  switch (fault) {
    case 'none':
    case 'hot-users':
      return { beforeMs: 4000, afterMs: 0 };
    case 'kill-one':
      return { beforeMs: 1500, afterMs: settleMs };
    case 'rolling-restart': {
      const { downMs, upMs } = rollingPace(architecture, periodMs);
      return { beforeMs: 1000, afterMs: servers * (downMs + upMs + RESTART_MS) + settleMs };
    }
    case 'sigstop':
      return { beforeMs: 2000, afterMs: HANG_MS + settleMs };
    case 'add-server':
      return { beforeMs: 1500, afterMs: architecture.isLocal ? 6000 : 4000 };
    case 'drain-server':
      return { beforeMs: 2000, afterMs: DRAIN_MS + settleMs };
    case 'store-killed':
      return { beforeMs: 1500, afterMs: STORE_DOWN_MS + 1000 + settleMs };
    case 'store-emptied':
      return { beforeMs: 1500, afterMs: 1000 + settleMs };
    case 'store-slow':
      return { beforeMs: 2500, afterMs: 3000 };
    case 'balancer-restart':
      return { beforeMs: 1500, afterMs: 2000 + settleMs };
    case 'session-growth':
    case 'parallel':
    case 'replay':
      return { beforeMs: 0, afterMs: 0 };
  }
}
