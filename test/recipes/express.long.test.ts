// Express with express-session in its memory behind Holdfast, as docs/recipes/express.md has it.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import session from 'express-session';
import { expect, onTestFinished, test } from 'vitest';
import { Visitor } from '../demo/visitor.ts';
import { type ApplicationServer, countsAgree, usersComeAndGo } from '../support/application.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { recipe } from '../support/recipe.ts';

declare module 'express-session' {
  interface SessionData {
    counter: number;
  }
}

function application(name: string, store: session.Store): Express {
  const app = express();
  app.get('/healthz', (_request, response) => void response.json({}));
  app.use(session({ store, secret: 'of the test', resave: false, saveUninitialized: false }));
  app.post('/login', (request, response, next) => {
    request.session.regenerate((error) => {
      if (error) return next(error);
      request.session.counter = 0;
      response.json({ server: name, counter: 0 });
    });
  });
  app.use((request, response, next) => {
    if (request.session.counter === undefined) response.status(401).json({});
    else next();
  });
  app.post('/inc', (request, response) => {
    const counter = (request.session.counter ?? 0) + 1;
    request.session.counter = counter;
    response.json({ server: name, counter });
  });
  app.post('/logout', (request, response, next) => {
    request.session.destroy((error) => {
      if (error) return next(error);
      response.clearCookie('connect.sid').json({});
    });
  });
  return app;
}

async function expressServer(name: string): Promise<ApplicationServer> {
  const store = new session.MemoryStore();
  const server = createServer(application(name, store));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  const sessions = (): Promise<number> =>
    new Promise((resolve, reject) => {
      if (store.length === undefined) reject(new Error('the store counts nothing'));
      else store.length((error, length) => (error ? reject(error) : resolve(length ?? 0)));
    });
  return { name, url: `http://127.0.0.1:${port}`, sessions };
}

test('users stay where their session is, through log-in and log-out, and are counted', async () => {
  const servers = [await expressServer('a'), await expressServer('b')];
  const holdfast = await runInside(recipe(readFileSync('docs/recipes/express.md', 'utf8'), servers));
  await usersComeAndGo(holdfast, servers);
});

test('nobody is logged out when the balancer restarts', async () => {
  const servers = [await expressServer('a'), await expressServer('b')];
  const config = recipe(readFileSync('docs/recipes/express.md', 'utf8'), servers);
  const users = Array.from({ length: 10 }, () => new Visitor());
  const askAll = async ({ url }: Holdfast, path: string): Promise<readonly unknown[]> =>
    (await Promise.all(users.map((user) => user.post(`${url}${path}`)))).map(({ body }) => body);
  const before = await runInside(config);
  const homes = (await askAll(before, '/login')) as { readonly server: string }[];
  await before.stop();
  const after = await runInside(config);
  expect(await askAll(after, '/inc')).toEqual(homes.map(({ server }) => ({ server, counter: 1 })));
  expect(await countsAgree(after, servers)).toBe(users.length);
});
