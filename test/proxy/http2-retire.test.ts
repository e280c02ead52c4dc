// Connections of HTTP/2, and those not yet known to speak it, when another process takes the listener.

import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { echo, httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import {
  block,
  END_HEADERS,
  frame,
  Http2Peer,
  number,
  PREFACE,
  request,
  Type,
} from '../support/http2-peer.ts';
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

test('a client that knows that the connection ends has a second to read what it has and to end it', async () => {
  const backend = await httpBackend('a', echo('a'));
  const running = await runThread(
    `pools: { web: { health: off, servers: ["${backend.url}"] } }`,
    'h2c: true',
  );
  const [patient, prompt] = [new Http2Peer(running.port), new Http2Peer(running.port)];
  for (const peer of [patient, prompt]) {
    peer.send(request(1));
    await peer.until(() => peer.isWhole(1), 'a response');
  }
  running.thread.retire();
  for (const peer of [patient, prompt]) {
    peer.send(frame(Type.ping, 1, 0, 'holdfast'));
    await peer.until(() => peer.of(Type.goaway).length === 2, 'the end said twice');
    await peer.synced();
    expect(peer.isClosed).toBe(false);
  }
  prompt.socket.end();
  await prompt.until(() => prompt.isClosed, 'the end of who has ended');
  running.pass(500);
  await patient.synced();
  expect(patient.isClosed).toBe(false);
  running.pass(500);
  await patient.until(() => patient.isClosed, 'the end');
  await running.isQuiet();
});

test('what the end of the grace cuts off is counted by request and tunnel, not by connection', async () => {
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      if (/^upgrade:/im.test(chunk.toString('latin1')))
        socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
    });
  });
  const running = await runThread(
    `pools: { web: { health: off, servers: ["${backend.url}"] } }`,
    'h2c: true',
  );
  const peer = new Http2Peer(running.port);
  const fields = [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'http'],
    [':path', '/'],
    [':authority', 'localhost'],
  ] as const;
  peer.send(request(1), request(3), request(5), frame(Type.headers, END_HEADERS, 7, block(fields)));
  await peer.until(() => peer.of(Type.headers, 7).length === 1, 'the WebSocket');
  await eventually(() => backend.sockets.size === 4);
  running.thread.finish();
  expect(running.log.filter((line) => line.includes('grace'))).toEqual([
    'warn the grace is over: cutting off 3 requests, ending 1 tunnels',
  ]);
  await peer.until(() => peer.isClosed || peer.of(Type.reset).length === 3, 'the end of the requests');
  peer.socket.destroy();
  await running.isQuiet();
});
