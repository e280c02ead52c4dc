// Expectations where the session store or the balancer itself fails. SESSIONS 5.4, rows F6 to F9. Pure.
import type { CellPlan } from './cells.ts';
import { type Check, check, exactly } from './check.ts';
import { STORE_DELAY_MS } from './faults.ts';
import type { Measured } from './measured.ts';
import { binomialBracket } from './statistics.ts';

const BIN_MS = 100;
/** Clients of the store try to come back at least every 500 ms, and their first success must reach every server. */
const RECONNECT_BINS_MAX = 13;
/** Sentinel: a second of silence, agreement, election, promotion, and the clients' finding out. */
const TAKEOVER_BINS = { low: 10, high: 40 };

/** The store dies: everything fails until it is back, and without persistence nobody is logged in any more. */
export function expectStoreFault(plan: CellPlan, measured: Measured): readonly Check[] {
  const { judgement, marks } = measured;
  const { name } = plan.architecture;
  const m = judgement.sessionsAtFault;
  const forgets = name === 'redis';
  const lost = forgets
    ? check('lost sessions', `all: m = ${m} (no persistence)`, exactly(m), judgement.lost, 'count')
    : check('lost sessions', '0', exactly(0), judgement.lost, 'count');
  const forgotten = check(
    'answers older than what was confirmed',
    name === 'redis-sentinel' ? 'the unreplicated tail, about 0' : '0',
    { low: 0, high: name === 'redis-sentinel' ? 2 : 0 },
    judgement.regressions.count,
    'count',
  );
  if (name === 'redis-sentinel') {
    return [
      check(
        'unavailable, in bins of 100 ms',
        'down-after 1 s + election: 1 to 4 s',
        TAKEOVER_BINS,
        judgement.unavailableBins,
        'count',
      ),
      lost,
      forgotten,
    ];
  }
  const bins = ((marks.backMs ?? plan.endMs) - marks.faultMs) / BIN_MS;
  return [
    check(
      'unavailable, in bins of 100 ms',
      `everything fails while it is away: ${bins.toFixed(0)}, and until the clients are back`,
      { low: Math.max(0, Math.floor(bins) - 3), high: Math.ceil(bins) + RECONNECT_BINS_MAX },
      judgement.unavailableBins,
      'count',
      !forgets
        ? undefined
        : {
            low: 0,
            high: bins + RECONNECT_BINS_MAX + (1.3 * plan.periodMs) / BIN_MS,
            because:
              'Everybody has to log in again within one period, all at once; requests of users who wait for that count as unavailable',
          },
    ),
    lost,
    forgotten,
  ];
}

/** Each request waits for the store as often as it asks it. */
export function expectSlowStore({ architecture }: CellPlan, { judgement }: Measured): readonly Check[] {
  const expected = architecture.storeOperations * STORE_DELAY_MS;
  const formula = `${architecture.storeOperations} operations · ${STORE_DELAY_MS} ms = ${expected} ms`;
  const slower = (kind: 'read' | 'write'): number =>
    judgement.latency[kind].after.p50Ms - judgement.latency[kind].steady.p50Ms;
  return [
    check(
      'added to the median read',
      formula,
      { low: expected - 5, high: expected + 15 },
      slower('read'),
      'ms',
    ),
    check(
      'added to the median write',
      formula,
      { low: expected - 5, high: expected + 15 },
      slower('write'),
      'ms',
    ),
    check('lost sessions', '0', exactly(0), judgement.lost, 'count'),
    check('errors', '0', exactly(0), judgement.errorCount, 'count'),
  ];
}

/** What the balancer must remember is lost with it; what the cookie says is not. */
export function expectBalancerRestart(plan: CellPlan, { judgement, marks }: Measured): readonly Check[] {
  const { architecture, servers: n } = plan;
  const m = judgement.sessionsAtFault;
  const bins = ((marks.backMs ?? plan.endMs) - marks.faultMs) / BIN_MS;
  const isForgotten = architecture.sticky === 'learn';
  const lost = isForgotten
    ? check(
        'lost sessions',
        `table only, not saved: m(n-1)/n = ${((m * (n - 1)) / n).toFixed(0)} ± 3σ`,
        binomialBracket(m, (n - 1) / n),
        judgement.lost,
        'count',
      )
    : check(
        'lost sessions',
        architecture.isLocal ? '0: the cookie leads home' : '0',
        exactly(0),
        judgement.lost,
        'count',
      );
  return [
    lost,
    check(
      'unavailable, in bins of 100 ms',
      `while it is away: ${bins.toFixed(0)}`,
      { low: 1, high: Math.ceil(bins) + 3 },
      judgement.unavailableBins,
      'count',
    ),
  ];
}
