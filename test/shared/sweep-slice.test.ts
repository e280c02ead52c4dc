// What a sweep counts, lists as expired and lists as hot, entry by entry.

import { beforeEach, describe, expect, test } from 'vitest';
import { packHome, SessionTable } from '../../src/shared/session-table.ts';
import { createTally, NEVER, RATE_SMOOTHING_SECONDS, type SweepTally } from '../../src/shared/sweep-tally.ts';

const NOW = 1_700_000_000_000;
const SLOT = 7;
const GENERATION = 3;
const HOME = packHome(SLOT, GENERATION);
const STRANGER = packHome(SLOT, GENERATION + 1);
const IDLE_MS = 60_000;
const TENTATIVE_MS = 10_000;
const LIFE_MS = 600_000;
const STRANGER_MS = 30_000;
const TENTH = 100;

let table: SessionTable;
let tally: SweepTally;
beforeEach(() => {
  table = SessionTable.create(100, NOW, 0);
  tally = createTally(table.capacity);
  tally.generation[SLOT] = GENERATION;
  tally.idleTenths[SLOT] = IDLE_MS / TENTH;
  tally.tentativeIdleTenths[SLOT] = TENTATIVE_MS / TENTH;
  tally.lifeTenths[SLOT] = LIFE_MS / TENTH;
  tally.strangerIdleTenths = STRANGER_MS / TENTH;
  tally.hotAbove.fill(Number.POSITIVE_INFINITY);
  tally.epoch = 2;
});

interface Made {
  readonly home?: number;
  readonly epoch?: number;
  readonly tentative?: boolean;
}

let nextKey = 1;
function make({ home = HOME, epoch = 1, tentative = false }: Made = {}): number {
  nextKey += 1;
  return table.insert(nextKey, nextKey, home, NOW, epoch, tentative);
}

function sweep(afterMs: number): { expired: number[]; hot: number[]; sessions: number; tentative: number } {
  tally.nowMs = NOW + afterMs;
  for (const counts of [tally.sessions, tally.tentative, tally.rateSum, tally.rateSquares]) counts.fill(0);
  tally.entries = 0;
  table.sweepSlice(0, table.capacity, tally);
  return {
    expired: [...tally.expired.subarray(0, tally.expiredCount)],
    hot: [...tally.hot.subarray(0, tally.hotCount)],
    sessions: tally.sessions[SLOT]!,
    tentative: tally.tentative[SLOT]!,
  };
}

describe('a session', () => {
  test.each<readonly [string, Made, number]>([
    ['real', {}, IDLE_MS],
    ['tentative', { tentative: true }, TENTATIVE_MS],
    ['of a removed server', { home: STRANGER }, STRANGER_MS],
  ])('%s is idle after its own limit, and not at it', (_, made, limitMs) => {
    const entry = make(made);
    expect(sweep(limitMs).expired).toEqual([]);
    expect(sweep(limitMs + TENTH)).toEqual({ expired: [entry], hot: [], sessions: 0, tentative: 0 });
  });

  test('is counted as what it is, at its server', () => {
    make();
    make();
    make({ tentative: true });
    make({ home: STRANGER });
    make({ home: packHome(SLOT + 1, 1) });
    expect(sweep(0)).toMatchObject({ sessions: 2, tentative: 1 });
    expect(tally.entries).toBe(5);
    expect([...tally.sessions].filter((count) => count > 0)).toEqual([2]);
  });

  test('in use is not idle, but may have lived for too long', () => {
    const entry = make();
    table.touch(entry, nextKey, nextKey, NOW);
    expect(sweep(IDLE_MS + TENTH).expired).toEqual([]);
    expect(sweep(LIFE_MS).expired).toEqual([]);
    expect(sweep(LIFE_MS + TENTH).expired).toEqual([entry]);
  });

  test('of a removed server has no limit of life here', () => {
    const entry = make({ home: STRANGER });
    table.touch(entry, nextKey, nextKey, NOW);
    expect(sweep(LIFE_MS + TENTH).expired).toEqual([]);
  });

  test('born during this sweep is left to the next one, and settled by that', () => {
    const entry = make({ epoch: 2 });
    expect(sweep(IDLE_MS + TENTH)).toEqual({ expired: [], hot: [], sessions: 0, tentative: 0 });
    expect([table.birthEpoch(entry), tally.entries]).toEqual([2, 1]);
    tally.epoch = 3;
    expect(sweep(0).sessions).toBe(1);
    expect(table.birthEpoch(entry)).toBe(0);
    tally.epoch = 0;
    expect(sweep(0).sessions).toBe(1);
  });
});

test('an alias is no session, and is looked at after an eighth of the idle time', () => {
  const session = make();
  nextKey += 1;
  const alias = table.insert(
    nextKey,
    nextKey,
    HOME,
    NOW,
    1,
    true,
    table.keyLow(session),
    table.keyHigh(session),
  );
  expect(sweep(IDLE_MS / 8)).toMatchObject({ expired: [], sessions: 1, tentative: 0 });
  expect([tally.entries, tally.aliases[SLOT]]).toEqual([2, 1]);
  expect(sweep(IDLE_MS / 8 + TENTH).expired).toEqual([alias]);
});

test('a session whose user has ended it counts as nothing, and is looked at when its late requests are in', () => {
  const entry = make();
  table.marks.setOver(entry);
  const overMs = 60_000;
  expect(sweep(overMs)).toEqual({ expired: [], hot: [], sessions: 0, tentative: 0 });
  expect([tally.entries, tally.aliases[SLOT]]).toEqual([1, 0]);
  expect(sweep(overMs + TENTH).expired).toEqual([entry]);
});

test('rates are requests over age, smoothed, and those above the server’s floor are hot', () => {
  const made = [1, 30, 60].map((requests) => {
    const entry = make();
    for (let request = 0; request < requests; request += 1) {
      table.touch(entry, nextKey, nextKey, NOW);
      table.release(entry, nextKey, nextKey, NOW);
    }
    return entry;
  });
  const rates = [1, 30, 60].map((requests) => requests / (20 + RATE_SMOOTHING_SECONDS));
  tally.hotAbove[SLOT] = rates[1]!;
  expect(sweep(20_000).hot).toEqual([made[2]]);
  expect(tally.rateSum[SLOT]).toBeCloseTo(
    rates.reduce((sum, rate) => sum + rate),
    12,
  );
  expect(tally.rateSquares[SLOT]).toBeCloseTo(
    rates.reduce((sum, rate) => sum + rate * rate, 0),
    12,
  );
});

test('a slice counts its own entries, and its lists begin anew', () => {
  const entries = Array.from({ length: 20 }, () => make());
  tally.nowMs = NOW + IDLE_MS + TENTH;
  const found: number[] = [];
  for (let begin = 0; begin < table.capacity; begin += 16) {
    table.sweepSlice(begin, Math.min(table.capacity, begin + 16), tally);
    found.push(...tally.expired.subarray(0, tally.expiredCount));
  }
  expect(found.toSorted((a, b) => a - b)).toEqual(entries.toSorted((a, b) => a - b));
  expect(tally.entries).toBe(20);
});

test('before limits are set nothing ends', () => {
  const fresh = createTally(4);
  for (const limits of [fresh.idleTenths, fresh.tentativeIdleTenths, fresh.lifeTenths])
    expect(new Set(limits)).toEqual(new Set([NEVER]));
  expect([new Set(fresh.generation), fresh.strangerIdleTenths]).toEqual([new Set([-1]), NEVER]);
  expect([fresh.expired.length, fresh.hot.length]).toEqual([4, 4]);
});
