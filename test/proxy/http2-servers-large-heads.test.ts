// Requests with large heads to servers of HTTP/2: some servers end a connection for them, and what else is under way on it.

import { expect, test } from 'vitest';
import { ask } from '../support/ask.ts';
import { type ScriptedServer, scriptedServer } from '../support/http2-backend.ts';
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
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

const OK = block([[':status', '200']]);
/** A header block that the server takes, and one for which it ends the connection. */
const LARGE = 7000;
const TOO_LARGE = 9000;

/** Answers GET at once, begins to answer POST and goes on when the test does, and ends the connection of a block larger than 8 KiB. */
async function server(): Promise<ScriptedServer> {
  return await scriptedServer(({ type, stream, flags, payload }, connection) => {
    if (type !== Type.headers) return;
    if (payload.length > 8192) {
      connection.send(frame(Type.goaway, 0, 0, Buffer.concat([number(stream), number(CALM)])));
      connection.socket.end();
      return;
    }
    connection.send(frame(Type.headers, END_HEADERS, stream, OK));
    if ((flags & END_STREAM) !== 0) connection.send(frame(Type.data, END_STREAM, stream, 'ok'));
  });
}

const run = (url: string): Promise<RunningThread> =>
  runThread(`pools: { web: { protocol: h2, health: off, servers: ["${url}"] } }`, 'h2c: true');

test('a head for which the server ends the connection breaks no other request', async () => {
  const { url, until } = await server();
  const running = await run(url);
  const peer = new Http2Peer(running.port);
  peer.send(request(1, [], '/', 'POST'));
  await peer.until(() => peer.of(Type.headers, 1).length === 1, 'the beginning of an answer');
  const reply = await ask(running.port, { headers: { 'x-large': 'x'.repeat(TOO_LARGE) } });
  expect(reply).toMatchObject({ status: 502 });
  const connection = await until((each) => each.of(Type.headers).length === 1, 'the first connection');
  connection.send(frame(Type.data, END_STREAM, 1, 'whole'));
  await peer.until(() => peer.isWhole(1), 'the end of the answer');
  expect(peer.body(1)).toBe('whole');
  peer.socket.destroy();
  await running.isQuiet();
});

test('requests with large heads have a connection each, and one after the other the same', async () => {
  const { url, open } = await server();
  const running = await run(url);
  const large = [['x-large', 'x'.repeat(LARGE)]] as const;
  const peer = new Http2Peer(running.port);
  peer.send(request(1, large, '/', 'POST'), request(3, large, '/', 'POST'), request(5), request(7));
  await peer.until(() => peer.isWhole(7) && peer.of(Type.headers).length === 4, 'four answers');
  expect(open.map((each) => each.of(Type.headers).length).sort()).toEqual([1, 1, 2]);
  for (const connection of open) connection.send(frame(Type.data, END_STREAM, 1, 'whole'));
  await peer.until(() => peer.isWhole(1) && peer.isWhole(3), 'their ends');
  for (let asked = 0; asked < 5; asked += 1)
    expect(await ask(running.port, { headers: { 'x-large': large[0][1] } })).toMatchObject({ body: 'ok' });
  expect(open).toHaveLength(3);
  peer.socket.destroy();
  await running.isQuiet();
});
