// One cell is one architecture under one fault: which there are, and the whole plan of each before it starts. Pure.
import { SeededRandom } from '../src/base/random.ts';
import { ARCHITECTURES, type Architecture, architecturesNamed } from './architectures.ts';
import {
  APPLIES,
  churnMeanMs,
  FAULTS,
  type Fault,
  QUICK,
  REPLAY_LIFE_MS,
  REPLAY_STEP_MS,
  timelineOf,
} from './faults.ts';
import {
  type Arrival,
  growthSchedule,
  loadFromMs,
  MOSTLY_READS_WRITE_SHARE,
  pairSchedule,
  replaySchedule,
  steadySchedule,
  WRITE_SHARE,
  zipfSchedule,
} from './schedule.ts';
import { sum } from './statistics.ts';

/** What the whole run is asked for. */
export interface LabOptions {
  /** Names of architectures; empty: all. */
  readonly only: readonly string[];
  /** Empty: all. */
  readonly faults: readonly Fault[];
  readonly quick: boolean;
  readonly seed: number;
  readonly servers: number;
  readonly users: number;
}

/** Architecture and fault of one cell. */
export interface Cell {
  readonly architecture: Architecture;
  readonly fault: Fault;
}

/** Everything about a cell that is known beforehand. */
export interface CellPlan extends Cell {
  readonly seed: number;
  readonly servers: number;
  readonly users: number;
  /** Index of the server that faults hit. */
  readonly victim: number;
  readonly periodMs: number;
  readonly perSecond: number;
  /** Part of the requests that write. */
  readonly writes: number;
  /** Log-ins are done and the load begins. */
  readonly steadyMs: number;
  /** When the fault is injected; the end of the load when there is none. */
  readonly faultMs: number;
  readonly endMs: number;
  readonly arrivals: readonly Arrival[];
  /** Flags for every backend. */
  readonly backendFlags: readonly string[];
  readonly lifeMs: number;
  /** Users log in again when they find that they are logged out. */
  readonly logsInAgain: boolean;
  /** Users come and go from the fault on, after this time on average; null: they stay. */
  readonly churnMeanMs: number | null;
}

/** Most requests a second the lab asks for: latencies are of a machine that is not full. */
const PER_SECOND_MAX = 240;
const PERIOD_MS_MIN = 1250;
/** One log-in after the other so far apart. */
const LOGIN_MS = 3;

/** Users of the cells in which each user does something special. */
const SPECIAL_USERS_MAX = 60;
const LIGHT: ReadonlySet<Fault> = new Set([
  'session-growth',
  'parallel',
  'replay',
  'store-full',
  'ban',
  'keys-rotated',
  'keys-replaced',
]);
const GROWTH_USERS_MAX = 10;
/** So long before the end of the load the last user leaves. */
export const CHURN_ENDS_MS = 500;
const HOUR_MS = 3_600_000;
const PAIRS = 6;
/** Characters added to a session: fine steps around the limit of a cookie, then to what every store takes. */
export const GROWTH_SIZES: readonly number[] = [
  ...Array.from({ length: 30 }, (_, step) => 900 + step * 50),
  ...[3000, 4000, 8000, 16_000, 32_000, 64_000],
];

/** What a cell needs beside its load: start and stop of its processes, on two idle cores. */
const OVERHEAD_MS = 1700;
/** Sentinels have to find each other first. */
const OVERHEAD_SENTINEL_MS = 4000;
/** Cells of few users run side by side, and start more slowly then. */
const OVERHEAD_LIGHT_MS = 3000;
/** Cells of few users at the same time: together they ask for less than one of the others. */
export const LANES = 3;

/** True for a cell of few users, who leave room for others: nothing in it depends on how busy the machine is. */
export function isLight({ fault }: Cell): boolean {
  return LIGHT.has(fault);
}

/** How long one cell takes, about. */
export function cellMs(cell: Cell, options: LabOptions): number {
  const { endMs } = planCell(cell, options);
  if (isLight(cell)) return endMs + OVERHEAD_LIGHT_MS;
  return endMs + (cell.architecture.demo.redis === 'sentinel' ? OVERHEAD_SENTINEL_MS : OVERHEAD_MS);
}

/** How long these cells take, about. */
export function expectedMs(cells: readonly Cell[], options: LabOptions): number {
  const light = cells.filter(isLight).map((cell) => cellMs(cell, options));
  const alone = cells.filter((cell) => !isLight(cell)).map((cell) => cellMs(cell, options));
  // Side by side: the sum is divided, and at the end the last one may be alone.
  const sideBySide = Math.min(sum(light), sum(light) / LANES + Math.max(0, ...light));
  return sum(alone) + sideBySide;
}

