// Limits on single clients: request rates, connections, and the pace of sending and taking.

import { expect, test } from 'vitest';
import { cannedBackend, httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { plainClient } from '../support/plain-client.ts';
import { rawClient } from '../support/raw-client.ts';

const NO_CONTENT = 'HTTP/1.1 204 No Content\r\n\r\n';

function head(listen: string): string {
  return `
threads: 2
listen: [{ address: "127.0.0.1:0", ${listen} }]
admin: { address: 127.0.0.1:0 }
trusted: []
`;
}

test('a rate limit holds over all threads and connections of a client, and leaves others alone', async () => {
  const backend = await cannedBackend(NO_CONTENT);
  const holdfast = await runHoldfast(`${head('timeouts: {}')}
routes:
  - { path: /limited, pool: shop, rateLimit: { key: address, rate: 1/m, burst: 10 } }
  - { pool: shop }
pools: { shop: { servers: ["${backend.url}"] } }
`);
  const ask = async (address: string, target: string): Promise<number> =>
    (await plainClient(holdfast.port, address).ask('GET', target)).status;
  const greedy = await Promise.all(Array.from({ length: 30 }, () => ask('127.0.0.2', '/limited')));
  expect(greedy.filter((status) => status === 204)).toHaveLength(10);
  expect(greedy.filter((status) => status === 429)).toHaveLength(20);
  const refused = await plainClient(holdfast.port, '127.0.0.2').ask('GET', '/limited/x');
  expect(refused.header('x-holdfast-error')).toBe('too-many-requests');
  expect(Number(refused.header('retry-after'))).toBeGreaterThan(50);
  expect(Number(refused.header('retry-after'))).toBeLessThanOrEqual(61);
  expect(refused.header('connection')).toBeNull();
  expect(await ask('127.0.0.3', '/limited')).toBe(204);
  expect(await ask('127.0.0.2', '/open')).toBe(204);
  expect(await holdfast.metric('holdfast_rejected_requests_total', { reason: 'too-many-requests' })).toBe(21);
});

test('rates by header and by cookie: who has none counts under the address', async () => {
  const backend = await cannedBackend(NO_CONTENT);
  const holdfast = await runHoldfast(`${head('timeouts: {}')}
routes:
  - { path: /h, pool: shop, rateLimit: { key: header X-Api-Key, rate: 1/h, burst: 2 } }
  - { path: /c, pool: shop, rateLimit: { key: cookie sid, rate: 1/h, burst: 2 } }
pools: { shop: { servers: ["${backend.url}"] } }
`);
  const client = plainClient(holdfast.port);
  const statuses = async (target: string, headers: Record<string, string>): Promise<number[]> => {
    const found: number[] = [];
    for (let count = 0; count < 3; count += 1) found.push((await client.ask('GET', target, headers)).status);
    return found;
  };
  const limited = [204, 204, 429];
  expect(await statuses('/h', { 'x-api-key': 'one' })).toEqual(limited);
  expect(await statuses('/h', { 'X-API-Key': 'two' })).toEqual(limited);
  expect(await statuses('/h', {})).toEqual(limited);
  expect(await statuses('/c', { cookie: 'a=b; sid=1' })).toEqual(limited);
  expect(await statuses('/c', { cookie: 'sid=2; a=b' })).toEqual(limited);
  expect(await statuses('/c', { cookie: 'other=1' })).toEqual(limited);
});

test('one address may have so many connections, others are not concerned; a closed one makes room', async () => {
  const backend = await cannedBackend(NO_CONTENT);
  const holdfast = await runHoldfast(`${head('limits: { connectionsPerAddress: 5 }')}
pools: { shop: { servers: ["${backend.url}"] } }
`);
  const clients = Array.from({ length: 5 }, () => plainClient(holdfast.port, '127.0.0.2'));
  for (const client of clients) expect((await client.ask('GET', '/')).status).toBe(204);
  const sixth = await plainClient(holdfast.port, '127.0.0.2').ask('GET', '/');
  expect([sixth.status, sixth.header('x-holdfast-error')]).toEqual([503, 'too-many-connections']);
  expect((await plainClient(holdfast.port, '127.0.0.3').ask('GET', '/')).status).toBe(204);
  clients[0]?.close();
  await eventually(
    async () =>
      (
        await plainClient(holdfast.port, '127.0.0.2')
          .ask('GET', '/')
          .catch(() => null)
      )?.status === 204,
  );
});

test('a body of a byte a second is cut with 408, a reader of a byte a second with a reset', async () => {
  const chunk = Buffer.alloc(256 * 1024, 'x');
  const backend = await httpBackend('a', (request, response) => {
    if (request.method === 'POST') request.resume().on('end', () => response.end());
    else {
      response.setHeader('content-length', chunk.length * 64);
      for (let part = 0; part < 64; part += 1) response.write(chunk);
    }
  });
  const holdfast = await runHoldfast(`${head('limits: { minRate: 500 }')}
pools: { shop: { health: off, servers: ["${backend.url}"] } }
`);
  const sender = await rawClient(holdfast.port);
  sender.send('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n');
  const drip = setInterval(() => sender.send('x'), 1000);
  const reader = await rawClient(holdfast.port);
  reader.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await reader.until('200 OK');
  reader.socket.pause();
  const steady = await rawClient(holdfast.port);
  steady.send('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8000\r\n\r\n');
  let sent = 0;
  const flow = setInterval(() => {
    if (sent < 8000) steady.send('y'.repeat(Math.min(500, 8000 - sent)));
    sent += 500;
  }, 900);
  const beganMs = performance.now();
  expect(await sender.until('408 Request Timeout', 14_000)).toContain('too slowly');
  expect(performance.now() - beganMs).toBeGreaterThan(8000);
  await eventually(
    async () =>
      (await holdfast.metric('holdfast_rejected_requests_total', { reason: 'client-too-slow' })) === 1,
    {
      deadlineMs: 5000,
    },
  );
  await steady.until('200 OK', 10_000);
  clearInterval(drip);
  clearInterval(flow);
});

test('the connection of a dead server is not held against anybody: limits are given back when clients reset', async () => {
  const backend = await tcpBackend((socket) => socket.on('error', () => undefined));
  const holdfast = await runHoldfast(`${head('limits: { connectionsPerAddress: 8 }')}
pools: { shop: { health: off, servers: ["${backend.url}"] } }
`);
  for (let round = 0; round < 5; round += 1) {
    const clients = await Promise.all(Array.from({ length: 8 }, () => rawClient(holdfast.port)));
    for (const client of clients) client.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await eventually(async () => (await holdfast.metric('holdfast_requests_in_flight')) === 8);
    for (const { socket } of clients) socket.resetAndDestroy();
    await eventually(async () => (await holdfast.metric('holdfast_client_connections')) === 0);
  }
});
