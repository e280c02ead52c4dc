// What is done to the system while users are on it, and which architecture each fault says something about.
import { type Architecture, hasHomes } from './architectures.ts';
import { hangNoticedMs } from './times.ts';
import { ACKNOWLEDGED_MS_MAX } from './transcript.ts';

export const FAULTS = [
  'none',
  'kill-one',
  'kill-two',
  'rolling-restart',
  'sigstop',
  'add-server',
  'drain-server',
  'store-killed',
  'store-emptied',
  'store-hung',
  'store-slow',
  'store-full',
  'balancer-restart',
  'hot-users',
  'session-growth',
  'parallel',
  'replay',
  'ban',
  'keys-rotated',
  'keys-replaced',
  'mostly-reads',
] as const;
export type Fault = (typeof FAULTS)[number];

/** How long each fault's load lasts, before it and after it. */
export interface Timeline {
  readonly beforeMs: number;
  readonly afterMs: number;
}

/** How long a hung server hangs: until it is noticed, and until the last request it holds has been given up. */
export const HANG_MS = 1000 * Math.ceil((hangNoticedMs().high + ACKNOWLEDGED_MS_MAX) / 1000);
/** How long a killed store stays down, and a hung one hangs. */
export const STORE_DOWN_MS = 5000;
/** What the slow store takes longer for each operation. */
export const STORE_DELAY_MS = 50;
/** How long a draining server is waited for; where any server can serve, nothing is waited for. */
export const DRAIN_MS = 5000;
const DRAIN_SHARED_MS = 2000;
/** Absolute timeout of sessions in the replay cells. */
export const REPLAY_LIFE_MS = 5000;
/** From one try of a copied cookie to the next. */
export const REPLAY_STEP_MS = 200;

/** A sentence per fault, for the report. */
export const FAULT_TITLES: Readonly<Record<Fault, string>> = {
  none: 'nothing happens',
  'kill-one': 'one server is killed (SIGKILL) and stays away',
  'kill-two': 'two servers are killed (SIGKILL) at once',
  'rolling-restart': 'every server is restarted, one after the other',
  sigstop: `one server hangs for ${HANG_MS / 1000} s (SIGSTOP), then goes on`,
  'add-server': 'one more server joins',
  'drain-server': 'one server is drained, then stopped',
  'store-killed': 'the session store is killed, and is back after 5 s',
  'store-emptied': 'the session store is killed and restarted at once',
  'store-hung': 'the session store hangs for 5 s (SIGSTOP), then goes on',
  'store-slow': 'every store operation takes 50 ms longer',
  'store-full': 'the session store has no memory left and evicts nothing',
  'balancer-restart': 'the balancer is restarted',
  'hot-users': 'a few users make most requests (Zipf)',
  'session-growth': 'sessions grow until something refuses',
  parallel: 'every user sends two writes at once',
  replay: 'a copied cookie is used after log-out',
  ban: 'every user is banned, by a call to one server',
  'keys-rotated': 'all servers get a new key, and still read what the old one sealed',
  'keys-replaced': 'all servers get a new key and forget the old one',
  'mostly-reads': 'nine requests of ten only read',
};

const EVERYBODY = (): boolean => true;
const has =
  (...names: readonly string[]) =>
  ({ name }: Architecture): boolean =>
    names.includes(name);
/** One variant of each way to keep sessions, where the variants do not differ. */
const MAIN = has(
  ...['memory', 'replicated', 'replicated-sync', 'database', 'redis', 'cookie', 'jwt', 'jwt-deny', 'home'],
);

/** Which cells make sense. */
export const APPLIES: Readonly<Record<Fault, (architecture: Architecture) => boolean>> = {
  none: EVERYBODY,
  'kill-one': ({ name }) => !['memory-none', 'memory-learn', 'home-sentinel'].includes(name),
  'kill-two': has('memory', 'memory-random', 'replicated', 'redis', 'jwt', 'home'),
  'rolling-restart': (architecture) => architecture.name === 'memory-learn' || MAIN(architecture),
  sigstop: has('memory', 'replicated-sync', 'redis', 'home'),
  'add-server': (architecture) =>
    has('memory-learn', 'memory-turn')(architecture) ||
    (MAIN(architecture) && architecture.name !== 'replicated-sync'),
  'drain-server': has('memory', 'memory-learn', 'replicated', 'redis', 'jwt', 'home'),
  'store-killed': ({ store }) => store !== 'none',
  'store-emptied': has('redis', 'redis-aof', 'home'),
  'store-hung': has('redis', 'home'),
  'store-slow': has('database', 'redis', 'jwt-deny', 'home'),
  'store-full': has('redis', 'home'),
  'balancer-restart': has('memory', 'memory-learn', 'redis', 'home'),
  'hot-users': has('memory', 'redis', 'home'),
  'session-growth': has('memory', 'redis', 'cookie', 'jwt', 'home'),
  parallel: has('memory', 'replicated', 'database', 'redis', 'cookie', 'jwt', 'home'),
  replay: has('memory', 'replicated', 'redis', 'cookie', 'jwt', 'jwt-deny', 'home'),
  ban: has('memory', 'replicated', 'database', 'redis', 'cookie', 'jwt', 'jwt-deny', 'home'),
  'keys-rotated': has('cookie', 'jwt'),
  'keys-replaced': has('cookie', 'jwt'),
  'mostly-reads': has('redis', 'home'),
};

