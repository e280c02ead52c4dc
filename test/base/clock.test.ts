// The time in which a process ran: what it stood still for is left out, and known.

import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { ManualClock, systemClock, TurnClock } from '../../src/base/clock.ts';
import { runningScheduler } from '../../src/base/scheduler.ts';

const CLOCK = new URL('../../src/base/clock.ts', import.meta.url).href;
/** A thread on the same clock, which ticks until it is ended. */
const OTHER = `
import { workerData, parentPort } from 'node:worker_threads';
const { systemClock } = await import(workerData.clock);
systemClock.join(workerData.cells);
systemClock.watch();
parentPort.on('message', () => parentPort.postMessage(systemClock.nowMs()));
parentPort.postMessage('ready');
`;

const realMs = (): number => performance.now();

function block(ms: number): void {
  const endMs = realMs() + ms;
  while (realMs() < endMs);
}

function watched(): void {
  onTestFinished(systemClock.watch());
}

test('where all threads stood still so did the time, and the wall clock went on', () => {
  watched();
  const turn = new TurnClock(systemClock);
  const [before, stoodStill, wall] = [systemClock.nowMs(), systemClock.stoodStillMs, turn.wallMs()];
  block(1000);
  expect(systemClock.nowMs() - before).toBeLessThan(500);
  expect(systemClock.nowMs() - before).toBeGreaterThanOrEqual(0);
  expect(systemClock.stoodStillMs - stoodStill).toBeGreaterThan(500);
  turn.turn();
  expect(turn.wallMs() - wall).toBeGreaterThan(990);
});

test('where another thread ran the time went on, and the one that did not knows it', async () => {
  watched();
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(OTHER)}`), {
    workerData: { clock: CLOCK, cells: systemClock.cells },
  });
  onTestFinished(async () => {
    await worker.terminate();
  });
  await new Promise((resolve) => worker.once('message', resolve));
  const [before, stoodStill] = [systemClock.nowMs(), systemClock.stoodStillMs];
  block(1000);
  expect(systemClock.nowMs() - before).toBeGreaterThan(990);
  expect(systemClock.stoodStillMs - stoodStill).toBeGreaterThan(500);
  const said = new Promise<number>((resolve) => worker.once('message', resolve));
  worker.postMessage('');
  expect(Math.abs((await said) - systemClock.nowMs())).toBeLessThan(500);
});

test('unwatched, it is the real time', () => {
  const before = systemClock.nowMs();
  block(600);
  expect(systemClock.nowMs() - before).toBeGreaterThan(590);
});

test('who waits for somebody else waits longer by what was stood still, and not for ever', async () => {
  watched();
  const begunMs = realMs();
  const over = new Promise<number>((resolve) =>
    runningScheduler.after(400, () => resolve(realMs() - begunMs)),
  );
  block(2000);
  const tookMs = await over;
  expect(tookMs).toBeGreaterThan(2390);
});

test('a thread to which events come without a pause runs, though its timer waits for them', () => {
  watched();
  const stoodStill = systemClock.stoodStillMs;
  const [before, endMs] = [systemClock.nowMs(), realMs() + 1000];
  while (realMs() < endMs) systemClock.nowMs();
  expect(systemClock.nowMs() - before).toBeGreaterThan(990);
  expect(systemClock.stoodStillMs).toBe(stoodStill);
});

test('events call for what timers would do, between two of them and now and then only', async () => {
  const clock = new ManualClock();
  const turns = new TurnClock(clock);
  const steps: number[] = [];
  const beganMs = clock.nowMs();
  turns.onStep((nowMs) => steps.push(nowMs - beganMs));
  for (let event = 0; event < 50; event += 1) {
    clock.advance(1);
    turns.turn();
    expect(steps.length).toBe(Math.ceil(event / 10));
    await Promise.resolve();
  }
  expect(steps).toEqual([1, 11, 21, 31, 41]);
});
