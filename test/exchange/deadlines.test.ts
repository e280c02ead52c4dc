// A thread that did not run for a while blames nobody for it.

import { expect, onTestFinished, test } from 'vitest';
import { systemClock, TurnClock } from '../../src/base/clock.ts';
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
