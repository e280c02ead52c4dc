import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import { AddressCounts } from '../../src/shared/address-counts.ts';
import { paceOf, RateCells } from '../../src/shared/rate-cells.ts';
import { interleave } from '../support/interleave.ts';

const START = 1_700_000_000_000;

function passed(
  cells: RateCells,
  pace: ReturnType<typeof paceOf>,
  nowMs: number,
  tries: number,
  key = 7,
): number {
  let count = 0;
  for (let index = 0; index < tries; index += 1)
    if (cells.take(0, key, key * 31, pace, nowMs) === 0) count += 1;
  return count;
}

test.each([
  [100, 200],
  [2.5, 1],
  [1 / 3600, 10],
  [100_000, 50],
])('%d a second, burst %d: the burst at once, then the rate', (perSecond, burst) => {
  const cells = new RateCells();
  const pace = paceOf(perSecond, burst);
  expect(passed(cells, pace, START, burst + 50)).toBe(burst);
  const requestMs = 1000 / perSecond;
  expect(passed(cells, pace, START + requestMs * 0.9, 5)).toBe(0);
  expect(passed(cells, pace, START + requestMs * 1.1, 5)).toBe(1);
  let later = 0;
  for (let step = 1; step <= 1000; step += 1)
    later += passed(cells, pace, START + requestMs * (1.1 + step / 10), 1);
  expect(Math.abs(later - 100)).toBeLessThanOrEqual(2);
  expect(passed(cells, pace, START + requestMs * (200 + burst * 2), burst + 50)).toBe(burst);
});

test('a refusal says when the next request will pass', () => {
  const cells = new RateCells();
  const pace = paceOf(10, 1);
  expect(cells.take(0, 1, 2, pace, START)).toBe(0);
  expect(cells.take(0, 1, 2, pace, START + 30)).toBeCloseTo(70, 0);
  expect(cells.take(0, 1, 2, pace, START + 100.1)).toBe(0);
});

test('limits and clients do not know each other; cells of long ago count as new', () => {
  const cells = new RateCells();
  const pace = paceOf(1, 2);
  expect(passed(cells, pace, START, 5, 1)).toBe(2);
  expect(passed(cells, pace, START, 5, 2)).toBe(2);
  expect(cells.take(1, 1, 31, pace, START)).toBe(0);
  expect(passed(cells, pace, START + 30 * 24 * 3_600_000, 5, 1)).toBe(2);
});

/** Words as a keyed hash makes them. */
function wordsFrom(start: number): () => number {
  let seed = start;
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
    return seed ^ (seed >>> 15);
  };
}

test('no number of clients over their limit, or of made-up keys, refuses a client that has asked for nothing yet', () => {
  const cells = new RateCells();
  const pace = paceOf(0.1, 1);
  const word = wordsFrom(1);
  for (let key = 0; key < 200_000; key += 1) expect(cells.take(0, word(), word(), pace, START)).toBe(0);
  const honest = Array.from({ length: 5000 }, () => [word(), word()] as const);
  const refused = honest.filter(([low, high]) => cells.take(0, low, high, pace, START + 1) > 0);
  expect(refused).toEqual([]);
});

test('a client far over its limit is remembered through many made-up keys, and ten thousand clients are at once', () => {
  const cells = new RateCells();
  const pace = paceOf(1, 10);
  const word = wordsFrom(2);
  const greedy = [word(), word()] as const;
  for (let request = 0; request < 12; request += 1) cells.take(0, ...greedy, pace, START);
  for (let key = 0; key < 200_000; key += 1) cells.take(0, word(), word(), pace, START + 1);
  expect(cells.take(0, ...greedy, pace, START + 2)).toBeGreaterThan(0);

  const one = paceOf(1, 1);
  const clients = Array.from({ length: 10_000 }, () => [word(), word()] as const);
  for (const [low, high] of clients) cells.take(1, low, high, one, START);
  const known = clients.filter(([low, high]) => cells.take(1, low, high, one, START + 1) > 0);
  // a bucket of eight has on average 2.4 of them: one in a thousand is pushed out
  expect(known.length).toBeGreaterThan(9950);
});

test('two threads share a limit', async () => {
  const cells = new RateCells();
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.module).then(({ RateCells, paceOf }) => {
      const cells = new RateCells(workerData.buffer);
      let count = 0;
      for (let index = 0; index < 40000; index += 1) if (cells.take(0, 5, 6, paceOf(1, 20000), ${START}) === 0) count += 1;
      parentPort.postMessage(count);
    });`;
  const module = new URL('../../src/shared/rate-cells.ts', import.meta.url).href;
  const counts = await Promise.all(
    [1, 2].map(
      () =>
        new Promise<number>((resolve, reject) => {
          const worker = new Worker(code, { eval: true, workerData: { buffer: cells.buffer, module } });
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  const together = (counts[0] ?? 0) + (counts[1] ?? 0);
  expect(together).toBeGreaterThanOrEqual(19_900);
  // who loses the race sixteen times passes: under this contention a handful of 80 000
  expect(together).toBeLessThanOrEqual(20_100);
});

test('connections by address: summed over workers, given back, cleared with a dead worker', () => {
  const main = AddressCounts.create(2);
  const [first, second] = [0, 1].map((worker) => new AddressCounts(main.buffers, worker));
  const cells = main.cellsOf(0x1234_5678, -0x0765_4321);
  const other = main.cellsOf(0x1234_5678, 99);
  first?.add(cells, 1);
  first?.add(cells, 1);
  second?.add(cells, 1);
  expect([main.count(cells), main.count(other)]).toEqual([3, 0]);
  first?.add(cells, -1);
  expect(main.count(cells)).toBe(2);
  main.clear(0);
  expect(second?.count(cells)).toBe(1);
});

describe('a new client that two threads meet at once has one allowance', () => {
  const BURST = 4;
  const pace = paceOf(1 / 3600, BURST);

  /** What passes of many requests when another thread asks right after that step of the first one. */
  function passedWith(
    step: 'load' | 'store' | 'compareExchange',
    at: number,
    neighbours: number,
  ): number | null {
    const cells = new RateCells();
    for (let other = 1; other <= neighbours; other += 1) cells.take(0, 7, other * 2, pace, START);
    let count = 0;
    let steps = 0;
    const ask = (): void => {
      if (cells.take(0, 7, 217, pace, START) === 0) count += 1;
    };
    try {
      interleave(step, () => ++steps === at, ask, ask);
    } catch {
      return null; // there are no more steps
    }
    for (let more = 0; more < 2 * BURST; more += 1) ask();
    return count;
  }

  test.each([0, 1, 3, 7, 8])('beside %i other clients', (neighbours) => {
    let moments = 0;
    for (const step of ['load', 'store', 'compareExchange'] as const) {
      for (let at = 1; ; at += 1) {
        const passed = passedWith(step, at, neighbours);
        if (passed === null) break;
        moments += 1;
        expect([step, at, passed]).toEqual([step, at, BURST]);
      }
    }
    expect(moments).toBeGreaterThan(10);
  });
});
