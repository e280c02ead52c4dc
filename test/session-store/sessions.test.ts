// HomeSessions with a real Redis: what it promises while everything is well.

import promClient from 'prom-client';
import { createClient } from 'redis';
import { describe, expect, test } from 'vitest';
import { HomeSessions } from '../../src/session-store/home-sessions.ts';
import { collectMetrics } from '../../src/session-store/session-metrics.ts';
import { eventually } from '../support/eventually.ts';
import { beginSet, homeSessions } from '../support/home-sessions.ts';
import { sharedRedis, type TestRedis } from '../support/redis.ts';

const OLD = 'an old secret of more than 32 characters';
const NEW = 'a new secret of more than 32 characters';

const theRedis = sharedRedis();

async function ready(skip: (reason: string) => never): Promise<TestRedis> {
  const redis = await theRedis(skip);
  await beginSet(redis);
  return redis;
}

/** Every key and value in the store. */
async function dump(redis: TestRedis): Promise<string> {
  const keys = (await redis.command('KEYS', '*')) as string[];
  const values = await Promise.all(
    keys.map((key) => (key.includes(':s:') ? redis.command('HGETALL', key) : null)),
  );
  return JSON.stringify([keys, values]);
}

describe('a session', () => {
  test('is made, read, touched, listed, counted and ended; another server sees the same', async ({
    skip,
  }) => {
    const redis = await ready(skip);
    const a = homeSessions(redis, { server: 'a' });
    const b = homeSessions(redis, { server: 'b' });
    expect(await a.get('one')).toBe(null);
    expect(await a.set('one', { count: 1 })).toBe('backed');
    expect(await a.set('two', { count: 2 }, 60)).toBe('backed');
    await a.touch('one', 60);
    expect(await a.get('one')).toEqual({ count: 1 });
    expect(await b.get('two')).toEqual({ count: 2 });
    expect([await a.length(), await b.length()]).toEqual([2, 2]);
    expect((await a.all()).map(({ count }) => count).sort()).toEqual([1, 2]);
    expect(await b.destroy('one')).toBe('backed');
    await eventually(async () => (await a.get('one')) === null);
    await expect(a.set('one', { count: 3 })).rejects.toMatchObject({ code: 'ESESSIONENDED', status: 409 });
    await a.clear();
    expect([await a.length(), await b.length(), await b.get('two')]).toEqual([0, 0, null]);
  });

  test('is read at its home without asking the store, and touched once in a tenth of its life', async ({
    skip,
  }) => {
    const a = homeSessions(await ready(skip));
    await a.set('one', { count: 1 });
    // Once after each connection the store is asked.
    await eventually(async () => (await a.get('one')) !== null && a.stats().hits > 0);
    const { operations, hits } = a.stats();
    for (let reads = 0; reads < 1000; reads += 1) {
      await a.get('one');
      await a.touch('one');
    }
    // A check of the store and a sample in each second; never one for a read.
    expect(a.stats().operations - operations).toBeLessThan(100);
    expect(a.stats().hits - hits).toBe(1000);
  });

  test('is over in both places when its time is over, and the one that is used lives on', async ({
    skip,
  }) => {
    const redis = await ready(skip);
    const a = homeSessions(redis);
    await a.set('short', { count: 1 }, 1);
    await a.set('used', { count: 2 }, 1);
    await eventually(async () => {
      await a.touch('used', 600);
      return (await a.get('short')) === null;
    });
    await eventually(async () => (await a.length()) === 1);
    expect(await homeSessions(redis).get('used')).toEqual({ count: 2 });
    expect(await homeSessions(redis).get('short')).toBe(null);
    await a.set('used', { count: 3 }, 0);
    expect(await a.get('used')).toBe(null);
  });

  test('is not found by its id in the store, nor read there where it is sealed', async ({ skip }) => {
    const redis = await ready(skip);
    const clear = homeSessions(redis);
    await clear.set('an-id', { count: 77_777 });
    expect(await dump(redis)).toContain('77777');
    const before = homeSessions(redis, { secret: OLD, seal: OLD });
    await before.set('secret-id', { count: 99_999 });
    const text = await dump(redis);
    for (const hidden of ['an-id', 'secret-id', '99999']) expect(text).not.toContain(hidden);
    // What was sealed with the old secret is read with it, and sealed with the new one from the next write on.
    const after = homeSessions(redis, { secret: OLD, seal: [NEW, OLD] });
    expect(await after.get('secret-id')).toEqual({ count: 99_999 });
    await after.set('secret-id', { count: 1 });
    expect(await homeSessions(redis, { secret: OLD, seal: NEW }).get('secret-id')).toEqual({ count: 1 });
    // What is only read is sealed with the new one when it has a new home.
    await before.set('read only', { count: 2 });
    expect(await after.get('read only')).toEqual({ count: 2 });
    await after.close();
    expect(await homeSessions(redis, { secret: OLD, seal: NEW }).get('read only')).toEqual({ count: 2 });
    const without = homeSessions(redis, { secret: OLD, seal: OLD });
    await expect(without.get('secret-id')).rejects.toMatchObject({ code: 'ESTOREAWAY', status: 503 });
    expect(without.stats().unreadable).toBe(1);
  });

  test('sealed for one id is of no use under another', async ({ skip }) => {
    const redis = await ready(skip);
    const a = homeSessions(redis, { seal: OLD });
    await a.set('admin', { count: 1 });
    const [admin] = (await redis.command('KEYS', 'holdfast:s:*')) as [string];
    await a.set('mallory', { count: 2 });
    const keys = (await redis.command('KEYS', 'holdfast:s:*')) as string[];
    const mallory = keys.find((key) => key !== admin) ?? '';
    const sealed = (await redis.command('HGET', admin, 'd')) as string;
    const other = homeSessions(redis, { seal: OLD });
    for (const forged of [sealed, '{"count":1}', '1.x.y', '', sealed.slice(0, -2)]) {
      await redis.command('HSET', mallory, 'd', forged);
      await expect(other.get('mallory')).rejects.toMatchObject({ status: 503 });
    }
    expect(await other.get('admin')).toEqual({ count: 1 });
  });

  test('that somebody has changed by hand is an error, hides no other, and goes with clear', async ({
    skip,
  }) => {
    const redis = await ready(skip);
    for (const seal of [[], [OLD]]) {
      const before = homeSessions(redis, { seal });
      const garbled = ['{"count":1', 'null', '"text"', '1.x.y'];
      for (const [count, data] of garbled.entries()) {
        const keys = (await redis.command('KEYS', 'holdfast:s:*')) as string[];
        await before.set(`${seal} ${count}`, { count });
        const all = (await redis.command('KEYS', 'holdfast:s:*')) as string[];
        await redis.command('HSET', all.find((key) => !keys.includes(key)) ?? '', 'd', data);
      }
      await before.set(`${seal} whole`, { count: 5 });
      const after = homeSessions(redis, { seal });
      const isGone = async (count: number): Promise<boolean> =>
        (await after.get(`${seal} ${count}`)) === null;
      for (const count of garbled.keys()) await expect(isGone(count)).rejects.toMatchObject({ status: 503 });
      expect(await after.all()).toEqual([{ count: 5 }]);
      expect(await after.endWhere(({ count }) => count === 5)).toBe(1);
      await after.clear();
      for (const count of garbled.keys()) expect(await isGone(count)).toBe(true);
      expect(await after.length()).toBe(0);
    }
  });

  test('of connect-redis is taken over, and ended in both places', async ({ skip }) => {
    const redis = await ready(skip);
    await redis.command('SET', 'sess:old', '{"count":5}', 'EX', '600');
    await redis.command('SET', 'sess:forever', '{"count":6}');
    const a = homeSessions(redis, { adopt: 'sess:' });
    expect(await a.get('old')).toEqual({ count: 5 });
    expect(await a.get('forever')).toEqual({ count: 6 });
    await a.set('old', { count: 7 });
    const b = homeSessions(redis, { adopt: 'sess:' });
    expect(await b.get('old')).toEqual({ count: 7 });
    await b.destroy('old');
    expect(await redis.command('EXISTS', 'sess:old')).toBe(0);
    expect([await a.get('nobody'), await homeSessions(redis, { adopt: 'sess:' }).get('old')]).toEqual([
      null,
      null,
    ]);
  });

  test('of connect-redis is listed and ended with the others, taken over or not', async ({ skip }) => {
    const redis = await ready(skip);
    for (const id of ['taken', 'waiting', 'ended']) await redis.command('SET', `sess:${id}`, '{"count":5}');
    await redis.command('HSET', 'sess:of another kind', 'no', 'session');
    const a = homeSessions(redis, { adopt: 'sess:' });
    await a.get('taken');
    await a.set('ours', { count: 6 });
    expect((await a.all()).map(({ count }) => count).sort()).toEqual([5, 5, 5, 6]);
    await a.destroy('ended');
    expect(await a.endWhere(({ count }) => count === 5)).toBe(2);
    expect(await a.length()).toBe(1);
    // when their tombstones are over, nothing is left that could be taken over once more
    for (const key of (await redis.command('KEYS', 'holdfast:s:*')) as string[])
      if ((await redis.command('HGET', key, 'x')) === '1') await redis.command('DEL', key);
    const b = homeSessions(redis, { adopt: 'sess:' });
    expect([await b.get('taken'), await b.get('waiting'), await b.get('ours')]).toEqual([
      null,
      null,
      { count: 6 },
    ]);
  });

  test('of a megabyte, and one with every kind of character, comes back as it was', async ({ skip }) => {
    const redis = await ready(skip);
    const padding = `"\0\u2028\ud83d\ude00 ${'ü'.repeat(1_000_000)}`;
    await homeSessions(redis).set('big', { count: 1, padding });
    expect(await homeSessions(redis).get('big')).toEqual({ count: 1, padding });
  });
});

