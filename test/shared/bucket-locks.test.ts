// A lock is not taken from a thread that is merely slow, and not waited for for ever from one that is gone.

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { BucketLocks } from '../../src/shared/bucket-locks.ts';

const HELD_MS = 60;

test('a holder that the scheduler puts aside for a while keeps its lock', async () => {
  const locks = new Int32Array(new SharedArrayBuffer(4));
  const done = new Int32Array(new SharedArrayBuffer(4));
  const moduleUrl = new URL('../../src/shared/bucket-locks.ts', import.meta.url).href;
  const code = `
    import { parentPort, workerData } from 'node:worker_threads';
    const { BucketLocks } = await import(${JSON.stringify(moduleUrl)});
    const { locks, done } = workerData;
    const own = new BucketLocks(locks, 1);
    own.take(0);
    parentPort.postMessage('held');
    Atomics.wait(done, 0, 0, ${HELD_MS});
    Atomics.store(done, 0, 1);
    own.give(0);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: { locks, done },
  });
  await once(worker, 'message');
  new BucketLocks(locks, 0).take(0);
  expect([Atomics.load(done, 0), Atomics.load(locks, 0)]).toEqual([1, 1]);
  await worker.terminate();
});

test('the lock of a holder that never comes back is taken after a bounded time', () => {
  const locks = new Int32Array(new SharedArrayBuffer(4));
  new BucketLocks(locks, 1).take(0);
  const beganMs = performance.now();
  new BucketLocks(locks, 0).take(0);
  expect(performance.now() - beganMs).toBeLessThan(2_000);
  expect(locks[0]).toBe(1);
});
