// An embedded balancer in front of real servers: what a request and its response look like on the other side.

import { createServer } from 'node:http';
import express from 'express';
import { expect, test } from 'vitest';
import { createBalancer } from '../../src/embed/balancer.ts';
import { echo, httpBackend } from '../support/backend.ts';
import { rawClient } from '../support/raw-client.ts';
import { embed, listen, SMALL } from './embedded.ts';

interface Echo {
  server: string;
  method: string;
  target: string;
  headers: Record<string, string>;
  rawHeaders: string[];
  body: string;
}

async function echoed(response: Response): Promise<Echo> {
  return (await response.json()) as Echo;
}

test('requests are shared out, by the policy of the pool', async () => {
  const [a, b] = [await httpBackend('a'), await httpBackend('b')];
  const { url } = await embed({ pools: { web: { servers: [a.url, b.url] } } });
  const served: string[] = [];
  for (let count = 0; count < 10; count += 1) served.push((await echoed(await fetch(url))).server);
  expect(served.toSorted().join('')).toBe('aaaaabbbbb');
  expect(a.connections() + b.connections()).toBeLessThan(8);
});

test('a request arrives as it was sent, with forwarding fields of our own', async () => {
  const backend = await httpBackend('a');
  const { url } = await embed({ trusted: [], pools: { web: { servers: [backend.url] } } });
  const response = await fetch(`${url}//two//slashes/%41?q=1&r=a//b`, {
    method: 'PUT',
    body: 'hello',
    headers: { 'X-Forwarded-For': '1.2.3.4', 'X-Holdfast-Fake': 'x', 'X-Own': 'kept', te: 'trailers' },
  });
  const seen = await echoed(response);
  expect(seen).toMatchObject({ method: 'PUT', target: '//two//slashes/%41?q=1&r=a//b', body: 'hello' });
  expect(seen.headers).toMatchObject({
    host: new URL(url).host,
    'x-own': 'kept',
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http',
    via: '1.1 holdfast',
    'x-forwarded-host': new URL(url).host,
    'content-length': '5',
    connection: 'keep-alive',
  });
  expect(seen.headers['x-request-id']).toMatch(/^[0-9a-f]{16}-\d+$/);
  expect(Object.keys(seen.headers)).not.toContain('x-holdfast-fake');
  expect(Object.keys(seen.headers)).not.toContain('te');
});

test('a trusted peer is believed, and its address appended', async () => {
  const backend = await httpBackend('a');
  const { url } = await embed({ trusted: ['127.0.0.1'], pools: { web: { servers: [backend.url] } } });
  const headers = { 'x-forwarded-for': '9.9.9.9', 'x-forwarded-proto': 'https', 'x-request-id': 'mine' };
  const seen = await echoed(await fetch(url, { headers }));
  expect(seen.headers).toMatchObject({
    'x-forwarded-for': '9.9.9.9, 127.0.0.1',
    'x-forwarded-proto': 'https',
    'x-request-id': 'mine',
  });
});

test('a DELETE with a chunked body keeps its body', async () => {
  const backend = await httpBackend('a');
  const { port } = await embed({ pools: { web: { servers: [backend.url] } } });
  const client = await rawClient(port);
  client.send('DELETE /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n');
  const text = await client.until('"body":');
  expect(text).toContain('"body":"body"');
  client.send('GET /next HTTP/1.1\r\nHost: t\r\n\r\n');
  expect(await client.until('/next')).toContain('"target":"/next"');
});

test('fields named by Connection and the hop-by-hop ones stay behind, both ways', async () => {
  const backend = await httpBackend('a', (request, response) => {
    response.writeHead(200, [
      'Connection',
      'X-Private',
      'X-Private',
      '1',
      'X-Public',
      '2',
      'Keep-Alive',
      'timeout=9',
    ]);
    response.end(JSON.stringify(request.rawHeaders));
  });
  const { port } = await embed({ pools: { web: { servers: [backend.url] } } });
  const client = await rawClient(port);
  client.send(
    'GET / HTTP/1.1\r\nHost: t\r\nConnection: X-Hop\r\nX-Hop: 1\r\nProxy-Authorization: x\r\nX-End: 2\r\n\r\n',
  );
  const text = await client.until(']');
  expect(text).toContain('X-Public: 2');
  expect(text).not.toContain('X-Private');
  expect(text).not.toContain('timeout=9');
  expect(text).toContain('"X-End"');
  expect(text).not.toContain('X-Hop');
  expect(text).not.toContain('Proxy-Authorization');
});

test('repeated fields, their case and the order of cookies are kept', async () => {
  const backend = await httpBackend('a', (_request, response) => {
    response.writeHead(418, 'Short and stout', [
      'X-Two',
      'a',
      'X-Two',
      'b',
      'Set-Cookie',
      'c=1',
      'Set-Cookie',
      'd=2',
    ]);
    response.end('tea');
  });
  const { port } = await embed({ pools: { web: { servers: [backend.url] } } });
  const client = await rawClient(port);
  client.send('GET / HTTP/1.1\r\nHost: t\r\n\r\n');
  const text = await client.until('tea');
  expect(text).toMatch(/^HTTP\/1\.1 418 Short and stout\r\n/);
  expect(text).toContain('X-Two: a\r\nX-Two: b\r\n');
  expect(text.indexOf('Set-Cookie: c=1')).toBeLessThan(text.indexOf('Set-Cookie: d=2'));
});

