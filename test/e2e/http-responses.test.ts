// How responses come back: their framing kept where the client can read it, changed where it cannot.

import { describe, expect, test } from 'vitest';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { forFile } from '../support/lifetime.ts';
import { answer, type Heard, type Script, scriptedBackend } from '../support/scripted-backend.ts';
import { askOnce, get, talkTo } from '../support/talker.ts';

let holdfast: Holdfast;

const reply =
  (bytes: string): Script =>
  (heard) =>
    heard.finish(bytes);
/** The response ends with the connection. */
const untilClose =
  (...parts: readonly string[]): Script =>
  (heard) => {
    void (async () => {
      for (const part of parts) {
        heard.send(part);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      heard.socket.end();
    })();
  };
const CHUNKED = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n';
const BYTES = `HTTP/1.1 200 Fine By Me\r\nx-a: 1\r\nTransfer-Encoding: chunked\r\n\r\n5;ext="a b"\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nx-sum: 7\r\n\r\n`;

async function byteByByte(heard: Heard): Promise<void> {
  for (const byte of BYTES.slice(0, -1)) {
    heard.send(byte);
    await new Promise(setImmediate);
  }
  heard.finish(BYTES.slice(-1));
}

forFile(async () => {
  const backend = await scriptedBackend({
    '/head': reply('HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n'),
    '/head-chunked': reply('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n'),
    '/204': reply('HTTP/1.1 204 No Content\r\nx-a: 1\r\n\r\n'),
    '/304': reply('HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\netag: "x"\r\n\r\n'),
    '/close': untilClose('HTTP/1.1 200 OK\r\nx-a: 1\r\n\r\none ', 'two ', 'three'),
    '/close-empty': untilClose('HTTP/1.1 200 OK\r\n\r\n'),
    '/close-1.0': untilClose('HTTP/1.0 200 OK\r\n\r\n', 'old'),
    '/chunked': reply(`${CHUNKED}3\r\nabc\r\n4;x=1\r\ndefg\r\n0\r\nx-sum: 7\r\n\r\n`),
    '/large-chunks': reply(`${CHUNKED}${`4000\r\n${'x'.repeat(0x4000)}\r\n`.repeat(20)}0\r\n\r\n`),
    '/bytes': (heard) => void byteByByte(heard),
    '/hints': reply(
      'HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\nconnection: x-hop\r\nx-hop: 1\r\n\r\n' +
        'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    ),
    '/reason': reply('HTTP/1.1 299 \r\ncontent-length: 0\r\n\r\n'),
    '/no-reason': reply('HTTP/1.1 204\r\n\r\n'),
    '/parts': (heard) => {
      heard.send('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n');
      setTimeout(() => heard.send('abc'), 10);
      setTimeout(() => heard.finish('def'), 20);
    },
    '/latin1': answer('ok', 'x-name: J\xf6rg\r\n'),
  });
  holdfast = await runInside(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 1
pools: { p: { health: off, servers: [{ url: ${backend.url} }] } }
`);
});

const old = (path: string, lines = ''): string => `GET ${path} HTTP/1.0\r\n${lines}\r\n`;

describe('a response without a body', () => {
  test('to HEAD keeps the Content-Length of the server, and the connection goes on', async () => {
    const talker = await talkTo(holdfast.port);
    for (const path of ['/head', '/head-chunked']) {
      talker.send(`HEAD ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const head = await talker.reply({ isHead: true });
      expect([head.status, head.get('content-length'), head.get('connection')]).toEqual([
        200,
        path === '/head' ? '1234' : undefined,
        undefined,
      ]);
    }
    talker.send('GET /parts HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await talker.reply()).body).toBe('abcdef');
  });

  test('of 204 and 304 ends with its head', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(
      'GET /204 HTTP/1.1\r\nHost: a\r\n\r\nGET /304 HTTP/1.1\r\nHost: a\r\n\r\nGET /no-reason HTTP/1.1\r\nHost: a\r\n\r\n',
    );
    expect((await talker.reply()).status).toBe(204);
    const notModified = await talker.reply();
    expect([notModified.status, notModified.get('content-length'), notModified.get('etag')]).toEqual([
      304,
      '99',
      '"x"',
    ]);
    expect((await talker.reply()).startLine).toBe('HTTP/1.1 204 ');
    expect(talker.unread()).toBe('');
  });
});

describe('a response that ends with the connection', () => {
  test('becomes chunked for HTTP/1.1, and the connection goes on', async () => {
    const talker = await talkTo(holdfast.port);
    for (const [path, body] of [
      ['/close', 'one two three'],
      ['/close-empty', ''],
      ['/close-1.0', 'old'],
      ['/close', 'one two three'],
    ]) {
      talker.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const response = await talker.reply();
      expect([response.get('transfer-encoding'), response.body, response.get('connection')]).toEqual([
        'chunked',
        body,
        undefined,
      ]);
    }
  });

  test('ends the connection of an HTTP/1.0 client, keep-alive or not', async () => {
    for (const lines of ['', 'Connection: keep-alive\r\n']) {
      const response = await askOnce(holdfast.port, old('/close', lines));
      expect([response.body, response.get('transfer-encoding'), response.get('connection')]).toEqual([
        'one two three',
        undefined,
        'close',
      ]);
    }
  });
});

describe('a chunked response', () => {
  test('keeps its chunks and trailers for HTTP/1.1', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await talker.until('\r\n\r\n3\r\nabc\r\n4;x=1\r\ndefg\r\n0\r\nx-sum: 7\r\n\r\n')).toContain(
      '\r\ntrailer: x-sum\r\n',
    );
    const response = await talker.reply();
    expect([response.body, response.trailers]).toEqual(['abcdefg', ['x-sum: 7']]);
  });

  test('is unwrapped for HTTP/1.0', async () => {
    const response = await askOnce(holdfast.port, old('/chunked', 'Connection: keep-alive\r\n'));
    expect([
      response.body,
      response.get('transfer-encoding'),
      response.get('trailer'),
      response.get('connection'),
    ]).toEqual(['abcdefg', undefined, undefined, 'close']);
    expect((await askOnce(holdfast.port, old('/large-chunks'))).body).toBe('x'.repeat(20 * 0x4000));
  });

  test('may come byte by byte', async () => {
    const response = await get(holdfast.port, '/bytes');
    expect([response.startLine, response.body, response.trailers]).toEqual([
      'HTTP/1.1 200 Fine By Me',
      'hello world',
      ['x-sum: 7'],
    ]);
    expect((await askOnce(holdfast.port, old('/bytes'))).body).toBe('hello world');
  });
});

describe('interim responses', () => {
  test('are passed on before the final one, without hop-by-hop fields', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('GET /hints HTTP/1.1\r\nHost: a\r\n\r\n');
    const hints = await talker.reply();
    expect([hints.status, hints.lines]).toEqual([103, [['link', '</a.css>; rel=preload']]]);
    expect((await talker.reply()).status).toBe(102);
    expect((await talker.reply()).body).toBe('ok');
  });

  test('are kept from HTTP/1.0 clients', async () => {
    expect((await askOnce(holdfast.port, old('/hints'))).body).toBe('ok');
  });
});

describe('a response', () => {
  test('may have no reason phrase', async () => {
    expect((await get(holdfast.port, '/reason')).startLine).toBe('HTTP/1.1 299 ');
  });

  test('may come in parts', async () => {
    expect((await get(holdfast.port, '/parts')).body).toBe('abcdef');
  });

  test('keeps bytes beyond ASCII as they are', async () => {
    expect((await get(holdfast.port, '/latin1')).get('x-name')).toBe('J\xf6rg');
  });
});
