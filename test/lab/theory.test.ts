// Schedules by seed, formulas and brackets.
import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { ARCHITECTURES, architecturesNamed } from '../../src/lab/architectures.ts';
import { expectedMs, type LabOptions, planCell, selectCells } from '../../src/lab/cells.ts';
import { around, check, exactly, worst } from '../../src/lab/check.ts';
import { memoryOf, type ServerStats, wireOf } from '../../src/lab/evidence.ts';
import { FAULTS } from '../../src/lab/faults.ts';
import {
  parAtJoin,
  parRandomBracket,
  rollingLeast,
  rollingRandom,
  rollingRandomBracket,
  staleReadShare,
  stillThere,
  timeToEvenInTurnMs,
  timeToEvenLeastMs,
  zipfEffective,
} from '../../src/lab/formulas.ts';
import { steadySchedule, zipfSchedule } from '../../src/lab/schedule.ts';
import { binomialBracket, quantile, shareBracket, tally } from '../../src/lab/statistics.ts';

const OPTIONS: LabOptions = { only: [], faults: [], quick: false, seed: 1, servers: 4, users: 300 };

describe('schedule', () => {
  const plan = { users: 40, loginMs: 400, periodMs: 1000, endMs: 6000 };

  test('is the same for the same seed and another for another', () => {
    const first = steadySchedule(plan, new SeededRandom(7));
    expect(steadySchedule(plan, new SeededRandom(7))).toEqual(first);
    expect(steadySchedule(plan, new SeededRandom(8))).not.toEqual(first);
  });

  test('every user logs in once, then asks once in each period and never twice at once', () => {
    const all = steadySchedule(plan, new SeededRandom(7));
    const times = [...all].map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    for (let user = 0; user < plan.users; user += 1) {
      const own = all.filter((one) => one.user === user);
      expect(own.filter(({ kind }) => kind === 'login')).toHaveLength(1);
      const asked = own.filter(({ kind }) => kind !== 'login').map(({ atMs }) => atMs);
      const gaps = asked.slice(1).map((atMs, index) => atMs - (asked[index] ?? 0));
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(700);
      expect(Math.max(...gaps)).toBeLessThanOrEqual(1300);
    }
  });

  test('churn: lives end at the rate asked for', () => {
    const churn = { meanMs: 2000, fromMs: 1000, untilMs: 5000 };
    const all = steadySchedule({ ...plan, users: 500, churn }, new SeededRandom(3));
    const left = all.filter(({ kind }) => kind === 'leave').length;
    expect(left).toBeGreaterThan(500 * 2 * 0.8);
    expect(left).toBeLessThan(500 * 2 * 1.1);
  });

  test('Zipf: the hottest user has the share that the law gives', () => {
    const all = zipfSchedule({ ...plan, users: 100, endMs: 20_000, perSecond: 500 }, new SeededRandom(3));
    const requests = all.filter(({ kind }) => kind !== 'login');
    const hottest = Math.max(...tally(requests.map(({ user }) => user)).values());
    expect(hottest / requests.length).toBeCloseTo(1 / 5.187, 1);
  });
});

describe('formulas', () => {
  test('rolling restart: the values of SESSIONS 5.4', () => {
    expect(rollingRandom(4)).toBeCloseTo(1.62, 2);
    expect(rollingRandom(3)).toBeCloseTo(1.58, 2);
    expect(rollingLeast(4)).toBe(1.25);
    const { low, high } = rollingRandomBracket(4, 300, 1);
    expect(low).toBeLessThan(1.62);
    expect(high).toBeGreaterThan(1.62);
    expect(high - low).toBeLessThan(0.4);
  });

  test('a newcomer: PAR at join, time to even by placement', () => {
    expect(parAtJoin(4)).toBe(1.25);
    expect(timeToEvenLeastMs(4, 1000, 1.1)).toBeCloseTo(128, 0);
    expect(timeToEvenInTurnMs(4, 1000, 1.1)).toBeCloseTo(916, 0);
    expect(stillThere(5, 5)).toBeCloseTo(Math.exp(-1));
  });

  test('chance: PAR of 1000 on 4, effective users of Zipf, stale reads', () => {
    const { low, high } = parRandomBracket(4, 1000, 1);
    expect(low).toBeGreaterThanOrEqual(1);
    expect(low).toBeLessThan(1.065);
    expect(high).toBeGreaterThan(1.065);
    expect(high).toBeLessThan(1.2);
    expect(zipfEffective(1000)).toBeCloseTo(34, 0);
    expect(staleReadShare(4, 2, 1000)).toBeCloseTo(0.0015, 4);
  });
});

