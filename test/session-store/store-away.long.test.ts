// HomeSessions with a Redis that is killed, stopped, slow, emptied, full, or will not let us in.

import { type AddressInfo, connect, createServer } from 'node:net';
import { createClient } from 'redis';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { beginSet, homeSessions } from '../support/home-sessions.ts';
import { type TestRedis, testRedis } from '../support/redis.ts';

async function ready(skip: (reason: string) => never): Promise<TestRedis> {
  const redis = await testRedis(skip);
  await beginSet(redis);
  return redis;
}

/** Something that passes everything on to Redis, later. */
async function slowWay(redis: TestRedis, delay: { ms: number }): Promise<string> {
  const url = new URL(redis.url);
  const server = createServer((client) => {
    const store = connect(Number(url.port), url.hostname);
    client.on('error', () => store.destroy());
    store.on('error', () => client.destroy());
    client.pipe(store);
    store.on('data', (part) => setTimeout(() => client.write(part), delay.ms));
    store.on('close', () => client.destroy());
    client.on('close', () => store.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test('killed: a home goes on, and writes what the store lacks when it is back without its data', async ({
  skip,
}) => {
  const redis = await ready(skip);
  const a = homeSessions(redis);
  for (let id = 0; id < 50; id += 1) await a.set(`old${id}`, { count: id });
  await redis.store.kill();
  await eventually(() => !a.stats().isStoreUp);
  expect(await a.set('new', { count: 1 })).toBe('unbacked');
  for (let count = 1; count <= 100; count += 1) expect(await a.set('old1', { count })).toBe('unbacked');
  expect(await a.get('old1')).toEqual({ count: 100 });
  expect(await a.get('new')).toEqual({ count: 1 });
  expect(await a.destroy('old2')).toBe('unbacked');
  expect(await a.get('old2')).toBe(null);
  // Nothing grows with the number of writes: the latest of each, and one end.
  expect(a.stats().unbacked).toBe(3);
  expect(a.healthHeaders()).toEqual({ 'x-holdfast-unbacked': '3' });
  await expect(a.get('of nobody')).rejects.toMatchObject({ code: 'ESTOREAWAY', status: 503 });
  await redis.store.restart();
  await eventually(() => a.stats().isStoreUp && a.stats().unbacked === 0);
  expect(await a.length()).toBe(50);
  const b = homeSessions(redis);
  expect(await b.get('old1')).toEqual({ count: 100 });
  expect(await b.get('new')).toEqual({ count: 1 });
  expect(await b.get('old2')).toBe(null);
  expect(await b.get('old49')).toEqual({ count: 49 });
  expect(a.stats().storeAwaySeconds).toBeGreaterThan(0);
});

test('refuse: nothing is changed that the store does not have', async ({ skip }) => {
  const redis = await ready(skip);
  const a = homeSessions(redis, { whenStoreIsAway: 'refuse' });
  expect(await a.set('one', { count: 1 })).toBe('backed');
  await redis.store.kill();
  await eventually(() => !a.stats().isStoreUp);
  await expect(a.set('one', { count: 2 })).rejects.toMatchObject({ status: 503 });
  await expect(a.destroy('one')).rejects.toMatchObject({ status: 503 });
  expect(await a.get('one')).toEqual({ count: 1 });
});

test('stopped: a change waits for ackTimeout once, later ones do not wait, and it is written in the end', async ({
  skip,
}) => {
  const redis = await ready(skip);
  const a = homeSessions(redis, { ackTimeout: 200 });
  await eventually(async () => (await a.set('one', { count: 1 })) === 'backed');
  redis.store.signal('SIGSTOP');
  expect(await a.set('one', { count: 2 })).toBe('unbacked');
  const before = performance.now();
  for (let count = 3; count < 30; count += 1) expect(await a.set('one', { count })).toBe('unbacked');
  // 27 waits would be more than 5 s.
  expect(performance.now() - before).toBeLessThan(5000);
  expect(await a.get('one')).toEqual({ count: 29 });
  redis.store.signal('SIGCONT');
  await eventually(() => a.stats().unbacked === 0);
  expect(await homeSessions(redis).get('one')).toEqual({ count: 29 });
});

test('stopped for long: the connection is given up, and another one found', async ({ skip }) => {
  const redis = await ready(skip);
  const troubles: string[] = [];
  const a = homeSessions(redis, { onTrouble: ({ message }) => troubles.push(message) });
  await a.set('one', { count: 1 });
  redis.store.signal('SIGSTOP');
  await eventually(() => troubles.some((message) => message.includes('has not answered for')));
  await eventually(() => troubles.some((message) => message.includes('did not answer within')));
  expect(a.stats().isStoreUp).toBe(false);
  expect(await a.set('one', { count: 2 })).toBe('unbacked');
  redis.store.signal('SIGCONT');
  await eventually(() => a.stats().isStoreUp && a.stats().unbacked === 0);
});

test('slow: less than ackTimeout is waited for, more is written later', async ({ skip }) => {
  const redis = await ready(skip);
  const delay = { ms: 50 };
  const client = createClient({ url: await slowWay(redis, delay), password: redis.password });
  const a = homeSessions(redis, { client, ackTimeout: 3000 });
  expect(await a.set('one', { count: 1 })).toBe('backed');
  const before = performance.now();
  for (let reads = 0; reads < 100; reads += 1) expect(await a.get('one')).toEqual({ count: 1 });
  expect(performance.now() - before).toBeLessThan(100 * 50);
  delay.ms = 3500;
  expect(await a.set('one', { count: 2 })).toBe('unbacked');
  await eventually(() => a.stats().unbacked === 0);
  expect(await homeSessions(redis).get('one')).toEqual({ count: 2 });
});

test('emptied: every owner writes back what it has', async ({ skip }) => {
  const redis = await ready(skip);
  const homes = [homeSessions(redis), homeSessions(redis)];
  for (let id = 0; id < 300; id += 1) await homes[id % 2]?.set(`s${id}`, { count: id });
  await redis.command('FLUSHALL');
  await eventually(async () => (await homes[0]?.length()) === 300);
  const c = homeSessions(redis);
  for (let id = 0; id < 300; id += 1) expect(await c.get(`s${id}`)).toEqual({ count: id });
});

test('a part of the data lost: found by samples', async ({ skip }) => {
  const redis = await ready(skip);
  const a = homeSessions(redis);
  await a.set('one', { count: 1 });
  const [key] = (await redis.command('KEYS', 'holdfast:s:*')) as [string];
  await redis.command('DEL', key);
  await eventually(async () => (await redis.command('EXISTS', key)) === 1);
});

test('full: changes are made without a backup, and sessions can be moved and ended all the same', async ({
  skip,
}) => {
  const redis = await ready(skip);
  const troubles: string[] = [];
  const a = homeSessions(redis, { onTrouble: ({ message }) => troubles.push(message) });
  await a.set('one', { count: 1 });
  await a.set('two', { count: 1 });
  await redis.store.fill();
  expect(await a.set('one', { count: 2 })).toBe('unbacked');
  expect(troubles.join()).toContain('OOM');
  const b = homeSessions(redis);
  expect(await b.get('two')).toEqual({ count: 1 });
  expect(await b.destroy('two')).toBe('backed');
  await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  await eventually(() => a.stats().unbacked === 0);
  expect(await b.get('one', true)).toEqual({ count: 2 });
});

test('a wrong password, no server, a key of another kind: said, and nothing ends', async ({ skip }) => {
  const redis = await ready(skip);
  for (const options of [{ url: redis.url, password: 'wrong' }, { url: 'redis://127.0.0.1:1' }]) {
    const troubles: string[] = [];
    const client = createClient(options);
    const a = homeSessions(redis, {
      client,
      loadTimeout: 100,
      onTrouble: ({ message }) => troubles.push(message),
    });
    expect(await a.set('one', { count: 1 })).toBe('unbacked');
    expect(await a.get('one')).toEqual({ count: 1 });
    await expect(a.get('two')).rejects.toMatchObject({ status: 503 });
    await eventually(() => troubles.some((message) => /WRONGPASS|ECONNREFUSED/.test(message)));
  }
  const a = homeSessions(redis);
  await a.set('one', { count: 1 });
  const [key] = (await redis.command('KEYS', 'holdfast:s:*')) as [string];
  await redis.command('DEL', key);
  await redis.command('SET', key, 'of another program');
  expect(await a.set('one', { count: 2 })).toBe('unbacked');
  expect(await a.get('one')).toEqual({ count: 2 });
});

test('the client of the application is closed: the store goes on', async ({ skip }) => {
  const redis = await ready(skip);
  const client = redis.client();
  await client.connect();
  const a = homeSessions(redis, { client });
  await a.set('one', { count: 1 });
  client.destroy();
  expect(await a.set('one', { count: 2 })).toBe('backed');
  await redis.store.kill();
  await redis.store.restart();
  await eventually(() => a.stats().isStoreUp && a.stats().unbacked === 0);
});

test('a maker of clients is asked for each connection', async ({ skip }) => {
  const redis = await ready(skip);
  let made = 0;
  const client = async () => {
    made += 1;
    if (made === 2) throw new Error('no primary is known');
    return redis.client();
  };
  const a = homeSessions(redis, { client });
  await a.set('one', { count: 1 });
  await redis.store.kill();
  await redis.store.restart();
  await eventually(() => a.stats().isStoreUp && a.stats().unbacked === 0);
  expect(made).toBeGreaterThan(2);
});
