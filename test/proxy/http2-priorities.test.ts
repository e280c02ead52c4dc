// PRIORITY_UPDATE ahead of its request (RFC 9218 section 7.1).

import { expect, test } from 'vitest';
import { echo, httpBackend } from '../support/backend.ts';
import { frame, Http2Peer, number, request, Type } from '../support/http2-peer.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

const run = (url: string, listener = 'h2c: true'): Promise<RunningThread> =>
  runThread(`pools: { web: { health: off, servers: ["${url}"] } }`, listener);

const priorityUpdate = (stream: number, value: string): Buffer =>
  frame(16, 0, 0, Buffer.concat([number(stream), Buffer.from(value)]));

test('the urgency of a request may be said before it is asked, and then goes before its field (RFC 9218 section 7.1)', async () => {
  const backend = await httpBackend('a', (incoming, response) => {
    response.end(Buffer.alloc(Number(incoming.url?.slice(1)), 'x'));
  });
  const running = await run(backend.url);
  const peer = new Http2Peer(running.port, [[4, 2 ** 31 - 1]]);
  peer.send(priorityUpdate(5, 'u=7'), priorityUpdate(5, 'u=0'), request(1, [], '/1000000'));
  await peer.until(() => peer.body(1).length === 65_535, 'a full window');
  peer.send(request(3, [], '/30000'), request(5, [['priority', 'u=7']], '/30000'));
  await peer.until(() => peer.of(Type.headers).length === 3, 'heads, which wait for nothing');
  await peer.synced();
  peer.send(frame(Type.window, 0, 0, number(30_000)));
  await peer.until(() => peer.isWhole(5), 'the urgent one');
  expect(peer.body(3).length).toBe(0);
  peer.socket.destroy();
  await running.isQuiet();
});

test('of as many requests as may be open at once; those that were asked or passed over give way', async () => {
  const backend = await httpBackend('a', echo('a'));
  const running = await run(backend.url, 'h2c: true, http2: { streams: 2 }');
  const peer = new Http2Peer(running.port);
  peer.send(frame(Type.settings, 1));
  for (let id = 1; id < 100; id += 8) {
    peer.send(priorityUpdate(id + 2, 'u=1'), priorityUpdate(id + 6, 'u=1'), request(id + 6));
    await peer.until(() => peer.isWhole(id + 6), 'a response');
  }
  peer.send(priorityUpdate(201, 'u=1'), priorityUpdate(203, 'u=1'), priorityUpdate(203, 'u=2'));
  await peer.synced();
  peer.send(priorityUpdate(205, 'u=1'));
  await peer.until(() => peer.of(Type.goaway).length > 0, 'the end');
  expect(peer.of(Type.goaway)[0]?.payload.readUInt32BE(4)).toBe(1);
  peer.socket.destroy();
  await running.isQuiet();
});
