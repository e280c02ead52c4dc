// A client that does not read: what waits for it is bounded, whoever makes it, and so is what it may ask meanwhile.

import type { ServerResponse } from 'node:http';
import { expect, test } from 'vitest';
import { httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { embed } from './embedded.ts';

const GET = 'GET / HTTP/1.1\r\nHost: t\r\n\r\n';
/** What the kernel may hold of both connections, and node's streams. */
const WAITING_MAX = 24 * 1024 * 1024;

/** Resolves with the value once it has stood still for as long as it takes to be sure. */
function settled(read: () => number): Promise<number> {
  let last = -1;
  let sinceMs = performance.now();
  return eventually(() => {
    const value = read();
    if (value !== last) sinceMs = performance.now();
    last = value;
    return performance.now() - sinceMs > 300 ? { value } : null;
  }).then(({ value }) => value);
}

test('an endless response to a client that does not read stops at the server', async () => {
  const chunk = Buffer.alloc(64 * 1024);
  let sent = 0;
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    const more = (): void => {
      while (!socket.destroyed && socket.write(chunk)) sent += chunk.length;
    };
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.on('drain', more);
      more();
    });
  });
  const { port, balancer } = await embed({ pools: { web: { health: 'off', servers: [backend.url] } } });
  const client = await rawClient(port);
  client.socket.pause();
  client.send(GET);
  await eventually(() => sent > 0);
  expect(await settled(() => sent)).toBeLessThan(WAITING_MAX);
  client.socket.resetAndDestroy();
  await eventually(() => balancer.status().pools[0]?.servers[0]?.inFlight === 0);
});

test('requests that are pipelined while nothing is answered: 16 go to the server, no further', async () => {
  const held: ServerResponse[] = [];
  const backend = await httpBackend('a', (_request, response) => held.push(response));
  const { port, balancer } = await embed({ pools: { web: { health: 'off', servers: [backend.url] } } });
  const client = await rawClient(port);
  client.send(GET.repeat(40));
  await eventually(async () =>
    /rejected_requests_total\{reason="too-many-requests",pool="web"\} 24/.test(
      (await balancer.metrics()).body,
    ),
  );
  await eventually(() => held.length === 16);
  for (const response of held) response.end('x');
  const text = await eventually(() => {
    const received = client.received();
    return received.split('HTTP/1.1 ').length === 41 ? received : null;
  });
  expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(16);
  expect(text.match(/HTTP\/1\.1 429/g)).toHaveLength(24);
});

test.each(['/small', '/none', '/limited'])(
  'pipelined requests whose answers nobody reads are not read either (%s)',
  async (target) => {
    let asked = 0;
    const backend = await httpBackend('a', (_request, response) => {
      asked += 1;
      response.end(Buffer.alloc(8 * 1024));
    });
    const { port, server } = await embed({
      routes: [
        { path: '/small', pool: 'web' },
        { path: '/limited', pool: 'web', rateLimit: { rate: '1/h', burst: 1 } },
      ],
      pools: { web: { health: 'off', servers: [backend.url] } },
    });
    let bytesRead = (): number => 0;
    server.on('connection', (socket) => {
      bytesRead = () => socket.bytesRead;
    });
    const client = await rawClient(port);
    client.socket.pause();
    const request = `GET ${target} HTTP/1.1\r\nHost: t\r\nX-Filler: ${'x'.repeat(400)}\r\n\r\n`.repeat(100);
    const most = 100 * 1024 * 1024;
    let sent = 0;
    const more = (): void => {
      while (!client.socket.destroyed && sent < most) {
        sent += request.length;
        if (!client.socket.write(request)) break;
      }
    };
    client.socket.on('drain', more);
    more();
    await eventually(() => bytesRead() > 0);
    expect(await settled(bytesRead)).toBeLessThan(WAITING_MAX);
    expect(asked * 8 * 1024).toBeLessThan(WAITING_MAX);
    client.socket.resetAndDestroy();
  },
);