describe('two homes at once', () => {
  test('have one that writes: the other is refused and reads what the first wrote', async ({ skip }) => {
    const redis = await ready(skip);
    const [a, b] = [homeSessions(redis), homeSessions(redis)];
    await a.set('one', { count: 1 });
    // Each claims from the other; whoever writes without being the owner hears of it.
    let written = 1;
    let refused = 0;
    for (let round = 0; round < 200; round += 1) {
      const server = round % 3 === 0 ? a : b;
      const found = await server.get('one', round % 5 === 0);
      const next = (found?.count ?? 0) + 1;
      await server.set('one', { count: next }).then(
        () => (written = Math.max(written, next)),
        (error: { readonly code?: string }) => {
          expect(error.code).toBe('ESESSIONCONFLICT');
          refused += 1;
        },
      );
    }
    expect(refused).toBeLessThan(200);
    expect((await a.get('one', true))?.count).toBe(written);
    expect((await b.get('one', true))?.count).toBe(written);
  });

  test('lose no more updates of requests at the same time than one would', async ({ skip }) => {
    const redis = await ready(skip);
    const homes = [homeSessions(redis), homeSessions(redis)];
    await homes[0]?.set('one', { count: 0 });
    let acknowledged = 0;
    const raise = async (server: HomeSessions<{ count: number }>): Promise<void> => {
      for (let round = 0; round < 50; round += 1) {
        const found = await server.get('one', true);
        await server.set('one', { count: (found?.count ?? 0) + 1 }).then(
          () => (acknowledged += 1),
          ({ code }) => expect(code).toBe('ESESSIONCONFLICT'),
        );
      }
    };
    await Promise.all(homes.map(raise));
    // One refused is one that its caller knows of: what was accepted after a fresh claim is not overwritten.
    expect((await homes[0]?.get('one', true))?.count).toBe(acknowledged);
  });
});