describe('brackets', () => {
  test('binomial within 3 standard deviations, never under 0 or over all', () => {
    expect(binomialBracket(1000, 0.25)).toEqual({
      low: expect.closeTo(208.9, 1),
      high: expect.closeTo(291.1, 1),
    });
    expect(binomialBracket(4, 0.01).low).toBe(0);
    expect(shareBracket(1000, 0.25).high).toBeCloseTo(0.291, 3);
    expect(shareBracket(0, 0.25)).toEqual({ low: 0, high: 1 });
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2);
    expect(quantile([], 0.5)).toBe(0);
  });

  test('inside, explained, outside', () => {
    const known = { low: 0, high: 50, because: 'stale after a hang' };
    const of = (measured: number) => check('x', 'f', around(5, 1), measured, 'count', known);
    expect([5, 6, 40, 60].map((value) => of(value).verdict)).toEqual([
      'inside',
      'inside',
      'explained',
      'outside',
    ]);
    expect(of(40).note).toBe('stale after a hang');
    expect(of(5).note).toBe('');
    expect(worst([of(5), of(40)])).toBe('explained');
    expect(worst([of(60), of(40)])).toBe('outside');
    expect(check('x', 'f', exactly(1), 0.1 + 0.9, 'share').verdict).toBe('inside');
  });
});

describe('cells', () => {
  test('every architecture meets a crash, a rolling restart and a newcomer', () => {
    for (const fault of ['kill-one', 'rolling-restart', 'add-server'] as const) {
      const names = selectCells({ ...OPTIONS, faults: [fault] }).map(
        ({ architecture }) => architecture.demo.architecture,
      );
      expect(new Set(names)).toEqual(new Set(['memory', 'replicated', 'database', 'redis', 'cookie', 'jwt']));
    }
    const all = selectCells(OPTIONS);
    expect(new Set(all.map(({ fault }) => fault))).toEqual(new Set(FAULTS));
    expect(new Set(all.map(({ architecture }) => architecture.name)).size).toBe(ARCHITECTURES.length);
  });

  test('a whole run fits into 15 minutes, a quick one into 2', () => {
    const minutes = (options: LabOptions): number => expectedMs(selectCells(options), options) / 60_000;
    expect(minutes(OPTIONS)).toBeLessThan(15);
    expect(minutes({ ...OPTIONS, quick: true })).toBeLessThan(2);
  });

  test('a name is a variant, or all variants of an architecture', () => {
    expect(architecturesNamed('memory').map(({ name }) => name)).toEqual(['memory']);
    expect(architecturesNamed('redis-aof').map(({ code }) => code)).toEqual(['A4b']);
    expect(architecturesNamed('nonsense')).toEqual([]);
  });

  test('the plan of a cell depends on its options only', () => {
    const [cell] = selectCells({ ...OPTIONS, only: ['memory'], faults: ['kill-one'] });
    if (cell === undefined) throw new Error('the cell is gone');
    expect(planCell(cell, OPTIONS)).toEqual(planCell(cell, OPTIONS));
    expect(planCell(cell, { ...OPTIONS, seed: 2 }).arrivals).not.toEqual(planCell(cell, OPTIONS).arrivals);
  });
});

test('memory factor and wire messages from what servers report', () => {
  const stats = (scope: 'server' | 'pool', sessions: number, sent = 0): ServerStats => ({
    sessionsScope: scope,
    sessions,
    bytes: sessions * 1000,
    messagesSent: sent,
    messageBytesSent: 0,
    storeReads: sent,
    storeWrites: sent,
    heapUsed: 1,
    rss: 2,
  });
  expect(memoryOf([stats('server', 50), stats('server', 50)], 100).copies).toBe(1);
  expect(memoryOf([stats('server', 100), stats('server', 100)], 100).copies).toBe(2);
  expect(memoryOf([stats('pool', 100), stats('pool', 100)], 100).copies).toBe(1);
  expect(memoryOf([{ ...stats('server', 0), sessions: null, bytes: null }], 100).copies).toBe(0);
  const wire = wireOf([stats('pool', 1, 10)], [stats('pool', 1, 40)], 10, 30);
  expect(wire).toMatchObject({ messagesPerWrite: 3, storeOperationsPerRequest: 2 });
});
