// A lock is never taken from its holder, and not waited for for ever.

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
  expect(new BucketLocks(locks, 0).take(0)).toBe(true);
  expect([Atomics.load(done, 0), Atomics.load(locks, 0)]).toEqual([1, 1]);
  await worker.terminate();
});

test('a holder that does not come back keeps its lock: who waits goes without, after a bounded time', () => {
  const locks = new Int32Array(new SharedArrayBuffer(8));
  const [main, hung, other] = [0, 1, 2].map((thread) => new BucketLocks(locks, thread)) as [
    BucketLocks,
    BucketLocks,
    BucketLocks,
  ];
  hung.take(1);
  const beganMs = performance.now();
  expect([main.takePair(1, 0), [...locks]]).toEqual([false, [0, 2]]);
  const waitedMs = performance.now() - beganMs;
  expect(waitedMs).toBeGreaterThan(500);
  // the first wait has shown that somebody hangs; main, which is to end it, does not stand still for each of its locks
  const againMs = performance.now();
  for (let time = 0; time < 10; time += 1) expect(main.take(1)).toBe(false);
  expect(performance.now() - againMs).toBeLessThan(waitedMs);
  main.releaseAllOf(1);
  expect([main.takePair(1, 0), [...locks]]).toEqual([true, [1, 1]]);
  main.givePair(1, 0);
  // late, the one that hung gives back what is no longer its own
  other.take(1);
  hung.give(1);
  expect([...locks]).toEqual([0, 3]);
});
