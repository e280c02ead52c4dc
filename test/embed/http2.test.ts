// An embedded balancer behind the compatibility API of node:http2.

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createBalancer, type EmbeddedBalancer } from '../../src/embed/balancer.ts';
import { selfSigned } from '../../src/tls/self-signed.ts';
import { cannedBackend, echo, httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { nothingLeft, SMALL } from './embedded.ts';

interface Front {
  readonly balancer: EmbeddedBalancer;
  readonly session: ClientHttp2Session;
  readonly port: number;
}

async function front(servers: readonly string[], pool: object = {}, isSecure = false): Promise<Front> {
  const config = { ...SMALL, trusted: [], pools: { web: { health: 'off', servers, ...pool } } };
  const balancer = await createBalancer(config as Parameters<typeof createBalancer>[0]);
  const handler = balancer.middleware();
  const server: Http2Server = isSecure
    ? createSecureServer({ ...pem(), allowHTTP1: true }, handler)
    : createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const session = connect(`${isSecure ? 'https' : 'http'}://127.0.0.1:${port}`, {
    rejectUnauthorized: false,
  });
  session.on('error', () => undefined);
  onTestFinished(async () => {
    session.destroy();
    server.close();
    await balancer.close(0);
  });
  return { balancer, session, port };
}

function pem(): { cert: string; key: string } {
  const { cert, key } = selfSigned(['127.0.0.1'], Date.now());
  return { cert, key };
}

interface Answered {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly text: string;
  /** Of RST_STREAM. */
  readonly code: number;
}

function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: (stream: ClientHttp2Stream) => void,
): Promise<Answered> {
  const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined });
  body?.(stream);
  return answered(stream);
}

function answered(stream: ClientHttp2Stream): Promise<Answered> {
  return new Promise((resolve) => {
    let text = '';
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    stream.setEncoding('latin1');
    stream.on('response', (received) => {
      headers = received;
    });
    stream.on('trailers', (received) => {
      trailers = received;
    });
    stream.on('data', (part: string) => {
      text += part;
    });
    stream.on('error', () => undefined);
    stream.on('close', () => resolve({ headers, trailers, text, code: stream.rstCode }));
  });
}

test('a request arrives as one of HTTP/1, its cookies in one line, its authority as Host', async () => {
  const warnings: string[] = [];
  const hear = (warning: Error): number => warnings.push(warning.message);
  process.on('warning', hear);
  const backend = await httpBackend('a');
  const { session, port } = await front([backend.url], { sticky: { mode: 'cookie-hash' } });
  const headers = {
    ':method': 'PUT',
    ':path': '//x?y=1',
    cookie: ['a=1', 'b=2'],
    'x-own': '1',
    te: 'trailers',
  };
  const { headers: received, text } = await ask(session, headers, (stream) => stream.end('hello'));
  expect(JSON.parse(text)).toMatchObject({ method: 'PUT', target: '//x?y=1', body: 'hello' });
  const seen = (JSON.parse(text) as { headers: Record<string, string> }).headers;
  expect(seen).toMatchObject({
    host: `127.0.0.1:${port}`,
    cookie: 'a=1; b=2',
    'x-own': '1',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http',
    'transfer-encoding': 'chunked',
  });
  expect(Object.keys(seen).filter((name) => name.startsWith(':') || name === 'te')).toEqual([]);
  expect(received[':status']).toBe(200);
  expect(String(received['set-cookie'])).toMatch(/^holdfast=/);
  expect(Object.keys(received)).not.toContain('connection');
  process.off('warning', hear);
  expect(warnings.filter((text) => /HTTP\/2|header/.test(text))).toEqual([]);
});

test('a body of known length keeps it, HEAD and 204 have none, repeated fields stay', async () => {
  const backend = await httpBackend('a', (request, response) => {
    if (request.method === 'POST') {
      echo('a')(request, response);
      return;
    }
    response.writeHead(request.url === '/204' ? 204 : 200, 'In words', ['x-two', '1', 'x-two', '2']);
    response.end(request.url === '/204' ? undefined : 'text');
  });
  const { session } = await front([backend.url]);
  const posted = await ask(session, { ':method': 'POST', 'content-length': 2 }, (stream) => stream.end('ab'));
  expect(JSON.parse(posted.text)).toMatchObject({ body: 'ab', headers: { 'content-length': '2' } });
  const head = await ask(session, { ':method': 'HEAD' });
  expect([head.headers['x-two'], head.text, head.code]).toEqual(['1, 2', '', 0]);
  const none = await ask(session, { ':path': '/204' });
  expect([none.headers[':status'], none.text, none.code]).toEqual([204, '', 0]);
});

