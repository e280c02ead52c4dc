// HomeSessions with a store that breaks off in the middle of a reply, says what makes no sense, has become a replica, has had
// its clock set back, and with applications that ask for too much.

import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createClient } from 'redis';
import { expect, onTestFinished, test, vi } from 'vitest';
import { SCRIPTS, type Script } from '../../src/session-store/scripts.ts';
import { eventually } from '../support/eventually.ts';
import { beginSet, homeSessions } from '../support/home-sessions.ts';
import { sharedRedis, type TestRedis } from '../support/redis.ts';

const theRedis = sharedRedis();

async function ready(skip: (reason: string) => never): Promise<TestRedis> {
  const redis = await theRedis(skip);
  await beginSet(redis);
  return redis;
}

/** A way to the store that does something to what it says; connections made later are well again. */
class Relay {
  /** What the client gets instead of a part, and nothing after it unless that is a whole reply. */
  twist: ((part: Buffer) => Buffer) | null = null;
  url = '';
  readonly #twisted = new WeakSet<Socket>();

  static async to(redis: TestRedis): Promise<Relay> {
    const relay = new Relay();
    const { port, hostname } = new URL(redis.url);
    const server = createServer((client) => {
      const store = connect(Number(port), hostname);
      client.on('error', () => store.destroy());
      store.on('error', () => client.destroy());
      client.pipe(store);
      store.on('data', (part: Buffer) => relay.#pass(client, part));
      store.on('close', () => client.destroy());
      client.on('close', () => store.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void server.close());
    relay.url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return relay;
  }

  #pass(client: Socket, part: Buffer): void {
    if (this.#twisted.has(client)) return;
    const instead = this.twist === null ? part : this.twist(part);
    const isWhole = this.twist === null || /^[:-][^\n]*\r\n$/.test(instead.toString());
    this.twist = null;
    if (!isWhole) this.#twisted.add(client);
    client.write(instead);
  }
}

test.for<[string, (part: Buffer) => Buffer]>([
  ['the half of a reply, then nothing', (part) => part.subarray(0, part.length / 2)],
  ['nothing', () => Buffer.alloc(0)],
  [
    'bytes that are no reply',
    () => Buffer.from('\u0000\u0001 what is this\r\nHTTP/1.1 400 Bad Request\r\n\r\n'),
  ],
  ['a reply of another kind', () => Buffer.from(':5\r\n')],
  ['a list that never ends', () => Buffer.from('*1000000\r\n$3\r\nabc\r\n')],
  ['an error of its own', () => Buffer.from('-ERR something\r\n')],
  ['that it is loading', () => Buffer.from('-LOADING Redis is loading the dataset in memory\r\n')],
  ['that the key is elsewhere', () => Buffer.from('-MOVED 3999 127.0.0.1:1\r\n')],
  ['that it may not write', () => Buffer.from("-READONLY You can't write against a read only replica.\r\n")],
  ['that it has no primary', () => Buffer.from('-MASTERDOWN Link with MASTER is down\r\n')],
])('the store says %s: the home goes on, and the store has it in the end', async ([, twist], { skip }) => {
  const redis = await ready(skip);
  const relay = await Relay.to(redis);
  const client = createClient({ url: relay.url, password: redis.password });
  const a = homeSessions(redis, { client, ackTimeout: 400 });
  await eventually(async () => (await a.set('one', { count: 1 })) === 'backed');
  relay.twist = twist;
  await a.set('one', { count: 2 });
  expect(await a.get('one')).toEqual({ count: 2 });
  await a.set('two', { count: 1 });
  await eventually(async () => (await a.set('one', { count: 3 })) === 'backed' && a.stats().unbacked === 0);
  const b = homeSessions(redis);
  expect([await b.get('one'), await b.get('two')]).toEqual([{ count: 3 }, { count: 1 }]);
});

test('the store has become a replica: homes go on, nobody is logged out, all is written when it is a primary', async ({
  skip,
}) => {
  const redis = await ready(skip);
  const a = homeSessions(redis);
  await a.set('one', { count: 1 });
  await redis.command('REPLICAOF', '127.0.0.1', '1');
  onTestFinished(async () => void (await redis.command('REPLICAOF', 'NO', 'ONE')));
  expect(await a.set('one', { count: 2 })).toBe('unbacked');
  expect(await a.set('new', { count: 1 })).toBe('unbacked');
  expect(await a.get('one')).toEqual({ count: 2 });
  await expect(homeSessions(redis, { loadTimeout: 300 }).get('one')).rejects.toMatchObject({ status: 503 });
  await redis.command('REPLICAOF', 'NO', 'ONE');
  await eventually(() => a.stats().isStoreUp && a.stats().unbacked === 0);
  const b = homeSessions(redis);
  expect([await b.get('one'), await b.get('new')]).toEqual([{ count: 2 }, { count: 1 }]);
});

test('its connection alone is cut, with the notices on it: what another server did meanwhile is seen', async ({
  skip,
}) => {
  const redis = await ready(skip);
  const a = homeSessions(redis);
  await a.set('one', { count: 1 });
  await a.set('two', { count: 1 });
  await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
  const b = homeSessions(redis);
  expect((await b.get('one'))?.count).toBe(1);
  await b.set('one', { count: 2 });
  await b.destroy('two');
  await eventually(async () => (await a.get('one'))?.count === 2 && (await a.get('two')) === null);
});

test("the store's clock was set back: sessions can be claimed, unknown ids are unknown", async ({ skip }) => {
  const redis = await ready(skip);
  const a = homeSessions(redis);
  await a.set('one', { count: 1 });
  const [key] = (await redis.command('KEYS', 'holdfast:s:*')) as [string];
  const [seconds] = (await redis.command('TIME')) as [string];
  const inAnHour = String((Number(seconds) + 3600) * 1000);
  // as they are when an hour is taken back after a claim and an emptied store
  await redis.command('HSET', key, 'c', inAnHour);
  await redis.command('HSET', 'holdfast:set', 'ready', inAnHour);
  const b = homeSessions(redis);
  expect([await b.get('one'), await b.get('of nobody')]).toEqual([{ count: 1 }, null]);
});

test('the clock of a store that is being refilled is set back: what is not back yet is not said to be unknown', async ({
  skip,
}) => {
  const redis = await ready(skip);
  const [seconds] = (await redis.command('TIME')) as [string];
  await redis.command('HSET', 'holdfast:set', 'ready', String((Number(seconds) + 3600) * 1000));
  const ask = (script: Script, ...values: string[]): Promise<unknown> =>
    redis.command('EVAL', script.text, '2', 'holdfast:s:not back yet', 'holdfast:set', ...values);
  await ask(SCRIPTS.hello, 'a', '60000', '1', '');
  expect(await ask(SCRIPTS.claim, 'b', '60000', 'not back yet', '0', '60000')).toEqual(['again']);
});

test("this server's clock jumps: sessions live as long as they should", async ({ skip }) => {
  const redis = await ready(skip);
  onTestFinished(() => void vi.useRealTimers());
  const a = homeSessions(redis);
  await a.set('one', { count: 1 }, 600);
  for (const days of [400, -800]) {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + days * 86_400_000 });
    expect(await a.get('one')).toEqual({ count: 1 });
    await a.set(`s${days}`, { count: days }, 600);
    expect(await homeSessions(redis).get(`s${days}`)).toEqual({ count: days });
    vi.useRealTimers();
  }
  for (const key of (await redis.command('KEYS', 'holdfast:s:*')) as string[]) {
    const life = (await redis.command('PTTL', key)) as number;
    expect(life).toBeGreaterThan(400_000);
    expect(life).toBeLessThanOrEqual(660_000);
  }
});

test('ids of ten kilobytes, and of strange characters, are ids', async ({ skip }) => {
  const redis = await ready(skip);
  const ids = [
    'x'.repeat(10_240),
    `${'x'.repeat(10_239)}y`,
    '',
    '\u0000\r\n',
    '../*[a]?',
    '\ud800',
    '__proto__',
  ];
  const [a, b] = [homeSessions(redis), homeSessions(redis)];
  for (const [count, id] of ids.entries()) await a.set(id, { count });
  for (const [count, id] of ids.entries()) expect(await b.get(id)).toEqual({ count });
  for (const key of (await redis.command('KEYS', '*')) as string[]) expect(key.length).toBeLessThan(100);
  for (const id of ids) expect(await b.destroy(id)).toBe('backed');
  expect(await a.length()).toBe(0);
});

test('maxBytes smaller than one session: each is read from the store, and memory is bounded', async ({
  skip,
}) => {
  const a = homeSessions(await ready(skip), { maxBytes: 1000 });
  const padding = 'x'.repeat(5000);
  for (let id = 0; id < 20; id += 1) await a.set(`s${id}`, { count: id, padding });
  for (let id = 0; id < 20; id += 1) expect(await a.get(`s${id}`)).toEqual({ count: id, padding });
  await eventually(() => a.stats().bytes <= 1000);
  expect(await a.set('s1', { count: 2, padding })).toBe('backed');
  expect(await a.length()).toBe(20);
});
