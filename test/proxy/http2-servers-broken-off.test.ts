// Clients that go away, to servers of HTTP/2 that guard themselves against rapid reset: all clients share the connection.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { http2Backend, scriptedServer } from '../support/http2-backend.ts';
import {
  block,
  CALM,
  END_HEADERS,
  END_STREAM,
  frame,
  Http2Peer,
  number,
  request,
  Type,
} from '../support/http2-peer.ts';
import { runThread } from '../support/proxy-thread.ts';

/** As of Netty. */
const RESETS_MAX = 200;
const OK = block([[':status', '200']]);
const AT_ONCE = 30;
const ROUNDS = 10;

test('requests whose clients have gone do not add up on one connection, and break off no other', async () => {
  const server = await scriptedServer(({ type, stream, flags }, connection) => {
    // the one that stays, which has a body
    if (type === Type.headers && (flags & END_STREAM) === 0)
      connection.send(frame(Type.headers, END_HEADERS, stream, OK));
    if (type !== Type.reset || connection.of(Type.reset).length <= RESETS_MAX) return;
    connection.send(frame(Type.goaway, 0, 0, Buffer.concat([number(stream), number(CALM)])));
    connection.socket.end();
  });
  const running = await runThread(
    `pools: { web: { protocol: h2, health: off, servers: ["${server.url}"] } }`,
    'h2c: true',
  );
  const staying = new Http2Peer(running.port);
  staying.send(request(1, [], '/', 'POST'));
  await staying.until(() => staying.of(Type.headers, 1).length === 1, 'the beginning of an answer');
  const seen = (type: number): number => server.open.reduce((sum, each) => sum + each.of(type).length, 0);
  for (let round = 1; round <= ROUNDS; round += 1) {
    const going = new Http2Peer(running.port);
    for (let at = 0; at < AT_ONCE; at += 1) going.send(request(1 + 2 * at));
    await going.until(() => seen(Type.headers) === round * AT_ONCE + 1, 'the requests');
    going.socket.destroy();
    await going.until(() => seen(Type.reset) === round * AT_ONCE, 'their resets');
  }
  const [first] = server.open;
  first?.send(frame(Type.data, END_STREAM, 1, 'whole'));
  await staying.until(() => staying.isWhole(1), 'the end of the answer');
  expect(staying.body(1)).toBe('whole');
  for (const each of server.open) expect(each.of(Type.reset).length).toBeLessThan(RESETS_MAX);
  staying.socket.destroy();
  await running.isQuiet();
});

test.each([
  ['all', [1, 3, 5, 7]],
  ['one', [3]],
])(
  'the places of clients who have gone are not taken before node:http2 has heard of it: %s',
  async (_, gone) => {
    let begun = 0;
    const backend = await http2Backend(
      (stream, { ':path': path }) => {
        begun += 1;
        if (path === '/waits') return;
        stream.respond({ ':status': 200 });
        stream.end('ok');
      },
      { settings: { maxConcurrentStreams: 4 } },
    );
    const running = await runThread(
      `pools: { web: { protocol: h2, health: off, servers: ["${backend.url}"] } }`,
      'h2c: true',
    );
    const peer = new Http2Peer(running.port);
    peer.send(...[1, 3, 5, 7].map((stream) => request(stream, [], '/waits')));
    await eventually(() => begun === 4);
    const posts = [9, 11, 13, 15];
    peer.send(
      ...gone.map((stream) => frame(Type.reset, 0, stream, number(8))),
      ...posts.map((stream) => request(stream, [], '/', 'POST', true)),
    );
    await peer.until(() => posts.every((stream) => peer.isWhole(stream)), 'the answers');
    expect(posts.map((stream) => peer.body(stream))).toEqual(posts.map(() => 'ok'));
    peer.socket.destroy();
    await running.isQuiet();
  },
);
