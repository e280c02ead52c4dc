// WebSockets through an embedded balancer: affinity, refusals, retries, and no socket left behind.

import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type Backend, cannedBackend, httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { rawClient } from '../support/raw-client.ts';
import { type Embedded, embed, NOBODY } from './embedded.ts';

const UPGRADE =
  'GET /chat//room HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

/** Echoes each message with its name before it. */
async function echoSockets(name: string): Promise<Backend> {
  const backend = await httpBackend(name);
  const sockets = new WebSocketServer({ noServer: true });
  backend.server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.on('message', (message) => ws.send(`${name} ${request.url} ${String(message)}`));
    });
  });
  return backend;
}

async function ask(ws: WebSocket, text: string): Promise<string> {
  ws.send(text);
  const [message] = await once(ws, 'message');
  return String(message);
}

async function open(url: string, cookie = ''): Promise<{ ws: WebSocket; cookies: readonly string[] }> {
  const ws = new WebSocket(url.replace('http', 'ws'), { headers: cookie === '' ? {} : { cookie } });
  onTestFinished(() => ws.terminate());
  const [[response]] = await Promise.all([once(ws, 'upgrade'), once(ws, 'open')]);
  return { ws, cookies: response.headers['set-cookie'] ?? [] };
}

function inFlight({ balancer }: Embedded): number {
  return balancer.status().pools[0]?.servers.reduce((sum, server) => sum + server.inFlight, 0) ?? -1;
}

test('a WebSocket goes to the home of its session, and its 101 carries a new cookie', async () => {
  const servers = await Promise.all(['a', 'b', 'c'].map(echoSockets));
  const embedded = await embed({
    pools: { web: { sticky: { mode: 'cookie-hash' }, servers: servers.map(({ url }) => url) } },
  });
  const { ws, cookies } = await open(`${embedded.url}/x//y`);
  expect(cookies).toHaveLength(1);
  const [home, target, text] = (await ask(ws, 'hello')).split(' ');
  expect([target, text]).toEqual(['/x//y', 'hello']);
  for (let count = 0; count < 5; count += 1) {
    const again = await open(embedded.url, cookies[0]?.split(';')[0]);
    expect(again.cookies).toEqual([]);
    expect((await ask(again.ws, '1')).split(' ')[0]).toBe(home);
  }
  expect(inFlight(embedded)).toBe(6);
  ws.close();
  await eventually(() => inFlight(embedded) === 5);
});

test('a server that refuses the connection is passed over', async () => {
  const alive = await echoSockets('alive');
  const { url } = await embed({
    pools: { web: { health: 'off', sticky: { mode: 'cookie-pin' }, servers: [NOBODY, alive.url] } },
  });
  for (let count = 0; count < 3; count += 1) {
    const { ws, cookies } = await open(url);
    expect(cookies).toHaveLength(1);
    expect(await ask(ws, 'x')).toBe('alive / x');
  }
});

test('a refused upgrade reaches the client as the server answered it', async () => {
  const refusal =
    'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\nX-Why: tired\r\n\r\n2\r\nno\r\n0\r\n\r\n';
  const backend = await cannedBackend(refusal);
  const embedded = await embed({ pools: { web: { health: 'off', servers: [backend.url] } } });
  const client = await rawClient(embedded.port);
  client.send(UPGRADE);
  const { text } = await client.closed();
  expect(text).toBe('HTTP/1.1 403 Forbidden\r\nX-Why: tired\r\nconnection: close\r\n\r\nno');
  expect(inFlight(embedded)).toBe(0);
});