test('HEAD, 204 and 304 have no body and the connection goes on', async () => {
  const backend = await httpBackend('a', (request, response) => {
    response.statusCode = Number(request.url?.slice(1));
    response.end(response.statusCode === 200 ? 'body' : undefined);
  });
  const { port } = await embed({ pools: { web: { servers: [backend.url] } } });
  const client = await rawClient(port);
  client.send('HEAD /200 HTTP/1.1\r\nHost: t\r\n\r\nGET /204 HTTP/1.1\r\nHost: t\r\n\r\n');
  client.send('GET /304 HTTP/1.1\r\nHost: t\r\n\r\nGET /200 HTTP/1.1\r\nHost: t\r\n\r\n');
  const text = await client.until('body');
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual([
    'HTTP/1.1 200',
    'HTTP/1.1 204',
    'HTTP/1.1 304',
    'HTTP/1.1 200',
  ]);
});

test('an event stream is passed on event by event', async () => {
  const backend = await httpBackend('a', (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    setTimeout(() => response.write('data: 1\n\n'), 50);
  });
  const { url } = await embed({ pools: { web: { servers: [backend.url] } } });
  const response = await fetch(url);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const { value } = await reader.read();
  expect(Buffer.from(value ?? []).toString()).toBe('data: 1\n\n');
  await reader.cancel();
});

test('a megabyte each way arrives whole', async () => {
  const backend = await httpBackend('a', (request, response) => request.pipe(response));
  const { url } = await embed({ pools: { web: { servers: [backend.url] } } });
  const body = Buffer.alloc(1024 * 1024, 'holdfast ');
  const response = await fetch(url, { method: 'POST', body });
  expect(Buffer.from(await response.arrayBuffer()).equals(body)).toBe(true);
});

test('routes choose the pool by host and path; what matches none goes on to the next handler', async () => {
  const [a, b] = [await httpBackend('a'), await httpBackend('b')];
  const balancer = await createBalancer({
    ...SMALL,
    routes: [
      { path: '/api/', pool: 'api' },
      { path: '/shop/', pool: 'shop' },
    ],
    pools: { api: { servers: [a.url] }, shop: { servers: [b.url] } },
  });
  const app = express();
  app.use(balancer.middleware());
  app.use((_request, response) => {
    response.status(200).send('the app itself');
  });
  const url = await listen(createServer(app));
  expect((await echoed(await fetch(`${url}/api/x`))).server).toBe('a');
  expect((await echoed(await fetch(`${url}/shop/`))).server).toBe('b');
  expect(await (await fetch(`${url}/other`)).text()).toBe('the app itself');
  const bare = await listen(createServer(balancer.middleware()));
  const refused = await fetch(`${bare}/other`);
  expect([refused.status, refused.headers.get('x-holdfast-error')]).toEqual([404, 'no-route']);
  await balancer.close(0);
});

test.each([
  ['application/json; charset=utf-8', '{ "a": [1, "ä"] }', '{"a":[1,"ä"]}'],
  ['application/x-www-form-urlencoded', 'a=1&b=2&b=3%204', 'a=1&b=2&b=3%204'],
  ['text/plain', 'as it came', 'as it came'],
  ['application/octet-stream', 'bytes', 'bytes'],
])('a body that a parser has read is sent again: %s', async (type, body, expected) => {
  const backend = await httpBackend('a', echo('a'));
  const balancer = await createBalancer({ ...SMALL, pools: { web: { servers: [backend.url] } } });
  const app = express();
  app.use(express.json(), express.urlencoded({ extended: false }), express.text(), express.raw());
  app.use(balancer.middleware());
  const url = await listen(createServer(app));
  const response = await fetch(url, { method: 'PUT', body, headers: { 'content-type': type } });
  const { body: received, headers } = await echoed(response);
  const text = Buffer.from(received, 'latin1').toString();
  expect([text, headers['content-length']]).toEqual([expected, String(Buffer.byteLength(expected))]);
  await balancer.close(0);
});

test('a body that a parser has read and that cannot be made again is an error to the application, not a request that hangs', async () => {
  const backend = await httpBackend('a', echo('a'));
  const balancer = await createBalancer({ ...SMALL, pools: { web: { servers: [backend.url] } } });
  const app = express();
  app.use((request, _response, next) => {
    request.resume().on('end', () => next());
  });
  app.use(balancer.middleware());
  app.use(((error, _request, response, _next) => {
    response.status(500).send(error.message);
  }) as express.ErrorRequestHandler);
  const url = await listen(createServer(app));
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', body: '{"a":1}', headers });
  expect([response.status, await response.text()]).toEqual([
    500,
    'the request body was read already: mount the balancer before body parsers',
  ]);
  await balancer.close(0);
});
