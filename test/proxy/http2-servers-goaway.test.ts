// Servers of HTTP/2 that end their connections in order (GOAWAY): what they have not looked at is asked again.

import { once } from 'node:events';
import { connect } from 'node:http2';
import { expect, test } from 'vitest';
import { ask } from '../support/ask.ts';
import { scriptedServer } from '../support/http2-backend.ts';
import { block, END_HEADERS, END_STREAM, frame, number, Type } from '../support/http2-peer.ts';
import { whenDone } from '../support/lifetime.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

const run = (url: string): Promise<RunningThread> =>
  runThread(`pools: { web: { protocol: h2, health: off, servers: ["${url}"] } }`, 'h2c: true');

const WINDOW_BYTES = 65_535;
const LARGE_BYTES = 1_000_000;
const OK = block([[':status', '200']]);
const answer = (stream: number, body = 'ok'): Buffer =>
  Buffer.concat([frame(Type.headers, END_HEADERS, stream, OK), frame(Type.data, END_STREAM, stream, body)]);

test('streams behind the last are asked again on another connection, also POST; the others are finished', async () => {
  const server = await scriptedServer(({ type, flags, stream }, connection) => {
    const isFirst = server.open[0] === connection;
    if ((type !== Type.headers && type !== Type.data) || (flags & END_STREAM) === 0) return;
    if (!isFirst) connection.send(answer(stream, 'second'));
    // both are under way: the first of them is the last
    else if (stream === 3) {
      connection.send(frame(Type.goaway, 0, 0, Buffer.concat([number(1), number(0)])));
      connection.send(answer(1, 'first'));
    }
  });
  const running = await run(server.url);
  const one = ask(running.port);
  await server.until((connection) => connection.of(Type.headers).length === 1, 'a request');
  const two = ask(running.port, { method: 'POST', body: 'of which the server has seen nothing' });
  expect((await one).body).toBe('first');
  expect((await two).body).toBe('second');
  const second = await server.until((connection) => connection.of(Type.data).length > 0, 'the body', 1);
  expect(second.of(Type.data)[0]?.payload.toString()).toBe('of which the server has seen nothing');
  expect(running.failures(0)).toBe(0);
  await running.isQuiet();
});

test.each(['h1', 'h2'] as const)(
  'in the middle of a large upload over %s: what filled the window is sent again',
  async (version) => {
    const server = await scriptedServer(({ type, flags, stream }, connection) => {
      if (type !== Type.data) return;
      const bytes = connection.of(Type.data, stream).reduce((sum, { payload }) => sum + payload.length, 0);
      // as a server that ends in order: it has read what came, and looked at none of it
      if (server.open[0] === connection) {
        if (bytes === WINDOW_BYTES)
          connection.send(frame(Type.goaway, 0, 0, Buffer.concat([number(0), number(0)])));
      } else if ((flags & END_STREAM) === 0)
        connection.send(...[0, stream].map((each) => frame(Type.window, 0, each, number(bytes))));
      else connection.send(answer(stream, `${bytes}`));
    });
    const running = await run(server.url);
    const body = Buffer.alloc(LARGE_BYTES, 'holdfast');
    if (version === 'h1') {
      const reply = await ask(running.port, { method: 'POST', body: body.toString() });
      expect([reply.status, reply.body]).toEqual([200, `${LARGE_BYTES}`]);
    } else {
      const client = connect(`http://127.0.0.1:${running.port}`);
      whenDone(() => client.destroy());
      const stream = client.request({ ':method': 'POST', ':path': '/' });
      stream.end(body);
      let text = '';
      for await (const part of stream) text += part;
      expect(text).toBe(`${LARGE_BYTES}`);
      client.close();
    }
    const second = server.open[1]?.of(Type.data).map(({ payload }) => payload) ?? [];
    expect(Buffer.concat(second).equals(body)).toBe(true);
    await running.isQuiet();
  },
);

test('a server that ends each connection after one request: those that share it are answered in turn', async () => {
  const COUNT = 8;
  const server = await scriptedServer(({ type, flags, stream }, connection) => {
    if ((type !== Type.headers && type !== Type.data) || (flags & END_STREAM) === 0 || stream !== 1) return;
    connection.send(frame(Type.goaway, 0, 0, Buffer.concat([number(1), number(0)])), answer(1));
  });
  const running = await run(server.url);
  const client = connect(`http://127.0.0.1:${running.port}`);
  whenDone(() => client.destroy());
  const statuses = await Promise.all(
    Array.from({ length: COUNT }, async () => {
      const stream = client.request({ ':method': 'POST', ':path': '/' });
      stream.end('x');
      const [headers] = await once(stream.resume(), 'response');
      return headers[':status'];
    }),
  );
  expect(statuses).toEqual(new Array(COUNT).fill(200));
  expect(running.failures(0)).toBe(0);
  client.close();
  await running.isQuiet();
});