test('no server, no route, another protocol, nonsense from the server: a reply, and the connection ends', async () => {
  const plain = await cannedBackend(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n',
  );
  const silent = await tcpBackend(() => undefined);
  const pool = { health: 'off', retry: { attempts: 0 }, timeouts: { response: '100ms' } };
  const { port } = await embed({
    routes: ['dead', 'plain', 'silent'].map((name) => ({ path: `/${name}`, pool: name })),
    pools: {
      dead: { ...pool, servers: [NOBODY] },
      plain: { ...pool, servers: [plain.url] },
      silent: { ...pool, servers: [silent.url] },
    },
  });
  const cases = [
    ['/dead', 'websocket', '502', 'connect-failed'],
    ['/plain', 'websocket', '502', 'bad-response'],
    ['/silent', 'websocket', '504', 'response-timeout'],
    ['/none', 'websocket', '404', 'no-route'],
    ['/dead', 'h2c', '502', 'connect-failed'],
  ];
  for (const [target = '', protocol = '', status, kind] of cases) {
    const client = await rawClient(port);
    client.send(UPGRADE.replace('/chat//room', target).replace('websocket', protocol));
    const { text } = await client.closed();
    expect(text).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*\r\nx-holdfast-error: ${kind}\r\n`));
  }
});

test('aborts on either side leave no socket behind', async () => {
  const backend = await echoSockets('a');
  const embedded = await embed({ pools: { web: { health: 'off', servers: [backend.url] } } });
  for (let count = 0; count < 10; count += 1) {
    const { ws } = await open(embedded.url);
    await ask(ws, 'x');
    ws.terminate();
  }
  await eventually(() => backend.sockets.size === 0);
  const clients = await Promise.all(Array.from({ length: 10 }, () => open(embedded.url)));
  const closed = Promise.all(clients.map(({ ws }) => once(ws, 'close')));
  for (const socket of backend.sockets) socket.destroy();
  await closed;
  const raw = await rawClient(embedded.port);
  raw.send(UPGRADE);
  await raw.until('101');
  raw.socket.resetAndDestroy();
  await eventually(() => backend.sockets.size === 0 && inFlight(embedded) === 0);
});

test('close ends tunnels after its grace', async () => {
  const backend = await echoSockets('a');
  const embedded = await embed({ pools: { web: { health: 'off', servers: [backend.url] } } });
  const { ws } = await open(embedded.url);
  const closed = once(ws, 'close');
  await embedded.balancer.close(20);
  await closed;
  const socket = connect(embedded.port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(UPGRADE);
  const [chunk] = await once(socket, 'data');
  expect(String(chunk)).toMatch(/^HTTP\/1\.1 503/);
});

test('a WebSocket that is silent for longer than timeouts.tunnel is closed, one that speaks stays', async () => {
  const backend = await echoSockets('a');
  const embedded = await embed({
    listen: { timeouts: { tunnel: '1s' } },
    pools: { web: { servers: [backend.url] } },
  });
  const [silent, speaking] = [await open(embedded.url), await open(embedded.url)];
  let isClosed = false;
  silent.ws.on('close', () => (isClosed = true));
  await eventually(async () => (await ask(speaking.ws, 'still here')) !== '' && isClosed);
  expect(await ask(speaking.ws, 'hello')).toContain('hello');
  await eventually(() => inFlight(embedded) === 1);
});

test('limits and the access log see upgrades as they see requests', async () => {
  const backend = await echoSockets('a');
  const file = join(mkdtempSync(join(tmpdir(), 'holdfast-embed-')), 'access.log');
  onTestFinished(() => rmSync(dirname(file), { recursive: true }));
  const { url, port } = await embed({
    accessLog: { file },
    listen: { rateLimit: { rate: '1/h', burst: 1 } },
    pools: { web: { servers: [{ name: 'a', url: backend.url }] } },
  });
  const { ws } = await open(url);
  await ask(ws, 'hello');
  const client = await rawClient(port);
  client.send(UPGRADE);
  expect((await client.closed()).text).toMatch(/^HTTP\/1\.1 429 [\s\S]*retry-after: \d{4}\r\n/);
  ws.close();
  const lines = await eventually(() => {
    const text = readFileSync(file, 'utf8').trim();
    return text.split('\n').length === 2 ? text.split('\n').map((line) => JSON.parse(line)) : null;
  });
  expect(lines).toMatchObject([
    { target: '/chat//room', status: 429, error: 'too-many-requests', pool: 'web' },
    { target: '/', status: 101, error: null, pool: 'web', server: 'a' },
  ]);
});

test('an upgrade with a body is answered; one that no route matches is left to the other listeners', async () => {
  const backend = await httpBackend('a');
  const { port, server } = await embed({
    routes: [{ path: '/app', pool: 'web' }],
    pools: { web: { health: 'off', servers: [backend.url] } },
  });
  const body = await rawClient(port);
  body.send(
    UPGRADE.replace('/chat//room', '/app')
      .replace('GET', 'POST')
      .replace('\r\n\r\n', '\r\nContent-Length: 2\r\n\r\nhi'),
  );
  expect((await body.closed()).text).toMatch(/^HTTP\/1\.1 200 [\s\S]*"body":"hi"/);
  server.on('upgrade', (request, socket) => {
    if (request.url === '/own') socket.end('HTTP/1.1 101 Own\r\n\r\nmine');
  });
  const own = await rawClient(port);
  own.send(UPGRADE.replace('/chat//room', '/own'));
  expect((await own.closed()).text).toBe('HTTP/1.1 101 Own\r\n\r\nmine');
});
