// Expectations where the session store or the balancer itself fails. Pure.
import { COMMAND_MS_MAX } from '../demo/layers/redis.ts';
import { hasHomes } from './architectures.ts';
import type { CellPlan } from './cells.ts';
import { type Check, check, exactly, type Known } from './check.ts';
import { STORE_DELAY_MS } from './faults.ts';
import type { Measured } from './measured.ts';
import { WRITE_SHARE } from './schedule.ts';
import { type Bracket, binomialBracket, poissonBracket } from './statistics.ts';
import { reconnectMsMax, takeoverMs } from './times.ts';

const BIN_MS = 100;
const UNAVAILABLE = 'unavailable, in bins of 100 ms';
/** From an acknowledged write to its copy on the replica. */
const REPLICA_LAG_MS = 2;
/** A timer of 1 ms resolution, and a turn of the event loop, are late or early by less. */
const TIMER_MS = 2;

/** Bins that an outage of between `low` and `high` milliseconds fills: those at its ends may be empty or begun. */
function binsOf({ low, high }: Bracket): Bracket {
  return { low: Math.max(0, Math.floor(low / BIN_MS) - 1), high: Math.ceil(high / BIN_MS) + 1 };
}

/** The store dies: everything fails until it is back, and without persistence nobody is logged in any more. */
export function expectStoreFault(plan: CellPlan, measured: Measured): readonly Check[] {
  const { name, isBacked } = plan.architecture;
  const { judgement } = measured;
  if (isBacked) return expectUnnoticed(measured);
  const m = judgement.sessionsAtFault;
  const lost =
    name === 'redis'
      ? check('lost sessions', `all: m = ${m} (no persistence)`, exactly(m), judgement.lost, 'count')
      : check('lost sessions', '0', exactly(0), judgement.lost, 'count');
  const outage = name === 'redis-sentinel' ? takeover(measured) : outageCheck(plan, measured);
  return [outage, lost, forgotten(plan, measured)];
}

/** Homes go on with what they have, and write what the store lacks when it is back. */
function expectUnnoticed({ judgement }: Measured): readonly Check[] {
  return [
    check(UNAVAILABLE, '0: every session is at home', exactly(0), judgement.unavailableBins, 'count'),
    check('lost sessions', '0', exactly(0), judgement.lost, 'count'),
    check('errors', '0', exactly(0), judgement.errorCount, 'count'),
    check('answers older than what was confirmed', '0', exactly(0), judgement.regressions.count, 'count'),
  ];
}

/** Confirmed writes that are gone. A killed process leaves with the kernel what it has written to a file. */
function forgotten({ architecture, perSecond }: CellPlan, { judgement }: Measured): Check {
  const expected = (WRITE_SHARE * perSecond * REPLICA_LAG_MS) / 1000;
  const isReplica = architecture.name === 'redis-sentinel';
  return check(
    'answers older than what was confirmed',
    isReplica
      ? `unreplicated tail: Poisson, at most λ_w · ${REPLICA_LAG_MS} ms = ${expected.toFixed(1)}`
      : '0: what is in the file survives the process',
    isReplica ? { low: 0, high: poissonBracket(expected).high } : exactly(0),
    judgement.regressions.count,
    'count',
  );
}

function takeover({ judgement }: Measured): Check {
  const { low, high } = takeoverMs();
  return check(
    UNAVAILABLE,
    `Sentinel's waits: down-after up to 1 s, question 1 s, desynchronisation 1 s, look at the replica 1 s, 4 ticks, clients 0.5 s: ${low / 1000} to ${high / 1000} s`,
    binsOf({ low, high }),
    judgement.unavailableBins,
    'count',
  );
}

function outageCheck(plan: CellPlan, { judgement, marks }: Measured): Check {
  const awayMs = (marks.backMs ?? plan.endMs) - marks.faultMs;
  const reconnectMs = reconnectMsMax(plan.architecture.store === 'redis' ? 'redis' : 'sessiond');
  const bracket = binsOf({ low: awayMs, high: awayMs + reconnectMs });
  // Everybody has to log in again, each with the first request after it.
  const known: Known | undefined =
    plan.architecture.name !== 'redis'
      ? undefined
      : {
          low: bracket.low,
          high: bracket.high + (1.3 * plan.periodMs) / BIN_MS,
          because:
            'Everybody has to log in again within one period, all at once; requests of users who wait for that count as unavailable. How many wait depends on how fast the machine checks passwords: there is no formula for it',
        };
  return check(
    UNAVAILABLE,
    `everything fails while it is away, ${(awayMs / 1000).toFixed(1)} s, and until the clients try again, at most ${reconnectMs / 1000} s`,
    bracket,
    judgement.unavailableBins,
    'count',
    known,
  );
}

