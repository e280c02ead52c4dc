// Schedules by seed, formulas and brackets.
import { describe, expect, test } from 'vitest';
import { ARCHITECTURES, architecturesNamed } from '../../lab/architectures.ts';
import { expectedMs, type LabOptions, planCell, selectCells } from '../../lab/cells.ts';
import { around, check, exactly, worst } from '../../lab/check.ts';
import { memoryOf, type ServerStats, wireOf } from '../../lab/evidence.ts';
import { FAULTS, HANG_MS } from '../../lab/faults.ts';
import {
  parAfterCrashBracket,
  parAtJoin,
  parEvenMax,
  parRandomBracket,
  parZipfBracket,
  staleReadShare,
  stillThere,
  zipfEffective,
} from '../../lab/formulas.ts';
import {
  isHalf,
  newcomerBrackets,
  playNewcomer,
  timeToEvenInTurnMs,
  timeToEvenLeastMs,
  timeToHalfMs,
} from '../../lab/newcomer.ts';
import {
  type Ranked,
  rollingBracket,
  rollingChain,
  rollingMean,
  rollingParBracket,
} from '../../lab/rolling.ts';
import { steadySchedule, zipfSchedule } from '../../lab/schedule.ts';
import { binomialBracket, poissonBracket, quantile, shareBracket, tally } from '../../lab/statistics.ts';
import { TimeAllowed } from '../../lab/time-allowed.ts';
import { hangNoticedMs, reconnectMsMax, staleMsMax, takeoverMs } from '../../lab/times.ts';
import { SeededRandom } from '../../src/base/random.ts';

const OPTIONS: LabOptions = { only: [], faults: [], quick: false, seed: 1, servers: 4, users: 300 };