test('a tombstone stands for as long as the session would have lived, whoever puts it', async ({ skip }) => {
  const redis = await ready(skip);
  await homeSessions(redis).set('one', { count: 1 }, 7200);
  await homeSessions(redis).destroy('one');
  const [key] = (await redis.command('KEYS', 'holdfast:s:*')) as [string];
  expect(await redis.command('PTTL', key)).toBeGreaterThan(7_000_000);
});

test('the least recently used go from memory, and come back from the store', async ({ skip }) => {
  const redis = await ready(skip);
  const a = homeSessions(redis, { maxSessions: 10 });
  for (let id = 0; id < 100; id += 1) await a.set(`s${id}`, { count: id });
  await eventually(() => a.stats().sessions <= 10);
  const { loads } = a.stats();
  expect([await a.get('s99'), a.stats().loads]).toEqual([{ count: 99 }, loads]);
  for (let id = 0; id < 100; id += 1) expect(await a.get(`s${id}`)).toEqual({ count: id });
  const b = homeSessions(redis, { maxBytes: 20_000 });
  for (let id = 0; id < 100; id += 1) await b.set(`b${id}`, { count: id, padding: 'x'.repeat(1000) });
  await eventually(() => b.stats().bytes <= 20_000);
});

test('closing writes everything and exactly; nothing is done afterwards', async ({ skip }) => {
  const redis = await ready(skip);
  const a = homeSessions(redis);
  for (let id = 0; id < 200; id += 1) await a.set(`s${id}`, { count: id }, 100);
  for (let id = 0; id < 200; id += 1) await a.touch(`s${id}`, 5000);
  await Promise.all([a.close(), a.close()]);
  expect(a.stats().unbacked).toBe(0);
  const keys = (await redis.command('KEYS', 'holdfast:s:*')) as string[];
  expect(keys.length).toBe(200);
  for (const key of keys) {
    const life = (await redis.command('PTTL', key)) as number;
    expect(life).toBeGreaterThan(4_000_000);
    expect(life).toBeLessThanOrEqual(5_000_000);
  }
  await expect(a.get('s1')).rejects.toMatchObject({ status: 503 });
  await expect(a.set('s1', { count: 1 })).rejects.toMatchObject({ status: 503 });
  const clients = (await redis.command('CLIENT', 'LIST')) as string;
  expect(clients.trim().split('\n').length).toBe(1);
});

