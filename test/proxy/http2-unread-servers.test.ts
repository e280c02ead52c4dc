// Peers of HTTP/2 that take nothing of what is written to them: what waits for them is bounded, whoever has something to say.

import { expect, test } from 'vitest';
import { ask } from '../support/ask.ts';
import { tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { scriptedServer } from '../support/http2-backend.ts';
import {
  block,
  END_HEADERS,
  END_STREAM,
  frame,
  Http2Peer,
  number,
  request,
  Type,
} from '../support/http2-peer.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

const MIB = 1024 * 1024;
const OK = block([[':status', '200']]);
const CANCEL = number(8);
/** Of 100 on one connection another would be opened for these alone. */
const GIVEN_UP_MAX = 98;
const FRAME_BYTES = 16_384;
const HEAD = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'localhost'],
] as const;
const LISTENER =
  'h2c: true, limits: { headerBytes: 64KiB }, http2: { headerBytes: 64KiB, resets: 1000000/1s }';

const run = (url: string, pool = ''): Promise<RunningThread> =>
  runThread(`pools: { web: { protocol: h2, health: off, ${pool} servers: ["${url}"] } }`, LISTENER);

const cut = (bytes: Buffer): readonly Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / FRAME_BYTES) }, (_, at) =>
    bytes.subarray(at * FRAME_BYTES, (at + 1) * FRAME_BYTES),
  );

/**
 * Requests with large heads that are given up one after the other, so that they go over the same connection, until that is so.
 * `speak`: what a server says meanwhile.
 */
async function giveUpUntil(
  running: RunningThread,
  condition: () => boolean,
  speak: () => void,
): Promise<Http2Peer> {
  const peer = new Http2Peer(running.port);
  const large = [1, 2, 3, 4].map((part) => [`x-large-${part}`, 'x'.repeat(15_900)] as const);
  for (let asked = 0; asked < GIVEN_UP_MAX && !condition(); asked += 1) {
    const stream = 1 + 2 * asked;
    const fields = block([...HEAD, ...large]);
    const [first, ...further] = cut(fields);
    peer.send(
      frame(Type.headers, END_STREAM, stream, first),
      ...further.map((part, at) =>
        frame(Type.continuation, at === further.length - 1 ? END_HEADERS : 0, stream, part),
      ),
    );
    await peer.synced();
    speak();
    peer.send(frame(Type.reset, 0, stream, CANCEL));
    await peer.synced();
  }
  return peer;
}

test('a server that speaks and does not read collects no more heads: other requests go over another connection', async () => {
  const server = await scriptedServer(({ type, flags, stream }, connection) => {
    if (type !== Type.headers || (flags & END_STREAM) === 0) return;
    // the first connection is deaf from its first request on
    if (connection === server.open[0]) connection.socket.pause();
    else connection.send(frame(Type.headers, END_HEADERS | END_STREAM, stream, OK));
  });
  const running = await run(server.url);
  const speak = (): void => server.open[0]?.send(frame(Type.window, 0, 0, number(1)));
  const peer = await giveUpUntil(running, () => server.open.length > 1, speak);
  expect(server.open.length).toBeGreaterThan(1);
  expect(running.unsent()).toBeGreaterThan(MIB / 2);
  expect(running.unsent()).toBeLessThan(3 * MIB);
  for (let times = 0; times < 5; times += 1) expect((await ask(running.port)).status).toBe(200);
  // it has no stream any more, and goes as soon as what waits has had its time
  peer.socket.destroy();
  await eventually(() => running.thread.own.http2Connections(0) === 0);
  running.pass(31_000);
  await eventually(() => running.unsent() === 0, { what: () => `all let go; ${running.unsent()} wait` });
  await running.isQuiet();
});

test('a client that takes no heads of responses is ended, though it says nothing more', async () => {
  const hint = `HTTP/1.1 103 Early Hints\r\nlink: <${'x'.repeat(60_000)}>\r\n\r\n`.repeat(16);
  const server = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => socket.write(hint));
  });
  const running = await runThread(`pools: { web: { health: off, servers: ["${server.url}"] } }`, 'h2c: true');
  const peer = new Http2Peer(running.port);
  await peer.synced();
  peer.socket.pause();
  for (let stream = 1; stream < 200; stream += 2) peer.send(request(stream));
  await eventually(() => running.thread.own.http2Abuse(0, 'unread') === 1, { what: () => 'unread' });
  expect(running.unsent()).toBeLessThan(16 * MIB);
  running.pass(2001);
  await eventually(() => running.thread.own.http2Connections(0) === 0);
  peer.socket.destroy();
  await running.isQuiet();
});
