// Ordinary and odd HTTP that node:http does not take everywhere: whatever a client or a server sends, it is passed on,
// answered or cut, and the application that the balancer is a part of goes on. An error that surfaces anywhere else
// fails the run of the tests.

import { createServer } from 'node:http';
import { expect, test } from 'vitest';
import { createBalancer } from '../../src/embed/balancer.ts';
import { FaultWarnings } from '../../src/embed/fault-warnings.ts';
import { SILENT } from '../../src/embed/options.ts';
import { httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type RawClient, rawClient } from '../support/raw-client.ts';
import { type Embedded, embed, listen, SMALL } from './embedded.ts';

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const GET = 'GET / HTTP/1.1\r\nhost: t\r\n\r\n';
const CHUNKS = 'transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n';

interface Talk extends Embedded {
  /** All that the server has received, of every connection. */
  heard(): string;
  /** The client's connection after it has sent `request`, to a server that answers with `reply`. */
  send(request: string, reply: string): Promise<RawClient>;
}

async function talk(config: Readonly<Record<string, unknown>> = {}): Promise<Talk> {
  let heard = '';
  let answer = OK;
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
      if (heard.includes('\r\n\r\n')) socket.write(answer, 'latin1');
    });
    socket.on('end', () => socket.end());
  });
  const pool = { health: 'off', passive: 'off', retry: { attempts: 0 }, timeouts: { response: '1s' } };
  const embedded = await embed({
    pools: { web: { ...pool, servers: [backend.url], ...config } },
  });
  return {
    ...embedded,
    heard: () => heard,
    send: async (request, reply) => {
      heard = '';
      answer = reply;
      const client = await rawClient(embedded.port);
      client.send(Buffer.from(request, 'latin1'));
      return client;
    },
  };
}

