// What is measured of servers and sessions from one second to the next: requests of the last minute, the hottest sessions, how
// long they live, since when a server has been quiet.

import { describe, expect, test } from 'vitest';
import { FAILURE_KINDS } from '../../src/base/failure.ts';
import { Hottest } from '../../src/sessions/hottest.ts';
import {
  clientErrors,
  comparedSlots,
  LOAD_KINDS,
  loadSkew,
  RequestWindow,
  sessionSkew,
  totalRequests,
} from '../../src/sessions/load.ts';
import { SessionRates } from '../../src/sessions/session-rates.ts';
import { Stability, settleMs } from '../../src/sessions/stability.ts';
import { afterTransfers, planEmptying, planEvening } from '../../src/sessions/transfers.ts';
import { Mode, Verdict } from '../../src/shared/control.ts';
import type { PoolRevision } from '../../src/shared/revision.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { CODE_CLASSES, Counter, END_REASONS, Gauge, PoolCounter } from '../../src/shared/stripe.ts';
import { Revisions } from '../support/revision.ts';

function poolOf(...servers: readonly string[]): {
  shared: SharedState;
  pool: PoolRevision;
  slots: readonly number[];
} {
  const shared = SharedState.create(1, 1000, 0);
  const revision = new Revisions(shared).next({
    more: 'health: off',
    servers: servers.map((server, index) => `${server.replace(' ', `=http://127.0.0.1:${index + 1} `)}`),
  });
  const pool = revision.pools[0] as PoolRevision;
  for (const slot of pool.slots) shared.control.setVerdict(slot, Verdict.up);
  return { shared, pool, slots: pool.slots };
}

describe('requests', () => {
  test('of all classes count, with those that got no response', () => {
    const { shared } = poolOf('a ');
    for (const [at] of CODE_CLASSES.entries()) shared.own.count(1, Counter.code + at, 10 ** at);
    expect([totalRequests(shared, 1), totalRequests(shared, 2)]).toEqual([111_111, 0]);
  });

  test('that went wrong for clients: errors of servers and our own, not what clients broke off themselves', () => {
    const { shared, pool } = poolOf('a ');
    shared.own.countPool(pool.id, PoolCounter.serverErrors, 3);
    for (const kind of ['no-server', 'response-truncated', 'client-aborted', 'redirected'] as const)
      shared.own.countRejected(FAILURE_KINDS.indexOf(kind), pool.id);
    expect(clientErrors(shared, pool.id)).toBe(5);
  });

  test('of the last minute are those of the last sixty samples, and of this server alone', () => {
    const { shared, slots } = poolOf('a ', 'b ');
    const [slot = -1, other = -1] = slots;
    const window = new RequestWindow();
    expect(window.recent(slot)).toBe(0);
    const second = (requests: number): number => {
      shared.own.count(slot, Counter.code + 2, requests);
      window.sample(shared, slots);
      return window.recent(slot);
    };
    expect([second(7), second(1), second(1)]).toEqual([7, 8, 9].map((all) => all - 7));
    const later = Array.from({ length: 57 }, () => second(1));
    expect(later.at(-1)).toBe(59);
    expect([second(1), second(1), second(0)]).toEqual([59, 59, 58].map((all) => all));
    expect(window.recent(other)).toBe(0);
    shared.control.setGeneration(slot, shared.control.generation(slot) + 1);
    shared.own.clearSlot(slot);
    expect(second(4)).toBe(4);
  });
});

describe('skew', () => {
  test('compares servers that are up, ready, of some weight and no backups, by their weights', () => {
    const { shared, pool, slots } = poolOf(
      'a weight:2',
      'b weight:1',
      'c weight:1',
      'd weight:1',
      'e backup:true',
      'f ',
    );
    const [, b = -1, c = -1, d = -1] = slots;
    shared.control.setMode(b, Mode.drain);
    shared.control.setVerdict(c, Verdict.down);
    shared.control.setWeight(d, 0);
    expect(comparedSlots(pool, shared)).toEqual([slots[0], slots[5]]);
    slots.forEach((slot, index) => {
      shared.control.publishSweep(slot, [400, 9, 9, 9, 9, 200][index] ?? 0, 0, 0);
      shared.own.addGauge(slot, Gauge.inFlight, [1, 9, 9, 9, 9, 5][index] ?? 0);
    });
    expect(sessionSkew(pool, shared).ratio).toBeCloseTo(1, 9);
    expect(loadSkew(pool, shared, 'in_flight', () => 0).ratio).toBeCloseTo(2.5, 9);
    expect(LOAD_KINDS).toEqual(['requests', 'in_flight']);
    const recent = (slot: number): number => (slot === slots[0] ? 300 : 0);
    expect(loadSkew(pool, shared, 'requests', recent).ratio).toBeCloseTo(1.5, 9);
  });
});

test('the hottest sessions are kept, hottest first, with their share of all requests', () => {
  const hottest = new Hottest(3);
  expect([hottest.floor, hottest.report(0)]).toEqual([0, []]);
  hottest.offer(9, 1, 0);
  for (const [key, rate] of [
    [0xab, 2],
    [-1, 5],
    [3, 1],
  ] as const)
    hottest.offer(key, key & 7, rate);
  expect(hottest.floor).toBe(1);
  hottest.offer(4, 4, 1);
  hottest.offer(5, 5, 3);
  expect(hottest.report(10)).toEqual([
    { key: 'ffffffff', slot: 7, requestsPerSecond: 5, share: 0.5 },
    { key: '00000005', slot: 5, requestsPerSecond: 3, share: 0.3 },
    { key: '000000ab', slot: 3, requestsPerSecond: 2, share: 0.2 },
  ]);
  expect(hottest.report(0).map(({ share }) => share)).toEqual([0, 0, 0]);
  hottest.clear();
  expect(hottest.report(1)).toEqual([]);
});

test('of two equally hot sessions the first that came stays', () => {
  const hottest = new Hottest(2);
  for (const [key, rate] of [
    [1, 5],
    [2, 5],
    [3, 6],
  ] as const)
    hottest.offer(key, 0, rate);
  expect(hottest.report(0).map(({ key }) => Number(key))).toEqual([3, 1]);
});

describe('a mean life', () => {
  test('is sessions over the rate at which they end, once twenty have', () => {
    const { shared, pool, slots } = poolOf('a ', 'b ');
    const rates = new SessionRates(shared);
    const name = pool.config.name;
    for (const slot of slots) shared.control.publishSweep(slot, 50, 0, 0);
    expect(rates.meanLifeMs(name)).toBeNull();
    const at = (nowMs: number, ended: number): number | null => {
      shared.own.count(slots[nowMs % 2] as number, Counter.ended + (nowMs % END_REASONS.length), ended);
      rates.sample([pool], nowMs);
      return rates.meanLifeMs(name);
    };
    expect([at(0, 5), at(10_001, 19), at(20_000, 1)]).toEqual([null, null, 100_000]);
    // what is more than a minute old no longer counts
    expect(at(60_000, 0)).toBe(300_000);
    expect(at(60_001, 0)).toBeNull();
    rates.sample([], 60_002);
    expect(rates.meanLifeMs(name)).toBeNull();
    expect(at(60_003, 40)).toBeNull();
  });
});

describe('a server has been quiet', () => {
  test('as long as its checks may take to find it dead', () => {
    const health = { intervalMs: 1000, fall: 2, timeoutMs: 500 } as never;
    expect([settleMs(null), settleMs(health)]).toEqual([30_000, 3500]);
    expect(settleMs({ intervalMs: 100, fall: 1, timeoutMs: 100 } as never)).toBe(2000);
  });

  test('since it was seen up without a failure, as the server that it is now', () => {
    const { shared, pool, slots } = poolOf('a ', 'b ');
    const [slot = -1] = slots;
    const stability = new Stability(shared);
    expect(stability.isSettled(slot, 0, 0)).toBe(false);
    const settledAfter = (act: () => void, nowMs: number, of: PoolRevision = pool): readonly boolean[] => {
      act();
      stability.poll(of, nowMs);
      return [stability.isSettled(slot, 1000, nowMs), stability.isSettled(slot, 1000, nowMs + 1000)];
    };
    const nothing = (): void => undefined;
    expect(settledAfter(nothing, 0)).toEqual([false, true]);
    expect(settledAfter(nothing, 1000)).toEqual([true, true]);
    expect(settledAfter(() => shared.own.count(slot, Counter.failures), 2000)).toEqual([false, true]);
    expect(settledAfter(nothing, 3000)).toEqual([true, true]);
    expect(settledAfter(() => shared.control.setVerdict(slot, Verdict.down), 4000)).toEqual([false, true]);
    expect(settledAfter(nothing, 5000)).toEqual([false, true]);
    expect(settledAfter(() => shared.control.setVerdict(slot, Verdict.up), 6000)).toEqual([true, true]);
    const other = { ...pool, generations: pool.generations.map((generation) => generation + 1) };
    expect(settledAfter(nothing, 7000, other)).toEqual([false, true]);
  });
});

describe('transfers', () => {
  const holding = (sessions: number, weight = 1) => ({ sessions, weight });

  test('even out by weight, fullest to emptiest, no more than may move', () => {
    const servers = [holding(90), holding(30), holding(0), holding(80, 2)];
    const evened = afterTransfers(servers, planEvening(servers, 1000));
    expect(evened).toEqual([holding(40), holding(40), holding(40), holding(80, 2)].map(expectNear));
    const few = planEvening(servers, 10);
    expect(few.reduce((sum, { sessions }) => sum + sessions, 0)).toBe(10);
    expect(few.every(({ from, to }) => from === 0 && to === 2)).toBe(true);
    expect([planEvening([holding(0), holding(0)], 9), planEvening([], 9), planEvening(servers, 0)]).toEqual([
      [],
      [],
      [],
    ]);
  });

  test('a server for which one session is too much or too little holds up no others', () => {
    const servers = [holding(1, 0.01), holding(0, 0.01), holding(80), holding(20)];
    const evened = afterTransfers(servers, planEvening(servers, 1000));
    expect(evened.map(({ sessions }) => sessions)).toEqual([1, 0, 50, 50]);
  });

  function expectNear({ sessions, weight }: { sessions: number; weight: number }) {
    return { sessions: expect.closeTo(sessions, -1), weight };
  }

  test('empty a server into those that take something', () => {
    const servers = [holding(60), holding(0), holding(30), holding(5, 0)];
    const left = afterTransfers(servers, planEmptying(servers, 0, 60));
    expect(left.map(({ sessions }) => sessions)).toEqual([0, 45, 45, 5]);
    expect(planEmptying(servers, 9, 10)).toEqual([]);
    expect(planEmptying(servers, 0, 7).reduce((sum, { sessions }) => sum + sessions, 0)).toBe(7);
    expect(planEmptying([holding(60)], 0, 10)).toEqual([]);
  });
});
