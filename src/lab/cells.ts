// One cell is one architecture under one fault: which there are, and the whole plan of each before it starts. Pure.
import { SeededRandom } from '../base/random.ts';
import { ARCHITECTURES, type Architecture, architecturesNamed } from './architectures.ts';
import {
  APPLIES,
  CHURN_MEAN_MS,
  FAULTS,
  type Fault,
  hasChurn,
  QUICK,
  REPLAY_LIFE_MS,
  timelineOf,
} from './faults.ts';
import {
  type Arrival,
  growthSchedule,
  loadFromMs,
  pairSchedule,
  replaySchedule,
  steadySchedule,
  zipfSchedule,
} from './schedule.ts';

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
  /** Users come and go from the fault on. */
  readonly hasChurn: boolean;
}

/** Most requests a second the lab asks for: latencies are of a machine that is not full. */
const PER_SECOND_MAX = 240;
const PERIOD_MS_MIN = 1250;
/** One log-in after the other so far apart. */
const LOGIN_MS = 4;

/** Users of the cells in which each user does something special. */
const SPECIAL_USERS_MAX = 60;
const GROWTH_USERS_MAX = 10;
const HOUR_MS = 3_600_000;
const PAIRS = 6;
/** Characters added to a session: fine steps around the limit of a cookie, then to what every store takes. */
const GROWTH_SIZES = [
  ...Array.from({ length: 30 }, (_, step) => 900 + step * 50),
  ...[3000, 4000, 8000, 16_000, 32_000, 64_000],
];

/** What a cell needs beside its load: start and stop of processes. */
const OVERHEAD_MS = 2600;

/** How long these cells take, about. */
export function expectedMs(cells: readonly Cell[], options: LabOptions): number {
  return cells.reduce((sum, cell) => sum + planCell(cell, options).endMs + OVERHEAD_MS, 0);
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

/** The command that repeats a cell. */
export function commandOf({ architecture, fault }: Cell, options: LabOptions): string {
  const size = options.servers === 4 ? '' : ` --servers ${options.servers}`;
  const users = ` --users ${options.users}`;
  return `npx holdfast lab --only ${architecture.name} --fault ${fault} --seed ${options.seed}${size}${
    options.users === USERS_DEFAULT ? '' : users
  }`;
}

export const USERS_DEFAULT = 300;

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
  const churns = hasChurn(architecture, fault);
  const base = { users, loginMs, periodMs, endMs: faultMs + afterMs };
  const arrivals = arrivalsOf(fault, base, faultMs, churns, random);
  const endMs = Math.max(faultMs + afterMs, (arrivals.at(-1)?.atMs ?? 0) + 100);
  return {
    ...cell,
    seed,
    servers,
    users,
    victim,
    periodMs,
    perSecond: (users / periodMs) * 1000,
    steadyMs,
    faultMs: afterMs === 0 ? endMs : faultMs,
    endMs,
    arrivals,
    backendFlags: fault === 'replay' ? ['--life', `${REPLAY_LIFE_MS}ms`] : [],
    lifeMs: fault === 'replay' ? REPLAY_LIFE_MS : 12 * HOUR_MS,
    logsInAgain: architecture.name !== 'memory-none',
    hasChurn: churns,
  };
}

interface Base {
  readonly users: number;
  readonly loginMs: number;
  readonly periodMs: number;
  readonly endMs: number;
}

function arrivalsOf(
  fault: Fault,
  base: Base,
  faultMs: number,
  churns: boolean,
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
      return replaySchedule(users, loginMs, REPLAY_LIFE_MS, 200, random);
    default: {
      const churn = { meanMs: CHURN_MEAN_MS, fromMs: faultMs, untilMs: endMs - 500 };
      return steadySchedule(churns ? { ...base, churn } : base, random);
    }
  }
}

function usersOf(fault: Fault, users: number): number {
  if (fault === 'session-growth') return Math.min(GROWTH_USERS_MAX, users);
  return fault === 'parallel' || fault === 'replay' ? Math.min(SPECIAL_USERS_MAX, users) : users;
}