describe('schedule', () => {
  const plan = { users: 40, loginMs: 400, periodMs: 1000, endMs: 6000, writes: 0.4 };

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
  test('rolling restart: to the fewest, by one key for ever, by hash alone', () => {
    expect(rollingMean('fewest', 4)).toBe(1.25);
    expect(rollingMean('kept-key', 4)).toBeCloseTo(1.583, 3);
    expect(rollingMean('hash', 4)).toBe(1.5);
    const { low, high } = rollingBracket('fewest', 4, 300, 1);
    expect([low, high].map((bound) => Math.round(bound * 300))).toEqual([371, 379]);
    const even = rollingParBracket('fewest', 4, 300, 1);
    expect(even.low).toBeCloseTo(4 / 3);
    expect(even.high).toBeLessThan(1.4);
    // 10.5, 8.5, 5 and 0 of 24 by expectation, so 1.75; by trial, chance comes on top.
    const ranked = rollingParBracket('kept-key', 4, 300, 1);
    expect(ranked.low).toBeLessThan(1.75);
    expect(ranked.high).toBeGreaterThan(1.75);
    expect(ranked.low).toBeGreaterThan(even.high);
  });

  test.each<[Ranked, number]>(
    (['kept-key', 'hash'] as const).flatMap((rehoming) =>
      [2, 3, 4, 7].map((servers): [Ranked, number] => [rehoming, servers]),
    ),
  )(
    'rolling restart, %s, %i servers: the closed form is the mean of what is played through',
    (rehoming, servers) => {
      const random = new SeededRandom(11);
      const users = 40_000;
      let lost = 0;
      for (let user = 0; user < users; user += 1)
        lost += rollingChain(rehoming, servers, user % servers, random).lost;
      const { low, high } = rollingBracket(rehoming, servers, users, 1);
      expect(lost / users).toBeGreaterThan(low);
      expect(lost / users).toBeLessThan(high);
    },
  );

  test('a newcomer: PAR at join, time to even by placement', () => {
    expect(parAtJoin(4)).toBe(1.25);
    expect(timeToEvenLeastMs(4, 1000, 1.1)).toBeCloseTo(128, 0);
    expect(timeToEvenInTurnMs(4, 1000, 1.1)).toBeCloseTo(916, 0);
    expect(stillThere(5, 5)).toBeCloseTo(Math.exp(-1));
    expect(timeToHalfMs(4, 1000, 'turn')).toBeCloseTo(693, 0);
    expect(timeToHalfMs(4, 1000, 'least')).toBeCloseTo(105, 0);
    expect([29, 30].map((held) => isHalf(held, 300, 4))).toEqual([false, true]);
  });

  test('a newcomer, played through: the brackets hold the closed forms, and many users leave little to chance', () => {
    const plan = { servers: 4, users: 300, lifeMs: 4000, returnMs: 150, beforeMs: 1000, afterMs: 6000 };
    for (const placement of ['least', 'turn'] as const) {
      const { held, halfMs } = newcomerBrackets({ ...plan, placement }, 1);
      const gone = 1 - stillThere(6000, 4000);
      const expected = placement === 'least' ? 60 : 60 * gone;
      expect(held.low).toBeLessThanOrEqual(expected);
      expect(held.high).toBeGreaterThanOrEqual(expected);
      expect(halfMs.low).toBeLessThan(timeToHalfMs(4, 4000, placement));
      expect(halfMs.high).toBeGreaterThan(timeToHalfMs(4, 4000, placement));
    }
    const many = { ...plan, users: 30_000, returnMs: 1, placement: 'least' as const };
    const even = playNewcomer(many, new SeededRandom(2)).find(({ par }) => par < 1.1)?.afterMs ?? 0;
    // A look every 100 ms; in turn, chance of one in a hundred is still a third of a second.
    expect(Math.abs(even - timeToEvenLeastMs(4, 4000, 1.1))).toBeLessThanOrEqual(100);
    const turn = playNewcomer({ ...many, placement: 'turn', afterMs: 8000 }, new SeededRandom(2));
    const evenInTurn = turn.find(({ par }) => par < 1.1)?.afterMs ?? 0;
    expect(Math.abs(evenInTurn - timeToEvenInTurnMs(4, 4000, 1.1))).toBeLessThanOrEqual(500);
  });

  test('after a crash: those left share the lost by chance, more of them when two died', () => {
    const one = parAfterCrashBracket(4, 300, 1, true, 1);
    const two = parAfterCrashBracket(4, 300, 2, true, 1);
    expect(one.low).toBe(1);
    expect(one.high).toBeGreaterThan(1.05);
    expect(one.high).toBeLessThan(1.2);
    expect(parAfterCrashBracket(4, 300, 1, false, 1).high).toBeGreaterThan(one.high);
    expect(two.high).toBeLessThan(1.2);
    expect(parEvenMax(4, 300)).toBeCloseTo(76 / 75);
    expect(parEvenMax(4, 301)).toBeCloseTo(77 / 75.25);
  });

  test('hot users: chance by m_eff users is wide, and wider the fewer requests are drawn', () => {
    const few = parZipfBracket(4, 300, 100, 1);
    const many = parZipfBracket(4, 300, 5000, 1);
    for (const { low, high } of [few, many]) {
      expect(low).toBeLessThan(1.35);
      expect(high).toBeGreaterThan(1.35);
    }
    expect(few.high).toBeGreaterThan(many.high);
  });

  test('times: sums of what is configured', () => {
    expect(hangNoticedMs()).toEqual({ low: 1000, high: 1600 });
    expect(HANG_MS).toBe(7000);
    expect(takeoverMs()).toEqual({ low: 200, high: 4900 });
    expect([reconnectMsMax('redis'), reconnectMsMax('sessiond'), staleMsMax()]).toEqual([500, 0, 1500]);
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

  test('few rare events: Poisson, at most 0.15 % at either end', () => {
    expect(poissonBracket(0)).toEqual({ low: 0, high: 0 });
    // P(X <= 5) = 0.9978 and P(X <= 6) = 0.9996 for a mean of 1.3.
    expect(poissonBracket(1.3)).toEqual({ low: 0, high: 6 });
    expect(poissonBracket(10)).toEqual({ low: 2, high: 21 });
    const { low, high } = poissonBracket(400);
    expect(low).toBeGreaterThan(400 - 3.2 * 20);
    expect(high).toBeLessThan(400 + 3.4 * 20);
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
    expect(selectCells({ ...OPTIONS, only: ['memory-learn'], faults: ['rolling-restart'] })).toHaveLength(1);
    for (const fault of ['kill-one', 'rolling-restart', 'add-server'] as const) {
      const names = selectCells({ ...OPTIONS, faults: [fault] }).map(
        ({ architecture }) => architecture.demo.architecture,
      );
      expect(new Set(names)).toEqual(
        new Set(['memory', 'replicated', 'database', 'redis', 'home', 'cookie', 'jwt']),
      );
    }
    const all = selectCells(OPTIONS);
    expect(new Set(all.map(({ fault }) => fault))).toEqual(new Set(FAULTS));
    expect(new Set(all.map(({ architecture }) => architecture.name)).size).toBe(ARCHITECTURES.length);
  });

  test('a whole run is planned for less than 16 minutes, half of that spare, a quick one for 85 of 120 seconds', () => {
    const minutes = (options: LabOptions): number => expectedMs(selectCells(options), options) / 60_000;
    expect(minutes(OPTIONS)).toBeLessThan(16);
    const quick = { ...OPTIONS, quick: true };
    expect(minutes(quick) * 60).toBeLessThan(85);
    const names = selectCells(quick).map(({ architecture }) => architecture.name);
    expect(names).toEqual(expect.arrayContaining(['memory', 'replicated', 'redis', 'jwt']));
  });

  test('a name is a variant, or all variants of an architecture', () => {
    expect(architecturesNamed('memory').map(({ name }) => name)).toEqual(['memory']);
    expect(architecturesNamed('redis-aof').map(({ code }) => code)).toEqual(['A4b']);
    expect(architecturesNamed('nonsense')).toEqual([]);
  });

  test('the time allowed: what is spare is for waiting and repeating, and at its end no cell begins', () => {
    const time = new TimeAllowed(10 * 60_000, false, 1000);
    expect(time.allowedMs).toBe(15 * 60_000);
    expect(time.spareMs(1000)).toBe(5 * 60_000);
    // A cell planned for a minute took two.
    time.done(60_000);
    expect(time.spareMs(1000 + 120_000)).toBe(4 * 60_000);
    expect(time.waitableMs(121_000)).toBe(8000);
    time.waited(58_000);
    expect(time.waitableMs(121_000)).toBe(2000);
    expect(time.waitableMs(14 * 60_000)).toBe(0);
    expect(time.isOver(15 * 60_000)).toBe(false);
    expect(time.isOver(1000 + 15 * 60_000)).toBe(true);
    expect(new TimeAllowed(60_000, true, 0).allowedMs).toBe(120_000);
    expect(new TimeAllowed(3_600_000, false, 0).allowedMs).toBe(1.5 * 3_600_000);
  });

  test('where most requests read, one of ten writes', () => {
    const [cell] = selectCells({ ...OPTIONS, only: ['home'], faults: ['mostly-reads'] });
    const { arrivals } = planCell(cell!, OPTIONS);
    const asked = arrivals.filter(({ kind }) => kind !== 'login');
    const writes = asked.filter(({ kind }) => kind === 'write').length / asked.length;
    expect(Math.abs(writes - 0.1)).toBeLessThan(0.03);
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
