// Connections of HTTP/2 to servers that many clients share: what becomes of one is no trouble of the others.

import { expect, test } from 'vitest';
import { ask } from '../support/ask.ts';
import { eventually } from '../support/eventually.ts';
import { scriptedServer } from '../support/http2-backend.ts';
import { block, END_HEADERS, END_STREAM, frame, Type } from '../support/http2-peer.ts';
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
