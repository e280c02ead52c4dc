// A session that the store refuses for good stays without a backup, and holds up nobody.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { beginSet, type Counter, homeSessions } from '../support/home-sessions.ts';
import { sharedRedis, type TestRedis } from '../support/redis.ts';

const LIMIT_BYTES = 1024 * 1024;
const MANY = 500;
const theRedis = sharedRedis();

async function connectionsOf(redis: TestRedis): Promise<number> {
  const text = String(await redis.command('INFO', 'stats'));
  return Number(/total_connections_received:(\d+)/.exec(text)?.[1]);
}

const REFUSED: Readonly<Record<string, (redis: TestRedis, id: string) => Promise<Counter>>> = {
  'is longer than it takes': async (redis) => {
    await redis.command('CONFIG', 'SET', 'proto-max-bulk-len', String(LIMIT_BYTES));
    return { count: 1, padding: 'x'.repeat(2 * LIMIT_BYTES) };
  },
  'has a key that is something else there': async (redis, id) => {
    const key = createHash('sha256').update(id).digest('base64url');
    await redis.command('SET', `holdfast:s:${key}`, 'of somebody else');
    return { count: 1 };
  },
};

test.for(Object.entries(REFUSED))('a session that %s', { timeout: 30_000 }, async ([, make], { skip }) => {
  const redis = await theRedis(skip);
  await beginSet(redis);
  const troubles: string[] = [];
  const sessions = homeSessions(redis, { onTrouble: ({ message }) => troubles.push(message) });
  expect(await sessions.set('small', { count: 1 })).toBe('backed');
  const refused = await make(redis, 'refused');
  expect(await sessions.set('refused', refused)).toBe('unbacked');
  await eventually(() => sessions.stats().rejected === 1);
  // the connection that the store has broken takes nothing more
  await eventually(async () => (await sessions.set('small', { count: 2 })) === 'backed');
  const connections = await connectionsOf(redis);
  const said = troubles.length;
  for (let count = 0; count < MANY; count += 1) {
    expect(await sessions.set(`other${count % 10}`, { count })).toBe('backed');
    expect(await sessions.get('refused')).toEqual(refused);
  }
  // a change of it is no reason to try again, and is told at once what it is
  expect(await sessions.set('refused', { ...refused, count: 2 })).toBe('unbacked');
  expect(sessions.stats()).toMatchObject({ unbacked: 1, rejected: 1, isStoreUp: true });
  // one for the question itself
  expect((await connectionsOf(redis)) - connections).toBe(1);
  expect(troubles.length).toBe(said);
  expect(troubles.length).toBeGreaterThan(0);
  await sessions.destroy('refused');
});
