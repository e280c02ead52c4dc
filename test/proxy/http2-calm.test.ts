// What becomes of the connection that a client of HTTP/2 has lost by overdoing it.

import { expect, test } from 'vitest';
import { APART_MS, CALM_MS, CALM_MS_MAX, CalmEnds } from '../../src/proxy/http2/calm-ends.ts';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { CALM, frame, Http2Peer, number, repeat, request, Type } from '../support/http2-peer.ts';
import { forFile } from '../support/lifetime.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

let pool = '';

forFile(async () => {
  const backend = await httpBackend('a', () => undefined); // answers nothing
  pool = `pools: { web: { health: off, servers: ["${backend.url}"] } }`;
});

const run = (): Promise<RunningThread> => runThread(pool, 'h2c: true, http2: { frames: 100/60s }');

const PINGS = repeat(150, () => frame(Type.ping, 0, 0, Buffer.alloc(8)));

/** A client that has overdone it, and knows. Its second is not over before the test says so. */
async function calmed(): Promise<{ running: RunningThread; peer: Http2Peer }> {
  const running = await run();
  const peer = new Http2Peer(running.port);
  peer.send(PINGS);
  await peer.until(() => peer.of(Type.goaway).length > 0, 'GOAWAY');
  running.pass(-60_000);
  return { running, peer };
}

test('a client that has overdone it keeps its connection for a second, and what it sends is not read', async () => {
  const { running, peer } = await calmed();
  // more than the kernel keeps for it
  const more = Buffer.alloc(400 * 65_536);
  peer.socket.write(more);
  for (let turn = 0; turn < 50; turn += 1) await peer.turn();
  expect(peer.socket.writableLength).toBeGreaterThan(0);
  expect(peer.socket.readableEnded).toBe(false);
  running.pass(61_001);
  await eventually(() => peer.socket.readableEnded);
  peer.socket.destroy();
  await running.isQuiet();
});

test('a client that goes on sending is not read either when its second is over, and is cut', async () => {
  const { running, peer } = await calmed();
  peer.socket.write(Buffer.alloc(400 * 65_536));
  for (let turn = 0; turn < 50; turn += 1) await peer.turn();
  const unsent = peer.socket.writableLength;
  running.pass(60_000 + CALM_MS + 1);
  await eventually(() => peer.socket.readableEnded);
  for (let turn = 0; turn < 50; turn += 1) await peer.turn();
  expect(peer.socket.writableLength).toBe(unsent);
  running.pass(2001);
  await eventually(() => peer.isClosed);
  await running.isQuiet();
});

test('clients that have overdone it at once lose their connections one after the other', async () => {
  const running = await run();
  const peers = Array.from({ length: 3 }, () => new Http2Peer(running.port));
  const begunMs = performance.now();
  for (const peer of peers) peer.send(PINGS);
  await Promise.all(peers.map((peer) => peer.until(() => peer.of(Type.goaway).length > 0, 'GOAWAY')));
  const ended = (): number => peers.filter(({ socket }) => socket.readableEnded).length;
  let passedMs = 0;
  for (; ended() < 3; passedMs += 20) {
    running.pass(20);
    await peers[0]?.turn();
  }
  expect(passedMs + performance.now() - begunMs).toBeGreaterThanOrEqual(CALM_MS + 2 * APART_MS);
  for (const { socket } of peers) socket.destroy();
  await running.isQuiet();
});

test('a client that was told to ask elsewhere first, as it took too many requests back, is kept as well', async () => {
  const running = await runThread(pool, 'h2c: true, http2: { resets: 10/60s }');
  const peer = new Http2Peer(running.port);
  const takenBack = Array.from({ length: 30 }, (_, index) => [
    request(1 + 2 * index, [], '/wait'),
    frame(Type.reset, 0, 1 + 2 * index, number(8)),
  ]);
  peer.send(...takenBack.flat());
  await peer.until(() => peer.codes(Type.goaway).includes(CALM), 'GOAWAY');
  running.pass(-60_000);
  for (let turn = 0; turn < 50; turn += 1) await peer.turn();
  expect(peer.socket.readableEnded).toBe(false);
  running.pass(60_000 + CALM_MS + 1);
  await eventually(() => peer.socket.readableEnded);
  peer.socket.destroy();
  await running.isQuiet();
});

test('a client that has overdone it and ends its connection is not kept', async () => {
  const { running, peer } = await calmed();
  peer.socket.end();
  await eventually(() => peer.isClosed);
  await running.isQuiet();
});

test('a client that has overdone it does not hold up a stop', async () => {
  const { running, peer } = await calmed();
  running.thread.stop();
  await eventually(() => peer.isClosed);
  await running.isQuiet();
});

test('a client that overdoes it while the process stops is not kept', async () => {
  const running = await run();
  const peer = new Http2Peer(running.port);
  peer.send(request(1, [], '/wait'));
  await peer.synced();
  running.thread.stop();
  peer.send(PINGS);
  await peer.until(() => peer.codes(Type.goaway).includes(CALM), 'GOAWAY');
  running.pass(-60_000);
  await eventually(() => peer.isClosed);
  await running.isQuiet();
});

const NOW_MS = 1_000_000;

test('connections that are lost at once end one after the other, nobody later than the most', () => {
  const ends = new CalmEnds();
  const all = Array.from({ length: 100 }, () => ends.next(NOW_MS) - NOW_MS);
  const inTurn = Array.from({ length: 100 }, (_, index) => Math.min(CALM_MS + index * APART_MS, CALM_MS_MAX));
  expect(all).toEqual(inTurn);
});

test('who is lost when others have long ended waits for nobody', () => {
  const ends = new CalmEnds();
  for (let count = 0; count < 100; count += 1) ends.next(NOW_MS);
  expect(ends.next(NOW_MS + 3 * CALM_MS_MAX)).toBe(NOW_MS + 3 * CALM_MS_MAX + CALM_MS);
});
