// Requests of HTTP/2 on their way to servers of HTTP/1: whatever is in a field, a path or a body, a server sees one request
// for each stream, and no line that the client made.

import { expect, test } from 'vitest';
import { tcpBackend } from '../support/backend.ts';
import {
  block,
  END_HEADERS,
  END_STREAM,
  type Fields,
  frame,
  Http2Peer,
  request,
  Type,
} from '../support/http2-peer.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

interface Scene {
  readonly running: RunningThread;
  /** What the server has received, on all its connections. */
  received(): string;
}

/** A server that answers once for each head, without looking further. */
async function scene(): Promise<Scene> {
  let all = '';
  const backend = await tcpBackend((socket) => {
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      all += chunk.toString('latin1');
      const isWhole = /content-length: 0\r\n|GET/i.test(text)
        ? text.includes('\r\n\r\n')
        : /0\r\n(?:[^\r]+\r\n)*\r\n$/.test(text);
      if (!isWhole) return;
      text = '';
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  });
  const running = await runThread(
    `pools: { web: { health: off, servers: ["${backend.url}"] } }`,
    'h2c: true',
  );
  return { running, received: () => all };
}

const GET: Fields = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'localhost'],
];

const replaced = (name: string, value: string): Fields =>
  GET.map((field) => (field[0] === name ? [name, value] : field));

const SMUGGLED = '\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n';
const ATTACKS: readonly (readonly [what: string, fields: Fields])[] = [
  ['a request in a value', [...GET, ['x', `a${SMUGGLED}`]]],
  ['a line in a value', [...GET, ['x', 'a\r\nx-forged: 1']]],
  ['a line in a value, LF alone', [...GET, ['x', 'a\nx-forged: 1']]],
  ['a line in a name', [...GET, ['x: a\r\nx-forged', '1']]],
  ['a colon in a name', [...GET, ['x-forged: 1', 'a']]],
  ['a request in the path', replaced(':path', `/ HTTP/1.1${SMUGGLED}`)],
  ['a version in the path', replaced(':path', '/smuggled HTTP/1.1')],
  ['a request in the method', replaced(':method', `GET /smuggled HTTP/1.1${SMUGGLED}`)],
  ['a target in the method', replaced(':method', 'GET /smuggled')],
  ['a line in the authority', replaced(':authority', 'a\r\nx-forged: 1')],
  ['a line in the scheme', replaced(':scheme', 'http\r\nx-forged: 1')],
  ['a URL as the path', replaced(':path', 'http://smuggled/')],
  ['transfer-encoding', [...GET, ['transfer-encoding', 'chunked']]],
  [
    'transfer-encoding with a name that servers of CGI take for it',
    [...GET, ['transfer_encoding', 'chunked']],
  ],
  ['content-length twice', [...GET, ['content-length', '0'], ['content-length', '5']]],
  ['a list as content-length', [...GET, ['content-length', '0, 5']]],
  ['a content-length of 16 digits without a body', [...GET, ['content-length', '0000000000000005']]],
  ['a content-length in words', [...GET, ['content-length', '0x0']]],
  ['connection', [...GET, ['connection', 'x-forwarded-for']]],
  ['upgrade', [...GET, ['upgrade', 'websocket']]],
  ['another Host', [...GET, ['host', 'smuggled']]],
  ['a pseudo-field behind fields', [...GET, ['x', 'y'], [':path', '/smuggled']]],
];

test.each(ATTACKS)('%s: refused, no server hears of it', async (_, fields) => {
  const { running, received } = await scene();
  const peer = new Http2Peer(running.port);
  peer.send(frame(Type.headers, END_HEADERS | END_STREAM, 1, block(fields)), request(3, [], '/honest'));
  await peer.until(() => peer.isWhole(3), 'the honest answer');
  const isRefused = peer.of(Type.reset, 1).length === 1 || peer.isWhole(1);
  expect(isRefused).toBe(true);
  expect(received().match(/HTTP\/1\.1/g)).toHaveLength(1);
  expect(received()).toMatch(/^GET \/honest HTTP\/1\.1\r\n/);
  peer.socket.destroy();
  await running.isQuiet();
});

const CONNECT: Fields = [...replaced(':method', 'CONNECT'), [':protocol', 'websocket']];
const OPEN_ATTACKS: readonly (readonly [what: string, fields: Fields])[] = [
  ['a length of 16 digits that its body exceeds', [...GET, ['content-length', '0000000000000003']]],
  ['a WebSocket with a content-length', [...CONNECT, ['content-length', '300']]],
  ['a WebSocket with a content-length of 16 digits', [...CONNECT, ['content-length', '0000000000000300']]],
];

test.each(OPEN_ATTACKS)('%s: the server gets no byte of what is no body', async (_, fields) => {
  const { running, received } = await scene();
  const peer = new Http2Peer(running.port);
  peer.send(frame(Type.headers, END_HEADERS, 1, block(fields)), frame(Type.data, 0, 1, `abc${SMUGGLED}`));
  await peer.until(() => peer.of(Type.reset, 1).length > 0, 'its end');
  peer.send(request(3, [], '/honest'));
  await peer.until(() => peer.isWhole(3), 'the honest answer');
  expect(peer.codes(Type.reset)).toEqual([1]);
  expect(received()).not.toContain('smuggled');
  expect(received()).toMatch(/GET \/honest HTTP\/1\.1\r\n/);
  peer.socket.destroy();
  await running.isQuiet();
});

test('a body that looks like chunks and requests is one body, in chunks of ours', async () => {
  const { running, received } = await scene();
  const peer = new Http2Peer(running.port);
  const body = '0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n';
  peer.send(
    request(1, [], '/honest', 'POST'),
    frame(Type.data, 0, 1, body),
    frame(Type.headers, END_HEADERS | END_STREAM, 1, block([['x-sum', '7']])),
  );
  await peer.until(() => peer.isWhole(1), 'the answer');
  const [head = '', ...rest] = received().split('\r\n\r\n');
  expect(head).toMatch(/^POST \/honest HTTP\/1\.1\r\n/);
  expect(head.match(/transfer-encoding: chunked/g)).toHaveLength(1);
  expect(head).not.toContain('content-length');
  expect(rest.join('\r\n\r\n')).toBe(`${body.length.toString(16)}\r\n${body}\r\n0\r\nx-sum: 7\r\n\r\n`);
  peer.socket.destroy();
  await running.isQuiet();
});

test('a body that the response did not wait for never reaches the next request of that server', async () => {
  let connections = 0;
  const seen: string[] = [];
  const backend = await tcpBackend((socket) => {
    const number = connections;
    connections += 1;
    seen.push('');
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      seen[number] += chunk.toString('latin1');
      // answers as soon as it has a head
      if (/\r\n\r\n/.test(chunk.toString('latin1')))
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  });
  const running = await runThread(
    `pools: { web: { health: off, servers: ["${backend.url}"] } }`,
    'h2c: true',
  );
  const peer = new Http2Peer(running.port);
  peer.send(request(1, [['content-length', '100']], '/first', 'POST'), frame(Type.data, 0, 1, 'a'));
  await peer.until(() => peer.isWhole(1), 'the first answer');
  // no error: the rest is not needed
  expect(peer.codes(Type.reset)).toEqual([0]);
  peer.send(frame(Type.data, END_STREAM, 1, 'b'.repeat(99)), request(3, [], '/second'));
  await peer.until(() => peer.isWhole(3), 'the second answer');
  expect(seen).toHaveLength(2);
  expect(seen[1]).toMatch(/^GET \/second/);
  peer.socket.destroy();
  await running.isQuiet();
});
