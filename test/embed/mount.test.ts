// Below a path of the application requests and upgrades mean the same.

import { createServer } from 'node:http';
import express from 'express';
import { expect, onTestFinished, test } from 'vitest';
import { createBalancer, type EmbeddedBalancer } from '../../src/embed/balancer.ts';
import { httpBackend } from '../support/backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { listen, SMALL } from './embedded.ts';

/** Answers requests and upgrades with the target that arrived. */
async function mounted(routes: readonly object[] = []): Promise<EmbeddedBalancer> {
  const backend = await httpBackend('a', (request, response) => response.end(`[${request.url}]`));
  backend.server.on('upgrade', (request, socket) => {
    socket.on('error', () => undefined);
    socket.end(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n[${request.url}]`,
    );
  });
  const config = {
    ...SMALL,
    ...(routes.length > 0 ? { routes } : {}),
    pools: { web: { servers: [backend.url] } },
  };
  const balancer = await createBalancer(config as Parameters<typeof createBalancer>[0]);
  onTestFinished(() => balancer.close(0));
  return balancer;
}

/** The target that arrived, or the status; of a request, and of an upgrade. */
async function both(url: string, target: string): Promise<readonly string[]> {
  const answers: string[] = [];
  for (const offer of [
    'Connection: close\r\n',
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n',
  ]) {
    const client = await rawClient(Number(new URL(url).port));
    client.send(`GET ${target} HTTP/1.1\r\nHost: t\r\n${offer}\r\n`);
    const { text } = await client.closed();
    answers.push(/\[(.*)\]/.exec(text)?.[1] ?? text.slice(9, 12));
  }
  return answers;
}

test.each(['express at the path', 'express at the top', 'node:http'] as const)(
  'with %s requests and upgrades below the path lose it',
  async (where) => {
    const balancer = await mounted();
    const shop = balancer.mount('/shop/');
    const app = express();
    if (where === 'express at the path') app.use('/shop', shop.middleware);
    else app.use(shop.middleware);
    const server = createServer(where === 'node:http' ? shop.middleware : app);
    server.on('upgrade', shop.upgrade);
    const url = await listen(server);
    expect(await both(url, '/shop/cart?id=1')).toEqual(['/cart?id=1', '/cart?id=1']);
    expect(await both(url, '/shop')).toEqual(['/', '/']);
    expect(await both(url, '/shop?x')).toEqual(['/?x', '/?x']);
    expect(await both(url, '/SHOP//a')).toEqual(['//a', '//a']);
    expect(await both(url, '/shopping')).toEqual(['404', '404']);
    expect(await both(url, '/')).toEqual(['404', '404']);
  },
);

test('what is not below the path, or matches no route, goes on as it came', async () => {
  const balancer = await mounted([{ path: '/api/', pool: 'web' }]);
  const shop = balancer.mount('/shop');
  const app = express();
  app.use(shop.middleware);
  app.use((request, response) => {
    response.set('connection', 'close').send(`[next ${request.url}]`);
  });
  const server = createServer(app);
  server.on('upgrade', shop.upgrade);
  server.on('upgrade', (request, socket) => {
    if (request.url?.startsWith('/shop/api') !== true)
      socket.end(`HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[next ${request.url}]`);
  });
  const url = await listen(server);
  expect(await both(url, '/shop/api/x')).toEqual(['/api/x', '/api/x']);
  for (const target of ['/shop/other', '/else'])
    expect(await both(url, target)).toEqual([`next ${target}`, `next ${target}`]);
});

test('a mount without a leading slash is a mistake', async () => {
  const balancer = await mounted();
  expect(() => balancer.mount('shop')).toThrow(/begins with "\/"/);
});
