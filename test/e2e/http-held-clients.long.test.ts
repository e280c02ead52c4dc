// A client that goes while its request is held: waiting in the queue with half of its body sent, or not read from
// because the server takes no more.

import { expect, test } from 'vitest';
import { tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { isQuiet, socketsOf } from '../support/quiet.ts';
import { rawClient } from '../support/raw-client.ts';

const ABORTED = { reason: 'client-aborted' };

test('in the queue, with half of its body sent: noticed at once, not when its turn comes', async () => {
  const backend = await tcpBackend((socket) => socket.on('error', () => undefined));
  const holdfast = await runHoldfast(`
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  web:
    health: off
    queue: { timeout: 60s }
    servers: [{ url: "${backend.url}", maxConnections: 1 }]
`);
  const before = socketsOf(holdfast);
  const running = await rawClient(holdfast.port);
  running.send('GET / HTTP/1.1\r\nHost: t\r\n\r\n');
  await eventually(async () => (await holdfast.metric('holdfast_requests_in_flight')) === 1);
  for (const leave of ['destroy', 'resetAndDestroy'] as const) {
    const waiting = await rawClient(holdfast.port);
    waiting.send('POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\nhalf');
    await eventually(async () => (await holdfast.metric('holdfast_client_connections')) === 2);
    waiting.socket[leave]();
    await eventually(async () => (await holdfast.metric('holdfast_client_connections')) === 1, {
      deadlineMs: 2000,
    });
  }
  expect(await holdfast.metric('holdfast_rejected_requests_total', ABORTED)).toBe(2);
  running.socket.destroy();
  await isQuiet(holdfast, before);
});

test('a queued body is held to one read, and arrives whole when its turn comes', async () => {
  const heard: string[] = [];
  const backend = await tcpBackend((socket) => {
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
      if (end < 0 || text.length < end + 4 + length || text.startsWith('GET /held')) return;
      heard.push(text.slice(end + 4));
      text = '';
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  });
  const holdfast = await runHoldfast(`
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools: { web: { health: off, queue: { timeout: 60s }, servers: [{ url: "${backend.url}", maxConnections: 1 }] } }
`);
  const running = await rawClient(holdfast.port);
  running.send('GET /held HTTP/1.1\r\nHost: t\r\n\r\n');
  await eventually(async () => (await holdfast.metric('holdfast_requests_in_flight')) === 1);
  const body = Array.from({ length: 60_000 }, (_, index) => `${index} `).join('');
  const waiting = await rawClient(holdfast.port);
  waiting.send(`POST / HTTP/1.1\r\nHost: t\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`);
  await eventually(async () => (await holdfast.metric('holdfast_queued_requests_total')) === 1);
  waiting.send(body.slice(10));
  running.socket.destroy();
  await waiting.until('200 OK');
  expect(heard).toEqual([body]);
});

test('not read from, because its server takes no more: noticed when the response is overdue', async () => {
  const backend = await tcpBackend((socket) => socket.on('error', () => undefined).pause());
  const holdfast = await runHoldfast(`
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools: { web: { health: off, passive: off, timeouts: { response: 1s }, servers: ["${backend.url}"] } }
`);
  const before = socketsOf(holdfast);
  const client = await rawClient(holdfast.port);
  client.send('POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 100000000\r\n\r\n');
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  while (client.socket.write(chunk) || client.socket.writableLength < 8 * chunk.length);
  await eventually(async () => (await holdfast.metric('holdfast_requests_in_flight')) === 1);
  client.socket.resetAndDestroy();
  await isQuiet(holdfast, before);
});
