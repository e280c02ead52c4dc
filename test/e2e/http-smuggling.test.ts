// Request smuggling: whatever a client sends, the server never finds a second request in it.
//
// The backend reads everything leniently, in several ways at once (by length, by chunks, by bare line feeds), and would
// carry out the attack; the test looks at the bytes it got and at every request line in them.

import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { forFile } from '../support/lifetime.ts';
import { talkTo } from '../support/talker.ts';

let holdfast: Holdfast;
/** All bytes each connection has brought. */
const connections: { text: string }[] = [];

/** Whether the backend answers at all: where only the fault may be answered, its answer would come first on a busy machine. */
let answers = true;

/** How long the backend waits for more before it answers: it has no idea where requests end. */
const SILENCE_MS = 40;

function lenient(socket: Socket): void {
  const connection = { text: '' };
  connections.push(connection);
  let timer: NodeJS.Timeout | undefined;
  socket.on('error', () => undefined);
  socket.on('end', () => socket.end());
  socket.on('close', () => clearTimeout(timer));
  socket.on('data', (part: Buffer) => {
    connection.text += part.toString('latin1');
    clearTimeout(timer);
    if (!answers) return;
    timer = setTimeout(
      () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok'),
      SILENCE_MS,
    );
  });
}

forFile(async () => {
  const backend = await tcpBackend(lenient);
  holdfast = await runInside(`
listen: [{ address: 127.0.0.1:0, timeouts: { header: 250ms, body: 250ms } }]
admin: { address: 127.0.0.1:0 }
threads: 1
pools: { p: { health: off, retry: { attempts: 0 }, servers: [{ url: ${backend.url} }] } }
`);
});

const EVIL = 'GET /evil HTTP/1.1\r\nHost: a\r\n\r\n';
const post = (lines: string, rest: string): string =>
  `POST /front HTTP/1.1\r\nHost: a\r\n${lines}\r\n${rest}`;
const TE = 'Transfer-Encoding: chunked\r\n';

