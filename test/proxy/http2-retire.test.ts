// Connections that are not yet known to speak HTTP/2 when another process takes the listener.

import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { echo, httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { frame, number, PREFACE, request, Type } from '../support/http2-peer.ts';
import { whenDone } from '../support/lifetime.ts';
import { runThread } from '../support/proxy-thread.ts';

test('who has yet to speak when another process takes the listener is answered, and told to go there', async () => {
  const backend = await httpBackend('a', echo('a'));
  const running = await runThread(
    `pools: { web: { health: off, servers: ["${backend.url}"] } }`,
    'h2c: true',
  );
  const socket = connect(running.port, '127.0.0.1');
  whenDone(() => socket.destroy());
  let heard = '';
  let hasEnded = false;
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
  });
  socket.on('end', () => {
    hasEnded = true;
  });
  await eventually(() => running.thread.own.allClientConnections === 1);
  running.thread.retire();
  const pong = frame(Type.ping, 1, 0, 'holdfast');
  socket.write(Buffer.concat([Buffer.from(PREFACE), frame(Type.settings), request(1, [], '/late'), pong]));
  await eventually(() => heard.includes('/late') && hasEnded);
  const said = [2 ** 31 - 1, 1].map((last) =>
    frame(Type.goaway, 0, 0, Buffer.concat([number(last), number(0)])).toString('latin1'),
  );
  expect(said.map((each) => heard.includes(each))).toEqual([true, true]);
  socket.destroy();
  await running.isQuiet();
});
