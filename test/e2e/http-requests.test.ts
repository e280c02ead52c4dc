// How requests reach the server: targets, hosts, bodies, however their bytes are cut.

import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { forFile } from '../support/lifetime.ts';
import { answer, echoBody, type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { askOnce, get, type Reply, talkTo } from '../support/talker.ts';

let holdfast: Holdfast;
let raw: ScriptedBackend;
let trailers = '';

forFile(async () => {
  const node = await httpBackend('node');
  raw = await scriptedBackend({
    '/raw/continue': (heard) => {
      heard.send('HTTP/1.1 100 Continue\r\n\r\n');
      echoBody(5)(heard);
    },
    '/raw/refuse': (heard) => heard.finish('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno'),
    '/raw/silent': echoBody(5),
    '/raw/early': (heard) =>
      heard.finish('HTTP/1.1 413 Too Much\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig'),
    '/raw/trailers': (heard) =>
      heard.onBody(() => {
        if (!heard.body().endsWith('\r\n\r\n')) return;
        trailers = heard.body();
        answer('ok')(heard);
      }),
  });
  holdfast = await runInside(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 1
routes:
  - { path: /raw, pool: raw }
  - { pool: node }
pools:
  node: { health: off, servers: [{ url: ${node.url} }] }
  raw: { health: off, servers: [{ url: ${raw.url} }] }
`);
});

interface Echo {
  readonly method: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}
const echoed = (reply: Reply): Echo => JSON.parse(reply.body) as Echo;

describe('the target', () => {
  test('in absolute-form is sent on in origin-form, its authority as Host', async () => {
    const reply = await askOnce(
      holdfast.port,
      'GET http://real.example:81/p?q=1 HTTP/1.1\r\nHost: fake.example\r\n\r\n',
    );
    const { target, headers } = echoed(reply);
    expect([target, headers['host'], headers['x-forwarded-host']]).toEqual([
      '/p?q=1',
      'real.example:81',
      'real.example:81',
    ]);
  });

  test('in absolute-form without a path becomes /', async () => {
    const reply = await askOnce(
      holdfast.port,
      'GET http://real.example HTTP/1.1\r\nHost: real.example\r\n\r\n',
    );
    expect(echoed(reply).target).toBe('/');
  });

  test('of OPTIONS may be an asterisk', async () => {
    const reply = await askOnce(holdfast.port, 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n');
    expect([echoed(reply).method, echoed(reply).target]).toEqual(['OPTIONS', '*']);
  });

  test('is passed on byte for byte', async () => {
    const odd = "/a%2Fb/../c//d;e=f?g=%zz&h=[1]&i='x'|~";
    expect(echoed(await get(holdfast.port, odd)).target).toBe(odd);
  });

  test("comes with the client's Host", async () => {
    const reply = await askOnce(holdfast.port, 'GET / HTTP/1.1\r\nhOsT: Shop.Example:8443\r\n\r\n');
    expect(echoed(reply).headers['host']).toBe('Shop.Example:8443');
  });

  test('may be asked for with any method', async () => {
    for (const method of ['DELETE', 'PATCH', 'PROPFIND', 'M-SEARCH']) {
      const reply = await askOnce(holdfast.port, `${method} /x HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect([reply.status, reply.status === 200 ? echoed(reply).method : reply.body]).toEqual([200, method]);
    }
  });
});

describe('a head', () => {
  const bytes =
    'GET /cut?a=b HTTP/1.1\r\nHost: shop.example\r\nCookie: a=b; c=d\r\nX-One: 1\r\nAccept: */*\r\n\r\n';

  test('may be cut in two anywhere', async () => {
    const talker = await talkTo(holdfast.port);
    for (let cut = 1; cut < bytes.length; cut += 1) {
      talker.send(bytes.slice(0, cut));
      await new Promise(setImmediate);
      talker.send(bytes.slice(cut));
      const { target, headers } = echoed(await talker.reply());
      expect([target, headers['cookie'], headers['x-one']]).toEqual(['/cut?a=b', 'a=b; c=d', '1']);
    }
  });

  test('may come byte by byte, its body too', async () => {
    const talker = await talkTo(holdfast.port);
    for (const byte of 'POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;e="v"\r\n world\r\n0\r\n\r\n') {
      talker.send(byte);
      await new Promise(setImmediate);
    }
    expect(echoed(await talker.reply()).body).toBe('hello world');
  });
});

