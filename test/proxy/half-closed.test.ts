// One half of a connection is closed: a tunnel ends in bounded time whatever the other side does, and a request is answered
// or given up as its listener says.

import { connect } from 'node:http2';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { Gauge } from '../../src/shared/stripe.ts';
import { type Backend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { whenDone } from '../support/lifetime.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';
import { scriptedBackend } from '../support/scripted-backend.ts';
import { type Talker, talkTo } from '../support/talker.ts';

const UPGRADE = 'GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n';
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';

interface Tunnel {
  readonly running: RunningThread;
  readonly backend: Backend;
  readonly client: Talker;
  readonly server: Socket;
  serverHeard(): string;
}

async function tunnel(): Promise<Tunnel> {
  let heard = '';
  const sockets: Socket[] = [];
  const backend = await tcpBackend((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write(SWITCHED);
      socket.on('data', (part) => (heard += part.toString('latin1')));
    });
  });
  const running = await runThread(`pools: { p: { health: off, servers: ["${backend.url}"] } }`);
  const client = await talkTo(running.port);
  client.send(UPGRADE);
  expect((await client.reply()).status).toBe(101);
  return { running, backend, client, server: sockets[0] as Socket, serverHeard: () => heard };
}

describe.each(['client', 'server'] as const)('a tunnel whose %s has ended its half', (who) => {
  const sides = ({ client, server }: Tunnel) =>
    who === 'client' ? { ended: client.socket, other: server } : { ended: server, other: client.socket };

  /** Resolves when the balancer has heard the end, which it passes on. */
  async function endHalf(tunnelled: Tunnel): Promise<void> {
    const { ended, other } = sides(tunnelled);
    const heard = new Promise((resolve) => other.once('end', resolve));
    ended.end();
    await heard;
  }

  test('is over after a few seconds when the other side is silent', async () => {
    const tunnelled = await tunnel();
    await endHalf(tunnelled);
    tunnelled.running.pass(4800);
    expect(tunnelled.running.thread.own.clientConnections(0)).toBe(1);
    tunnelled.running.pass(300);
    await tunnelled.running.isQuiet();
    await eventually(() => tunnelled.backend.sockets.size === 0 || sides(tunnelled).other.end());
  });

  test('still carries what the other side sends, but not for ever', async () => {
    const tunnelled = await tunnel();
    const { running, client, server, serverHeard } = tunnelled;
    await endHalf(tunnelled);
    const received = (): string => (who === 'client' ? client.unread() : serverHeard());
    for (let turn = 1; turn <= 7; turn += 1) {
      (who === 'client' ? server : client.socket).write(`<${turn}>`);
      await eventually(() => received().includes(`<${turn}>`));
      running.pass(4000);
    }
    (who === 'client' ? server : client.socket).write('<8>');
    await eventually(() => received().includes('<8>'));
    running.pass(2100);
    await running.isQuiet();
  });
});

test('the next tunnel does not end when a half-closed one before it would have', async () => {
  const { running, client, server } = await tunnel();
  const heard = new Promise((resolve) => server.once('end', resolve));
  client.socket.end();
  await heard;
  running.pass(6000);
  await running.isQuiet();
  const next = await talkTo(running.port);
  next.send(UPGRADE);
  expect((await next.reply()).status).toBe(101);
  running.pass(60_000);
  next.send('still');
  expect([running.thread.own.clientConnections(0), running.thread.own.gauge(0, Gauge.inFlight)]).toEqual([
    1, 1,
  ]);
  next.socket.resetAndDestroy();
  await running.isQuiet();
});

test('a tunnel that is over and whose server takes nothing more is given up in bounded time', async () => {
  const { running, client, server } = await tunnel();
  server.pause();
  const block = Buffer.alloc(1024 * 1024);
  await eventually(() => {
    client.socket.write(block);
    return running.unsent() > 0;
  });
  const pinging = setInterval(() => server.write('ping'), 5);
  running.thread.finish();
  running.pass(60_000);
  client.socket.destroy();
  await running.isQuiet();
  clearInterval(pinging);
});

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