/** Refused before any server hears of them. */
const REFUSED: readonly (readonly [string, string])[] = [
  ['CL.TE', post(`Content-Length: ${5 + EVIL.length}\r\n${TE}`, `0\r\n\r\n${EVIL}`)],
  ['TE.CL', post(`${TE}Content-Length: 4\r\n`, `${EVIL.length.toString(16)}\r\n${EVIL}\r\n0\r\n\r\n`)],
  ['CL.CL, different', post(`Content-Length: 0\r\nContent-Length: ${EVIL.length}\r\n`, EVIL)],
  ['CL.CL, the same', post(`Content-Length: 3\r\nContent-Length: 3\r\n`, `abc${EVIL}`)],
  ['CL as a list', post(`Content-Length: 0, ${EVIL.length}\r\n`, EVIL)],
  ['CL with a sign', post('Content-Length: +5\r\n', 'hello')],
  ['CL negative', post('Content-Length: -1\r\n', EVIL)],
  ['CL in hex', post('Content-Length: 0x5\r\n', 'hello')],
  ['CL in octal digits too many', post(`Content-Length: ${'0'.repeat(40)}5\r\n`, 'hello')],
  ['CL empty', post('Content-Length:\r\n', EVIL)],
  ['CL past 2^53', post('Content-Length: 9007199254740993\r\n', EVIL)],
  ['TE.TE, one unknown', post(`${TE}Transfer-Encoding: x\r\n`, `0\r\n\r\n${EVIL}`)],
  ['TE.TE, both chunked', post(TE + TE, `0\r\n\r\n${EVIL}`)],
  ['TE as identity', post('Transfer-Encoding: identity\r\nContent-Length: 5\r\n', 'hello')],
  ['TE chunked twice', post('Transfer-Encoding: chunked, chunked\r\n', `0\r\n\r\n${EVIL}`)],
  ['TE chunked not last', post('Transfer-Encoding: chunked, gzip\r\n', `0\r\n\r\n${EVIL}`)],
  ['TE in quotes', post('Transfer-Encoding: "chunked"\r\n', `0\r\n\r\n${EVIL}`)],
  ['TE with a vertical tab', post('Transfer-Encoding: \x0bchunked\r\n', `0\r\n\r\n${EVIL}`)],
  ['TE with a parameter', post('Transfer-Encoding: chunked;x=1\r\n', `0\r\n\r\n${EVIL}`)],
  ['TE with a space before the colon', post(`Transfer-Encoding : chunked\r\nContent-Length: 5\r\n`, 'hello')],
  ['CL with a space before the colon', post(`Content-Length : ${EVIL.length}\r\n`, EVIL)],
  ['TE folded', post('Transfer-Encoding:\r\n chunked\r\n', `0\r\n\r\n${EVIL}`)],
  [
    'a folded line that hides TE',
    post('X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 3\r\n', 'abc'),
  ],
  ['a leading space before the first header', `POST /front HTTP/1.1\r\n Host: a\r\nHost: b\r\n\r\n${EVIL}`],
  ['TE behind a bare LF', post('X: y\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${EVIL}`)],
  ['TE behind a bare CR', post('X: y\rTransfer-Encoding: chunked\r\n', `0\r\n\r\n${EVIL}`)],
  ['a head with bare LFs only', `GET /front HTTP/1.1\nHost: a\n\n${EVIL}`],
  ['a NUL in a value', post('X: a\0b\r\n', EVIL)],
  ['a NUL in a name', post('X\0Y: a\r\n', EVIL)],
  ['a line without a colon', post('Content-Length 5\r\n', 'hello')],
  ['an empty name', post(': x\r\n', EVIL)],
  ['TE in HTTP/1.0', `POST /front HTTP/1.0\r\nHost: a\r\n${TE}\r\n0\r\n\r\n${EVIL}`],
  ['two spaces in the request line', `GET  /front HTTP/1.1\r\nHost: a\r\n\r\n${EVIL}`],
  ['a tab in the request line', `GET\t/front HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['a request line inside the target', `GET /front HTTP/1.1\r\nGET /evil HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['HTTP/0.9', `GET /front\r\n\r\n${EVIL}`],
  ['HTTP/1.10', `GET /front HTTP/1.10\r\nHost: a\r\n\r\n${EVIL}`],
  ['two Hosts', `GET /front HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${EVIL}`],
  ['no Host', `GET /front HTTP/1.1\r\n\r\n${EVIL}`],
  ['a Host with a path', `GET /front HTTP/1.1\r\nHost: a/evil\r\n\r\n`],
  ['a Host with credentials', `GET /front HTTP/1.1\r\nHost: a@b\r\n\r\n`],
];

/** Broken in the body: the server has heard of the request, and of nothing after the fault. */
const BROKEN: readonly (readonly [string, string])[] = [
  ['a chunk size with 0x', post(TE, `0x5\r\nhello\r\n0\r\n\r\n${EVIL}`)],
  ['a chunk size with a sign', post(TE, `+5\r\nhello\r\n0\r\n\r\n${EVIL}`)],
  ['a chunk size with a space behind', post(TE, `5 \r\nhello\r\n0\r\n\r\n${EVIL}`)],
  ['a chunk size with an underscore', post(TE, `1_0\r\n${'x'.repeat(16)}\r\n0\r\n\r\n${EVIL}`)],
  ['a chunk size past 2^64', post(TE, `10000000000000005\r\nhello\r\n0\r\n\r\n${EVIL}`)],
  ['a chunk size that ends with LF', post(TE, `5\nhello\r\n0\r\n\r\n${EVIL}`)],
  ['a chunk without size', post(TE, `\r\nhello\r\n0\r\n\r\n${EVIL}`)],
  ['a chunk longer than its size', post(TE, `3\r\nhello\r\n0\r\n\r\n${EVIL}`)],
  ['a chunk that ends with LF', post(TE, `5\r\nhello\n0\r\n\r\n${EVIL}`)],
  ['a chunk that ends with CR and a letter', post(TE, `5\r\nhello\rX0\r\n\r\n${EVIL}`)],
  ['an extension that ends with LF (TERM.EXT)', post(TE, `5;x\nhello\r\n0\r\n\r\n${EVIL}`)],
  ['an extension with a CR inside (EXT.TERM)', post(TE, `5;x\ry\r\nhello\r\n0\r\n\r\n${EVIL}`)],
  ['an extension without end', post(TE, `5;${'x'.repeat(1000)}\r\nhello\r\n0\r\n\r\n${EVIL}`)],
  ['a last chunk that ends with LF', post(TE, `0\n\n${EVIL}`)],
  ['a trailer that is framing', post(TE, `0\r\nContent-Length: 5\r\n\r\n${EVIL}`)],
  ['a trailer that folds', post(TE, `0\r\nX: a\r\n b\r\n\r\n${EVIL}`)],
  ['a trailer that ends with LF', post(TE, `0\r\nX: a\n\r\n${EVIL}`)],
  ['a trailer that is Host', post(TE, `0\r\nHost: evil\r\n\r\n${EVIL}`)],
];

/** Correct, though it looks bad: what the server gets is one request, and its body is the body. */
const HARMLESS: readonly (readonly [string, string, string])[] = [
  ['a body that looks like a request', post(`Content-Length: ${EVIL.length}\r\n`, EVIL), EVIL],
  [
    'a chunk that looks like a request',
    post(TE, `${EVIL.length.toString(16)}\r\n${EVIL}\r\n0\r\n\r\n`),
    `${EVIL.length.toString(16)}\r\n${EVIL}\r\n0\r\n\r\n`,
  ],
  [
    'TE between tabs, a chunk extension between blanks',
    post('Transfer-Encoding:\tchunked\t \r\n', '5 ;\ta = b\r\nhello\r\n0\r\n\r\n'),
    '5 ;\ta = b\r\nhello\r\n0\r\n\r\n',
  ],
  ['CL between tabs', post(`Content-Length:\t${EVIL.length}\t\r\n`, EVIL), EVIL],
  [
    'TE named by Connection',
    `POST /front HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding, Content-Length\r\n${TE}\r\n5\r\nhello\r\n0\r\n\r\n`,
    '5\r\nhello\r\n0\r\n\r\n',
  ],
  [
    'a GET with a body',
    `GET /front HTTP/1.1\r\nHost: a\r\nContent-Length: ${EVIL.length}\r\n\r\n${EVIL}`,
    EVIL,
  ],
];

/** Sends the parts on a new connection, each when the server has heard something or cannot; until all is over. */
async function attack(...parts: readonly string[]): Promise<{ seen: string[]; received: string }> {
  const first = connections.length;
  const talker = await talkTo(holdfast.port);
  for (const [index, part] of parts.entries()) {
    talker.send(part);
    if (index < parts.length - 1) await eventually(() => connections.length > first || null);
  }
  await eventually(
    () => (talker.unread().includes('HTTP/1.1 ') && !talker.unread().startsWith('HTTP/1.1 1')) || null,
  );
  talker.socket.end();
  await talker.ended();
  return { seen: connections.slice(first).map(({ text }) => text), received: talker.unread() };
}

const requestLines = (texts: readonly string[]): string[] =>
  texts.flatMap((text) =>
    [...text.matchAll(/(?:^|\n)([A-Z]+ \S+ HTTP\/1\.1)\r?\n/g)].map((match) => match[1] ?? ''),
  );

describe('smuggling by the head is refused before any server hears of it:', () => {
  test.each(REFUSED)('%s', async (_, bytes) => {
    const { seen, received } = await attack(bytes);
    expect(seen).toEqual([]);
    expect(received).toMatch(/^HTTP\/1\.1 (400|501) /);
    expect(received.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  });
});

describe('smuggling by the body ends with the fault:', () => {
  beforeAll(() => {
    answers = false;
  });
  afterAll(() => {
    answers = true;
  });

  test.each(BROKEN)('%s', async (_, bytes) => {
    const bodyBegin = bytes.indexOf('\r\n\r\n') + 4;
    // At once, and with the body after the server has heard the head.
    for (const parts of [[bytes], [bytes.slice(0, bodyBegin), bytes.slice(bodyBegin)]]) {
      const { seen, received } = await attack(...parts);
      expect(requestLines(seen).filter((line) => line !== 'POST /front HTTP/1.1')).toEqual([]);
      expect(seen.join('')).not.toContain('/evil');
      expect(received).toMatch(/^HTTP\/1\.1 400 /);
      expect(received.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    }
  });
});

describe('what is correct stays one request:', () => {
  test.each(HARMLESS)('%s', async (_, bytes, body) => {
    const { seen } = await attack(bytes);
    expect(seen).toHaveLength(1);
    expect(seen[0]?.slice(seen[0].indexOf('\r\n\r\n') + 4)).toBe(body);
    expect(seen[0]?.match(/\r\n(transfer-encoding|content-length):/gi)).toHaveLength(1);
  });
});
