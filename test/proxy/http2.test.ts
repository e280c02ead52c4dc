// HTTP/2 to clients on one thread, asked by node:http2: what comes back, what servers are told, how a connection ends.

import { createServer } from 'node:http';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { expect, test } from 'vitest';
import { cannedBackend, echo, httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { frame, Http2Peer, number, request, Type } from '../support/http2-peer.ts';
import { whenDone } from '../support/lifetime.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
  readonly trailers: Readonly<Record<string, unknown>> | null;
}

const run = (url: string, listener = 'h2c: true', pool = ''): Promise<RunningThread> =>
  runThread(`trusted: []\npools: { web: { health: off, ${pool} servers: ["${url}"] } }`, listener);

function session(port: number, isSecure = false): ClientHttp2Session {
  const client = connect(`${isSecure ? 'https' : 'http'}://127.0.0.1:${port}`, {
    rejectUnauthorized: false,
    maxSessionMemory: 1000,
  });
  client.on('error', () => undefined);
  whenDone(() => client.destroy());
  return client;
}

function answerTo(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let head: Record<string, unknown> = {};
    let trailers: Record<string, unknown> | null = null;
    const parts: Buffer[] = [];
    stream.on('response', (headers) => {
      head = headers;
    });
    stream.on('trailers', (headers) => {
      trailers = headers;
    });
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.on('end', () =>
      resolve({
        status: Number(head[':status']),
        headers: head,
        body: Buffer.concat(parts).toString('latin1'),
        trailers,
      }),
    );
    stream.on('error', reject);
  });
}

test('a request over TLS: what the server is told, cookie crumbs joined, the cookie Secure', async () => {
  const backend = await httpBackend('a');
  const running = await run(backend.url, 'tls: { selfSigned: true }', 'sticky: { mode: cookie-pin },');
  const client = session(running.port, true);
  const crumbs = { ':path': '/x?y=1', cookie: ['a=1', 'b=2', 'c=3'], te: 'trailers' };
  const { status, headers, body } = await answerTo(client.request(crumbs));
  const seen = JSON.parse(body);
  expect(client.alpnProtocol).toBe('h2');
  expect(status).toBe(200);
  expect(headers['set-cookie']?.toString()).toMatch(/^holdfast=.*; Secure/);
  expect([seen.method, seen.target]).toEqual(['GET', '/x?y=1']);
  expect(seen.headers).toMatchObject({
    host: `127.0.0.1:${running.port}`,
    cookie: 'a=1; b=2; c=3',
    via: '2.0 holdfast',
    'x-forwarded-proto': 'https',
    'x-forwarded-for': '127.0.0.1',
  });
  expect(seen.headers.te).toBeUndefined();
  // the session is the stream's cookie, not the connection
  const again = await answerTo(
    client.request({ ':path': '/', cookie: String(headers['set-cookie']).split(';')[0] ?? '' }),
  );
  expect(again.headers['set-cookie']).toBeUndefined();
  client.close();
  await running.isQuiet();
});

