// A process that stands still for longer than it waits for the store has its answers when it goes on, and must not say that
// the store is away: its timers come before what has arrived meanwhile.

import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { beginSet, homeSessions } from '../support/home-sessions.ts';
import { sharedRedis } from '../support/redis.ts';

const redisOf = sharedRedis();
/** Far more than the store takes on a busy machine. */
const LOAD_MS = 3000;
const STILL_MS = 2 * LOAD_MS;

function standStill(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, STILL_MS);
}

test('sessions that are loaded while the process stands still are found', async ({ skip }) => {
  const redis = await redisOf(skip);
  await beginSet(redis);
  const other = homeSessions(redis);
  for (const id of ['one', 'two']) await other.set(id, { count: 1 });
  const sessions = homeSessions(redis, { loadTimeout: LOAD_MS });
  expect(await sessions.get('nobody')).toBe(null);
  redis.store.signal('SIGSTOP');
  const asked = sessions.get('one');
  // until it is written to the socket
  for (let turns = 0; turns < 20; turns += 1) await turn();
  redis.store.signal('SIGCONT');
  standStill();
  const askedLater = sessions.get('two');
  expect(await Promise.all([asked, askedLater])).toEqual([{ count: 1 }, { count: 1 }]);
});