test('closing before the store was ever reached: what waits for it is refused, not said to be done', async ({
  skip,
}) => {
  const redis = await ready(skip);
  const client = createClient({ socket: { host: '127.0.0.1', port: 1 } });
  const a = homeSessions(redis, { client, loadTimeout: 300 });
  const waiting = [a.get('one'), a.set('one', { count: 1 }), a.destroy('two'), a.length()];
  await a.close(100);
  for (const one of waiting) await expect(one).rejects.toMatchObject({ status: 503 });
});

test('what is no session is refused, and the session that stands there stays', async ({ skip }) => {
  const a = homeSessions(await ready(skip));
  await a.set('one', { count: 1 });
  for (const none of [undefined, null, 'text', () => {}, { toJSON: () => undefined }, { count: 1n }])
    await expect(a.set('one', none as never)).rejects.toThrow(TypeError);
  for (const ttl of [Number.NaN, 'soon' as never]) {
    await expect(a.set('one', { count: 2 }, ttl)).rejects.toThrow(/ttl/);
    await expect(a.touch('one', ttl)).rejects.toThrow(/ttl/);
  }
  expect([await a.get('one'), await a.endWhere(({ count }) => count !== 1)]).toEqual([{ count: 1 }, 0]);
});

test('a session that is to live for ever has a backup too', async ({ skip }) => {
  const redis = await ready(skip);
  const a = homeSessions(redis);
  for (const [id, ttl] of [Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER, 1e300].entries())
    expect(await a.set(`s${id}`, { count: id }, ttl)).toBe('backed');
  await a.touch('s0', Number.POSITIVE_INFINITY);
  expect(a.stats().unbacked).toBe(0);
  expect(await homeSessions(redis).get('s1')).toEqual({ count: 1 });
});

test('a Prometheus page says how the sessions are', async ({ skip }) => {
  const a = homeSessions(await ready(skip));
  const registry = new promClient.Registry();
  collectMetrics(a, promClient, registry);
  await a.set('one', { count: 1 });
  // Once after each connection the store is asked.
  await eventually(async () => (await a.get('one')) !== null && a.stats().hits === 1);
  const text = await registry.metrics();
  expect(text).toContain('holdfast_session_store_sessions 1');
  expect(text).toContain('holdfast_session_store_hits_total 1');
  expect(await registry.metrics()).toContain('holdfast_session_store_hits_total 1');
  expect(a.healthHeaders()).toEqual({ 'x-holdfast-unbacked': '0' });
});

test.for<[string, object, RegExp]>([
  ['a word that is none', { client: () => null, ackTimout: 5 }, /ackTimout is no option/],
  ['no client', {}, /no client of the package redis/],
  ['a cluster', { client: { masters: [], duplicate: () => {} } }, /one primary/],
  ['a short secret', { client: () => null, seal: ['short'] }, /32 characters/],
  ['a number that is none', { client: () => null, ttl: Number.NaN }, /ttl is NaN/],
  ['whenStoreIsAway', { client: () => null, whenStoreIsAway: 'perhaps' }, /serve or refuse/],
])('%s is refused with words', ([, options, message]) => {
  expect(() => new HomeSessions(options as never)).toThrow(message);
});
