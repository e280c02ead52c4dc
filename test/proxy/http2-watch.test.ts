// When servers of HTTP/2 are asked whether they live (PING), and what becomes of connections after that.

import { expect, test } from 'vitest';
import { ask } from '../support/ask.ts';
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

const OK = block([[':status', '200']]);
const ACK = 1;

const run = (url: string): Promise<RunningThread> =>
  runThread(
    `pools: { web: { protocol: h2, health: off, timeouts: { response: 1h }, keepAlive: { idle: 50s }, servers: ["${url}"] } }`,
    'h2c: true',
  );

test('a server that asks us, and answers nobody, is asked seldom all the same', async () => {
  const server = await scriptedServer(({ type, flags, payload }, connection) => {
    if (type === Type.ping && flags === 0) connection.send(frame(Type.ping, ACK, 0, payload));
  });
  const running = await run(server.url);
  const peer = new Http2Peer(running.port);
  peer.send(request(1));
  const connection = await server.until((each) => each.of(Type.headers).length === 1, 'a request');
  const answers = (): number => connection.of(Type.ping).filter(({ flags }) => flags === ACK).length;
  // ten minutes in which it pings every 40 s, as servers of gRPC do on their side
  for (let times = 1; times <= 15; times += 1) {
    running.pass(20_000);
    running.pass(20_000);
    connection.send(frame(Type.ping, 0, 0, 'areyouok'));
    await eventually(() => answers() === times, { what: () => 'an answer' });
  }
  const asked = connection.of(Type.ping).filter(({ flags }) => flags === 0);
  expect(asked.length).toBeGreaterThan(0);
  expect(asked.length).toBeLessThanOrEqual(3);
  peer.socket.destroy();
  await running.isQuiet();
});

test('a request that is given up has the server asked; when it answers the connection lives on', async () => {
  const server = await scriptedServer(({ type, flags, stream, payload }, connection) => {
    if (type === Type.ping && flags === 0) connection.send(frame(Type.ping, ACK, 0, payload));
    if (type !== Type.headers || stream === 1) return;
    connection.send(frame(Type.headers, END_HEADERS | END_STREAM, stream, OK));
  });
  const running = await run(server.url);
  const peer = new Http2Peer(running.port);
  peer.send(request(1));
  const connection = await server.until((each) => each.of(Type.headers).length === 1, 'a request');
  running.pass(2000);
  const heard = running.heardFromServers();
  peer.send(frame(Type.reset, 0, 1, number(8)));
  await server.until((each) => each.of(Type.ping).length === 1, 'a PING');
  await eventually(() => running.heardFromServers() > heard, { what: () => 'its answer' });
  running.pass(11_000);
  await peer.synced();
  expect(connection.of(Type.goaway)).toEqual([]);
  expect((await ask(running.port)).status).toBe(200);
  expect(server.open).toHaveLength(1);
  // idle for as long as any other
  running.pass(51_000);
  await server.until((each) => each.of(Type.goaway).length === 1, 'its end');
  peer.socket.destroy();
  await running.isQuiet();
});

test('one that does not answer is let go at once, though nothing is under way', async () => {
  const server = await scriptedServer(() => undefined);
  const running = await run(server.url);
  const peer = new Http2Peer(running.port);
  peer.send(request(1));
  await server.until((each) => each.of(Type.headers).length === 1, 'a request');
  running.pass(2000);
  peer.send(frame(Type.reset, 0, 1, number(8)));
  await server.until((each) => each.of(Type.ping).length === 1, 'a PING');
  running.pass(11_000);
  await eventually(() => server.sockets.size === 0, { what: () => 'the end of the connection' });
  peer.socket.destroy();
  await running.isQuiet();
});
