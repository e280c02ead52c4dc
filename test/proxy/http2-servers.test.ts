// HTTP/2 to servers on one thread, answered by node:http2, and by servers that do what it does not.

import { connect, constants, type ServerHttp2Stream } from 'node:http2';
import { expect, test } from 'vitest';
import { ask } from '../support/ask.ts';
import { eventually } from '../support/eventually.ts';
import { http2Backend, type OnStream, scriptedServer } from '../support/http2-backend.ts';
import { block, END_HEADERS, END_STREAM, frame, number, Type } from '../support/http2-peer.ts';
import { whenDone } from '../support/lifetime.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

const run = (url: string, pool = '', listener = 'h2c: true'): Promise<RunningThread> =>
  runThread(`pools: { web: { protocol: h2, health: off, ${pool} servers: ["${url}"] } }`, listener);

test('a request by HTTP/1: the server gets the same head, and the body with its length', async () => {
  const backend = await http2Backend();
  const running = await run(backend.url);
  const reply = await ask(running.port, {
    method: 'POST',
    path: '/x?y=1',
    headers: { cookie: 'a=1; b=2', 'X-Upper': 'Case' },
    body: 'hello',
  });
  const seen = JSON.parse(reply.body);
  expect(reply.status).toBe(200);
  expect(seen.headers).toMatchObject({
    ':method': 'POST',
    ':path': '/x?y=1',
    ':scheme': 'http',
    ':authority': `127.0.0.1:${running.port}`,
    'content-length': '5',
    cookie: 'a=1; b=2',
    'x-upper': 'Case',
    te: 'trailers',
    via: '1.1 holdfast',
    'x-forwarded-for': '127.0.0.1',
  });
  expect(Object.keys(seen.headers)).not.toContain('host');
  expect(Object.keys(seen.headers)).not.toContain('connection');
  expect(seen.body).toBe('hello');
  // a short response that is here as a whole has its length
  expect(reply.headers['content-length']).toBe(String(reply.body.length));
  await running.isQuiet();
});

