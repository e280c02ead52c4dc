// HTTP/2 to servers over TLS: what the handshake agrees on, and what becomes of servers that speak HTTP/1 alone.

import { createServer, request as httpRequest } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { type Authority, authority, type Certificate } from '../support/authority.ts';
import { echo } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { http2Backend } from '../support/http2-backend.ts';
import { forFile, whenDone } from '../support/lifetime.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

let own: Authority;
let good: Certificate;

forFile((skip) => {
  own = authority(skip);
  good = own.issue('IP:127.0.0.1');
});

const run = (protocol: string, url: string, pool = ''): Promise<RunningThread> =>
  runThread(
    `pools: { web: { protocol: ${protocol}, health: off, ${pool} retry: { attempts: 0 }, queue: { whenDown: 0s }, tls: { ca: ${own.caFile} }, servers: ["${url}"] } }`,
  );

function ask(port: number): Promise<{ status: number; error: unknown; body: string }> {
  return new Promise((resolve, reject) => {
    httpRequest({ port, host: '127.0.0.1', agent: false }, (answer) => {
      let body = '';
      answer.on('data', (part: Buffer) => {
        body += part.toString();
      });
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, error: answer.headers['x-holdfast-error'], body }),
      );
    })
      .on('error', reject)
      .end();
  });
}

async function http1OverTls(): Promise<{ url: string; connections(): number }> {
  let connections = 0;
  const server = createHttpsServer({ cert: good.cert, key: good.key, keepAliveTimeout: 60_000 }, echo('old'));
  server.on('connection', () => {
    connections += 1;
  });
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenDone(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `https://127.0.0.1:${port}`, connections: () => connections };
}

test.each(['h2', 'auto'])('%s: a server that offers HTTP/2 gets it', async (protocol) => {
  const backend = await http2Backend(undefined, {}, { cert: good.cert, key: good.key, allowHTTP1: true });
  const running = await run(protocol, backend.url);
  const { status, body } = await ask(running.port);
  expect([status, JSON.parse(body).headers[':scheme']]).toEqual([200, 'https']);
  for (let index = 0; index < 5; index += 1) await ask(running.port);
  expect(backend.connections()).toBe(1);
  await running.isQuiet();
});

test('HTTP/2 over TLS on both sides: large bodies both ways and trailers, on one connection each', async () => {
  const backend = await http2Backend(
    (stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-end': 'there' }));
      stream.pipe(stream);
    },
    { maxSessionMemory: 1000 },
    good,
  );
  const running = await runThread(
    `pools: { web: { protocol: h2, health: off, tls: { ca: ${own.caFile} }, servers: ["${backend.url}"] } }`,
    'tls: { selfSigned: true }',
  );
  const client = connectHttp2(`https://127.0.0.1:${running.port}`, {
    rejectUnauthorized: false,
    maxSessionMemory: 1000,
  });
  whenDone(() => client.destroy());
  const body = Buffer.alloc(1 << 20);
  for (let at = 0; at < body.length; at += 4) body.writeUInt32BE(at, at);
  const echoed = Array.from(
    { length: 20 },
    () =>
      new Promise<readonly [boolean, unknown]>((resolve, reject) => {
        const stream = client.request({ ':method': 'POST', ':path': '/' });
        const parts: Buffer[] = [];
        let end: unknown;
        stream.on('data', (part: Buffer) => parts.push(part));
        stream.on('trailers', (fields) => {
          end = fields['x-end'];
        });
        stream.on('end', () => resolve([Buffer.concat(parts).equals(body), end]));
        stream.on('error', reject);
        stream.end(body);
      }),
  );
  for (const each of await Promise.all(echoed)) expect(each).toEqual([true, 'there']);
  expect(backend.connections()).toBe(1);
  client.close();
  await running.isQuiet();
});

test('auto: a server that has HTTP/1 alone is served by it, over connections that are used again', async () => {
  const server = await http1OverTls();
  const running = await run('auto', server.url);
  const replies = await Promise.all(Array.from({ length: 5 }, () => ask(running.port)));
  for (const { status, body } of replies) expect([status, JSON.parse(body).server]).toEqual([200, 'old']);
  const before = server.connections();
  for (let index = 0; index < 5; index += 1) expect((await ask(running.port)).status).toBe(200);
  expect(server.connections()).toBe(before);
  await running.isQuiet();
});

