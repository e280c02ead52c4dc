// Heads of requests in several frames, and in several reads.

import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { END_HEADERS, END_STREAM, frame, Http2Peer, request, Type } from '../support/http2-peer.ts';
import { forFile } from '../support/lifetime.ts';
import { runThread } from '../support/proxy-thread.ts';

const FRAME_BYTES = 16_384;
let pool = '';

forFile(async () => {
  const backend = await httpBackend('a', ({ url }, response) => void (url === '/wait' || response.end('ok')));
  pool = `pools: { web: { health: off, servers: ["${backend.url}"] } }`;
});

test('a block that is as large as it may be is taken, however many frames it fills', async () => {
  const size = 'limits: { headerBytes: 1MiB }, http2: { headerBytes: 1MiB }';
  const running = await runThread(pool, `h2c: true, ${size}`);
  const peer = new Http2Peer(running.port);
  const fields = Array.from({ length: 60 }, (_, at) => [`x-${at}`, 'x'.repeat(10_000)] as const);
  const head = request(1, fields).subarray(9);
  const parts = Array.from({ length: Math.ceil(head.length / FRAME_BYTES) }, (_, index) => {
    const begin = FRAME_BYTES * index;
    const ends = begin + FRAME_BYTES >= head.length ? END_HEADERS : 0;
    const type = index === 0 ? Type.headers : Type.continuation;
    return frame(type, index === 0 ? END_STREAM : ends, 1, head.subarray(begin, begin + FRAME_BYTES));
  });
  peer.send(...parts);
  // the server's, whatever it says to so much
  await peer.until(() => peer.of(Type.headers, 1).length > 0 || peer.of(Type.goaway).length > 0, 'an answer');
  expect(peer.codes(Type.goaway)).toEqual([]);
  peer.socket.destroy();
  await running.isQuiet();
});

test('half a frame of a head, whatever else is under way, is waited for as long as a head, and each anew', async () => {
  const running = await runThread(pool, 'h2c: true, timeouts: { header: 5s }');
  const peer = new Http2Peer(running.port);
  const ping = frame(Type.ping, 0, 0, Buffer.alloc(8));
  const [second, third] = [3, 5].map((id) => request(id, [['x-long', 'x'.repeat(1000)]], '/wait'));
  // what is sent at once is read at once
  const pongs = (count: number): Promise<void> =>
    peer.until(() => peer.of(Type.ping).length === count, 'an answer to PING');
  peer.send(request(1, [], '/wait'), ping, second!.subarray(0, 500));
  await pongs(1);
  running.pass(4000);
  peer.send(second!.subarray(500), ping, third!.subarray(0, 500));
  await pongs(2);
  running.pass(4000);
  await peer.turn();
  expect(peer.isClosed).toBe(false);
  running.pass(1500);
  await peer.until(() => peer.isClosed, 'the end of who does not end its head');
  await running.isQuiet();
});
