// A thread that is told to stop, to retire or to pause while it opens a listener, and one to which many come while it is busy.

import { once } from 'node:events';
import { connect } from 'node:net';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { ProxyThread } from '../../src/proxy/thread.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Revisions } from '../support/revision.ts';

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false));
    onTestFinished(() => void socket.destroy());
  });
}

function newThread(): { readonly thread: ProxyThread; readonly revision: Revision } {
  const shared = SharedState.create(1, 1000, systemClock.nowMs());
  const revision = new Revisions(shared).next({ servers: ['a=http://127.0.0.1:1'] });
  const thread = new ProxyThread(
    {
      shared: SharedState.attach(shared.handles(), 0),
      clock: systemClock,
      random: new SeededRandom(1),
      log: () => undefined,
      onDrained: () => undefined,
      onWithheld: () => undefined,
      onAccessLines: () => undefined,
    },
    revision,
  );
  onTestFinished(() => thread.destroy());
  return { thread, revision };
}

test.each(['stop', 'retire'] as const)('after %s no listener is opened, nor stays open', async (how) => {
  const { thread, revision } = newThread();
  const opening = thread.listen(revision, 0, 0, false, []);
  thread[how]();
  const port = await opening;
  expect(await answers(port)).toBe(false);
  await thread.listen(revision, 0, port, false, []);
  expect(await answers(port)).toBe(false);
  expect(thread.sockets).toEqual([]);
});

test('while it is paused nothing is opened, not even what has never been', async () => {
  const { thread, revision } = newThread();
  thread.pause();
  expect([await thread.listen(revision, 0, 0, false, []), thread.sockets]).toEqual([0, []]);
  thread.resume();
  expect(await answers(await thread.listen(revision, 0, 0, false, []))).toBe(true);
});

/** Opens connections from a thread of its own, and wakes who waits for the cell when all are there. */
const CALLERS = `
  const { connect } = require('node:net');
  const { workerData: { port, count, cell } } = require('node:worker_threads');
  let open = 0;
  for (let each = 0; each < count; each += 1)
    connect(port, '127.0.0.1', () => {
      open += 1;
      if (open < count) return;
      Atomics.store(cell, 0, 1);
      Atomics.notify(cell, 0);
    });
`;

test('newcomers are let in several in a turn of the event loop, which can be long', async () => {
  const { thread, revision } = newThread();
  const port = await thread.listen(revision, 0, 0, true, []);
  const count = 64;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const callers = new Worker(CALLERS, { eval: true, workerData: { port, count, cell } });
  onTestFinished(async () => void (await callers.terminate()));
  await once(callers, 'online');
  // all are in the kernel's queues before the first is accepted
  expect(Atomics.wait(cell, 0, 0, 20_000)).not.toBe('timed-out');
  let turns = 0;
  for (; thread.clientConnections(0) < count; turns += 1) await new Promise((turn) => setImmediate(turn));
  expect(turns).toBeLessThan(count);
});
