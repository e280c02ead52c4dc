// Every wait has an end: what happens when a peer stays silent.

import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { forFile, whenDone } from '../support/lifetime.ts';
import { type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { get, talkTo } from '../support/talker.ts';

let holdfast: Holdfast;
let backend: ScriptedBackend;

const OK = 'HTTP/1.1 200 OK\r\n';

forFile(async () => {
  backend = await scriptedBackend({
    '/silent': () => undefined,
    '/half-head': (heard) => heard.send(OK),
    '/interim': (heard) => heard.send('HTTP/1.1 102 Processing\r\n\r\n'),
    '/half-body': (heard) => heard.send(`${OK}content-length: 10\r\n\r\nhello`),
    '/half-chunk': (heard) => heard.send(`${OK}transfer-encoding: chunked\r\n\r\n9\r\nhello`),
    '/steady': (heard) => {
      heard.send(`${OK}content-length: 8\r\n\r\n`);
      let left = 8;
      const timer = setInterval(() => {
        left -= 1;
        if (left > 0) heard.send('x');
        else {
          clearInterval(timer);
          heard.finish('x');
        }
      }, 150);
    },
    '/events': (heard) => {
      heard.send(`${OK}content-type: text/event-stream; charset=utf-8\r\n\r\ndata: 1\n\n`);
      setTimeout(() => heard.send('data: 2\n\n'), 900);
    },
    '/tunnel': (heard) => {
      heard.send(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello',
      );
      heard.onBody(() => {
        if (heard.body() !== '') heard.send('pong');
      });
    },
    '/hinted': (heard) => heard.finish(`${OK}content-length: 2\r\nkeep-alive: timeout=2\r\n\r\nok`),
  });
  holdfast = await runInside(`
listen:
  - address: 127.0.0.1:0
    timeouts: { header: 300ms, body: 400ms, keepAlive: 500ms, tunnel: 1500ms }
admin: { address: 127.0.0.1:0 }
threads: 1
routes:
  - { path: /full, pool: full }
  - { pool: p }
pools:
  p:
    health: off
    retry: { attempts: 0 }
    timeouts: { response: 400ms, idle: 400ms }
    keepAlive: { idle: 60s }
    servers: [{ url: ${backend.url} }]
  full:
    health: off
    retry: { attempts: 0 }
    timeouts: { connect: 300ms }
    servers: [{ url: http://127.0.0.1:${await fullBacklog()} }]
`);
});

/** A port whose queue of connections is full: further ones are neither accepted nor refused. */
async function fullBacklog(): Promise<number> {
  // A process that is stopped never accepts.
  const script = `const server = require('node:net').createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => console.log(server.address().port))`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = Number(
    await new Promise((resolve) => child.stdout.once('data', (data) => resolve(String(data)))),
  );
  child.kill('SIGSTOP');
  const sockets: Socket[] = [];
  for (let index = 0; index < 6; index += 1) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    sockets.push(socket);
  }
  whenDone(() => {
    for (const socket of sockets) socket.destroy();
    child.kill('SIGKILL');
  });
  return port;
}

/** Milliseconds until the promise settles. */
async function elapsed(promise: Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await promise;
  return performance.now() - begin;
}

describe('silence of a client', () => {
  test('before the first byte ends the connection without a word', async () => {
    const talker = await talkTo(holdfast.port);
    expect(await elapsed(talker.ended())).toBeGreaterThan(250);
    expect(talker.unread()).toBe('');
  });

  test.each([['GET / HT'], ['GET / HTTP/1.1\r\nHost: a\r\nX: '], ['\r\n']])(
    'after %j is answered 408',
    async (bytes) => {
      const talker = await talkTo(holdfast.port);
      talker.send(bytes);
      const reply = await talker.reply();
      expect([reply.status, reply.get('x-holdfast-error')]).toEqual([408, 'request-timeout']);
      expect(await talker.ended()).toBe('end');
    },
  );

  test('is measured over the whole head: single bytes do not extend it', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('GET / HTTP/1.1\r\nX: ');
    const timer = setInterval(() => talker.send('x'), 50);
    expect(await elapsed(talker.reply().finally(() => clearInterval(timer)))).toBeLessThan(900);
  });

  test('in a body is answered 408, and single bytes do extend that', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('POST /silent HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n');
    let sent = 0;
    const timer = setInterval(() => {
      sent += 1;
      if (sent < 6) talker.send('x');
    }, 150);
    expect(await elapsed(talker.reply().then((reply) => expect(reply.status).toBe(408)))).toBeGreaterThan(
      900,
    );
    clearInterval(timer);
  });

  test('between requests ends the connection', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('GET /1 HTTP/1.1\r\nHost: a\r\n\r\n');
    await talker.reply();
    const ms = await elapsed(talker.ended());
    expect(ms).toBeGreaterThan(400);
    expect(ms).toBeLessThan(1500);
    expect(talker.unread()).toBe('');
  });
});

describe('silence of a server', () => {
  test.each([['/silent'], ['/half-head'], ['/interim']])(
    'before its response (%s) is answered 504',
    async (path) => {
      const talker = await talkTo(holdfast.port);
      talker.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      let reply = await talker.reply();
      if (reply.status === 102) reply = await talker.reply();
      expect([reply.status, reply.get('x-holdfast-error')]).toEqual([504, 'response-timeout']);
      const heard = await backend.hears(path);
      await eventually(() => heard.hasEnded() || null);
    },
  );

  test.each([['/half-body'], ['/half-chunk']])(
    'in the middle of a response (%s) breaks it visibly',
    async (path) => {
      const talker = await talkTo(holdfast.port);
      talker.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await talker.until('hello');
      expect(await talker.ended()).toBe('reset');
    },
  );

  test('is no silence while single bytes come', async () => {
    expect((await get(holdfast.port, '/steady')).body).toBe('xxxxxxxx');
  });

  test('in an event stream may last as long as in a tunnel', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('GET /events HTTP/1.1\r\nHost: a\r\n\r\n');
    await talker.until('data: 2');
    expect(await talker.ended()).toBe('reset');
  });

  test('to a connection attempt is answered 504', async () => {
    const reply = await get(holdfast.port, '/full');
    expect([reply.status, reply.get('x-holdfast-error')]).toEqual([504, 'connect-timeout']);
  });
});

describe('silence of both', () => {
  test('ends a tunnel, bytes of either side extend it', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    await talker.until('hello');
    const begin = performance.now();
    setTimeout(() => talker.send('ping'), 900);
    await talker.until('pong');
    await talker.ended();
    expect(performance.now() - begin).toBeGreaterThan(2200);
    expect((await backend.hears('/tunnel')).hasEnded()).toBe(true);
  });
});

describe('an idle connection to a server', () => {
  test('is closed a second before the server said it would close it', async () => {
    const before = backend.sockets.size;
    const askedMs = performance.now();
    expect((await get(holdfast.port, '/hinted')).body).toBe('ok');
    const answeredMs = performance.now();
    expect(
      await holdfast.metric('holdfast_upstream_connections', { pool: 'p', state: 'idle' }),
    ).toBeGreaterThan(0);
    const heard = await backend.hears('/hinted');
    await eventually(() => heard.hasEnded());
    const closedMs = performance.now();
    expect([closedMs - askedMs > 990, closedMs - answeredMs < 1900, before]).toEqual([true, true, before]);
  });
});
