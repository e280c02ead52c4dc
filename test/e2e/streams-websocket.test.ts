// WebSockets through the balancer, by the ws package on both sides, and what happens when one does not come about.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { forFile, whenDone } from '../support/lifetime.ts';
import { isQuiet, socketsOf } from '../support/quiet.ts';
import { type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { get, talkTo } from '../support/talker.ts';

let holdfast: RunningHoldfast;
let scripted: ScriptedBackend;
let before = 0;
const served = new Set<WebSocket>();
const upgrades: IncomingMessage[] = [];

forFile(async () => {
  const server: Server = createServer((_, response) => response.end('plain'));
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: { threshold: 100 },
    handleProtocols: (offered) => (offered.has('chat.v2') ? 'chat.v2' : false),
  });
  server.on('upgrade', (request: IncomingMessage, socket, head) => {
    upgrades.push(request);
    if (request.url === '/refuse') {
      socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 4\r\nwww-authenticate: Basic\r\n\r\nwho?');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (client) => {
      served.add(client);
      client.on('error', () => undefined);
      client.on('close', () => served.delete(client));
      client.on('message', (data, isBinary) => client.send(data, { binary: isBinary }));
      if (request.url === '/greets') client.send('welcome');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenDone(() => {
    for (const client of served) client.terminate();
    server.closeAllConnections();
    server.close();
  });
  scripted = await scriptedBackend({
    '/raw/dies': (heard) => heard.socket.destroy(),
    '/raw/resets': (heard) => heard.socket.resetAndDestroy(),
    '/raw/opens-and-resets': (heard) => {
      heard.send('HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n');
      setTimeout(() => heard.socket.resetAndDestroy(), 20);
    },
    '/raw/opens': (heard) =>
      heard.send(
        'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nearly',
      ),
    '/raw/bare-101': (heard) => heard.send('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
  });
  const { port } = server.address() as AddressInfo;
  holdfast = await runHoldfast(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 2
routes:
  - { path: /raw, pool: raw }
  - { pool: p }
pools:
  p: { health: off, sticky: { mode: cookie-hash }, servers: [{ url: "http://127.0.0.1:${port}" }] }
  raw: { health: off, retry: { attempts: 0 }, servers: [{ url: ${scripted.url} }] }
`);
  before = socketsOf(holdfast);
});

afterEach(async () => {
  await isQuiet(holdfast, before);
  expect(holdfast.log()).not.toContain('worker thread');
});

function open(path: string, protocols: string[] = []): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${holdfast.port}${path}`, protocols, {
    perMessageDeflate: path === '/deflate',
  });
  whenDone(() => socket.terminate());
  return socket;
}

const opened = (socket: WebSocket): Promise<void> =>
  new Promise((resolve, reject) => void socket.once('open', resolve).once('error', reject));
const closed = (socket: WebSocket): Promise<number> =>
  new Promise((resolve) => void socket.once('close', resolve));

function echoOf(socket: WebSocket, data: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    socket.once('message', (answer) => resolve(answer.toString()));
    socket.send(data);
  });
}

async function bye(socket: WebSocket): Promise<void> {
  const end = closed(socket);
  socket.close(1000);
  expect(await end).toBe(1000);
}

describe('a WebSocket', () => {
  test('echoes, and closes with its own code', async () => {
    const socket = open('/');
    await opened(socket);
    for (let index = 0; index < 20; index += 1)
      expect(await echoOf(socket, `message ${index}`)).toBe(`message ${index}`);
    await bye(socket);
  });

  test('keeps its subprotocol and extensions', async () => {
    const socket = open('/deflate', ['chat.v1', 'chat.v2']);
    await opened(socket);
    expect([socket.protocol, socket.extensions]).toEqual(['chat.v2', 'permessage-deflate']);
    expect(await echoOf(socket, 'x'.repeat(10_000))).toHaveLength(10_000);
    expect(upgrades.at(-1)?.headers).toMatchObject({
      upgrade: 'websocket',
      connection: 'upgrade',
      'sec-websocket-protocol': 'chat.v1,chat.v2',
      'x-forwarded-for': '127.0.0.1',
    });
    await bye(socket);
  });

  test('carries messages of many megabytes', async () => {
    const socket = open('/');
    await opened(socket);
    const large = Buffer.alloc(8 * 1024 * 1024, 'holdfast');
    expect((await echoOf(socket, large)) === large.toString()).toBe(true);
    await bye(socket);
  });

  test('may be greeted with the same packet that opens it', async () => {
    const socket = open('/greets');
    expect(await new Promise((resolve) => socket.once('message', (data) => resolve(data.toString())))).toBe(
      'welcome',
    );
    await bye(socket);
  });

  test('gets the session cookie with its 101', async () => {
    const socket = open('/');
    const cookie = new Promise((resolve) =>
      socket.once('upgrade', (response) => resolve(response.headers['set-cookie'])),
    );
    await opened(socket);
    expect(await cookie).toEqual([expect.stringMatching(/^holdfast-p=/)]);
    await bye(socket);
  });

  test('that the server closes is closed for the client', async () => {
    const socket = open('/');
    await opened(socket);
    const end = closed(socket);
    await eventually(() => served.size === 1 || null);
    for (const client of served) client.close(4001);
    expect(await end).toBe(4001);
  });

  test('that the client cuts is cut for the server, and the other way round', async () => {
    const socket = open('/');
    await opened(socket);
    await eventually(() => served.size === 1 || null);
    socket.terminate();
    await eventually(() => served.size === 0 || null);
    const another = open('/');
    await opened(another);
    await eventually(() => served.size === 1 || null);
    const end = closed(another);
    for (const client of served) client.terminate();
    expect(await end).toBe(1006);
  });
});

describe('an upgrade', () => {
  test('that the server refuses is answered by the server', async () => {
    const socket = open('/refuse');
    const [status, realm, body] = await new Promise<unknown[]>((resolve) => {
      socket.on('error', () => undefined);
      socket.once('unexpected-response', (request, response) => {
        response.setEncoding('utf8').on('data', (text: string) => {
          resolve([response.statusCode, response.headers['www-authenticate'], text]);
          request.destroy();
          response.socket.destroy();
        });
      });
    });
    expect([status, realm, body]).toEqual([401, 'Basic', 'who?']);
  });

  test.each([
    ['/raw/dies', 'server-closed'],
    ['/raw/resets', 'server-closed'],
    ['/raw/bare-101', 'bad-response'],
  ])('to a server that breaks it off (%s) is answered 502 %s', async (path, kind) => {
    const reply = await get(holdfast.port, path, 'Connection: Upgrade\r\nUpgrade: websocket\r\n');
    expect([reply.status, reply.get('x-holdfast-error')]).toEqual([502, kind]);
  });

  test('to a server that resets right after it ends the connection', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(
      'GET /raw/opens-and-resets HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    expect((await talker.reply()).status).toBe(101);
    expect(await talker.ended()).toMatch(/end|reset/);
  });

  test('to anything but websocket is not passed on: no h2c behind our back', async () => {
    for (const upgrade of ['h2c', 'h2c, websocket', 'TLS/1.0']) {
      const talker = await talkTo(holdfast.port);
      talker.send(
        `GET /raw/x?${encodeURIComponent(upgrade)} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n`,
      );
      expect((await talker.reply()).status).toBe(200);
      const { head } = scripted.heard.at(-1)!;
      expect(head).not.toMatch(/upgrade|http2-settings|h2c\r/i);
      talker.socket.destroy();
    }
  });

  test('passes on bytes that came with it, both ways', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(
      'GET /raw/opens HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\neager',
    );
    await talker.until('early');
    const heard = await scripted.hears('/raw/opens');
    await eventually(() => heard.body() === 'eager' || null);
    talker.send(' more');
    await eventually(() => heard.body() === 'eager more' || null);
    talker.socket.end();
    await eventually(() => heard.hasEnded() || null);
    heard.send('last words');
    heard.socket.end();
    expect(await talker.until('last words')).toMatch(/early.*last words$/s);
    expect(await talker.ended()).toBe('end');
  });
});
