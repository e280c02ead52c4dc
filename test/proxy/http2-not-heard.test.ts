// What a client of HTTP/2 does before it has heard what we have said is no fault of its own: our SETTINGS, that a stream has
// ended, that the connection ends.

import { expect, test } from 'vitest';
import { httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { block, END_HEADERS, END_STREAM, frame, Http2Peer, request, Type } from '../support/http2-peer.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

const UPLOADS = 600;
const PONG = frame(Type.ping, 1, 0, 'holdfast');

const run = (url: string, listener: string): Promise<RunningThread> =>
  runThread(
    `pools: { web: { health: off, retry: { attempts: 0 }, servers: ["${url}"] } }`,
    `h2c: true, ${listener}`,
  );

test('a window smaller than that of HTTP/2 holds from when the client has answered our SETTINGS', async () => {
  const backend = await httpBackend('a', (incoming, response) => {
    let bytes = 0;
    incoming.on('data', ({ length }: Buffer) => (bytes += length));
    incoming.on('end', () => response.end(String(bytes)));
  });
  const running = await run(backend.url, 'http2: { window: 16KiB }');
  const peer = new Http2Peer(running.port);
  const part = Buffer.alloc(16_000, 'x');
  const parts = [0, 0, 0, END_STREAM].map((flags) => frame(Type.data, flags, 1, part));
  peer.send(request(1, [], '/', 'POST'), ...parts);
  await peer.until(() => peer.isWhole(1), 'an answer');
  expect(peer.body(1)).toBe('64000');
  peer.send(frame(Type.settings, 1), request(3, [], '/', 'POST'), frame(Type.data, 0, 3, part));
  peer.send(frame(Type.data, END_STREAM, 3, part));
  await peer.until(() => peer.of(Type.reset).length > 0 || peer.isWhole(3), 'the end of the second');
  expect(peer.codes(Type.reset)).toEqual([3]);
  peer.socket.destroy();
  await running.isQuiet();
});

/** So many uploads under way, which end because their server does; the client has the answers, and goes on as if it had not. */
async function endedUploads(): Promise<{ readonly running: RunningThread; readonly peer: Http2Peer }> {
  const backend = await tcpBackend((socket) => socket.on('error', () => undefined));
  const running = await run(backend.url, 'http2: { streams: 1000 }');
  const peer = new Http2Peer(running.port);
  for (let id = 1; id < 2 * UPLOADS; id += 2)
    peer.send(request(id, [], '/', 'POST'), frame(Type.data, 0, id, 'x'));
  await eventually(() => backend.sockets.size === UPLOADS);
  for (const socket of backend.sockets) socket.destroy();
  await peer.until(() => peer.of(Type.headers).length === UPLOADS, 'answers');
  return { running, peer };
}

test('DATA of hundreds of uploads that have ended at once is passed over', async () => {
  const { running, peer } = await endedUploads();
  for (const flags of [0, END_STREAM])
    for (let id = 1; id < 2 * UPLOADS; id += 2) peer.send(frame(Type.data, flags, id, 'y'));
  await peer.synced();
  expect(peer.codes(Type.goaway)).toEqual([]);
  peer.socket.destroy();
  await running.isQuiet();
});

test('trailers of hundreds of uploads that have ended at once are passed over', async () => {
  const { running, peer } = await endedUploads();
  const trailers = block([['x-checked', 'yes']]);
  for (let id = 1; id < 2 * UPLOADS; id += 2)
    peer.send(frame(Type.headers, END_HEADERS | END_STREAM, id, trailers));
  await peer.synced();
  expect(peer.codes(Type.goaway)).toEqual([]);
  peer.socket.destroy();
  await running.isQuiet();
});

test('the end of a connection, once said, names no later stream than before', async () => {
  const backend = await httpBackend('a', () => undefined);
  const running = await run(backend.url, '');
  const peer = new Http2Peer(running.port);
  peer.send(request(1));
  await peer.synced();
  running.thread.retire();
  peer.send(PONG);
  await peer.until(() => peer.of(Type.goaway).length === 2, 'the end said twice');
  peer.send(request(3), request(5), frame(Type.data, 0, 0, 'on no stream'));
  await peer.until(() => peer.of(Type.goaway).length === 3, 'an error of the connection');
  expect(peer.of(Type.goaway).map(({ payload }) => payload.readUInt32BE(0))).toEqual([2 ** 31 - 1, 1, 1]);
  peer.socket.destroy();
  await running.isQuiet();
});

test('keepAlive 0s: a client that waits for our SETTINGS has time for its first request', async () => {
  const backend = await httpBackend('a');
  const running = await run(backend.url, 'timeouts: { keepAlive: 0s, header: 5s }');
  const [prompt, mute] = [new Http2Peer(running.port), new Http2Peer(running.port)];
  await Promise.all([prompt.synced(), mute.synced()]);
  running.pass(4000);
  prompt.send(request(1));
  await prompt.until(() => prompt.isWhole(1), 'an answer');
  running.pass(0);
  await prompt.until(() => prompt.isClosed || prompt.of(Type.goaway).length > 0, 'the end behind it');
  running.pass(1000);
  await mute.until(() => mute.of(Type.goaway).length > 0, 'the end of who asks for nothing');
  for (const peer of [prompt, mute]) peer.socket.destroy();
  await running.isQuiet();
});
