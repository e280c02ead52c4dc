// A response that is not passed on: what was wrong with it is in the log, in the access log and, if wanted, in the body.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { answer, type Script, scriptedBackend } from '../support/scripted-backend.ts';
import { get } from '../support/talker.ts';

const reply =
  (bytes: string): Script =>
  (heard) =>
    heard.finish(bytes);
const CHUNKED = 'Transfer-Encoding: chunked\r\n';
/** Path, response, and what people are told. */
const CASES: readonly (readonly [string, string, string])[] = [
  [
    '/twice',
    `HTTP/1.1 200 OK\r\n${CHUNKED}X-A: 1\r\n${CHUNKED}\r\n0\r\n\r\n`,
    'malformed or repeated Transfer-Encoding',
  ],
  [
    '/both',
    `HTTP/1.1 200 OK\r\n${CHUNKED}Content-Length: 5\r\n\r\n`,
    'Content-Length together with Transfer-Encoding',
  ],
  ['/length', 'HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\n', 'malformed or repeated Content-Length'],
  ['/line', 'HTTP/1.1 200 OK\r\nX-A: 1\r\nX-Secret: a\0b\r\n\r\n', 'malformed header line "X-Secret"'],
  ['/name', 'HTTP/1.1 200 OK\r\nX-A: 1\r\nX Bad: 1\r\n\r\n', 'malformed header line "X Bad: 1"'],
  ['/tls', '\x15\x03\x01\x00\x02\x02\x16', 'malformed status line'],
  ['/upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', '101 to a request without an upgrade'],
  ['/chunk', `HTTP/1.1 200 OK\r\n${CHUNKED}\r\nzz\r\n`, 'malformed chunked body'],
  [
    '/large',
    `HTTP/1.1 200 OK\r\n${'Set-Cookie: a=1\r\n'.repeat(100)}Content-Length: 0\r\n\r\n`,
    'its head is larger than 1024 bytes (limits.responseHeadBytes)',
  ],
];
const scripts = Object.fromEntries(CASES.map(([path, bytes]) => [path, reply(bytes)]));

const yaml = (url: string, more: string): string => `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 1
accessLog: json
${more}
pools:
  p: { health: off, passive: off, retry: { attempts: 0 }, limits: { responseHeadBytes: 1KiB }, servers: [{ name: a, url: ${url} }] }
`;

test('everybody who should knows what was wrong with a response', async () => {
  const { url } = await scriptedBackend(scripts);
  const holdfast = await runHoldfast(yaml(url, 'errorDetails: on'));
  for (const [path, , detail] of CASES) {
    const answered = await get(holdfast.port, path);
    expect([path, answered.status, answered.get('x-holdfast-error')]).toEqual([path, 502, 'bad-response']);
    expect(answered.body).toContain(detail);
    const line = await eventually(
      () =>
        holdfast
          .output()
          .split('\n')
          .find((one) => one.includes(`"target":"${path}"`)) ?? null,
      { deadlineMs: 5000, what: () => `the line of ${path} in the access log` },
    );
    expect(JSON.parse(line)).toMatchObject({
      error: 'bad-response',
      detail: expect.stringContaining(detail),
    });
  }
  // the first of a row is logged, the rest of ten seconds is counted
  const logged = holdfast
    .log()
    .split('\n')
    .filter((line) => line.includes('bad response from server p/a'));
  expect(logged).toHaveLength(1);
  expect(logged[0]).toContain('malformed or repeated Transfer-Encoding');
});

test('a client is told no more than that the response was bad, unless it may be; a head within the limit passes', async () => {
  const within = 'Set-Cookie: a=1\r\n'.repeat(50);
  const { url } = await scriptedBackend({ ...scripts, '/within': answer('ok', within) });
  const holdfast = await runHoldfast(yaml(url, ''));
  expect((await get(holdfast.port, '/twice')).body).toBe(
    '502 Bad Gateway: the server sent an invalid response\n',
  );
  expect((await get(holdfast.port, '/within')).body).toBe('ok');
  expect(holdfast.log()).toContain('malformed or repeated Transfer-Encoding');
});