async function scene(halfClose: string, timeouts = '') {
  const server = await scriptedBackend({ '*': () => undefined, '/at-once': (heard) => heard.finish(ANSWER) });
  const running = await runThread(
    `pools: { p: { health: off, retry: { attempts: 0 }, ${timeouts} servers: ["${server.url}"] } }`,
    `halfClose: ${halfClose}`,
  );
  return { server, running, talker: await talkTo(running.port) };
}

const get = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\nHost: t\r\n${lines}\r\n`;

describe('a client that ends its half after a whole request', () => {
  test('abort: has gone, and its server is let go', async () => {
    const { server, running, talker } = await scene('abort');
    talker.send(get('/late'));
    const heard = await server.hears('/late');
    talker.socket.end();
    await eventually(() => heard.hasEnded());
    expect(await talker.ended()).not.toBe('open');
    expect(talker.unread()).toBe('');
    await running.isQuiet();
  });

  test.each([
    ['abort', 'Connection: close\r\n'],
    ['answer', 'Connection: close\r\n'],
    ['answer', ''],
  ])('%s, with %j: is answered, and its connection ends', async (halfClose, lines) => {
    const { server, running, talker } = await scene(halfClose);
    talker.socket.end(get('/late', lines));
    const heard = await server.hears('/late');
    heard.finish(ANSWER);
    expect((await talker.reply()).body).toBe('ok');
    expect(await talker.ended()).toBe('end');
    await running.isQuiet();
  });

  test('answer: all that it has asked for is answered, in order', async () => {
    const { server, running, talker } = await scene('answer');
    talker.socket.end(get('/one') + get('/two') + get('/three'));
    for (const path of ['/one', '/two', '/three']) {
      const heard = await server.hears(path);
      heard.finish(ANSWER.replace('ok', path.slice(0, 2)).replace(': 2', ': 2'));
      expect((await talker.reply()).status).toBe(200);
    }
    expect(await talker.ended()).toBe('end');
    await running.isQuiet();
  });

  test.each(['abort', 'answer'])('%s: half a request is given up', async (halfClose) => {
    const { server, running, talker } = await scene(halfClose);
    talker.socket.end('POST /half HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf');
    const heard = await server.hears('/half');
    await eventually(() => heard.hasEnded());
    expect(await talker.ended()).not.toBe('open');
    await running.isQuiet();
  });

  test('answer: waits no longer than for any other answer', async () => {
    const { server, running, talker } = await scene('answer');
    talker.socket.end(get('/late'));
    await server.hears('/late');
    running.pass(60_000);
    expect((await talker.reply()).status).toBe(504);
    expect(await talker.ended()).toBe('end');
    await running.isQuiet();
  });

  test.each(['abort', 'answer'])(
    '%s: nothing asked, or answered already: its connection ends',
    async (halfClose) => {
      const { running, talker } = await scene(halfClose);
      talker.send(get('/at-once'));
      expect((await talker.reply()).body).toBe('ok');
      talker.socket.end();
      expect(await talker.ended()).toBe('end');
      await running.isQuiet();
    },
  );
});

test('a WebSocket over HTTP/2 whose client ends its half with the head: its server hears of it', async () => {
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.write(`${SWITCHED}hello `));
    socket.on('end', () => socket.end('bye'));
  });
  const running = await runThread(`pools: { p: { health: off, servers: ["${backend.url}"] } }`, 'h2c: true');
  const client = connect(`http://127.0.0.1:${running.port}`);
  whenDone(() => client.destroy());
  await new Promise((resolve) => client.once('remoteSettings', resolve));
  const head = {
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/',
    'sec-websocket-version': '13',
  };
  expect(await text(client.request(head, { endStream: true }))).toBe('hello bye');
  client.close();
  await running.isQuiet();
});