test('auto: a server that has learnt HTTP/2 gets it a minute later, however busy its connections of HTTP/1 are', async () => {
  let learnt = false;
  const backend = await http2Backend(
    undefined,
    {},
    {
      ...good,
      allowHTTP1: true,
      ALPNCallback: ({ protocols }) => (learnt && protocols.includes('h2') ? 'h2' : 'http/1.1'),
    },
  );
  Object.assign(backend.server, { keepAliveTimeout: 600_000 });
  backend.server.on('request', (request, response) => {
    if (request.httpVersionMajor === 1) response.end(JSON.stringify({ server: 'old' }));
  });
  const running = await run('auto', backend.url, 'keepAlive: { idle: 10m },');
  const isOld = async (): Promise<boolean> => JSON.parse((await ask(running.port)).body).server === 'old';
  expect(await isOld()).toBe(true);
  learnt = true;
  running.pass(30_000);
  expect(await isOld()).toBe(true);
  running.pass(31_000);
  // asked beside the requests: none of them waits
  expect(await isOld()).toBe(true);
  await eventually(async () => !(await isOld()), { what: () => 'an answer by HTTP/2' });
  expect(backend.connections()).toBe(1);
  await running.isQuiet();
});

test('auto: a server that has HTTP/1 alone, then HTTP/2 alone, and HTTP/1 again, loses no request', async () => {
  let has = 'http/1.1';
  const backend = await http2Backend(
    undefined,
    {},
    {
      ...good,
      allowHTTP1: true,
      // what is not offered ends the handshake
      ALPNCallback: ({ protocols }) => (protocols.includes(has) ? has : undefined),
    },
  );
  backend.server.on('tlsClientError', () => undefined);
  backend.server.on('request', (request, response) => {
    if (request.httpVersionMajor !== 1) return;
    response.setHeader('connection', 'close');
    response.end(JSON.stringify({ headers: {} }));
  });
  const running = await run('auto', backend.url);
  const speaks = async (): Promise<string> => {
    const { status, body } = await ask(running.port);
    expect(status).toBe(200);
    return ':path' in JSON.parse(body).headers ? 'h2' : 'http/1.1';
  };
  for (const next of ['http/1.1', 'h2', 'http/1.1', 'h2']) {
    has = next;
    for (const session of backend.sessions) session.destroy();
    await eventually(() => backend.sessions.size === 0);
    const all = await Promise.all([speaks(), speaks(), speaks()]);
    expect([...all, await speaks()]).toEqual([next, next, next, next]);
  }
  expect(running.failures(0)).toBe(0);
  await running.isQuiet();
});

test('h2: a server that has HTTP/1 alone is not reached, and it is said why', async () => {
  const server = await http1OverTls();
  const running = await run('h2', server.url);
  const reply = await ask(running.port);
  expect([reply.status, reply.error]).toEqual([502, 'tls-failed']);
  expect(running.log.join()).toMatch(/ALPN|no application protocol/);
  await running.isQuiet();
});

test('auto in the clear is HTTP/1', async () => {
  const server = createServer(echo('plain'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  whenDone(() => {
    server.closeAllConnections();
    server.close();
  });
  const running = await run('auto', `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  expect(JSON.parse((await ask(running.port)).body).server).toBe('plain');
  await running.isQuiet();
});

test('a WebSocket to a pool of HTTP/2 goes over a connection of HTTP/1', async () => {
  const backend = await http2Backend(undefined, {}, { cert: good.cert, key: good.key, allowHTTP1: true });
  const sockets = new WebSocketServer({ noServer: true });
  backend.server.on('upgrade', (request, socket, head) =>
    sockets.handleUpgrade(request, socket, head, (client) =>
      client.on('message', (data) => client.send(data)),
    ),
  );
  const running = await run('h2', backend.url);
  expect((await ask(running.port)).status).toBe(200);
  const client = new WebSocket(`ws://127.0.0.1:${running.port}/`);
  const echoed = await new Promise<string>((resolve, reject) => {
    client.on('open', () => client.send('hello'));
    client.on('message', (data) => resolve(String(data)));
    client.on('error', reject);
  });
  expect(echoed).toBe('hello');
  client.terminate();
  sockets.close();
});