/** The cells that the options select, in the order of the report. */
export function selectCells(options: LabOptions): readonly Cell[] {
  const wanted = options.only.length === 0 ? ARCHITECTURES : options.only.flatMap(architecturesNamed);
  const faults = options.faults.length === 0 ? FAULTS : options.faults;
  const isNarrow = options.only.length > 0 || options.faults.length > 0;
  return faults.flatMap((fault) =>
    ARCHITECTURES.filter((architecture) => wanted.includes(architecture))
      .filter(APPLIES[fault])
      .filter(({ name }) => !options.quick || isNarrow || (QUICK[fault] ?? []).includes(name))
      .map((architecture) => ({ architecture, fault })),
  );
}

/** The command that repeats a cell, and nothing else. */
export function commandOf({ architecture, fault }: Cell, options: LabOptions): string {
  return commandText({ ...options, only: [architecture.name], faults: [fault], quick: false });
}

/** The command that does what these options say. */
export function commandText({ only, faults, quick, seed, servers, users }: LabOptions): string {
  return [
    'npm run lab --',
    ...(quick ? ['--quick'] : []),
    ...(only.length === 0 ? [] : [`--only ${only.join(',')}`]),
    ...(faults.length === 0 ? [] : [`--fault ${faults.join(',')}`]),
    `--seed ${seed}`,
    ...(servers === SERVERS_DEFAULT ? [] : [`--servers ${servers}`]),
    ...(users === USERS_DEFAULT ? [] : [`--users ${users}`]),
  ].join(' ');
}

const SERVERS_DEFAULT = 4;
const USERS_DEFAULT = 300;

/** Plans a cell. The same options give the same plan. */
export function planCell(cell: Cell, options: LabOptions): CellPlan {
  const { architecture, fault } = cell;
  const { servers, seed } = options;
  const users = usersOf(fault, options.users);
  const random = new SeededRandom(seed * 1000 + FAULTS.indexOf(fault));
  const periodMs = Math.max(PERIOD_MS_MIN, (users / PER_SECOND_MAX) * 1000);
  const loginMs = Math.max(500, users * LOGIN_MS);
  const steadyMs = loadFromMs({ loginMs });
  const { beforeMs, afterMs } = timelineOf(architecture, fault, servers, periodMs);
  const faultMs = steadyMs + beforeMs;
  const victim = random.below(servers);
  const churnMs = churnMeanMs(architecture, fault);
  const writes = fault === 'mostly-reads' ? MOSTLY_READS_WRITE_SHARE : WRITE_SHARE;
  const base = { users, loginMs, periodMs, endMs: faultMs + afterMs, writes };
  const arrivals = arrivalsOf(fault, base, faultMs, churnMs, random);
  const endMs = Math.max(faultMs + afterMs, (arrivals.at(-1)?.atMs ?? 0) + 100);
  return {
    ...cell,
    seed,
    servers,
    users,
    victim,
    periodMs,
    perSecond: (users / periodMs) * 1000,
    writes,
    steadyMs,
    faultMs: afterMs === 0 ? endMs : faultMs,
    endMs,
    arrivals,
    backendFlags: fault === 'replay' ? ['--life', `${REPLAY_LIFE_MS}ms`] : [],
    lifeMs: fault === 'replay' ? REPLAY_LIFE_MS : 12 * HOUR_MS,
    logsInAgain: architecture.name !== 'memory-none',
    churnMeanMs: churnMs,
  };
}

interface Base {
  readonly users: number;
  readonly loginMs: number;
  readonly periodMs: number;
  readonly endMs: number;
  readonly writes: number;
}

function arrivalsOf(
  fault: Fault,
  base: Base,
  faultMs: number,
  churnMs: number | null,
  random: SeededRandom,
): readonly Arrival[] {
  const { users, loginMs, endMs } = base;
  switch (fault) {
    case 'hot-users':
      return zipfSchedule({ ...base, perSecond: (users / base.periodMs) * 1000 }, random);
    case 'session-growth':
      return growthSchedule(users, loginMs, GROWTH_SIZES, 100, random);
    case 'parallel':
      return pairSchedule(users, loginMs, PAIRS, 450, random);
    case 'replay':
      return replaySchedule(users, loginMs, REPLAY_LIFE_MS, REPLAY_STEP_MS, random);
    default: {
      if (churnMs === null) return steadySchedule(base, random);
      const churn = { meanMs: churnMs, fromMs: faultMs, untilMs: endMs - CHURN_ENDS_MS };
      return steadySchedule({ ...base, churn }, random);
    }
  }
}

function usersOf(fault: Fault, users: number): number {
  if (fault === 'session-growth') return Math.min(GROWTH_USERS_MAX, users);
  return LIGHT.has(fault) ? Math.min(SPECIAL_USERS_MAX, users) : users;
}
