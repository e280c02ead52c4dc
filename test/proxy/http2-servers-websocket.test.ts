// WebSockets to servers that take them over HTTP/2 (RFC 8441), from clients of either version.

import { connect, type ServerHttp2Stream } from 'node:http2';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { eventually } from '../support/eventually.ts';
import { echoStream, type Http2Backend, http2Backend, scriptedServer } from '../support/http2-backend.ts';
import { block, END_HEADERS, frame, number, Type } from '../support/http2-peer.ts';
import { whenDone } from '../support/lifetime.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';
import { rawClient } from '../support/raw-client.ts';

/** The example of RFC 6455 section 1.3. */
const UPGRADE = [
  'GET /chat HTTP/1.1',
  'host: a.test',
  'connection: Upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

const run = (url: string): Promise<RunningThread> =>
  runThread(
    `pools: { web: { protocol: h2, health: off, retry: { attempts: 0 }, servers: ["${url}"] } }`,
    'h2c: true',
  );

interface Sockets extends Http2Backend {
  readonly heads: Record<string, unknown>[];
  readonly open: ServerHttp2Stream[];
}

/** Takes them at every path but `/refuse`; what `serve` does with one is up to the test. */
async function takesSockets(serve: (stream: ServerHttp2Stream) => void): Promise<Sockets> {
  const heads: Record<string, unknown>[] = [];
  const open: ServerHttp2Stream[] = [];
  const backend = await http2Backend(
    (stream, headers) => {
      if (headers[':method'] !== 'CONNECT') {
        echoStream(stream, headers);
        return;
      }
      heads.push({ ...headers });
      if (headers[':path'] === '/refuse') {
        stream.respond({ ':status': 401, 'www-authenticate': 'Basic' });
        stream.end('who?');
        return;
      }
      open.push(stream);
      stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat.v2' });
      serve(stream);
    },
    { settings: { enableConnectProtocol: true } },
  );
  return { ...backend, heads, open };
}

const echo = (stream: ServerHttp2Stream): void => void stream.pipe(stream);

/** The stream as a socket of the ws package, which echoes messages. */
function serveMessages(stream: ServerHttp2Stream): void {
  const socket = new WebSocket(null as unknown as string, undefined, {});
  const { setSocket } = socket as unknown as {
    setSocket(stream: object, head: Buffer, options: object): void;
  };
  setSocket.call(socket, stream, Buffer.alloc(0), {
    allowSynchronousEvents: true,
    maxPayload: 32 << 20,
    skipUTF8Validation: false,
  });
  Object.assign(socket, { _isServer: true });
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  socket.on('error', () => undefined);
}

test('a client of HTTP/1: an extended CONNECT for the server, a handshake of HTTP/1 for the client, bytes both ways', async () => {
  const backend = await takesSockets(echo);
  const running = await run(backend.url);
  const client = await rawClient(running.port);
  client.send(UPGRADE);
  const head = await client.until('\r\n\r\n');
  expect(head).toMatch(/^HTTP\/1\.1 101 /);
  expect(head).toContain(`sec-websocket-accept: ${ACCEPT}\r\n`);
  expect(head).toContain('sec-websocket-protocol: chat.v2\r\n');
  expect(backend.heads[0]).toMatchObject({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'http',
    ':path': '/chat',
    ':authority': 'a.test',
    'sec-websocket-version': '13',
  });
  for (const name of ['sec-websocket-key', 'upgrade', 'connection', 'te'])
    expect(Object.keys(backend.heads[0] ?? {})).not.toContain(name);
  client.send('over and ');
  client.send('out');
  await client.until('over and out');
  // either half is closed by itself
  client.socket.end();
  expect((await client.closed()).reset).toBe(false);
  await eventually(() => backend.open.every(({ closed }) => closed), { what: () => 'the end of the stream' });
  expect(backend.connections()).toBe(1);
  await running.isQuiet();
});

test('messages of a megabyte both ways, and a close that either side hears', async () => {
  const backend = await takesSockets(serveMessages);
  const running = await run(backend.url);
  const client = new WebSocket(`ws://127.0.0.1:${running.port}/`, 'chat.v2');
  whenDone(() => client.terminate());
  await new Promise((resolve, reject) => client.on('open', resolve).on('error', reject));
  const message = Buffer.alloc(1 << 20);
  for (let at = 0; at < message.length; at += 4) message.writeUInt32BE(at, at);
  for (let times = 0; times < 10; times += 1) {
    const got = new Promise<Buffer>((resolve) => client.once('message', (data: Buffer) => resolve(data)));
    client.send(message);
    expect((await got).equals(message)).toBe(true);
  }
  const closed = new Promise<number>((resolve) => client.on('close', resolve));
  client.close(4321, 'enough');
  expect(await closed).toBe(4321);
  await running.isQuiet();
});

test('a client of HTTP/2: a stream for a stream, ended by halves', async () => {
  const backend = await takesSockets(echo);
  const running = await run(backend.url);
  const client = connect(`http://127.0.0.1:${running.port}`);
  whenDone(() => client.destroy());
  const stream = client.request(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat', 'sec-websocket-version': '13' },
    { endStream: false },
  );
  let status = 0;
  let got = '';
  stream.on('response', (headers) => {
    status = Number(headers[':status']);
  });
  stream.on('data', (part: Buffer) => {
    got += part.toString();
  });
  stream.write('ahead ');
  await eventually(() => got === 'ahead ', { what: () => `an echo; ${got}` });
  stream.end('and done');
  await new Promise((resolve, reject) => stream.on('end', resolve).on('error', reject));
  expect([status, got]).toEqual([200, 'ahead and done']);
  client.close();
  await running.isQuiet();
});

test.each<[what: string, consent: readonly (readonly [string, string])[]]>([
  [
    'a length of 0',
    [
      [':status', '200'],
      ['content-length', '0'],
    ],
  ],
  [
    'a length',
    [
      [':status', '200'],
      ['content-length', '3'],
    ],
  ],
  ['204', [[':status', '204']]],
])('a consent with %s opens a tunnel all the same', async (_, consent) => {
  const server = await scriptedServer(
    ({ type, flags, stream, payload }, connection) => {
      if (type === Type.headers) connection.send(frame(Type.headers, END_HEADERS, stream, block(consent)));
      else if (type === Type.data) connection.send(frame(Type.data, flags, stream, payload));
    },
    Buffer.concat([Buffer.from([0, 8]), number(1)]),
  );
  const running = await run(server.url);
  const client = await rawClient(running.port);
  client.send(UPGRADE);
  expect(await client.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 101 /);
  client.send('there and back');
  await client.until('there and back');
  client.socket.end();
  await client.closed();
  await running.isQuiet();
});

test('a refusal is an answer like any other', async () => {
  const backend = await takesSockets(echo);
  const running = await run(backend.url);
  const client = await rawClient(running.port);
  client.send(UPGRADE.replace('/chat', '/refuse'));
  const text = await client.until('who?');
  expect(text).toMatch(/^HTTP\/1\.1 401 /);
  expect(text).toContain('www-authenticate: Basic\r\n');
  client.socket.destroy();
  await running.isQuiet();
});

test('a server that breaks a WebSocket off ends it for the client, and others on its connection go on', async () => {
  const backend = await takesSockets(echo);
  const running = await run(backend.url);
  const [broken, other] = await Promise.all([rawClient(running.port), rawClient(running.port)]);
  for (const client of [broken, other]) {
    client.send(UPGRADE);
    await client.until('\r\n\r\n');
  }
  backend.open[0]?.close(2);
  await broken.closed();
  other.send('still here');
  await other.until('still here');
  other.socket.destroy();
  await eventually(() => backend.open.every(({ closed }) => closed), { what: () => 'the end of the stream' });
  await running.isQuiet();
});

test('a client that does not read holds back its server, and one whose server does not read is held back', async () => {
  const backend = await takesSockets((stream) => {
    stream.pause();
    const more = (): void => {
      while (stream.writable && stream.write(Buffer.alloc(64_000, 'x')));
    };
    stream.on('drain', more);
    more();
  });
  const running = await run(backend.url);
  const client = await rawClient(running.port);
  client.send(UPGRADE);
  await client.until('\r\n\r\n');
  client.socket.pause();
  let isFull = false;
  for (let times = 0; times < 2000 && !isFull; times += 1) {
    isFull = !client.socket.write(Buffer.alloc(64_000, 'y'));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(isFull).toBe(true);
  let heard = -1;
  const isStill = (): boolean => {
    const before = heard;
    heard = running.heardFromServers();
    return heard === before;
  };
  await eventually(isStill, { what: () => 'nothing more' });
  expect(running.unsent()).toBeLessThan(4 * 1024 * 1024);
  client.socket.destroy();
  await running.isQuiet();
});

test('a server that says it takes them, and then that it does not, breaks the rules', async () => {
  const takes = (value: number): Buffer => Buffer.concat([Buffer.from([0, 8]), number(value)]);
  const server = await scriptedServer(({ type, stream }, connection) => {
    if (type !== Type.headers) return;
    connection.send(frame(Type.settings, 0, 0, takes(0)));
    connection.send(frame(Type.headers, END_HEADERS, stream, block([[':status', '200']])));
  }, takes(1));
  const running = await run(server.url);
  const client = await rawClient(running.port);
  client.send(UPGRADE);
  expect(await client.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 502 /);
  client.socket.destroy();
  await running.isQuiet();
});
