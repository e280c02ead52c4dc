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