test('a Trailer field goes along with chunks and is left out where there are none, both ways', async () => {
  const { send, heard } = await talk();
  const requests: readonly (readonly [string, boolean])[] = [
    ['GET / HTTP/1.1\r\nhost: t\r\ntrailer: x-t\r\n\r\n', false],
    ['HEAD / HTTP/1.1\r\nhost: t\r\ntrailer: x-t\r\n\r\n', false],
    ['POST / HTTP/1.1\r\nhost: t\r\ntrailer: x-t\r\n\r\n', false],
    ['POST / HTTP/1.1\r\nhost: t\r\ntrailer: x-t\r\ncontent-length: 0\r\n\r\n', false],
    ['PUT / HTTP/1.1\r\nhost: t\r\ntrailer: x-t\r\ncontent-length: 2\r\n\r\nok', false],
    ['DELETE / HTTP/1.1\r\nhost: t\r\ntrailer: x-t\r\n\r\n', false],
    ['GET / HTTP/1.0\r\nhost: t\r\ntrailer: x-t\r\n\r\n', false],
    [`POST / HTTP/1.1\r\nhost: t\r\ntrailer: x-t\r\n${CHUNKS}x-t: 1\r\n\r\n`, true],
  ];
  for (const [request, hasTrailer] of requests) {
    const reply = request.startsWith('HEAD') ? OK.slice(0, -2) : OK;
    const client = await send(request, reply);
    expect(await client.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(/^trailer: x-t\r$/m.test(heard())).toBe(hasTrailer);
    if (hasTrailer) await eventually(() => heard().includes('0\r\nx-t: 1\r\n\r\n'));
  }
  const responses: readonly (readonly [string, string, boolean])[] = [
    [GET, 'HTTP/1.1 200 OK\r\ntrailer: x-t\r\ncontent-length: 2\r\n\r\nok', false],
    [GET, 'HTTP/1.1 204 No Content\r\ntrailer: x-t\r\n\r\n', false],
    [GET, 'HTTP/1.1 304 Not Modified\r\ntrailer: x-t\r\n\r\n', false],
    [GET, `HTTP/1.1 200 OK\r\ntrailer: x-t\r\n${CHUNKS}x-t: 1\r\n\r\n`, true],
    [
      'HEAD / HTTP/1.1\r\nhost: t\r\n\r\n',
      'HTTP/1.1 200 OK\r\ntrailer: x-t\r\ntransfer-encoding: chunked\r\n\r\n',
      false,
    ],
    [
      'GET / HTTP/1.0\r\nhost: t\r\n\r\n',
      `HTTP/1.1 200 OK\r\ntrailer: x-t\r\n${CHUNKS}x-t: 1\r\n\r\n`,
      false,
    ],
  ];
  for (const [request, reply, hasTrailer] of responses) {
    const client = await send(request, reply);
    const text = await client.until(hasTrailer ? 'x-t: 1\r\n\r\n' : '\r\n\r\n');
    expect(text).toMatch(/^HTTP\/1\.1 (200|204|304) /);
    expect(/^trailer: x-t\r$/m.test(text)).toBe(hasTrailer);
  }
});

const UNWANTED = [
  ...['x-forwarded-for: 1.1.1.1', 'X_Forwarded_For: 1.1.1.1', 'forwarded: for=1.1.1.1', 'x-real-ip: 1.1.1.1'],
  ...['content-length: 5', 'transfer-encoding: chunked', 'host: other', 'trailer: x', 'connection: close'],
  ...[
    'cookie: holdfast=x',
    'set-cookie: holdfast=x',
    'authorization: Basic eDp5',
    'proxy-authenticate: Basic',
  ],
];

test('trailers that forward, frame, authenticate or carry cookies do not pass, either way', async () => {
  const { send, heard } = await talk();
  for (const line of UNWANTED) {
    const request = `POST / HTTP/1.1\r\nhost: t\r\n${CHUNKS}${line}\r\n\r\n`;
    const refused = await send(request, '');
    expect(await refused.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(heard()).not.toContain(line);
    const cut = await send(GET, `HTTP/1.1 200 OK\r\n${CHUNKS}${line}\r\n\r\n`);
    const { text } = await cut.closed();
    expect(text).not.toContain(line);
    expect(text).not.toMatch(/\r\n0\r\n/);
  }
});

test("a field that is called like a member of JavaScript's objects arrives as it was sent, once, both ways", async () => {
  const { send, heard } = await talk({ sticky: { mode: 'cookie-pin' } });
  for (const name of [
    'constructor',
    'toString',
    'valueOf',
    'hasOwnProperty',
    '__proto__',
    '__defineGetter__',
  ]) {
    const line = `${name}: a\r\n${name}: b\r\n`;
    const client = await send(
      `GET / HTTP/1.1\r\nhost: t\r\n${line}\r\n`,
      OK.replace('\r\n\r\n', `\r\n${line}\r\n`),
    );
    const answer = await client.until('ok');
    for (const text of [heard(), answer]) {
      expect(text.split('\r\n').filter((one) => one.startsWith(`${name}:`))).toEqual([
        `${name}: a`,
        `${name}: b`,
      ]);
    }
  }
});

test('bytes above 127 in fields, targets and reasons go through as they are', async () => {
  const { send, heard } = await talk();
  const reply = 'HTTP/1.1 200 \xff\xfe\r\nx-a: \xe9\x80\r\ncontent-length: 2\r\n\r\nok';
  const client = await send('GET /?\xe4 HTTP/1.1\r\nhost: t\r\nx-a: \xff\x80\r\n\r\n', reply);
  const text = await client.until('\r\n\r\n');
  if (text.startsWith('HTTP/1.1 200')) {
    expect(text).toContain('200 \xff\xfe\r\nx-a: \xe9\x80\r\n');
    expect(heard()).toContain('x-a: \xff\x80\r\n');
  } else expect(text).toMatch(/^HTTP\/1\.1 400 /);
});

test('a target that names its host goes to the server as a path, with that host', async () => {
  const { send, heard } = await talk();
  const client = await send('GET http://shop.test/a//b?c HTTP/1.1\r\nhost: other\r\n\r\n', OK);
  await client.until('ok');
  expect(heard()).toMatch(/^GET \/a\/\/b\?c HTTP\/1\.1\r\n/);
  expect(heard()).toMatch(/^host: shop\.test\r$/m);
});

test('answers that are none are answered with 502', async () => {
  const { send } = await talk();
  const interim = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n';
  const replies = [
    'HTTP/1.1 999 X\r\ncontent-length: 2\r\n\r\nok',
    'HTTP/1.1 099 X\r\ncontent-length: 2\r\n\r\nok',
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'HTTP/1.1 200 OK\r\nna me: x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nx: \0\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok',
    'nonsense\r\n\r\n',
    interim.repeat(100) + OK,
  ];
  for (const reply of replies) {
    const client = await send(GET, reply);
    expect(await client.until('\r\n\r\n'), reply.slice(0, 60)).toMatch(/^HTTP\/1\.1 502 /);
  }
  const client = await send(GET, interim.repeat(3) + OK);
  expect(await client.until('ok')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
});

test('a server that keeps us waiting with a head that never ends, or with interim ones, is given up in time', async () => {
  const { send, balancer } = await talk({ timeouts: { response: '300ms' } });
  const client = await send(GET, 'HTTP/1.1 200 OK\r\n');
  expect(await client.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 504 /);
  expect(balancer.status().pools[0]?.servers[0]?.inFlight).toBe(0);
});

test('what the application or its listeners set does not break the response', async () => {
  const backend = await httpBackend('a', (_request, response) => response.end('from the server'));
  const balancer = await createBalancer(
    {
      ...SMALL,
      pools: { web: { health: 'off', servers: [backend.url] } },
    },
    { log: SILENT },
  );
  const handler = balancer.middleware();
  const url = await listen(
    createServer((request, response) => {
      response.setHeader('trailer', 'x');
      response.setHeader('content-length', 3);
      response.setHeader('transfer-encoding', 'chunked');
      handler(request, response);
    }),
  );
  expect(await (await fetch(url)).text()).toBe('from the server');
  balancer.proxy.on('proxyRes', (incoming) => {
    incoming.headers['x-bad'] = 'line\nbreak';
  });
  const refused = await fetch(url);
  expect([refused.status, refused.headers.get('x-holdfast-error')]).toEqual([502, 'bad-response']);
  await refused.text();
  await balancer.close(0);
});

test('a body that was read before is answered, also where there is no next handler', async () => {
  const backend = await httpBackend('a');
  const { balancer } = await embed({ pools: { web: { servers: [backend.url] } } }, { log: SILENT });
  const handler = balancer.middleware();
  const url = await listen(
    createServer((request, response) => {
      request.on('end', () => setImmediate(() => handler(request, response))).resume();
    }),
  );
  const response = await fetch(url, { method: 'POST', body: 'x' });
  expect([response.status, await response.text()]).toEqual([501, expect.stringContaining('501')]);
});

test('a response head may be as large as limits.responseHeadBytes says, below and above what node:http lets through', async () => {
  const head = (kib: number): string =>
    OK.replace('\r\n\r\n', `\r\nx-big: ${'x'.repeat(kib * 1024)}\r\n\r\n`);
  for (const [limit, passes, fails] of [
    ['4KiB', 2, 8],
    ['64KiB', 40, 80],
  ] as const) {
    const { send } = await talk({ limits: { responseHeadBytes: limit } });
    const good = await send(GET, head(passes));
    expect(await good.until('\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
    const bad = await send(GET, head(fails));
    expect(await bad.until('\r\n\r\n')).toContain('x-holdfast-error: bad-response');
  }
});

test('faults are warned of once in a while, with the number of those that were not said', () => {
  const said: string[] = [];
  const warnings = new FaultWarnings((text) => said.push(text));
  for (const nowMs of [0, 1, 9999, 10_000, 10_001]) warnings.note('fault', nowMs);
  warnings.note('other', 30_000);
  expect(said).toEqual([
    'fault',
    'fault (and 2 more since the last warning)',
    'other (and 1 more since the last warning)',
  ]);
});
