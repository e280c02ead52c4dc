// Limits on clients of an embedded balancer: what `listen` and `routes` say of requests, as in the program.

import type { ServerResponse } from 'node:http';
import { connect, createServer as createHttp2Server } from 'node:http2';
import { createServer, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Client, Clients } from '../../src/embed/clients.ts';
import { socketOf } from '../../src/embed/node-messages.ts';
import { ClientLimits } from '../../src/exchange/client-limits.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { plainClient } from '../support/plain-client.ts';
import { rawClient } from '../support/raw-client.ts';
import { Revisions } from '../support/revision.ts';
import { embed } from './embedded.ts';

function rejected(body: string, reason: string): number {
  const samples = body.matchAll(new RegExp(`rejected_requests_total\\{reason="${reason}",.*\\} (\\d+)`, 'g'));
  return [...samples].reduce((sum, [, value]) => sum + Number(value), 0);
}

test('rateLimit of a route, and of listen for the routes that have none', async () => {
  const backend = await httpBackend('a');
  const { url, balancer } = await embed({
    listen: { rateLimit: { key: 'cookie sid', rate: '1/h', burst: 3 } },
    routes: [
      { path: '/own', pool: 'web', rateLimit: { key: 'header X-Api-Key', rate: '1/h', burst: 1 } },
      { pool: 'web' },
    ],
    pools: { web: { servers: [backend.url] } },
  });
  const ask = async (path: string, headers: Record<string, string>): Promise<number> =>
    (await fetch(`${url}${path}`, { headers })).status;
  const statuses: number[] = [];
  for (let count = 0; count < 4; count += 1) statuses.push(await ask(`/${count}`, { cookie: 'sid=1' }));
  expect(statuses).toEqual([200, 200, 200, 429]);
  expect(await ask('/x', { cookie: 'sid=2' })).toBe(200);
  expect([await ask('/own', { 'x-api-key': 'k' }), await ask('/own/x', { 'x-api-key': 'k' })]).toEqual([
    200, 429,
  ]);
  const refused = await fetch(`${url}/own`, { headers: { 'x-api-key': 'k' } });
  expect(refused.headers.get('x-holdfast-error')).toBe('too-many-requests');
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3000);
  expect(rejected((await balancer.metrics()).body, 'too-many-requests')).toBe(3);
});

test('heads: more than headerBytes or headerCount is 431', async () => {
  const backend = await httpBackend('a');
  const { url } = await embed({
    listen: { limits: { headerBytes: '1KiB', headerCount: 20 } },
    pools: { web: { servers: [backend.url] } },
  });
  const ask = async (headers: Record<string, string>): Promise<[number, string | null]> => {
    const response = await fetch(url, { headers });
    return [response.status, response.headers.get('x-holdfast-error')];
  };
  expect(await ask({ 'x-small': 'x'.repeat(400) })).toEqual([200, null]);
  expect(await ask({ 'x-large': 'x'.repeat(1000) })).toEqual([431, 'head-too-large']);
  const many = Object.fromEntries(Array.from({ length: 20 }, (_, count) => [`x-${count}`, '1']));
  expect(await ask(many)).toEqual([431, 'head-too-large']);
});

test('bodies: more than bodyBytes is 413, told at once or while it comes; the connection is ended', async () => {
  const backend = await httpBackend('a');
  const { url, port } = await embed({
    listen: { limits: { bodyBytes: '1KiB' } },
    pools: { web: { servers: [backend.url] } },
  });
  expect((await fetch(url, { method: 'POST', body: 'x'.repeat(1024) })).status).toBe(200);
  const known = await fetch(url, { method: 'POST', body: 'x'.repeat(1025) });
  expect([known.status, known.headers.get('x-holdfast-error')]).toEqual([413, 'body-too-large']);
  const client = await rawClient(port);
  client.send('POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n');
  client.send(`400\r\n${'x'.repeat(1024)}\r\n`);
  await eventually(() => backend.sockets.size > 0);
  client.send('1\r\ny\r\n');
  expect(await client.until('413')).toContain('x-holdfast-error: body-too-large');
  await client.closed(10_000);
});

test('a body that stops coming is 408; one that waits for a server is not hurried', async () => {
  const held: ServerResponse[] = [];
  const busy = await httpBackend('busy', (request, response) => {
    if (request.method === 'GET') held.push(response);
    else request.resume().on('end', () => response.end('taken'));
  });
  const free = await httpBackend('free');
  const { port, balancer } = await embed({
    listen: { timeouts: { body: '200ms' } },
    routes: [{ path: '/busy', pool: 'busy' }, { pool: 'free' }],
    pools: {
      busy: { health: 'off', servers: [{ url: busy.url, maxConnections: 1 }] },
      free: { health: 'off', servers: [free.url] },
    },
  });
  const running = await rawClient(port);
  running.send('GET /busy HTTP/1.1\r\nHost: t\r\n\r\n');
  await eventually(() => held.length === 1);
  const waiting = await rawClient(port);
  waiting.send('POST /busy HTTP/1.1\r\nHost: t\r\nContent-Length: 8\r\n\r\nhalf');
  await eventually(async () =>
    (await balancer.metrics()).body.includes('holdfast_queued_requests_total{pool="busy"} 1'),
  );
  const silent = await rawClient(port);
  silent.send('POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 8\r\n\r\nhalf');
  expect(await silent.until('408')).toContain('x-holdfast-error: request-timeout');
  await silent.closed();
  expect(waiting.received()).toBe('');
  held[0]?.end('done');
  waiting.send('half');
  expect(await waiting.until('taken')).toContain('200 OK');
});

