// Connections of HTTP/2 to servers that many clients share: what becomes of one is no trouble of the others.

import type { ServerHttp2Stream } from 'node:http2';
import { expect, test } from 'vitest';
import { ask } from '../support/ask.ts';
import { uploadUntilAnswered } from '../support/early-answer.ts';
import { eventually } from '../support/eventually.ts';
import { http2Backend, scriptedServer } from '../support/http2-backend.ts';
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

const run = (url: string, pool = '', listener = 'h2c: true'): Promise<RunningThread> =>
  runThread(`pools: { web: { protocol: h2, health: off, ${pool} servers: ["${url}"] } }`, listener);

const OK = block([[':status', '200']]);
const answer = (stream: number, body = 'ok'): Buffer =>
  Buffer.concat([frame(Type.headers, END_HEADERS, stream, OK), frame(Type.data, END_STREAM, stream, body)]);

test('who waits for a connection when its server is removed has it still, and it ends behind them', async () => {
  const server = await scriptedServer(({ type, stream }, connection) => {
    if (type === Type.headers) connection.send(answer(stream));
  }, null);
  const running = await run(server.url);
  const reply = ask(running.port);
  const connection = await server.until((each) => each.frames.length > 0, 'a preface');
  running.thread.servers(0).retire();
  connection.send(frame(Type.settings));
  expect(await reply).toMatchObject({ status: 200, body: 'ok' });
  await eventually(() => server.sockets.size === 0, { what: () => 'the end of the connection' });
  expect(server.open).toHaveLength(1);
  await running.isQuiet();
});

test('answers to hundreds of requests whose clients have gone are passed over, and others go on', async () => {
  const given = 300;
  const server = await scriptedServer(({ type, flags, stream, payload }, connection) => {
    if (type === Type.ping && flags === 0) connection.send(frame(Type.ping, 1, 0, payload));
    if (type !== Type.data || flags !== END_STREAM) return;
    for (let late = 1; late < stream; late += 2) connection.send(answer(late));
    connection.send(answer(stream));
  });
  const running = await run(server.url);
  const peers = Array.from({ length: given / 100 }, () => new Http2Peer(running.port));
  // one at first: the others find its connection
  peers[0]?.send(request(1));
  await server.until((each) => each.of(Type.headers).length === 1, 'a request');
  for (const peer of peers)
    for (let at = peer === peers[0] ? 1 : 0; at < 100; at += 1) peer.send(request(1 + 2 * at));
  await server.until((each) => each.of(Type.headers).length === given, 'all requests');
  const other = new Http2Peer(running.port);
  other.send(request(1, [], '/', 'POST'));
  await server.until((each) => each.of(Type.headers).length === given + 1, 'one more');
  for (const { socket } of peers) socket.destroy();
  await server.until((each) => each.of(Type.reset).length === given, 'their resets');
  other.send(frame(Type.data, END_STREAM, 1));
  await other.until(() => other.isWhole(1), 'an answer');
  expect(other.body(1)).toBe('ok');
  other.socket.destroy();
  await running.isQuiet();
});

test('responses that nobody takes fill their connection, and other requests go over another', async () => {
  const backend = await http2Backend(
    (stream, headers) => {
      stream.respond({ ':status': 200 });
      stream.end(headers[':path'] === '/large' ? Buffer.alloc(100_000, 'x') : 'small');
    },
    { maxSessionMemory: 1000 },
  );
  const running = await run(backend.url, '', 'h2c: true, http2: { streams: 300 }');
  expect((await ask(running.port)).body).toBe('small');
  // no window at all
  const peer = new Http2Peer(running.port, [[4, 0]]);
  for (let at = 0; at < 270; at += 1) peer.send(request(1 + 2 * at, [], '/large'));
  await eventually(() => running.heardFromServers() > 16 * 1024 * 1024, {
    what: () => `16 MiB; ${running.heardFromServers()}`,
  });
  expect(await ask(running.port)).toMatchObject({ status: 200, body: 'small' });
  expect(backend.connections()).toBeGreaterThan(1);
  peer.socket.destroy();
  await running.isQuiet();
});

test('what a server has said before it closes is heard, although a write fails', async () => {
  let received = 0;
  const server = await scriptedServer(({ type, stream, payload }, { socket }) => {
    if (type === Type.headers) {
      received = 0;
      const open = number(64 * 1024 * 1024);
      socket.write(Buffer.concat([frame(Type.window, 0, 0, open), frame(Type.window, 0, stream, open)]));
    }
    if (type !== Type.data || socket.isPaused()) return;
    received += payload.length;
    if (received < 200_000) return;
    socket.pause();
    socket.write(answer(stream, 'enough'), () => socket.destroy());
  });
  const running = await run(server.url, 'retry: { attempts: 0 },');
  for (let round = 0; round < 20; round += 1)
    expect((await uploadUntilAnswered(running.port)).text).toMatch(/^HTTP\/1\.1 200 [\s\S]*enough/);
  await running.isQuiet();
});

test('whatever clients leave lying of large responses, others on the connection have room', async () => {
  const steady: ServerHttp2Stream[] = [];
  const backend = await http2Backend(
    (stream, headers) => {
      stream.respond({ ':status': 200 });
      if (headers[':path'] === '/steady') steady.push(stream);
      else stream.end(Buffer.alloc(8 * 1024 * 1024, 'x'));
    },
    { maxSessionMemory: 1000 },
  );
  const running = await run(backend.url);
  const honest = new Http2Peer(running.port);
  honest.send(request(1, [], '/steady'));
  await eventually(() => steady.length === 1, { what: () => 'a request' });
  // they take enough to be granted a lot, and then no more
  const taken = 3 * 1024 * 1024;
  const greedy = new Http2Peer(running.port, [[4, taken]]);
  greedy.send(frame(Type.window, 0, 0, number(1024 * 1024 * 1024)));
  const streams = Array.from({ length: 30 }, (_, index) => 1 + 2 * index);
  for (const stream of streams) greedy.send(request(stream, [], '/large'));
  let bytes = 0;
  greedy.socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await eventually(() => bytes > taken * streams.length, { what: () => `all they take; ${bytes}` });
  const isStill = async (): Promise<boolean> => {
    const before = running.heardFromServers();
    await honest.synced();
    return running.heardFromServers() === before;
  };
  await eventually(isStill, { what: () => 'nothing more' });
  for (let times = 1; times <= 20; times += 1) {
    steady[0]?.write(Buffer.alloc(50_000, 's'));
    honest.send(frame(Type.window, 0, 0, number(50_000)), frame(Type.window, 0, 1, number(50_000)));
    await honest.until(() => honest.body(1).length === 50_000 * times, `part ${times}`);
  }
  expect(running.failures(0)).toBe(0);
  expect(backend.connections()).toBe(1);
  for (const { socket } of [honest, greedy]) socket.destroy();
  await running.isQuiet();
});