describe('a body', () => {
  test('of 20 MB arrives whole, with a length and in chunks', async () => {
    const body = Buffer.alloc(20 * 1024 * 1024, 'holdfast');
    const digest = createHash('sha256').update(body).digest('hex');
    const server = await httpBackend('digest', (request, response) => {
      const hash = createHash('sha256');
      request
        .on('data', (part: Buffer) => hash.update(part))
        .on('end', () => response.end(hash.digest('hex')));
    });
    const own = await runInside(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 1
pools: { p: { health: off, servers: [{ url: ${server.url} }] } }
`);
    const withLength = await fetch(own.url, { method: 'PUT', body });
    expect(await withLength.text()).toBe(digest);
    const stream = new ReadableStream({
      start(controller) {
        for (let at = 0; at < body.length; at += 100_000) controller.enqueue(body.subarray(at, at + 100_000));
        controller.close();
      },
    });
    const inChunks = await fetch(own.url, { method: 'POST', body: stream, duplex: 'half' } as RequestInit);
    expect(await inChunks.text()).toBe(digest);
  });

  test('of a DELETE goes with it, in chunks or not', async () => {
    const inChunks = await askOnce(
      holdfast.port,
      'DELETE /d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    );
    expect([echoed(inChunks).method, echoed(inChunks).body]).toEqual(['DELETE', 'abc']);
    const withLength = await askOnce(
      holdfast.port,
      'DELETE /d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc',
    );
    expect(echoed(withLength).body).toBe('abc');
  });

  test('keeps its trailers on the way to the server', async () => {
    const talker = await talkTo(holdfast.port);
    const body = '3\r\nabc\r\n0\r\nX-Checksum: 900150983cd24fb0\r\nX-Two: 2\r\n\r\n';
    talker.send(
      `POST /raw/trailers HTTP/1.1\r\nHost: a\r\nTrailer: X-Checksum\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const heard = await raw.hears('/raw/trailers');
    talker.send(body);
    expect((await talker.reply()).status).toBe(200);
    expect(trailers).toBe(body);
    expect(heard.head).toContain('\r\nTrailer: X-Checksum');
  });
});

describe('Expect: 100-continue', () => {
  const head = (path: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`;

  test("is the server's to answer: its 100 comes first", async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(head('/raw/continue'));
    expect((await talker.reply()).startLine).toBe('HTTP/1.1 100 Continue');
    talker.send('hello');
    const reply = await talker.reply();
    expect([reply.status, reply.body]).toEqual([200, 'hello']);
    talker.send('GET /after HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await talker.reply()).status).toBe(200);
  });

  test('may be answered at once with the final response, which ends the connection', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(head('/raw/refuse'));
    const reply = await talker.reply();
    expect([reply.status, reply.body, reply.get('connection')]).toEqual([403, 'no', 'close']);
    expect(await talker.ended()).toBe('end');
  });

  test('may never be answered: the client sends the body on its own', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(head('/raw/silent'));
    await raw.hears('/raw/silent');
    talker.send('hello');
    expect((await talker.reply()).body).toBe('hello');
  });

  test('works with a server of node:http', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(head('/node'));
    expect((await talker.reply()).status).toBe(100);
    talker.send('hello');
    expect(echoed(await talker.reply()).body).toBe('hello');
  });
});

describe('a response during the upload', () => {
  test('is relayed at once and ends the connection', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('POST /raw/early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nfirst bytes');
    const reply = await talker.reply();
    expect([reply.status, reply.body, reply.get('connection')]).toEqual([413, 'big', 'close']);
    talker.send(Buffer.alloc(100_000));
    expect(await talker.ended()).toBe('end');
  });
});