test('bodies without a length reach the server in chunks and come back, trailers both ways', async () => {
  const server = createServer((incoming, response) => {
    response.setHeader('trailer', 'x-back');
    response.write(`${incoming.headers['transfer-encoding']} `);
    incoming.on('data', (part: Buffer) => response.write(part));
    incoming.on('end', () => {
      response.addTrailers({ 'x-back': incoming.trailers['x-forth'] ?? 'none' });
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenDone(() => server.close());
  const address = server.address();
  const running = await run(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
  const client = session(running.port);
  const stream = client.request({ ':method': 'POST' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-forth': 'seven' }));
  stream.write('one ');
  stream.end('two');
  expect(await answerTo(stream)).toMatchObject({
    status: 200,
    body: 'chunked one two',
    trailers: { 'x-back': 'seven' },
  });
  client.close();
  server.closeAllConnections();
  await running.isQuiet();
});

test('HEAD, 204, 304, 103 before 200, and a body that ends with the connection', async () => {
  const replies: Record<string, string> = {
    '/204': 'HTTP/1.1 204 No Content\r\n\r\n',
    '/304': 'HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\netag: "a"\r\n\r\n',
    '/103': 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    '/close': 'HTTP/1.1 200 OK\r\n\r\nall of it',
    '/': 'HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\ncontent-length: 5\r\n\r\n',
  };
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      const path = chunk.toString('latin1').split(' ')[1] ?? '';
      socket.write(replies[path] ?? '');
      if (path === '/close') socket.end();
    });
  });
  const running = await run(backend.url);
  const client = session(running.port);
  const head = await answerTo(client.request({ ':method': 'HEAD' }));
  expect(head).toMatchObject({ status: 200, body: '', headers: { 'content-length': '5' } });
  expect(Object.keys(head.headers)).not.toContain('x-hop');
  expect(Object.keys(head.headers)).not.toContain('keep-alive');
  expect(await answerTo(client.request({ ':path': '/204' }))).toMatchObject({ status: 204, body: '' });
  expect(await answerTo(client.request({ ':path': '/304' }))).toMatchObject({ status: 304, body: '' });
  const early: unknown[] = [];
  const hinted = client.request({ ':path': '/103' });
  hinted.on('headers', (headers) => early.push([headers[':status'], headers['link']]));
  expect(await answerTo(hinted)).toMatchObject({ status: 200, body: 'ok' });
  expect(early).toEqual([[103, '</a>']]);
  expect(await answerTo(client.request({ ':path': '/close' }))).toMatchObject({
    status: 200,
    body: 'all of it',
  });
  client.close();
  await running.isQuiet();
});

test('a response that breaks off ends its stream with an error, and no other', async () => {
  const whole = await httpBackend('whole');
  const broken = await cannedBackend('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc', 'destroy');
  const running = await runThread(
    `routes: [{ path: /broken, pool: broken }, { pool: whole }]
pools:
  broken: { health: off, servers: ["${broken.url}"] }
  whole: { health: off, servers: ["${whole.url}"] }`,
    'h2c: true',
  );
  const client = session(running.port);
  const cut = answerTo(client.request({ ':path': '/broken' }));
  const good = answerTo(client.request({ ':path': '/whole' }));
  await expect(cut).rejects.toThrow(/INTERNAL_ERROR/);
  expect((await good).status).toBe(200);
  expect((await answerTo(client.request({ ':path': '/again' }))).status).toBe(200);
  client.close();
  await running.isQuiet();
});

test('a HEAD whose fields are too large is answered without a body', async () => {
  const backend = await httpBackend('a');
  const running = await run(backend.url, 'h2c: true, http2: { headerBytes: 4KiB }');
  const peer = new Http2Peer(running.port);
  peer.send(request(1, [['x', 'y'.repeat(5000)]], '/', 'HEAD', true), request(3, [['x', 'y'.repeat(3000)]]));
  await peer.until(() => peer.isWhole(1) && peer.isWhole(3), 'both answers');
  expect(peer.of(Type.data, 1)).toEqual([]);
  peer.socket.destroy();
});

test('our own replies: no route, no server, a body that is too large; the connection goes on', async () => {
  const backend = await httpBackend('a');
  const running = await runThread(
    `routes: [{ path: /here, pool: web }, { path: /down, pool: down }]
pools:
  web: { health: off, servers: ["${backend.url}"] }
  down: { health: off, servers: ["http://127.0.0.1:1"] }`,
    'h2c: true, limits: { bodyBytes: 10 }',
  );
  const client = session(running.port);
  const kind = async (stream: ClientHttp2Stream): Promise<unknown[]> => {
    const { status, headers, body } = await answerTo(stream);
    return [status, headers['x-holdfast-error'], body.length > 0];
  };
  expect(await kind(client.request({ ':path': '/nowhere' }))).toEqual([404, 'no-route', true]);
  expect(await kind(client.request({ ':path': '/down' }))).toEqual([502, 'connect-failed', true]);
  expect(await kind(client.request({ ':path': '/nowhere', ':method': 'HEAD' }))).toEqual([
    404,
    'no-route',
    false,
  ]);
  const large = client.request({ ':path': '/here', ':method': 'POST', 'content-length': '11' });
  expect(await kind(large)).toEqual([413, 'body-too-large', true]);
  expect((await answerTo(client.request({ ':path': '/here' }))).status).toBe(200);
  client.close();
  await running.isQuiet();
});

test('a client that takes a request back frees its server at once', async () => {
  let isClosed = false;
  const backend = await httpBackend('a', (incoming) => {
    incoming.socket.on('close', () => {
      isClosed = true;
    });
  });
  const running = await run(backend.url);
  const client = session(running.port);
  const stream = client.request({});
  stream.on('error', () => undefined);
  await eventually(() => backend.sockets.size === 1);
  stream.close(constants.NGHTTP2_CANCEL);
  await eventually(() => isClosed);
  client.close();
  await running.isQuiet();
});

test('a WebSocket over a stream (RFC 8441): bytes both ways, and both ends', async () => {
  const backend = await tcpBackend((socket) => {
    let text = '';
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      const isOpen = text.includes('\r\n\r\n');
      text += chunk.toString('latin1');
      if (isOpen) socket.write(chunk.toString('latin1').toUpperCase());
      else if (text.includes('\r\n\r\n'))
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\nx-key: ${/sec-websocket-key: (.{24})\r/.exec(text)?.[1]?.length}\r\n\r\nhello `,
        );
    });
    socket.on('end', () => socket.end('bye'));
  });
  const running = await run(backend.url);
  const client = session(running.port);
  await new Promise((resolve) => client.once('remoteSettings', resolve));
  expect(client.remoteSettings.enableConnectProtocol).toBe(true);
  const stream = client.request(
    { ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat', 'sec-websocket-version': '13' },
    { endStream: false },
  );
  const answer = answerTo(stream);
  stream.write('ahead ');
  await new Promise((resolve) => stream.once('data', resolve));
  stream.end('later ');
  const { status, headers, body } = await answer;
  expect([status, headers['x-key'], headers['sec-websocket-accept']]).toEqual([200, '24', undefined]);
  expect(body).toBe('hello AHEAD LATER bye');
  client.close();
  await running.isQuiet();
});

test('a small response is not stuck behind a large one, and the more urgent goes first', async () => {
  const backend = await httpBackend('a', (incoming, response) => {
    const bytes = Number(incoming.url?.slice(1));
    response.end(Buffer.alloc(bytes, 'x'));
  });
  const running = await run(backend.url);
  const peer = new Http2Peer(running.port, [[4, 2 ** 31 - 1]]);
  // the connection's window is used up by the large one, which waits from then on
  peer.send(request(1, [], '/1000000'));
  await peer.until(() => peer.body(1).length === 65_535, 'a full window');
  peer.send(request(3, [], '/30000'), request(5, [['priority', 'u=0']], '/30000'));
  await peer.until(() => peer.of(Type.headers).length === 3, 'heads, which wait for nothing');
  await peer.synced();
  peer.send(frame(Type.window, 0, 0, number(30_000)));
  await peer.until(() => peer.isWhole(5), 'the urgent one');
  expect([peer.body(1).length, peer.body(3).length]).toEqual([65_535, 0]);
  peer.send(frame(Type.window, 0, 0, number(80_000)));
  await peer.until(() => peer.isWhole(3), 'the small one, in turn with the large one');
  expect(peer.body(1).length).toBeLessThan(65_535 + 60_000);
  peer.socket.destroy();
  await running.isQuiet();
});

test('an upload whose server does not read holds back itself alone', async () => {
  const deaf = await tcpBackend((socket) => void socket.on('error', () => undefined).pause());
  const quick = await httpBackend('quick');
  const running = await runThread(
    `routes: [{ path: /deaf, pool: deaf }, { pool: quick }]
pools:
  deaf: { health: off, servers: ["${deaf.url}"] }
  quick: { health: off, servers: ["${quick.url}"] }`,
    'h2c: true, http2: { window: 1MiB, connectionWindow: 8MiB }',
  );
  const client = session(running.port);
  const stuck = [1, 2, 3].map(() => client.request({ ':path': '/deaf', ':method': 'POST' }));
  for (const stream of stuck) {
    stream.on('error', () => undefined);
    stream.write(Buffer.alloc(16 * 1024 * 1024));
  }
  const body = 'y'.repeat(3_000_000);
  const upload = client.request({ ':path': '/quick', ':method': 'POST' });
  upload.end(body);
  const answered = await answerTo(upload);
  expect(JSON.parse(answered.body).body).toBe('3000000 bytes');
  client.destroy();
  await running.isQuiet();
});

test('a stop says so twice: what the client asks before it hears is answered, and the connection ends by itself', async () => {
  const pending: (() => void)[] = [];
  const backend = await httpBackend('a', (incoming, response) => {
    if (incoming.url === '/wait') pending.push(() => response.end('done'));
    else response.end('ok');
  });
  const running = await run(backend.url);
  const peer = new Http2Peer(running.port);
  peer.send(request(1, [], '/wait'));
  await eventually(() => pending.length === 1);
  running.thread.stop();
  await peer.until(() => peer.of(Type.goaway).length === 1, 'the first GOAWAY');
  expect(peer.of(Type.goaway)[0]?.payload.readUInt32BE(0)).toBe(2 ** 31 - 1);
  // asked before it had heard
  peer.send(request(3), frame(Type.ping, 1, 0, 'holdfast'));
  await peer.until(() => peer.isWhole(3), 'the answer to what came late');
  await peer.until(() => peer.of(Type.goaway).length === 2, 'the second GOAWAY');
  expect(peer.of(Type.goaway)[1]?.payload.readUInt32BE(0)).toBe(3);
  peer.send(request(5));
  await peer.synced();
  expect(peer.frames.filter(({ stream }) => stream === 5)).toEqual([]);
  expect(peer.isClosed).toBe(false);
  pending[0]?.();
  await peer.until(() => peer.isWhole(1), 'the last answer');
  peer.socket.end();
  await peer.until(() => peer.isClosed, 'the end');
  expect(peer.body(1)).toBe('done');
  await running.isQuiet();
});

test('a response that a client has yet to read when the connection ends is not lost, whatever the client sends meanwhile', async () => {
  const bytes = 200_000;
  let isAsked = false;
  const backend = await httpBackend('a', (_, response) => {
    isAsked = true;
    response.end(Buffer.alloc(bytes, 'x'));
  });
  const running = await run(backend.url);
  const peer = new Http2Peer(running.port, [[4, 2 ** 30]]);
  await peer.synced();
  peer.socket.pause();
  peer.send(frame(Type.window, 0, 0, number(2 ** 30)), request(1));
  await eventually(() => isAsked && running.thread.own.http2Streams(0) === 0);
  running.thread.stop();
  // first that it gives no answer to our PING is waited for, then that it ends
  for (let second = 0; second < 10; second += 1) {
    running.pass(1000);
    await peer.turn();
  }
  for (let time = 0; time < 10; time += 1) {
    peer.send(frame(Type.window, 0, 0, number(1000)));
    await peer.turn();
  }
  peer.socket.resume();
  await peer.until(() => peer.isWhole(1), 'all of it');
  expect(peer.body(1).length).toBe(bytes);
  await running.isQuiet();
});

test('HTTP/1 and HTTP/2 in the clear on one port, whatever the cuts of the first bytes', async () => {
  const backend = await httpBackend('a', echo('a'));
  const running = await run(backend.url);
  const old = await fetch(`http://127.0.0.1:${running.port}/old`, { headers: { connection: 'close' } });
  expect(await old.json()).toMatchObject({ target: '/old' });
  const peer = new Http2Peer(running.port);
  peer.send(request(1));
  await peer.until(() => peer.isWhole(1), 'an answer');
  peer.socket.destroy();
  // begins as HTTP/2 does
  const odd = await import('node:net').then(({ connect: open }) => open(running.port, '127.0.0.1'));
  whenDone(() => odd.destroy());
  let text = '';
  odd.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  for (const part of ['P', 'R', 'OPFIND / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n']) {
    odd.write(part);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await eventually(() => text.includes('PROPFIND'));
  odd.destroy();
  await running.isQuiet();
});
