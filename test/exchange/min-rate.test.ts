import { describe, expect, test } from 'vitest';
import { MinRateMonitor } from '../../src/exchange/min-rate.ts';

/** Seconds until a client that moves `bytesPerSecond` is cut at a minimum of 100; null: not within a minute. */
function cutAfter(
  bytesPerSecond: (second: number) => number,
  what: 'sending' | 'taking' = 'sending',
): number | null {
  const pace = new MinRateMonitor<string>();
  let bytes = 0;
  for (let second = 0; second < 60; second += 1) {
    if (pace.isTooSlow('x', { what, bytes }, 100, second * 1000)) return second;
    bytes += bytesPerSecond(second);
  }
  return null;
}

describe('minimum rate', () => {
  test.each([
    ['a byte a second', () => 1, 11],
    ['nothing', () => 0, 11],
    ['just enough', () => 100, null],
    ['slow only while it begins', (second: number) => (second < 5 ? 0 : 150), null],
    ['in bursts that average out', (second: number) => (second % 5 === 0 ? 600 : 0), null],
    ['quick at first, then slow', (second: number) => (second < 20 ? 500 : 1), 26],
  ])('%s', (_name, rate, expected) => {
    const cut = cutAfter(rate);
    if (expected === null) expect(cut).toBeNull();
    else expect(Math.abs((cut ?? 99) - expected)).toBeLessThanOrEqual(1);
  });

  test('who owes nothing in between begins anew, and is not remembered', () => {
    const pace = new MinRateMonitor<string>();
    for (let second = 0; second < 60; second += 1) {
      const owing = second % 8 === 7 ? null : ({ what: 'taking', bytes: 0 } as const);
      expect(pace.isTooSlow('x', owing, 100, second * 1000)).toBe(false);
    }
    pace.isTooSlow('x', null, 100, 60_000);
    expect(pace.size).toBe(0);
  });

  test('another direction begins anew', () => {
    const pace = new MinRateMonitor<string>();
    for (let second = 0; second < 40; second += 1) {
      const what = Math.floor(second / 8) % 2 === 0 ? 'sending' : 'taking';
      expect(pace.isTooSlow('x', { what, bytes: 0 }, 100, second * 1000)).toBe(false);
    }
  });
});

test('who was judged when we stood still is judged anew', () => {
  const pace = new MinRateMonitor<string>();
  const isTooSlow = (second: number): boolean =>
    pace.isTooSlow('x', { what: 'sending', bytes: 0 }, 100, second * 1000);
  for (let second = 0; second <= 9; second += 1) expect(isTooSlow(second)).toBe(false);
  pace.beginAnew();
  for (let second = 10; second <= 19; second += 1) expect(isTooSlow(second)).toBe(false);
  expect(isTooSlow(21)).toBe(true);
});
