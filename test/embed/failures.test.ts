// What goes wrong, and what an embedded balancer makes of it: the failings of Node proxies, each by name.

import { createServer, type ServerResponse } from 'node:http';
import express from 'express';
import { expect, test } from 'vitest';
import { createBalancer } from '../../src/embed/balancer.ts';
import { unreachableKind } from '../../src/embed/server-agent.ts';
import { cannedBackend, httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { embed, listen, NOBODY, SMALL } from './embedded.ts';

const GET = 'GET / HTTP/1.1\r\nHost: t\r\n\r\n';

async function refusal(url: string, init?: RequestInit): Promise<[number, string | null]> {
  const response = await fetch(url, init);
  await response.text();
  return [response.status, response.headers.get('x-holdfast-error')];
}

test('no server, a refused connection, a closed one, nonsense, silence: each has its own reply', async () => {
  const closing = await tcpBackend((socket) => socket.once('data', () => socket.destroy()));
  const nonsense = await cannedBackend('this is not http\r\n\r\n');
  const double = await cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\nx');
  const silent = await tcpBackend(() => undefined);
  const expected: readonly (readonly [string, number, string])[] = [
    [NOBODY, 502, 'connect-failed'],
    [closing.url, 502, 'server-closed'],
    [nonsense.url, 502, 'bad-response'],
    [double.url, 502, 'bad-response'],
    [silent.url, 504, 'response-timeout'],
  ];
  for (const [server, status, kind] of expected) {
    const pool = {
      health: 'off',
      retry: { attempts: 0 },
      queue: { whenDown: '0s' },
      timeouts: { response: '100ms' },
      servers: [server],
    };
    const { url } = await embed({ pools: { web: pool } });
    expect(await refusal(url)).toEqual([status, kind]);
  }
  const { url, balancer } = await embed(
    { pools: { web: { queue: { whenDown: '0s' }, servers: [NOBODY] } } },
    { unready: true },
  );
  await eventually(() => balancer.status().pools[0]?.servers[0]?.state === 'down');
  expect(await refusal(url)).toEqual([503, 'no-server']);
  expect((await balancer.metrics()).body).toContain(
    'holdfast_rejected_requests_total{reason="no-server",pool="web"} 1',
  );
});

test('a truncated response is cut, not left open and not complete', async () => {
  const backend = await cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', 'end');
  const { port, balancer } = await embed({ pools: { web: { health: 'off', servers: [backend.url] } } });
  const client = await rawClient(port);
  client.send(GET);
  expect((await client.closed()).text).toMatch(/half$/);
  expect((await balancer.metrics()).body).toContain(
    'holdfast_rejected_requests_total{reason="response-truncated",pool="web"} 1',
  );
  expect(balancer.status().pools[0]?.servers[0]?.inFlight).toBe(0);
});

test('a client that leaves ends the request to the server: no socket is left behind', async () => {
  const backend = await httpBackend('a', (request) => {
    request.resume();
  });
  const { port, balancer } = await embed({ pools: { web: { health: 'off', servers: [backend.url] } } });
  for (const request of [GET, 'POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nhalf']) {
    const client = await rawClient(port);
    client.send(request);
    await eventually(() => backend.sockets.size === 1);
    client.socket.destroy();
    await eventually(() => backend.sockets.size === 0);
  }
  expect(balancer.status().pools[0]?.servers[0]).toMatchObject({
    inFlight: 0,
    connections: { active: 0, idle: 0 },
  });
});

test('requests beyond maxConnections wait, the queue has an end, and those that waited are served', async () => {
  const held: ServerResponse[] = [];
  const backend = await httpBackend('a', (_request, response) => held.push(response));
  const { url } = await embed({
    pools: {
      web: {
        health: 'off',
        queue: { size: 1, timeout: '150ms' },
        servers: [{ url: backend.url, maxConnections: 1 }],
      },
    },
  });
  const first = fetch(url);
  await eventually(() => held.length === 1);
  const second = fetch(url);
  await eventually(async () => (await refusal(url))[1] === 'queue-full');
  held[0]?.end('1');
  expect(await (await first).text()).toBe('1');
  await eventually(() => held.length === 2);
  const third = refusal(url);
  held[1]?.end('2');
  expect(await (await second).text()).toBe('2');
  await eventually(() => held.length === 3);
  expect(await refusal(url)).toEqual([503, 'queue-timeout']);
  held[2]?.end('3');
  expect(await third).toEqual([200, null]);
});

test('a session whose home is busy does not hold up those that may go elsewhere', async () => {
  const held = { a: [] as ServerResponse[], b: [] as ServerResponse[] };
  const a = await httpBackend('a', (_request, response) => held.a.push(response));
  const b = await httpBackend('b', (_request, response) => held.b.push(response));
  const servers = [
    { name: 'a', url: a.url, maxConnections: 1 },
    { name: 'b', url: b.url, maxConnections: 1 },
  ];
  const sticky = { mode: 'header-hash', header: 'x-user' };
  const { url, balancer } = await embed({ pools: { web: { health: 'off', sticky, servers } } });
  const asked = (user: string): Promise<string> =>
    fetch(url, { headers: { 'x-user': user } }).then((response) => response.text());
  /** Some user whose home the server is, as a session of it. */
  const userOf = async (server: 'a' | 'b'): Promise<string> => {
    for (let user = 0; user < 100; user += 1) {
      const result = balancer.explain('web', { headers: [['x-user', `${user}`]] });
      if (!result.ok || result.explanation.server !== server) continue;
      const first = asked(`${user}`);
      await eventually(() => held[server].length === 1);
      held[server].pop()?.end();
      await first;
      return `${user}`;
    }
    throw new Error(`no user of ${server}`);
  };
  const [ofA, ofB] = [await userOf('a'), await userOf('b')];
  const running = [asked(ofA), asked(ofB)];
  await eventually(() => held.a.length === 1 && held.b.length === 1);
  const queued = async (count: number): Promise<boolean> =>
    (await balancer.metrics()).body.includes(`holdfast_queued_requests_total{pool="web"} ${count}`);
  const waitsForA = asked(ofA);
  await eventually(() => queued(1));
  const waitsForB = asked(ofB);
  await eventually(() => queued(2));
  held.b.pop()?.end('first of b');
  expect(await running[1]).toBe('first of b');
  await eventually(() => held.b.length === 1);
  held.b.pop()?.end('second of b');
  expect(await waitsForB).toBe('second of b');
  held.a.pop()?.end('first of a');
  await eventually(() => held.a.length === 1);
  held.a.pop()?.end('second of a');
  expect([await running[0], await waitsForA]).toEqual(['first of a', 'second of a']);
});

test('another server after a refused connection costs nothing of the budget', async () => {
  const alive = await httpBackend('alive');
  // a server that refuses is passed over for a while
  const pool = { health: 'off', passive: 'off', retry: { budget: '0%' }, servers: [NOBODY, alive.url] };
  const { url, balancer } = await embed({ pools: { web: pool } });
  for (let count = 0; count < 30; count += 1) expect((await fetch(url)).status).toBe(200);
  const { body } = await balancer.metrics();
  expect(body).toMatch(/holdfast_retries_total\{pool="web",reason="connect-failed"\} [1-9]/);
  expect(body).not.toMatch(/holdfast_retries_refused_total\{pool="web"\} [1-9]/);
});

test('a body goes to the second server as it went to the first, and a status is retried when the pool says so', async () => {
  const bad = await httpBackend('bad', (request, response) => {
    request.resume();
    response.writeHead(503).end();
  });
  const good = await httpBackend('good');
  const pool = { retry: { status: [503] }, servers: [bad.url, good.url] };
  const { url } = await embed({ pools: { web: { health: 'off', ...pool } } });
  for (let count = 0; count < 4; count += 1) {
    const response = await fetch(url, { method: 'PUT', body: 'again' });
    expect(await response.json()).toMatchObject({ server: 'good', body: 'again' });
  }
  const statuses = [
    await refusal(url, { method: 'POST', body: 'once' }),
    await refusal(url, { method: 'POST', body: 'once' }),
  ];
  expect(statuses.map(([status]) => status).toSorted()).toEqual([200, 503]);
});

test('early answers, late errors and errors after the head do not end the process', async () => {
  const early = await cannedBackend(
    'HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n',
    'end',
  );
  const { port } = await embed({ pools: { web: { health: 'off', servers: [early.url] } } });
  const client = await rawClient(port);
  client.send('POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\nstart');
  expect(await client.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 413/);
  client.socket.destroy();
});

test("http-proxy's events see each request, may change it, and may answer when it fails", async () => {
  const good = await httpBackend('good');
  const servers = [good.url];
  const { url, balancer } = await embed({
    routes: [{ path: '/dead', pool: 'dead' }, { pool: 'web' }],
    pools: {
      web: { health: 'off', sticky: { mode: 'cookie-hash' }, servers },
      dead: { health: 'off', queue: { whenDown: '100ms' }, servers: [NOBODY] },
    },
  });
  balancer.proxy.on('proxyReq', (outgoing) => outgoing.setHeader('x-added', 'by listener'));
  balancer.proxy.on('proxyRes', (incoming) => {
    incoming.headers['x-answer'] = 'changed';
    delete incoming.headers['content-type'];
  });
  const response = await fetch(url);
  expect(response.headers.get('x-answer')).toBe('changed');
  expect(response.headers.get('content-type')).toBe(null);
  expect(response.headers.getSetCookie()).toHaveLength(1);
  expect(((await response.json()) as { headers: object }).headers).toMatchObject({
    'x-added': 'by listener',
  });
  const errors: Error[] = [];
  balancer.proxy.on('error', (error, _request, target) => {
    errors.push(error);
    if ('writeHead' in target) target.writeHead(599).end('mine');
  });
  expect(await refusal(`${url}/dead`)).toEqual([599, null]);
  expect(errors.map((error) => error.message)).toEqual([expect.stringContaining('ECONNREFUSED')]);
});

test('cookies that the application set before are kept beside those of the server and ours', async () => {
  const backend = await httpBackend('a', (_request, response) => {
    response.setHeader('set-cookie', ['server=1']);
    response.setHeader('x-powered-by', 'the server');
    response.end();
  });
  const balancer = await createBalancer({
    ...SMALL,
    pools: { web: { health: 'off', sticky: { mode: 'cookie-pin' }, servers: [backend.url] } },
  });
  const app = express();
  app.use((_request, response, next) => {
    response.cookie('app', '1');
    next();
  });
  app.use(balancer.middleware());
  const response = await fetch(await listen(createServer(app)));
  expect(response.headers.getSetCookie().map((line) => line.split('=')[0])).toEqual([
    'app',
    'server',
    'holdfast',
  ]);
  expect(response.headers.get('x-powered-by')).toBe('the server');
  await balancer.close(0);
});

test('what this machine has run out of says nothing about a server', () => {
  const failed = (code: string): string => unreachableKind(Object.assign(new Error(code), { code }));
  for (const code of ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL'])
    expect(failed(code)).toBe('out-of-resources');
  expect([failed('ECONNREFUSED'), failed('EHOSTUNREACH')]).toEqual(['connect-failed', 'connect-failed']);
});

test.each([
  ['on', true],
  ['off', false],
] as const)(
  'with errorDetails: %s the client is told which rule a response broke: %s',
  async (errorDetails, isTold) => {
    const backend = await cannedBackend('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx');
    const { url } = await embed({ errorDetails, pools: { web: { health: 'off', servers: [backend.url] } } });
    const response = await fetch(url);
    expect([response.status, /content-length/i.test(await response.text())]).toEqual([502, isTold]);
  },
);
