// Responses of HTTP/2 that are complete before their client has taken them, without sockets.

import { expect, test } from 'vitest';
import type { ByteOutput } from '../../src/http2/frame-writer.ts';
import { StreamReceiveWindow } from '../../src/http2/receive-window.ts';
import { ServerEnd } from '../../src/http2/server-end.ts';
import { Http2Stream } from '../../src/http2/stream.ts';
import { Untaken } from '../../src/proxy/http2/slow-client.ts';
import { tcpBackend } from '../support/backend.ts';
import {
  block,
  CALM,
  END_HEADERS,
  type Fields,
  frame,
  Http2Peer,
  number,
  request,
  Type,
} from '../support/http2-peer.ts';
import { runThread } from '../support/proxy-thread.ts';

const rate = { count: 1000, withinMs: 1000 };
const LIMITS = {
  ...{ streams: 100, window: 65_535, connectionWindow: 65_535, headerBytes: 32_768 },
  ...{ resets: rate, frames: rate },
};
const OUTPUT: ByteOutput = { at: 0, room: 0, reserve: (length) => Buffer.alloc(length) };

function connection(): ServerEnd {
  const nothing = (): void => undefined;
  return new ServerEnd(OUTPUT, LIMITS, {
    isFull: false,
    ...{ onAbuse: nothing, onConnectionError: nothing, onPong: nothing, onStreams: nothing },
    ...{ onRequest: nothing, retire: nothing, onHeadTooLarge: nothing },
  });
}

test('those that were taken at last cost nothing, however many there were within a minute', () => {
  const untaken = new Untaken(connection());
  const beganMs = performance.now();
  let dueMs = 0;
  for (let at = 0; at < 30_000; at += 1) {
    const stream = new Http2Stream(1 + 2 * at, new StreamReceiveWindow(65_535, 65_535), 0, 3);
    dueMs = untaken.add(stream, at);
    stream.isGone = true;
  }
  expect(dueMs).toBe(60_000);
  expect(untaken.check(60_000)).toBe(Number.POSITIVE_INFINITY);
  expect(performance.now() - beganMs).toBeLessThan(2000);
});

test('a minimum rate: who grants no window loses those responses, and no other; a WebSocket owes nothing', async () => {
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      const head = chunk.toString('latin1');
      const isSocket = head.includes('upgrade: websocket');
      const [status, field] = isSocket
        ? ['101 S', 'connection: upgrade\r\nupgrade: websocket']
        : ['200 OK', 'content-length: 40000'];
      socket.write(`HTTP/1.1 ${status}\r\n${field}\r\n\r\n${'x'.repeat(40_000)}`);
    });
  });
  const running = await runThread(
    `pools: { web: { health: off, servers: ["${backend.url}"] } }`,
    'h2c: true, limits: { minRate: 1KiB }',
  );
  const peer = new Http2Peer(running.port, [[4, 0]]);
  const [slow, socket, granted] = [1, 3, 5];
  peer.send(request(slow));
  const websocket: Fields = [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'localhost'],
    ['sec-websocket-version', '13'],
  ];
  peer.send(frame(Type.headers, END_HEADERS, socket, block(websocket)));
  await peer.until(() => peer.of(Type.headers).length === 2, 'both heads');
  for (let second = 0; second < 12; second += 1) {
    peer.send(frame(Type.window, 0, slow, number(1)));
    await peer.synced();
    running.pass(1000);
  }
  await peer.until(() => peer.of(Type.reset).length > 0, 'a reset');
  expect(peer.of(Type.reset).map(({ stream, payload }) => [stream, payload.readUInt32BE(0)])).toEqual([
    [slow, CALM],
  ]);
  peer.send(request(granted), frame(Type.window, 0, granted, number(40_000)));
  await peer.until(() => peer.isWhole(granted), 'a response');
  peer.socket.destroy();
  await running.isQuiet();
});
