// A thread that did not run for a while blames nobody for it.

import { expect, onTestFinished, test } from 'vitest';
import { ManualClock, systemClock, TurnClock } from '../../src/base/clock.ts';
import { Deadlines, NEVER } from '../../src/exchange/deadlines.ts';
import { eventually } from '../support/eventually.ts';

test('after a stall a deadline waits for as long as the stall was', async () => {
  const deadlines = new Deadlines(new TurnClock(systemClock), () => undefined);
  onTestFinished(() => deadlines.stop());
  let firedMs = 0;
  const owner = {
    deadlineMs: systemClock.nowMs() + 500,
    deadlineIndex: -1,
    onDeadline: (nowMs: number): void => {
      firedMs = nowMs;
      owner.deadlineMs = NEVER;
    },
  };
  deadlines.add(owner);
  deadlines.start();
  const beganMs = systemClock.nowMs();
  while (systemClock.nowMs() < beganMs + 1000);
  await eventually(() => firedMs > 0);
  expect(firedMs - beganMs).toBeGreaterThan(1300);
});

test('deadlines are kept while events come without a pause and no timer has its turn', async () => {
  const clock = new ManualClock();
  const turns = new TurnClock(clock);
  const deadlines = new Deadlines(turns, () => undefined);
  onTestFinished(() => deadlines.stop());
  turns.onStep((nowMs) => deadlines.step(nowMs));
  const beganMs = clock.nowMs();
  let firedMs = 0;
  const owner = {
    deadlineMs: beganMs + 3000,
    deadlineIndex: -1,
    onDeadline: (nowMs: number): void => {
      firedMs = nowMs - beganMs;
      owner.deadlineMs = NEVER;
    },
  };
  deadlines.add(owner);
  deadlines.start();
  // promises alone: no timer runs between them
  for (let event = 0; event < 800; event += 1) {
    clock.advance(5);
    turns.turn();
    await Promise.resolve();
  }
  expect(firedMs).toBeGreaterThanOrEqual(3000);
  expect(firedMs).toBeLessThanOrEqual(3150);
});

test('nothing is due any more once it has stopped, however long events come', () => {
  const clock = new ManualClock();
  const turns = new TurnClock(clock);
  let ticks = 0;
  const deadlines = new Deadlines(turns, () => (ticks += 1));
  deadlines.start();
  clock.advance(1000);
  deadlines.step(turns.turn());
  expect(ticks).toBe(1);
  deadlines.step(turns.nowMs() + 119);
  expect(ticks).toBe(1);
  deadlines.stop();
  deadlines.stop();
  clock.advance(1000);
  deadlines.step(turns.turn());
  expect(ticks).toBe(1);
});

test('each that is due fires once in a walk, whoever leaves or comes meanwhile', () => {
  const clock = new ManualClock();
  const beats: number[] = [];
  const deadlines = new Deadlines(
    new TurnClock(clock),
    () => undefined,
    () => beats.push(deadlines.count),
  );
  const fired: string[] = [];
  const owner = (name: string, afterMs: number, act: () => void = () => undefined) => {
    const made = {
      deadlineMs: clock.nowMs() + afterMs,
      deadlineIndex: -1,
      onDeadline: (): void => {
        fired.push(name);
        made.deadlineMs = NEVER;
        act();
      },
    };
    deadlines.add(made);
    return made;
  };
  const [first, second] = [owner('first', 10), owner('second', 10)];
  owner('late', 11);
  owner('third', 10, () => {
    deadlines.remove(first);
    deadlines.remove(first);
    owner('new', 0);
  });
  deadlines.walk();
  expect(fired).toEqual([]);
  clock.advance(10);
  deadlines.walk();
  expect([fired, deadlines.count, beats.length]).toEqual([['third', 'second'], 4, 2]);
  clock.advance(1);
  deadlines.walk();
  expect(fired.slice(2).toSorted()).toEqual(['late', 'new']);
  deadlines.remove(second);
  expect([deadlines.count, first.deadlineIndex, second.deadlineIndex]).toEqual([3, -1, -1]);
});
