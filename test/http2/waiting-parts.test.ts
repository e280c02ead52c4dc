// What waits to be sent: in order, in few pieces, and in memory that is never two streams'.

import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { WaitingParts } from '../../src/http2/waiting-parts.ts';
import { seeds } from '../support/seeds.ts';

const FRAME = 16_375;

/** Sends all that waits; the sizes of the pieces. */
function drain(waiting: WaitingParts): readonly number[] {
  const sizes: number[] = [];
  while (!waiting.isEmpty) {
    sizes.push(waiting.first.length);
    waiting.sent(waiting.first.length);
  }
  return sizes;
}

test('a large part waits in pieces of a frame', () => {
  const waiting = new WaitingParts();
  waiting.add(Buffer.alloc(4 * FRAME + 5));
  expect(drain(waiting)).toEqual([FRAME, FRAME, FRAME, FRAME, 5]);
  expect(waiting.first).toHaveLength(0);
});

test('a window of single bytes waits in a few pieces', () => {
  const waiting = new WaitingParts();
  for (let count = 0; count < 65_535; count += 1) waiting.add(Buffer.from('x'));
  expect(drain(waiting).length).toBeLessThan(12);
});

test('memory that many have given up serves the next', () => {
  const part = Buffer.alloc(4 * FRAME);
  const memory = new Set<ArrayBufferLike>();
  for (let round = 0; round < 100; round += 1) {
    const waiting = new WaitingParts();
    waiting.add(part);
    memory.add(waiting.first.buffer);
    if (round % 2 === 0) waiting.clear();
    else drain(waiting);
  }
  expect(memory.size).toBeLessThanOrEqual(4);
});

for (const seed of seeds(20))
  test(`what streams wait with is theirs, in order, whoever sends, ends or comes anew (seed ${seed})`, () => {
    const random = new SeededRandom(seed);
    const below = (most: number): number => Math.floor(random.next() * most);
    /** What each stream has put in and not sent. */
    const streams = Array.from({ length: 5 }, () => ({ waiting: new WaitingParts(), due: Buffer.alloc(0) }));
    for (let round = 0; round < 400; round += 1) {
      const stream = streams[below(streams.length)] as (typeof streams)[number];
      const { waiting, due } = stream;
      const what = random.next();
      if (what < 0.45) {
        const part = Buffer.alloc(Math.floor(random.next() ** 4 * 80_000) + 1, round & 255);
        waiting.add(part);
        stream.due = Buffer.concat([due, part]);
        part.fill('overwritten');
      } else if (what < 0.95) {
        const { first } = waiting;
        const sent = below(first.length + 1);
        expect(first.equals(due.subarray(0, first.length))).toBe(true);
        expect(waiting.isEmpty).toBe(due.length === 0);
        expect(first.length === due.length).toBe(waiting.isOnePiece || waiting.isEmpty);
        waiting.sent(sent);
        stream.due = due.subarray(sent);
      } else {
        waiting.clear();
        stream.due = Buffer.alloc(0);
      }
    }
  });
