// Which threads wait for a place, and how they hear of one.

import { expect, test } from 'vitest';
import { WaitingThreads } from '../../src/shared/waiting-threads.ts';
import { eventually } from '../support/eventually.ts';

const WORKERS = [0, 1, 31, 32, 63] as const;

function threads() {
  const main = new WaitingThreads(null, null);
  return { main, of: (worker: number): WaitingThreads => new WaitingThreads(main.buffer, worker) };
}

test('a thread sees whether others wait for the pool, never itself', () => {
  const { main, of } = threads();
  for (const worker of WORKERS) {
    const own = of(worker);
    own.set(7, true);
    own.set(7, true);
    expect(own.othersWait(7)).toBe(false);
    expect(main.othersWait(7)).toBe(true);
    for (const other of WORKERS) if (other !== worker) expect(of(other).othersWait(7)).toBe(true);
    expect(of((worker + 1) % 64).othersWait(8)).toBe(false);
    own.set(7, false);
    expect(main.othersWait(7)).toBe(false);
  }
});

test('what a dead worker had set is cleared, what others have set stays', () => {
  const { main, of } = threads();
  for (const worker of WORKERS) of(worker).set(255, true);
  for (const worker of WORKERS) {
    expect(main.othersWait(255)).toBe(true);
    main.clear(worker);
  }
  expect(main.othersWait(255)).toBe(false);
});

test('an offer reaches all who listen for the pool, once, with the slot', async () => {
  const { of } = threads();
  const heard: string[] = [];
  of(1).onOffer(3, (slot) => heard.push(`one ${slot}`));
  of(2).onOffer(3, (slot) => heard.push(`two ${slot}`));
  of(2).onOffer(4, (slot) => heard.push(`another pool ${slot}`));
  of(0).offer(3, 1023);
  await eventually(() => heard.length === 2);
  of(0).offer(3, 5);
  of(1).onOffer(3, (slot) => heard.push(`again ${slot}`));
  of(0).offer(3, 0);
  await eventually(() => heard.length === 3);
  expect(heard.toSorted()).toEqual(['again 0', 'one 1023', 'two 1023']);
});
