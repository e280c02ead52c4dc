// Whichever package forwards: http-proxy, which we bring, or one of those that are maintained in its place.

import { createRequire } from 'node:module';
import { createProxyServer as createHttpProxy3 } from 'http-proxy-3';
import { createProxyServer as createHttpxy } from 'httpxy';
import { describe, expect, test } from 'vitest';
import { cannedBackend, httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { type Embedded, embed, NOBODY, nothingLeft } from './embedded.ts';

const { createProxyServer: createHttpProxy } = createRequire(import.meta.url)('http-proxy');

const MAKERS: Readonly<Record<string, () => object>> = {
  'http-proxy': () => createHttpProxy({}),
  'http-proxy-3': () => createHttpProxy3({}),
  httpxy: () => createHttpxy({}),
};

describe.each(Object.entries(MAKERS))('with %s', (_name, make) => {
  const forward = (servers: readonly string[], pool: object = {}): Promise<Embedded> =>
    embed({ pools: { web: { health: 'off', servers, ...pool } } }, { httpProxy: make() });

  test('requests with and without bodies arrive, and each event comes once', async () => {
    const backend = await httpBackend('a');
    const all = await forward([backend.url]);
    const heard: string[] = [];
    all.balancer.proxy.on('proxyReq', (outgoing, request, response) => {
      heard.push(`proxyReq ${request.url} ${response.headersSent}`);
      outgoing.setHeader('x-added', '1');
    });
    all.balancer.proxy.on('proxyRes', (incoming, request) =>
      heard.push(`proxyRes ${request.url} ${incoming.statusCode}`),
    );
    all.balancer.proxy.on('error', ({ message }) => heard.push(message));
    const requests = [
      ['GET', undefined],
      ['POST', 'body'],
      ['DELETE', 'body'],
      ['DELETE', undefined],
    ] as const;
    for (const [method, body] of requests) {
      const seen: unknown = await (
        await fetch(`${all.url}//x`, body === undefined ? { method } : { method, body })
      ).json();
      expect(seen).toMatchObject({ method, target: '//x', body: body ?? '', headers: { 'x-added': '1' } });
    }
    expect(heard).toEqual(requests.flatMap(() => ['proxyReq //x false', 'proxyRes //x 200']));
    await nothingLeft(all);
    expect(backend.connections()).toBe(1);
  });

  test('a server that cannot be reached is left for another; when there is none the error is told once', async () => {
    const backend = await httpBackend('a');
    const both = await forward([NOBODY, backend.url]);
    for (let count = 0; count < 4; count += 1) expect((await fetch(both.url)).status).toBe(200);
    const none = await forward([NOBODY], { queue: { whenDown: '0s' } });
    const errors: string[] = [];
    none.balancer.proxy.on('error', ({ message }) => errors.push(message));
    expect((await fetch(none.url)).status).toBe(502);
    expect(errors).toEqual([expect.stringMatching(/ECONNREFUSED/)]);
    await nothingLeft(both);
  });

  test('a response that breaks off is seen to be broken; held, it is a 502', async () => {
    const backend = await cannedBackend('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345', 'destroy');
    const all = await forward([backend.url]);
    await expect(fetch(all.url).then((response) => response.text())).rejects.toThrow();
    const held = await forward([backend.url], { holdUntilComplete: 'small' });
    expect((await fetch(held.url)).status).toBe(502);
    for (const one of [all, held]) await nothingLeft(one);
  });

  test('a WebSocket goes through, and a client that goes leaves nothing', async () => {
    const backend = await httpBackend('a', () => undefined);
    backend.server.on('upgrade', (_request, socket) => {
      socket.on('error', () => undefined);
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
      socket.pipe(socket);
    });
    const all = await forward([backend.url]);
    const events: string[] = [];
    all.balancer.proxy.on('proxyReqWs', () => events.push('proxyReqWs'));
    all.balancer.proxy.on('open', () => events.push('open'));
    const client = await rawClient(all.port);
    client.send(
      'GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n',
    );
    await client.until('\r\n\r\n');
    client.send('echo');
    await client.until('echo');
    client.socket.resetAndDestroy();
    const asking = await rawClient(all.port);
    asking.send('GET / HTTP/1.1\r\nHost: t\r\n\r\n');
    await eventually(() => all.balancer.status().pools[0]?.servers[0]?.inFlight === 1);
    asking.socket.resetAndDestroy();
    await nothingLeft(all);
    expect(events).toEqual(['proxyReqWs', 'open']);
  });
});
