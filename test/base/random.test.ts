// The seeded generator of choices and the pool of cryptographic bytes.

import { expect, test } from 'vitest';
import { fillRandomBytes, SeededRandom } from '../../src/base/random.ts';

test('a seed gives one sequence, another seed another', () => {
  const draw = (seed: number): number[] => {
    const random = new SeededRandom(seed);
    return Array.from({ length: 10 }, () => random.below(1_000_000));
  };
  expect(draw(42)).toEqual(draw(42));
  expect(draw(42)).not.toEqual(draw(43));
  expect(draw(0)).not.toEqual(draw(1));
});

test.each([2, 3, 10, 1000])('below(%d) is even and stays below', (bound) => {
  const random = new SeededRandom(7);
  const counts = new Array<number>(bound).fill(0);
  for (let draw = 0; draw < bound * 1000; draw += 1) counts[random.below(bound)]! += 1;
  const statistic = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  // mean bound - 1, standard deviation √(2 (bound - 1))
  expect(statistic).toBeLessThan(bound - 1 + 5 * Math.sqrt(2 * (bound - 1)) + 5);
});

test('next is in [0, 1) with mean one half', () => {
  const random = new SeededRandom(3);
  let sum = 0;
  for (let draw = 0; draw < 100_000; draw += 1) {
    const value = random.next();
    expect(value >= 0 && value < 1).toBe(true);
    sum += value;
  }
  expect(sum / 100_000).toBeCloseTo(0.5, 2);
});

test('random bytes fill exactly their range and never repeat over the refill of the pool', () => {
  const seen = new Set<string>();
  for (let draw = 0; draw < 3000; draw += 1) {
    const target = Buffer.alloc(20);
    fillRandomBytes(target, 2, 16);
    expect([target[0], target[1], target[18], target[19]]).toEqual([0, 0, 0, 0]);
    seen.add(target.toString('hex'));
  }
  expect(seen.size).toBe(3000);
});