test('connectionsPerAddress: a surplus connection gets 503, a closed one makes room, others are not concerned', async () => {
  const backend = await httpBackend('a');
  const { port, balancer } = await embed({
    listen: { limits: { connectionsPerAddress: 3 } },
    trusted: [],
    pools: { web: { servers: [backend.url] } },
  });
  const ask = async (address = '127.0.0.2') => {
    const client = plainClient(port, address);
    return { client, reply: await client.ask('GET', '/') };
  };
  const three = [await ask(), await ask(), await ask()];
  expect(three.map(({ reply }) => reply.status)).toEqual([200, 200, 200]);
  const { reply } = await ask();
  expect([reply.status, reply.header('x-holdfast-error'), reply.header('connection')]).toEqual([
    503,
    'too-many-connections',
    'close',
  ]);
  expect((await ask('127.0.0.3')).reply.status).toBe(200);
  const open = async (): Promise<number> =>
    Number(/client_connections\{listener="embedded"\} (\d+)/.exec((await balancer.metrics()).body)?.[1]);
  await eventually(async () => (await open()) === 4);
  three[0]?.client.close();
  await eventually(async () => (await open()) === 3);
  expect((await ask()).reply.status).toBe(200);
});

/** Both ends of a connection of this process. */
interface Ends {
  readonly near: Socket;
  readonly send: (text: string) => unknown;
}

async function connection(): Promise<Ends> {
  const accepted = Promise.withResolvers<Socket>();
  const server = createServer(accepted.resolve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  const far = await rawClient(typeof address === 'object' ? (address?.port ?? 0) : 0);
  const near = await accepted.promise;
  near.resume();
  onTestFinished(() => void near.destroy());
  return { near, send: far.send };
}

/** The same of HTTP/2, where a request has begun to send its body. */
async function http2Connection(): Promise<Ends> {
  const begun = Promise.withResolvers<Socket>();
  const server = createHttp2Server((request) => {
    request.on('error', () => undefined).resume();
    begun.resolve(socketOf(request));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  const session = connect(`http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
  session.on('error', () => undefined);
  onTestFinished(() => session.destroy());
  const stream = session.request({ ':method': 'POST' });
  stream.on('error', () => undefined);
  return { near: await begun.promise, send: (text) => stream.write(text) };
}

const KINDS = [
  ['HTTP/1.1', connection],
  ['HTTP/2', http2Connection],
] as const;

test.each(KINDS)('minRate: who sends too slowly by %s is cut, who owes nothing is not', async (_, open) => {
  const main = SharedState.create(1, 1000, 0);
  const shared = SharedState.attach(main.handles(), 0);
  const limits = new ClientLimits(shared.rateCells, shared.addresses);
  const revision = new Revisions(main).next({ servers: ['a=http://127.0.0.1:1'] });
  limits.configure(revision);
  const [listen] = revision.config.listen;
  if (listen === undefined) throw new Error('no listener');
  const slow = { ...listen, limits: { ...listen.limits, minRate: 100 } };
  const clients = new Clients(shared.own, limits);
  const { near, send } = await open();
  const client = clients.of(near, slow, () => false);
  const cut: boolean[] = [];
  const exchange = {
    isReceiving: true,
    isTunnel: false,
    abortSlow: (isReceiving: boolean) => void cut.push(isReceiving),
    clientGone: () => undefined,
  };
  client.exchanges.add(exchange);
  const idle = await open();
  clients.of(idle.near, slow, () => false);
  let nowMs = 0;
  const pass = (ms: number): void => {
    for (const endMs = nowMs + ms; nowMs < endMs; ) {
      nowMs += 1000;
      clients.look(slow, nowMs);
    }
  };
  pass(9000);
  const before = near.bytesRead;
  send('x'.repeat(600));
  await eventually(() => near.bytesRead >= before + 600);
  pass(3000);
  expect(cut).toEqual([]);
  pass(6000);
  expect(cut).toEqual([true]);
  exchange.isReceiving = false;
  pass(30_000);
  expect([cut.length, idle.near.destroyed]).toEqual([1, false]);
});

test('a request of a connection that is gone already is not counted', async () => {
  const main = SharedState.create(1, 1000, 0);
  const shared = SharedState.attach(main.handles(), 0);
  const clients = new Clients(shared.own, new ClientLimits(shared.rateCells, shared.addresses));
  const revision = new Revisions(main).next({ servers: ['a=http://127.0.0.1:1'] });
  const { near } = await connection();
  near.destroy();
  const [listen] = revision.config.listen;
  if (listen === undefined) throw new Error('no listener');
  expect(clients.of(near, listen, () => false)).toBeInstanceOf(Client);
  expect(clients.size).toBe(0);
});