/** Nothing is done to anybody: what is written and sent to keep the sessions is counted. */
export function comparesTraffic(fault: Fault): boolean {
  return fault === 'none' || fault === 'mostly-reads';
}

/** Cells of `--quick`: fault by names. */
export const QUICK: Readonly<Partial<Record<Fault, readonly string[]>>> = {
  none: ['memory-none', 'memory', 'replicated', 'redis', 'jwt'],
  'kill-one': ['memory', 'replicated', 'redis', 'jwt'],
  replay: ['jwt', 'jwt-deny'],
};

/** Mean life of a session where users come and go: where it matters how long one lives. Null: they stay. */
export function churnMeanMs({ name }: Architecture, fault: Fault): number | null {
  if (fault === 'drain-server') return name === 'memory-learn' ? 6000 : null;
  if (fault === 'store-full') return 2500;
  return fault === 'add-server' && (name === 'memory-learn' || name === 'memory-turn') ? 4000 : null;
}

/** How long the draining server of this architecture is waited for. */
export function drainMs(architecture: Architecture): number {
  return hasHomes(architecture) ? DRAIN_MS : DRAIN_SHARED_MS;
}

/** A rolling restart: how long each server is down and how long the next one waits after it. */
export function rollingPace(
  architecture: Architecture,
  periodMs: number,
): { readonly downMs: number; readonly upMs: number } {
  // The formulas take for granted that every user comes back while the server is away; only local sessions care.
  return architecture.isLocal ? { downMs: 1.45 * periodMs, upMs: 500 } : { downMs: 300, upMs: 300 };
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
  // Every user comes by once more; before that, where something has to be noticed, half of the time it may take.
  const onceMoreMs = 1.4 * periodMs;
  const settleMs = 800 + onceMoreMs;
  switch (fault) {
    case 'none':
    case 'hot-users':
    case 'mostly-reads':
      return { beforeMs: 3500, afterMs: 0 };
    case 'kill-one':
    case 'kill-two':
      return { beforeMs: 1250, afterMs: settleMs };
    case 'rolling-restart': {
      const { downMs, upMs } = rollingPace(architecture, periodMs);
      return { beforeMs: 500, afterMs: servers * (downMs + upMs + RESTART_MS) + onceMoreMs };
    }
    case 'sigstop':
      return { beforeMs: 1000, afterMs: HANG_MS + settleMs };
    case 'add-server':
      // Whether users come and go, or sessions are moved: that takes a while.
      return {
        beforeMs: 500,
        afterMs: churnMeanMs(architecture, fault) === null && !architecture.isBacked ? 4000 : 8000,
      };
    case 'drain-server':
      return { beforeMs: 500, afterMs: drainMs(architecture) + settleMs };
    case 'store-killed':
    case 'store-hung':
      return { beforeMs: 1000, afterMs: STORE_DOWN_MS + 500 + settleMs };
    case 'store-emptied':
      return { beforeMs: 1000, afterMs: 1000 + settleMs };
    case 'store-slow':
      return { beforeMs: 2500, afterMs: 3000 };
    case 'balancer-restart':
      return { beforeMs: 1000, afterMs: 2000 + settleMs };
    case 'store-full':
      return { beforeMs: 800, afterMs: 2500 };
    case 'ban':
      return { beforeMs: 800, afterMs: 1500 + onceMoreMs };
    case 'keys-rotated':
    case 'keys-replaced':
      return { beforeMs: 800, afterMs: 2000 + settleMs };
    case 'session-growth':
    case 'parallel':
    case 'replay':
      return { beforeMs: 0, afterMs: 0 };
  }
}
