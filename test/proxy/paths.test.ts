// What becomes of path and Host between a route and a server, on real sockets.

import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { runThread } from '../support/proxy-thread.ts';
import { rawClient } from '../support/raw-client.ts';

interface Arrived {
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
}

async function asked(port: number, target: string, method = 'GET'): Promise<Arrived> {
  const client = await rawClient(port);
  client.send(`${method} ${target} HTTP/1.1\r\nHost: shop.example.com:81\r\nConnection: close\r\n\r\n`);
  const { text } = await client.closed();
  return JSON.parse(/\r\n\r\n\w*\r?\n?(\{.*\})/.exec(text)?.[1] ?? text) as Arrived;
}

test.each([
  ['/api', '/'],
  ['/api/', '/'],
  ['/api/x/y?z', '/x/y?z'],
  ['/api?x', '/?x'],
  ['/api//x', '//x'],
  ['http://shop.example.com/api/x', '/x'],
  ['http://shop.example.com/api', '/'],
  ['/apix', '/apix'],
  ['/', '/'],
])('a route takes its path off %s', async (target, arrives) => {
  const server = await httpBackend('a');
  const { port, isQuiet } = await runThread(`
routes: [{ path: /api, stripPrefix: true, pool: shop }, { pool: shop }]
pools: { shop: { servers: ["${server.url}"] } }`);
  const { target: arrived, headers } = await asked(port, target);
  expect(arrived).toBe(arrives);
  expect(headers['x-forwarded-prefix']).toBe(
    target.replace('/apix', '').includes('/api') ? '/api' : undefined,
  );
  await isQuiet();
});

test('OPTIONS for all of a route asks for its root, not about the server', async () => {
  const server = await httpBackend('a');
  const { port } = await runThread(`
routes: [{ path: /api, stripPrefix: true, pool: shop }]
pools: { shop: { servers: ["${server.url}"] } }`);
  expect((await asked(port, '/api', 'OPTIONS')).target).toBe('/');
});

test('a path is taken off, and the one of the server put before; Host is what the pool says', async () => {
  const server = await httpBackend('a');
  const { port } = await runThread(`
routes: [{ path: /api/, stripPrefix: true, pool: inner }, { pool: shop }]
pools:
  inner: { host: inner.example.com, servers: ["${server.url}/base/"] }
  shop: { host: server, servers: ["${server.url}"] }`);
  const inner = await asked(port, '/api/x?y');
  expect(inner).toMatchObject({
    target: '/base/x?y',
    headers: { host: 'inner.example.com', 'x-forwarded-host': 'shop.example.com:81' },
  });
  const shop = await asked(port, '/api-2');
  expect(shop.target).toBe('/api-2');
  expect(shop.headers['host']).toBe(new URL(server.url).host);
  expect(shop.headers['x-forwarded-host']).toBe('shop.example.com:81');
});

test('another attempt, on another server, has the path of that one', async () => {
  const broken = await httpBackend('broken', (request) => request.socket.destroy());
  const server = await httpBackend('a');
  const { port } = await runThread(`
pools:
  shop:
    retry: { attempts: 3, budget: 100% }
    servers: ["${broken.url}/one", "${server.url}/two"]`);
  for (let count = 0; count < 4; count += 1) expect((await asked(port, '/x')).target).toBe('/two/x');
});
