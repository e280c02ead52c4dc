// What the balancer answers itself: the right code, named, counted, and the connection kept where that is safe.

import { createServer } from 'node:net';
import { describe, expect, test } from 'vitest';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { forFile } from '../support/lifetime.ts';
import { type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { talkTo } from '../support/talker.ts';

let holdfast: Holdfast;
let backend: ScriptedBackend;

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

forFile(async () => {
  backend = await scriptedBackend({
    '/garbage': (heard) => heard.finish('SSH-2.0-OpenSSH_9.2\r\n'),
    '/quiet': () => undefined,
    '/hangs-up': (heard) => heard.socket.destroy(),
  });
  holdfast = await runInside(
    `
listen:
  - address: 127.0.0.1:0
    limits: { headerBytes: 4KiB, headerCount: 20, bodyBytes: 1000 }
    timeouts: { header: 300ms, body: 300ms }
admin: { address: 127.0.0.1:0 }
threads: 1
routes:
  - { path: /refused, pool: refused }
  - { path: /maintained, pool: maintained }
  - { host: a, pool: p }
pools:
  p: { health: off, retry: { attempts: 0 }, timeouts: { response: 300ms }, servers: [{ url: ${backend.url} }] }
  refused: { health: off, retry: { attempts: 0 }, servers: [{ url: http://127.0.0.1:${await closedPort()} }] }
  maintained: { health: off, queue: { whenDown: 0s }, servers: [{ url: ${backend.url}, mode: maintenance }] }
`,
    { unready: true },
  );
});

const POST = (path: string, lines: string): string => `POST ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`;

/** Bytes, status, kind, and whether the connection goes on. */
const CASES: readonly (readonly [string, string, number, string, boolean])[] = [
  ['a head that is no HTTP', 'hello\r\n\r\n', 400, 'bad-request', false],
  ['two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400, 'bad-request', false],
  ['HTTP/2.0', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 400, 'bad-request', false],
  [
    'a request that has come by four times',
    `GET / HTTP/1.1\r\nHost: a\r\nVia: ${'1.1 holdfast, '.repeat(4)}1.1 b\r\n\r\n`,
    508,
    'loop-detected',
    true,
  ],
  [
    'OPTIONS that may go no further',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n',
    200,
    'max-forwards',
    true,
  ],
  ['TRACE', 'TRACE / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n', 501, 'not-implemented', false],
  ['no route', 'GET / HTTP/1.1\r\nHost: other\r\n\r\n', 404, 'no-route', true],
  [
    'no route, with a body',
    'PUT / HTTP/1.1\r\nHost: other\r\nContent-Length: 3\r\n\r\nabc',
    404,
    'no-route',
    false,
  ],
  ['a head that does not end', 'GET / HTTP/1.1\r\nHost: a\r\n', 408, 'request-timeout', false],
  ['a body that does not come', POST('/quiet', 'Content-Length: 3\r\n'), 408, 'request-timeout', false],
  ['a body larger than allowed', POST('/', 'Content-Length: 1001\r\n'), 413, 'body-too-large', false],
  [
    'a chunked body larger than allowed',
    `${POST('/', 'Transfer-Encoding: chunked\r\n')}3e9\r\n${'x'.repeat(1001)}\r\n0\r\n\r\n`,
    413,
    'body-too-large',
    false,
  ],
  [
    'a target larger than allowed',
    `GET /${'x'.repeat(5000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    414,
    'target-too-long',
    false,
  ],
  [
    'an expectation nobody knows',
    'GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n',
    417,
    'expectation-failed',
    false,
  ],
  [
    'a head larger than allowed',
    `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(5000)}\r\n\r\n`,
    431,
    'head-too-large',
    false,
  ],
  [
    'more header lines than allowed',
    `GET / HTTP/1.1\r\nHost: a\r\n${'X: 1\r\n'.repeat(25)}\r\n`,
    431,
    'head-too-large',
    false,
  ],
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 501, 'not-implemented', false],
  [
    'another transfer coding',
    POST('/', 'Transfer-Encoding: gzip, chunked\r\n'),
    501,
    'not-implemented',
    false,
  ],
  ['a server that speaks no HTTP', 'GET /garbage HTTP/1.1\r\nHost: a\r\n\r\n', 502, 'bad-response', true],
  ['a server that hangs up', 'GET /hangs-up HTTP/1.1\r\nHost: a\r\n\r\n', 502, 'server-closed', true],
  ['a server that is not there', 'GET /refused HTTP/1.1\r\nHost: a\r\n\r\n', 502, 'connect-failed', true],
  ['no server at all', 'GET /maintained HTTP/1.1\r\nHost: a\r\n\r\n', 503, 'no-server', true],
  ['a server that does not answer', 'GET /quiet HTTP/1.1\r\nHost: a\r\n\r\n', 504, 'response-timeout', true],
];

describe('our own reply to', () => {
  test.each(CASES)('%s', async (_, bytes, status, kind, isKept) => {
    const before = await holdfast.metric('holdfast_rejected_requests_total', { reason: kind });
    const talker = await talkTo(holdfast.port);
    talker.send(bytes);
    const reply = await talker.reply();
    expect([reply.status, reply.get('x-holdfast-error'), reply.get('connection')]).toEqual([
      status,
      kind,
      isKept ? undefined : 'close',
    ]);
    expect(reply.get('content-type')).toBe('text/plain; charset=utf-8');
    expect(reply.get('cache-control')).toBe('no-store');
    expect(reply.get('retry-after')).toBe(status === 503 ? '1' : undefined);
    expect(reply.body).toMatch(new RegExp(`^${status} [A-Z].*\\n$`));
    expect(await holdfast.metric('holdfast_rejected_requests_total', { reason: kind })).toBe(before + 1);
    if (isKept) {
      talker.send('GET /after HTTP/1.1\r\nHost: a\r\n\r\n');
      expect((await talker.reply()).status).toBe(200);
    } else expect(await talker.ended()).toBe('end');
  });
});

describe('our own replies', () => {
  test('to HEAD have no body', async () => {
    const talker = await talkTo(holdfast.port);
    for (const path of ['/garbage', '/hangs-up', '/refused', '/maintained']) {
      talker.send(`HEAD ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const reply = await talker.reply({ isHead: true });
      expect(reply.status).toBeGreaterThanOrEqual(502);
      expect(Number(reply.get('content-length'))).toBeGreaterThan(10);
    }
    talker.send('HEAD / HTTP/1.1\r\nHost: other\r\n\r\n');
    expect((await talker.reply({ isHead: true })).status).toBe(404);
    talker.send('GET /after HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await talker.reply()).body).toBe('ok');
  });

  test('end the connection of an HTTP/1.0 client', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('GET /maintained HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    expect((await talker.reply()).get('connection')).toBe('close');
    expect(await talker.ended()).toBe('end');
  });

  test('to a body announced too large come before any server hears of the request', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(POST('/too-large', 'Content-Length: 5000\r\nExpect: 100-continue\r\n'));
    expect((await talker.reply()).status).toBe(413);
    expect(backend.heard.filter(({ target }) => target === '/too-large')).toEqual([]);
  });

  test('reach a client that goes on sending for a while', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n');
    for (let index = 0; index < 50; index += 1) talker.send(Buffer.alloc(20_000));
    expect((await talker.reply()).status).toBe(413);
    expect(await talker.ended()).toBe('end');
  });
});
