// Whatever is written counts: every kind of producer against a peer that does not read. What waits in the balancer stays
// within a bound, the producer is stopped, and nothing is left behind when the peer is gone.

import { connect, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { type Backend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { whenDone } from '../support/lifetime.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

/** More than the kernel takes on the way through both connections. */
const ENDLESS_BYTES = 96 * 1024 * 1024;
/** A socket's high-water mark, one read and one head beyond it, for a few connections. */
const UNSENT_MAX = 512 * 1024;
const STOPPED_MS = 300;

/** Writes `block` again and again as long as it is taken. Resolves with true when that has stopped for a while. */
async function isStopped(socket: Socket, block: string): Promise<boolean> {
  const bytes = Buffer.from(block.repeat(Math.ceil(65_536 / block.length)), 'latin1');
  let written = 0;
  const pump = (): void => {
    while (!socket.destroyed && written < ENDLESS_BYTES) {
      written += bytes.length;
      if (!socket.write(bytes)) return;
    }
  };
  socket.on('drain', pump);
  pump();
  let seen = -1;
  let sinceMs = performance.now();
  await eventually(
    () => {
      const taken = socket.bytesWritten - socket.writableLength;
      if (taken !== seen) [seen, sinceMs] = [taken, performance.now()];
      return socket.destroyed || seen >= ENDLESS_BYTES || performance.now() - sinceMs > STOPPED_MS;
    },
    { deadlineMs: 15_000, what: () => `the producer to be stopped; it has sent ${seen}` },
  );
  return seen < ENDLESS_BYTES;
}

/** A client that reads nothing. */
async function deafClient(port: number, bytes: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', () => undefined).pause();
  whenDone(() => socket.destroy());
  await new Promise((resolve) => socket.once('connect', resolve));
  socket.write(bytes, 'latin1');
  return socket;
}

/** Both sides are cut in the end: a client is not read, so not heard to go, while its server does not take its bytes. */
async function expectBounded(running: Scene, stopped: Promise<boolean>, peer: Socket): Promise<void> {
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, running.unsent())), 5);
  const isAtRest = await stopped;
  clearInterval(watch);
  most = Math.max(most, running.unsent());
  peer.destroy();
  await running.backend.close();
  expect({ isAtRest, most: most < UNSENT_MAX ? 'bounded' : most }).toEqual({
    isAtRest: true,
    most: 'bounded',
  });
  await running.isQuiet();
}

const GET = 'GET /p HTTP/1.1\r\nhost: a\r\n\r\n';
const UPGRADE = 'GET /p HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';

interface Scene extends RunningThread {
  readonly backend: Backend;
}

async function withServer(
  serve: (socket: Socket) => void,
  { pool = '', listener = '' } = {},
): Promise<Scene> {
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    serve(socket);
  });
  const running = await runThread(
    `routes: [{ path: /p, pool: p }]\npools: { p: { health: off, ${pool} servers: ["${backend.url}"] } }`,
    listener,
  );
  return { ...running, backend };
}

test.each([
  ['own replies: no route', 'GET / HTTP/1.1\r\nhost: a\r\n\r\n', ''],
  ['own replies: too many requests', GET, 'rateLimit: { rate: 1/s, burst: 1 }'],
])('%s, pipelined by a client that does not read', async (_what, request, listener) => {
  const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
  const running = await withServer((socket) => socket.on('data', () => socket.write(answer)), { listener });
  const client = await deafClient(running.port, '');
  await expectBounded(running, isStopped(client, request), client);
});

test.each([
  ['a server', 'x'],
  ['a server, held back until they are whole', 'set-cookie: a=b\r\nx'],
  ['a server that is never reached', ''],
])('answers of %s to pipelined requests of a client that does not read', async (_what, lines) => {
  const reply = `HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n${lines}: y\r\n\r\n${'z'.repeat(2000)}`;
  const running = await withServer(
    (socket) => {
      if (lines === '') socket.destroy();
      else socket.on('data', () => socket.write(reply));
    },
    { pool: 'holdUntilComplete: set-cookie, retry: { attempts: 0 }, passive: off,' },
  );
  const client = await deafClient(running.port, '');
  await expectBounded(running, isStopped(client, GET), client);
});

test.each([
  ['interim responses', 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n', ''],
  [
    'interim responses without a limit to speak of',
    'HTTP/1.1 103 Early Hints\r\nx: y\r\n\r\n',
    'limits: { interimResponses: 1000 },',
  ],
  ['a body that ends with the connection', 'HTTP/1.1 200 OK\r\n\r\n', ''],
  ['a body of known length', 'HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n', ''],
  ['a chunked body', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', ''],
  ['a tunnel', SWITCHED, ''],
])('%s of a server to a client that does not read', async (what, head, pool) => {
  let stopped: Promise<boolean> | null = null;
  const running = await withServer(
    (socket) =>
      socket.once('data', () => {
        socket.write(head);
        stopped = isStopped(socket, what.includes('chunked') ? `3e8\r\n${'x'.repeat(1000)}\r\n` : head);
      }),
    { pool },
  );
  const client = await deafClient(running.port, what === 'a tunnel' ? UPGRADE : GET);
  await expectBounded(
    running,
    eventually(() => stopped),
    client,
  );
});

test('a chunked body of a server to an HTTP/1.0 client that does not read', async () => {
  let stopped: Promise<boolean> | null = null;
  const running = await withServer((socket) =>
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      stopped = isStopped(socket, `4e20\r\n${'x'.repeat(20_000)}\r\n`);
    }),
  );
  const client = await deafClient(running.port, GET.replace('1.1', '1.0'));
  await expectBounded(
    running,
    eventually(() => stopped),
    client,
  );
});

test.each([
  ['an upload of known length', 'POST /p HTTP/1.1\r\nhost: a\r\ncontent-length: 999999999\r\n\r\n', 'x'],
  ['a chunked upload', 'POST /p HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n', '1\r\nx\r\n'],
  ['a tunnel', UPGRADE, 'x'],
])('%s to a server that does not read', async (what, head, block) => {
  const running = await withServer((socket) => {
    if (what === 'a tunnel') socket.write(SWITCHED);
    socket.pause();
  });
  const client = await deafClient(running.port, head);
  if (what === 'a tunnel') await eventually(() => client.bytesWritten > 0);
  await expectBounded(running, isStopped(client, block), client);
});

test('a body that a takeover holds back', async () => {
  let stopped: Promise<boolean> | null = null;
  const running = await withServer(
    (socket) =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n');
        stopped = isStopped(socket, 'x');
      }),
    { pool: 'sticky: { mode: cookie-hash },' },
  );
  const client = await deafClient(running.port, '');
  await eventually(() => running.thread.own.clientConnections(0) === 1);
  running.thread.retire();
  client.write(GET);
  await expectBounded(
    running,
    eventually(() => stopped),
    client.resume(),
  );
  expect(running.held.length).toBe(1);
});