test('chunks of HTTP/1 are taken off, and their trailers go on; so do those of the response', async () => {
  const backend = await http2Backend((stream) => {
    let got = '';
    let trailers: unknown = null;
    stream.on('data', (part: Buffer) => {
      got += part.toString();
    });
    stream.on('trailers', (fields) => {
      trailers = fields['x-forth'];
    });
    stream.respond({ ':status': 200, trailer: 'x-back' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-back': 'ten' }));
    stream.on('end', () => stream.end(`${got} ${trailers}`));
  });
  const running = await run(backend.url);
  const reply = await ask(running.port, {
    method: 'POST',
    headers: { trailer: 'x-forth', 'transfer-encoding': 'chunked' },
    body: ['one ', 'two ', 'three'],
    trailers: { 'x-forth': 'nine' },
  });
  expect(reply.body).toBe('one two three nine');
  expect(reply.headers['transfer-encoding']).toBe('chunked');
  expect(reply.trailers).toMatchObject({ 'x-back': 'ten' });
  await running.isQuiet();
});

test('HEAD, 204, 304, an empty response and interim ones', async () => {
  const replies: Record<string, (stream: ServerHttp2Stream) => void> = {
    '/204': (stream) => stream.respond({ ':status': 204 }, { endStream: true }),
    '/304': (stream) =>
      stream.respond({ ':status': 304, 'content-length': '99', etag: '"a"' }, { endStream: true }),
    '/empty': (stream) => stream.respond({ ':status': 200 }, { endStream: true }),
    '/103': (stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.respond({ ':status': 200 });
      stream.end('ok');
    },
    '/': (stream) => stream.respond({ ':status': 200, 'content-length': '5' }, { endStream: true }),
  };
  const backend = await http2Backend((stream, headers) => replies[String(headers[':path'])]?.(stream));
  const running = await run(backend.url);
  expect(await ask(running.port, { method: 'HEAD' })).toMatchObject({
    status: 200,
    body: '',
    headers: { 'content-length': '5' },
  });
  expect(await ask(running.port, { path: '/204' })).toMatchObject({ status: 204, body: '' });
  expect(await ask(running.port, { path: '/304' })).toMatchObject({ status: 304, body: '' });
  expect(await ask(running.port, { path: '/empty' })).toMatchObject({
    status: 200,
    body: '',
    headers: { 'content-length': '0' },
  });
  expect(await ask(running.port, { path: '/103' })).toMatchObject({
    status: 200,
    body: 'ok',
    interims: [103],
  });
  await running.isQuiet();
});

test('HTTP/2 to HTTP/2: many streams of many clients share one connection, bodies both ways whole', async () => {
  const backend = await http2Backend((stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  const running = await run(backend.url);
  const body = Buffer.alloc(300_000, 'holdfast ').toString('latin1');
  const replies = await Promise.all(
    Array.from({ length: 4 }, () => {
      const client = connect(`http://127.0.0.1:${running.port}`);
      whenDone(() => client.destroy());
      return Promise.all(
        Array.from({ length: 20 }, (_, index) => {
          const stream = client.request({ ':method': 'POST', ':path': `/${index}` });
          let got = '';
          stream.on('data', (part: Buffer) => {
            got += part.toString('latin1');
          });
          stream.end(body);
          return new Promise<string>((resolve, reject) => {
            stream.on('end', () => resolve(got)).on('error', reject);
          });
        }),
      ).finally(() => client.close());
    }),
  );
  expect(replies.flat().every((got) => got === body)).toBe(true);
  expect(backend.connections()).toBe(1);
  await running.isQuiet();
});

test('more streams than the server allows go over further connections, and nobody is refused', async () => {
  let most = 0;
  const open = new Map<unknown, number>();
  const held: ServerHttp2Stream[] = [];
  const onStream: OnStream = (stream) => {
    const count = (open.get(stream.session) ?? 0) + 1;
    open.set(stream.session, count);
    most = Math.max(most, count);
    stream.on('close', () => open.set(stream.session, (open.get(stream.session) ?? 0) - 1));
    held.push(stream);
  };
  const backend = await http2Backend(onStream, { settings: { maxConcurrentStreams: 5 } });
  const running = await run(backend.url);
  const asked = Array.from({ length: 23 }, () => ask(running.port));
  await eventually(() => held.length === 23, { what: () => `23 streams; ${held.length}` });
  for (const stream of held) {
    stream.respond({ ':status': 200 });
    stream.end('ok');
  }
  for (const { status, body } of await Promise.all(asked)) expect([status, body]).toEqual([200, 'ok']);
  expect(most).toBe(5);
  await running.isQuiet();
});

test('another connection is opened before the one there is is full', async () => {
  const backend = await http2Backend(() => undefined, { settings: { maxConcurrentStreams: 8 } });
  const running = await run(backend.url);
  const client = connect(`http://127.0.0.1:${running.port}`);
  client.on('error', () => undefined);
  whenDone(() => client.destroy());
  client.request({ ':path': '/' }).on('error', () => undefined);
  await eventually(() => backend.connections() === 1, { what: () => 'a connection' });
  for (let index = 0; index < 7; index += 1) client.request({ ':path': '/' }).on('error', () => undefined);
  await eventually(() => backend.connections() === 2, { what: () => 'a second connection' });
  client.destroy();
  await running.isQuiet();
});

test('a client that goes away ends its stream at the server with CANCEL, and no other', async () => {
  const codes: number[] = [];
  const backend = await http2Backend((stream, headers) => {
    if (headers[':path'] === '/stays') {
      stream.respond({ ':status': 200 });
      stream.write('one');
      stream.on('close', () => undefined);
      setImmediate(() => stream.end('two'));
      return;
    }
    stream.on('aborted', () => codes.push(stream.rstCode ?? -1));
    stream.on('close', () => codes.push(stream.rstCode ?? -1));
  });
  const running = await run(backend.url);
  const client = connect(`http://127.0.0.1:${running.port}`);
  whenDone(() => client.destroy());
  const gone = client.request({ ':path': '/goes' });
  gone.on('error', () => undefined);
  await eventually(() => backend.sessions.size === 1, { what: () => 'a connection' });
  const stays = ask(running.port, { path: '/stays' });
  gone.close(constants.NGHTTP2_CANCEL);
  await eventually(() => codes.includes(constants.NGHTTP2_CANCEL), { what: () => `CANCEL; ${codes}` });
  expect(await stays).toMatchObject({ status: 200, body: 'onetwo' });
  client.close();
  await running.isQuiet();
});

const OK = block([[':status', '200']]);
const answer = (stream: number, body = 'ok'): Buffer =>
  Buffer.concat([frame(Type.headers, END_HEADERS, stream, OK), frame(Type.data, END_STREAM, stream, body)]);

test('REFUSED_STREAM: asked again, also POST, and without an end when the server refuses for ever', async () => {
  let refusals = 1;
  const server = await scriptedServer(({ type, flags, stream }, connection) => {
    if ((type !== Type.headers && type !== Type.data) || (flags & END_STREAM) === 0) return;
    refusals -= 1;
    connection.send(refusals >= 0 ? frame(Type.reset, 0, stream, number(7)) : answer(stream));
  });
  const running = await run(server.url);
  expect(await ask(running.port, { method: 'POST', body: 'x' })).toMatchObject({ status: 200, body: 'ok' });
  refusals = 1000;
  const refused = await ask(running.port, { method: 'POST', body: 'x' });
  expect([refused.status, refused.headers['x-holdfast-error']]).toEqual([503, 'stream-refused']);
  await running.isQuiet();
});

test('a reset that is no refusal is told the client: POST is not sent twice, GET is', async () => {
  let resets = 0;
  const server = await scriptedServer(({ type, flags, stream }, connection) => {
    if ((type !== Type.headers && type !== Type.data) || (flags & END_STREAM) === 0) return;
    resets += 1;
    connection.send(resets === 2 ? answer(stream) : frame(Type.reset, 0, stream, number(2)));
  });
  const running = await run(server.url);
  expect(await ask(running.port)).toMatchObject({ status: 200 });
  expect(resets).toBe(2);
  const post = await ask(running.port, { method: 'POST', body: 'x' });
  expect([post.status, post.headers['x-holdfast-error'], resets]).toEqual([502, 'server-closed', 3]);
  await running.isQuiet();
});

test('an early answer: the client has it whole, the rest of the request is not sent', async () => {
  const server = await scriptedServer(({ type, stream }, connection) => {
    if (type !== Type.headers) return;
    connection.send(answer(stream, 'enough'), frame(Type.reset, 0, stream, number(0)));
  });
  const running = await run(server.url);
  const client = connect(`http://127.0.0.1:${running.port}`);
  client.on('error', () => undefined);
  whenDone(() => client.destroy());
  const stream = client.request({ ':method': 'POST', ':path': '/' });
  let got = '';
  stream.on('data', (part: Buffer) => {
    got += part.toString();
  });
  stream.write('some');
  await new Promise<void>((resolve) => stream.on('end', resolve));
  expect(got).toBe('enough');
  client.destroy();
  await running.isQuiet();
});

test('a client that does not read stalls its own stream only, and the server is not granted more', async () => {
  const backend = await http2Backend((stream, headers) => {
    stream.respond({ ':status': 200 });
    if (headers[':path'] === '/large') stream.end(Buffer.alloc(8 * 1024 * 1024, 'x'));
    else stream.end('small');
  });
  const running = await run(backend.url);
  const client = connect(`http://127.0.0.1:${running.port}`, { settings: { initialWindowSize: 1024 } });
  client.on('error', () => undefined);
  whenDone(() => client.destroy());
  const large = client.request({ ':path': '/large' });
  large.pause();
  await new Promise<void>((resolve) => large.on('response', () => resolve()));
  for (let index = 0; index < 20; index += 1)
    expect(await ask(running.port, { path: '/small' })).toMatchObject({ status: 200, body: 'small' });
  // a window of a stream at most is here
  expect(running.heardFromServers()).toBeLessThan(2 * 1024 * 1024);
  client.destroy();
  await running.isQuiet();
});

test('a server whose window is full holds back its client, and goes on when it opens', async () => {
  const server = await scriptedServer(({ type, flags, stream }, connection) => {
    if (type === Type.data && (flags & END_STREAM) !== 0) connection.send(answer(stream));
  });
  const running = await run(server.url);
  const body = Buffer.alloc(4 * 1024 * 1024, 'x').toString('latin1');
  const reply = ask(running.port, { method: 'POST', body });
  const connection = await server.until(
    (each) => each.of(Type.data).reduce((sum, { payload }) => sum + payload.length, 0) === 65_535,
    'a full window',
  );
  connection.send(frame(Type.window, 0, 0, number(8 << 20)), frame(Type.window, 0, 1, number(8 << 20)));
  expect((await reply).status).toBe(200);
  expect(connection.of(Type.data).reduce((sum, { payload }) => sum + payload.length, 0)).toBe(body.length);
  await running.isQuiet();
});

test('a server that stays silent is asked whether it lives, and given up when it does not answer', async () => {
  const server = await scriptedServer(() => undefined);
  const running = await run(server.url, 'timeouts: { response: 1h }, retry: { attempts: 0 },');
  const reply = ask(running.port);
  const connection = await server.until((each) => each.of(Type.headers).length === 1, 'a request');
  running.pass(31_000);
  await server.until((each) => each.of(Type.ping).length === 1, 'a PING');
  connection.send(frame(Type.ping, 1, 0, 'holdfast'));
  await eventually(() => running.heardFromServers() > 20, { what: () => 'the answer' });
  running.pass(31_000 + 61_000);
  await server.until((each) => each.of(Type.ping).length === 2, 'a second PING');
  running.pass(31_000 + 61_000 + 11_000);
  expect(await reply).toMatchObject({ status: 502, headers: { 'x-holdfast-error': 'server-closed' } });
  await running.isQuiet();
});

test('an idle connection ends after keepAlive.idle, with GOAWAY', async () => {
  const server = await scriptedServer(({ type, stream }, connection) => {
    if (type === Type.headers) connection.send(answer(stream));
  });
  const running = await run(server.url, 'keepAlive: { idle: 10s },');
  expect((await ask(running.port)).status).toBe(200);
  running.pass(11_000);
  await server.until((each) => each.of(Type.goaway).length === 1, 'GOAWAY');
  await eventually(() => server.sockets.size === 0, { what: () => 'the end of the connection' });
  await running.isQuiet();
});