test('trailers pass both ways', async () => {
  const backend = await httpBackend('a', (request, response) => {
    request.resume().on('end', () => {
      response.writeHead(200, { trailer: 'x-sum' });
      response.write('text');
      response.addTrailers({ 'x-sum': String(request.trailers['x-count']) });
      response.end();
    });
  });
  const { session } = await front([backend.url]);
  const stream = session.request({ ':method': 'POST', ':path': '/' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-count': '3' }));
  stream.end('body');
  const { text, trailers, code } = await answered(stream);
  expect([text, trailers['x-sum'], code]).toEqual(['text', '3', 0]);
});

test('our own replies have no field of HTTP/1, and two hosts that differ are refused', async () => {
  const { session } = await front(['http://127.0.0.1:1'], { queue: { whenDown: '0s' } });
  const down = await ask(session, {});
  expect(down.headers).toMatchObject({ ':status': 502, 'x-holdfast-error': 'connect-failed' });
  const two = await ask(session, { ':authority': 'one.test', host: 'other.test' });
  expect(two.headers).toMatchObject({ ':status': 400, 'x-holdfast-error': 'bad-request' });
});

test('a response that the server breaks off ends with an error, not like one that is whole', async () => {
  const backend = await cannedBackend('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345', 'destroy');
  const all = await front([backend.url]);
  const { headers, code } = await ask(all.session, {});
  expect([headers[':status'], code]).toEqual([200, constants.NGHTTP2_INTERNAL_ERROR]);
  await nothingLeft(all);
});

test('an upload whose connection goes is broken off at the server', async () => {
  let begun = 0;
  let ended = 0;
  let aborted = 0;
  const backend = await httpBackend('a', (request) => {
    begun += 1;
    request.on('error', () => undefined);
    request.resume().on('end', () => {
      ended += 1;
    });
    request.on('close', () => {
      if (!request.complete) aborted += 1;
    });
  });
  const all = await front([backend.url]);
  const stream = all.session.request({ ':method': 'POST', ':path': '/' });
  const closed = answered(stream);
  stream.write('part');
  await eventually(() => begun === 1);
  all.session.destroy();
  await closed;
  await eventually(() => aborted === 1);
  expect(ended).toBe(0);
  await nothingLeft(all);
});

test('large bodies each way, several at once on one connection, arrive whole', async () => {
  const backend = await httpBackend('a', (request, response) => request.pipe(response));
  const all = await front([backend.url]);
  const body = Buffer.alloc(512 * 1024, 'holdfast ').toString('latin1');
  const answers = await Promise.all(
    Array.from({ length: 6 }, () => ask(all.session, { ':method': 'POST' }, (stream) => stream.end(body))),
  );
  expect(answers.map(({ text, code }) => [text === body, code])).toEqual(Array(6).fill([true, 0]));
  await nothingLeft(all);
});

test('a body over TLS that comes in parts arrives whole, and the server is told of https', async () => {
  const backend = await httpBackend('a');
  const { session } = await front([backend.url], {}, true);
  const parts = await ask(session, { ':method': 'POST' }, (stream) => {
    stream.write('a');
    stream.end('b');
  });
  expect(JSON.parse(parts.text)).toMatchObject({ body: 'ab', headers: { 'x-forwarded-proto': 'https' } });
});

test('one server for HTTP/1.1 and HTTP/2 over TLS serves both', async () => {
  const backend = await httpBackend('a');
  const { session, port } = await front([backend.url], {}, true);
  expect((await ask(session, {})).headers[':status']).toBe(200);
  const status = await new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', rejectUnauthorized: false };
    httpsRequest(options, (response) => resolve(response.resume().statusCode))
      .on('error', reject)
      .end();
  });
  expect(status).toBe(200);
});

test('of many requests whose clients go at random moments nothing is left', async () => {
  const backend = await httpBackend('a', (request, response) => {
    response.on('error', () => undefined);
    request.on('error', () => undefined);
    request.pipe(response);
  });
  const all = await front([backend.url]);
  let seed = 7;
  const random = (): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const one = async (): Promise<void> => {
    const stream = all.session.request({ ':method': 'POST', ':path': '/' });
    const closed = answered(stream);
    stream.write('x'.repeat(Math.floor(random() * 100_000)));
    const turns = Math.floor(random() * 12);
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
    if (random() < 0.5) stream.close(constants.NGHTTP2_CANCEL);
    else stream.end();
    await closed;
  };
  for (let round = 0; round < 10; round += 1) await Promise.all(Array.from({ length: 20 }, one));
  await nothingLeft(all);
  expect((await ask(all.session, { ':method': 'POST' }, (stream) => stream.end('still'))).text).toBe('still');
});
