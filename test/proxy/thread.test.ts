// A thread that is told to stop, to retire or to pause while it opens a listener.

import { connect } from 'node:net';
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
