// HomeStore under express-session, as applications use it, careless ones too.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import session, { type SessionData } from 'express-session';
import { expect, onTestFinished, test, vi } from 'vitest';
import { HomeStore } from '../../src/session-store/home-store.ts';
import { beginSet } from '../support/home-sessions.ts';
import { type TestRedis, testRedis } from '../support/redis.ts';

declare module 'express-session' {
  interface SessionData {
    user?: string;
    seen?: number;
  }
}

interface Server {
  readonly store: HomeStore;
  request(path: string, cookie?: string): Promise<{ status: number; body: string; cookie: string | null }>;
}

async function start(redis: TestRedis): Promise<Server> {
  const store = new HomeStore({
    client: redis.client(),
    ...{ ackTimeout: 5000, loadTimeout: 10_000, ttl: 600, onTrouble: () => {} },
  });
  const app = express();
  app.set('env', 'test');
  app.use(session({ store, secret: 'of the test', resave: false, saveUninitialized: false }));
  app.get('/login', (request, response, next) =>
    request.session.regenerate((error) => {
      if (error) return next(error);
      request.session.user = 'ann';
      response.send('in');
    }),
  );
  app.get('/see', (request, response) => {
    request.session.seen = (request.session.seen ?? 0) + 1;
    response.send(`${request.session.user ?? 'nobody'} ${request.session.seen}`);
  });
  app.get('/whoami', (request, response) => response.send(request.session.user ?? 'nobody'));
  app.get('/logout', (request, response, next) =>
    request.session.destroy((error) => (error ? next(error) : response.send('out'))),
  );
  app.get('/stay', (request, response) => {
    request.session.cookie.maxAge = 3_600_000;
    response.send('as you like');
  });
  app.get('/life', (request, response) => {
    const { originalMaxAge } = request.session.cookie;
    response.send(String(originalMaxAge && Math.round(originalMaxAge / 1000)));
  });
  app.get('/save', (request, response, next) => {
    request.session.seen = 1;
    request.session.save((error) => (error ? next(error) : response.send('saved')));
  });
  /** Saves after somebody else has destroyed it. */
  app.get('/late', (request, response, next) => {
    request.session.seen = 99;
    store.destroy(request.sessionID, () =>
      request.session.save((error) => (error ? next(error) : response.send('saved'))),
    );
  });
  const server = createServer(app);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await store.close(0);
  });
  const { port } = server.address() as AddressInfo;
  return {
    store,
    async request(path, cookie) {
      const headers = cookie === undefined ? {} : { cookie };
      const reply = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
      const set = reply.headers.getSetCookie()[0]?.split(';')[0] ?? null;
      return { status: reply.status, body: await reply.text(), cookie: set };
    },
  };
}

async function two(skip: (reason: string) => never): Promise<[Server, Server, TestRedis]> {
  const redis = await testRedis(skip);
  await beginSet(redis);
  return [await start(redis), await start(redis), redis];
}

test('a user stays logged in from server to server, and is logged out at both', async ({ skip }) => {
  const [a, b] = await two(skip);
  const { cookie } = await a.request('/login');
  const known = cookie ?? '';
  expect(await a.request('/see', known)).toMatchObject({ body: 'ann 1' });
  expect(await b.request('/see', known)).toMatchObject({ body: 'ann 2' });
  expect(await b.request('/whoami', known)).toMatchObject({ body: 'ann' });
  expect(await b.request('/logout', known)).toMatchObject({ body: 'out' });
  expect(await b.request('/whoami', known)).toMatchObject({ body: 'nobody' });
  expect(await a.request('/whoami', known)).toMatchObject({ body: 'nobody' });
});

test('a log-in gets another id, and the one before is of no use anywhere', async ({ skip }) => {
  const [a, b] = await two(skip);
  const { cookie } = await a.request('/see');
  const before = cookie ?? '';
  const { cookie: after } = await a.request('/login', before);
  expect(after).not.toBe(before);
  for (const server of [a, b]) {
    expect(await server.request('/whoami', before)).toMatchObject({ body: 'nobody' });
    expect(await server.request('/whoami', after ?? '')).toMatchObject({ body: 'ann' });
  }
});