/** Requests wait for a store that hangs as long as their server lets them; those that still wait when it goes on are served. */
export function expectHungStore(plan: CellPlan, measured: Measured): readonly Check[] {
  const { judgement, marks } = measured;
  if (plan.architecture.isBacked) return expectUnnoticed(measured);
  const hungMs = (marks.backMs ?? plan.endMs) - marks.faultMs;
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  return [
    check(
      UNAVAILABLE,
      `everything that has waited ${seconds(COMMAND_MS_MAX)} fails: between ${seconds(hungMs - COMMAND_MS_MAX)} and ${seconds(hungMs)}`,
      binsOf({ low: hungMs - COMMAND_MS_MAX, high: hungMs }),
      judgement.unavailableBins,
      'count',
    ),
    check('lost sessions', '0', exactly(0), judgement.lost, 'count'),
    check('answers older than what was confirmed', '0', exactly(0), judgement.regressions.count, 'count'),
  ];
}

/** Each request waits for the store as often as it asks it. */
export function expectSlowStore({ architecture }: CellPlan, { judgement }: Measured): readonly Check[] {
  const slower = (kind: 'read' | 'write', metric: string): Check => {
    const operations = architecture.storeOperations[kind];
    const expected = operations * STORE_DELAY_MS;
    const { steady, after } = judgement.latency[kind];
    const spread = steady.p90Ms - steady.p50Ms + operations * TIMER_MS;
    return check(
      metric,
      `${operations} · ${STORE_DELAY_MS} ms = ${expected} ms, give or take what requests differ by: p90 - p50 before, and ${TIMER_MS} ms a timer`,
      { low: expected - spread, high: expected + spread },
      after.p50Ms - steady.p50Ms,
      'ms',
    );
  };
  return [
    slower('read', 'added to the median read'),
    slower('write', 'added to the median write'),
    check('lost sessions', '0', exactly(0), judgement.lost, 'count'),
    check('errors', '0', exactly(0), judgement.errorCount, 'count'),
  ];
}

/** A store that is full and evicts nothing answers reads, refuses everything that would grow it, and forgets nobody. */
export function expectFullStore({ architecture }: CellPlan, { judgement }: Measured): readonly Check[] {
  const { read, write, login } = judgement.afterChange;
  const share = ({ sent, acknowledged }: typeof read): number => (sent === 0 ? 0 : acknowledged / sent);
  if (architecture.isBacked) {
    const all = (metric: string, kind: typeof read): Check =>
      check(metric, 'all, without a backup', exactly(1), share(kind), 'share');
    return [
      check('reads that succeed', 'all: they are at home', exactly(1), share(read), 'share'),
      all('writes that succeed', write),
      all('log-ins that succeed', login),
      check('lost sessions', '0', exactly(0), judgement.lost, 'count'),
    ];
  }
  return [
    check('reads that succeed', 'all: GET needs no memory', exactly(1), share(read), 'share'),
    check('writes that succeed', 'none: SET is refused (noeviction)', exactly(0), share(write), 'share'),
    check('log-ins that succeed', 'none: SET is refused (noeviction)', exactly(0), share(login), 'share'),
    check('lost sessions', '0: nothing is evicted', exactly(0), judgement.lost, 'count'),
  ];
}

/** What the balancer must remember is lost with it; what the cookie says is not. */
export function expectBalancerRestart(plan: CellPlan, { judgement, marks }: Measured): readonly Check[] {
  const { architecture, servers: n } = plan;
  const m = judgement.sessionsAtFault;
  const awayMs = (marks.backMs ?? plan.endMs) - marks.faultMs;
  const isForgotten = architecture.sticky === 'learn';
  const lost = isForgotten
    ? check(
        'lost sessions',
        `table only, not saved: m(n-1)/n = ${((m * (n - 1)) / n).toFixed(0)} ± 3σ of a binomial`,
        binomialBracket(m, (n - 1) / n),
        judgement.lost,
        'count',
      )
    : check(
        'lost sessions',
        hasHomes(architecture) ? '0: the cookie leads home' : '0',
        exactly(0),
        judgement.lost,
        'count',
      );
  return [
    lost,
    check(
      UNAVAILABLE,
      `at most while it is away, ${(awayMs / 1000).toFixed(1)} s; at least one`,
      { low: 1, high: binsOf({ low: 0, high: awayMs }).high },
      judgement.unavailableBins,
      'count',
    ),
  ];
}
