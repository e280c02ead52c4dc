// A client of HTTP/2 that takes requests back again and again: browsers do where a page is loaded anew or a map is moved, attackers
// to bring a server down. It is sent to another connection first, and cut when it does not stop.

import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { CALM, END_STREAM, frame, Http2Peer, number, repeat, request, Type } from '../support/http2-peer.ts';
import { abuseOf, type RunningThread, runThread } from '../support/proxy-thread.ts';

async function run(http2: string): Promise<RunningThread> {
  const backend = await httpBackend('a', (incoming, response) => {
    if (incoming.url === '/wait') return;
    incoming.resume();
    incoming.on('end', () => response.end('ok'));
  });
  return runThread(
    `pools: { web: { health: off, servers: ["${backend.url}"] } }`,
    `h2c: true, http2: { ${http2} }`,
  );
}

const takeBack = (index: number): Buffer =>
  Buffer.concat([request(1 + 2 * index, [], '/wait'), frame(Type.reset, 0, 1 + 2 * index, number(8))]);
const lasts = (peer: Http2Peer): readonly number[] =>
  peer.of(Type.goaway).map(({ payload }) => payload.readUInt32BE());

test('who takes requests back again and again is sent to another connection, and what else it has here goes on', async () => {
  const running = await run('resets: 50/60s');
  const peer = new Http2Peer(running.port);
  peer.send(
    request(1, [], '/', 'POST'),
    repeat(50, (index) => takeBack(index + 1)),
  );
  await peer.synced();
  expect(peer.of(Type.goaway)).toEqual([]);
  peer.send(takeBack(51));
  await peer.until(() => peer.of(Type.goaway).length > 0, 'GOAWAY');
  // sent before it has heard
  peer.send(request(105), frame(Type.ping, 1, 0, 'holdfast'));
  await peer.until(
    () => peer.isWhole(105) && peer.of(Type.goaway).length === 2,
    'an answer, and the last request',
  );
  expect([peer.codes(Type.goaway), lasts(peer)]).toEqual([
    [0, 0],
    [2 ** 31 - 1, 105],
  ]);
  peer.send(request(107), frame(Type.data, END_STREAM, 1, 'the rest'));
  await peer.until(() => peer.isWhole(1), 'the answer to the upload');
  expect([peer.isWhole(107), peer.codes(Type.reset), abuseOf(running)]).toEqual([false, [], {}]);
  peer.socket.end();
  await running.isQuiet();
});

test('once more as many, and the connection ends (rapid reset)', async () => {
  const running = await run('resets: 50/60s');
  const peer = new Http2Peer(running.port);
  peer.send(repeat(101, takeBack));
  await peer.synced();
  expect([abuseOf(running), peer.codes(Type.goaway)]).toEqual([{}, [0]]);
  peer.send(repeat(100, (index) => takeBack(index + 101)));
  await peer.until(() => peer.of(Type.goaway).length > 1, 'the second GOAWAY');
  expect([abuseOf(running), peer.codes(Type.goaway)]).toEqual([{ resets: 1 }, [0, CALM]]);
  peer.socket.end();
  await running.isQuiet();
});

test('requests on a connection that takes no more', async () => {
  const running = await run('resets: 50/60s');
  const peer = new Http2Peer(running.port);
  peer.send(
    request(1, [], '/wait'),
    repeat(51, (index) => takeBack(index + 1)),
    frame(Type.ping, 1, 0, 'holdfast'),
  );
  await peer.until(() => peer.of(Type.goaway).length === 2, 'the last request');
  peer.send(repeat(51, (index) => request(201 + 2 * index)));
  await peer.until(() => peer.of(Type.goaway).length > 2, 'the third GOAWAY');
  expect([abuseOf(running), peer.codes(Type.goaway)]).toEqual([{ resets: 1 }, [0, 0, CALM]]);
  peer.socket.end();
  await running.isQuiet();
});