test('a life that is all that has changed stays changed, here and at the next home', async ({ skip }) => {
  const [a, b] = await two(skip);
  const { cookie } = await a.request('/login');
  expect((await a.request('/life', cookie ?? '')).body).toBe('null');
  await a.request('/stay', cookie ?? '');
  for (const server of [a, a, b, b]) expect((await server.request('/life', cookie ?? '')).body).toBe('3600');
  expect((await b.request('/see', cookie ?? '')).body).toBe('ann 1');
});

test('a server whose clock is ahead saves what came from another, and nobody is logged out', async ({
  skip,
}) => {
  const [a, b] = await two(skip);
  const cookie = (await a.request('/login')).cookie ?? '';
  await a.request('/stay', cookie);
  onTestFinished(() => void vi.useRealTimers());
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 7_200_000 });
  expect((await b.request('/save', cookie)).body).toBe('saved');
  expect((await b.request('/whoami', cookie)).body).toBe('ann');
  vi.useRealTimers();
  expect((await a.request('/whoami', cookie)).body).toBe('ann');
});

test('a life that is a millisecond off is the same, and is left as it is', async ({ skip }) => {
  const [{ store }] = await two(skip);
  const sessionOf = (originalMaxAge: number) => ({ cookie: { originalMaxAge, path: '/' } }) as SessionData;
  await new Promise((resolve) => store.set('id', sessionOf(3_600_000), resolve));
  for (const life of [3_599_999, 3_600_000])
    await new Promise((resolve) => store.touch('id', sessionOf(life), resolve));
  expect(store.sessions.peek('id')).toEqual(sessionOf(3_600_000));
  await new Promise((resolve) => store.touch('id', sessionOf(1_800_000), resolve));
  expect(store.sessions.peek('id')).toEqual(sessionOf(1_800_000));
});

test('a session that is destroyed during a request is not brought back by it', async ({ skip }) => {
  const [a, b] = await two(skip);
  const { cookie } = await a.request('/login');
  expect(await a.request('/late', cookie ?? '')).toMatchObject({ status: 409 });
  for (const server of [a, b])
    expect(await server.request('/whoami', cookie ?? '')).toMatchObject({ body: 'nobody' });
});

test('while the store is away users are served, and log in; a session of nobody here is 503, not logged out', async ({
  skip,
}) => {
  const [a, b, redis] = await two(skip);
  const { cookie } = await a.request('/login');
  const known = cookie ?? '';
  await redis.store.kill();
  expect(await a.request('/see', known)).toMatchObject({ status: 200, body: 'ann 1' });
  const { cookie: fresh } = await b.request('/login');
  expect(await b.request('/see', fresh ?? '')).toMatchObject({ status: 200, body: 'ann 1' });
  expect(await b.request('/whoami', known)).toMatchObject({ status: 503, cookie: null });
});

test('requests of one session at the same time lose nothing but what they overwrite', async ({ skip }) => {
  const [a] = await two(skip);
  const { cookie } = await a.request('/login');
  const all = await Promise.all(Array.from({ length: 50 }, () => a.request('/see', cookie ?? '')));
  expect(all.every(({ status, body }) => status === 200 && body.startsWith('ann'))).toBe(true);
  const most = Math.max(...all.map(({ body }) => Number(body.split(' ')[1])));
  expect(await a.request('/see', cookie ?? '')).toMatchObject({ body: `ann ${most + 1}` });
});

test('what express-session offers beside: all, length, clear', async ({ skip }) => {
  const [{ request, store }] = await two(skip);
  for (let user = 0; user < 5; user += 1) await request('/login');
  const ask = <T>(start: (done: (error?: unknown, value?: T) => void) => void): Promise<T | undefined> =>
    new Promise((resolve, reject) => start((error, value) => (error ? reject(error) : resolve(value))));
  expect(await ask<number>((done) => store.length(done))).toBe(5);
  expect((await ask<session.SessionData[]>((done) => store.all(done)))?.map(({ user }) => user)).toEqual(
    Array(5).fill('ann'),
  );
  await ask((done) => store.clear(done));
  expect(await ask<number>((done) => store.length(done))).toBe(0);
});
