// The longest unseen of many, against a sort of all.

import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { Idlest } from '../../src/sessions/idlest.ts';
import { seeds } from '../support/seeds.ts';

test.each(seeds(40))(
  'with seed %i: those seen longest ago, idlest first, in whatever order they come',
  (seed) => {
    const random = new SeededRandom(seed);
    const wanted = random.below(12);
    const offered = random.below(60);
    const found = new Idlest(wanted);
    // no two alike, so that there is one right answer
    const seen = Array.from({ length: offered }, (_, index) => index * 10 + random.below(10));
    for (let at = seen.length - 1; at > 0; at -= 1) {
      const other = random.below(at + 1);
      [seen[at], seen[other]] = [seen[other]!, seen[at]!];
    }
    seen.forEach((seenMs, entry) => {
      found.offer(entry, seenMs);
      expect(found.size).toBe(Math.min(wanted, entry + 1));
      const sorted = seen.slice(0, entry + 1).map((ms, index) => ({ ms, index }));
      sorted.sort((a, b) => a.ms - b.ms);
      expect(found.list()).toEqual(sorted.slice(0, wanted).map(({ index }) => index));
    });
  },
);

test('of two seen at the same time the first one that came stays, and times may be below zero', () => {
  const found = new Idlest(2);
  found.offer(7, -5);
  found.offer(8, 3);
  found.offer(9, 3);
  expect(found.list()).toEqual([7, 8]);
  found.offer(10, -9);
  expect(found.list()).toEqual([10, 7]);
});
