// What one client connection carries: several requests, in order, for as long as both sides want it.

import { describe, expect, test } from 'vitest';
import { echo, httpBackend } from '../support/backend.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { forFile } from '../support/lifetime.ts';
import { answer, type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { askOnce, type Reply, talkTo } from '../support/talker.ts';

let holdfast: Holdfast;
let scripted: ScriptedBackend;
let few: number;

forFile(async () => {
  const node = await httpBackend('node', (request, response) => {
    // The first of several pipelined requests is answered last, if order were not kept.
    if (request.url?.startsWith('/slow') === true) setTimeout(() => echo('node')(request, response), 50);
    else echo('node')(request, response);
  });
  scripted = await scriptedBackend({
    '/scripted/close': answer('bye', 'connection: close\r\n'),
    '/scripted/once': (heard) => heard.finish('HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok'),
  });
  holdfast = await runInside(`
listen:
  - address: 127.0.0.1:0
  - address: localhost:0
    limits: { requestsPerConnection: 2 }
admin: { address: 127.0.0.1:0 }
threads: 1
routes:
  - { path: /scripted, pool: scripted }
  - { pool: node }
pools:
  node: { health: off, servers: [{ url: ${node.url} }] }
  scripted: { health: off, servers: [{ url: ${scripted.url} }] }
`);
  few = holdfast.ports[1]!;
});

const target = (reply: Reply): string => (JSON.parse(reply.body) as { target: string }).target;
const bodyOf = (reply: Reply): string => (JSON.parse(reply.body) as { body: string }).body;
const GET = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\nHost: shop\r\n${lines}\r\n`;

describe('a client connection', () => {
  test('carries one request after the other', async () => {
    const talker = await talkTo(holdfast.port);
    for (let index = 0; index < 5; index += 1) {
      talker.send(GET(`/${index}`));
      const reply = await talker.reply();
      expect([reply.status, target(reply), reply.get('connection')]).toEqual([200, `/${index}`, undefined]);
    }
    expect(talker.unread()).toBe('');
  });

  test('answers pipelined requests in the order they were asked', async () => {
    const talker = await talkTo(holdfast.port);
    const paths = Array.from({ length: 30 }, (_, index) =>
      index % 3 === 0 ? `/slow/${index}` : `/fast/${index}`,
    );
    talker.send(paths.map((path) => GET(path)).join(''));
    const seen: string[] = [];
    for (const _ of paths) seen.push(target(await talker.reply()));
    expect(seen).toEqual(paths);
  });

  test('keeps bodies in the pipeline with their requests', async () => {
    const talker = await talkTo(holdfast.port);
    const post = (path: string, body: string): string =>
      `POST ${path} HTTP/1.1\r\nHost: shop\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const chunked = (path: string): string =>
      `PUT ${path} HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n`;
    talker.send(
      post('/slow/1', 'GET /not HTTP/1.1\r\n\r\n') +
        chunked('/2') +
        GET('/3') +
        post('/4', 'four') +
        GET('/5'),
    );
    const replies = [];
    for (let index = 0; index < 5; index += 1) replies.push(await talker.reply());
    expect(replies.map((reply) => [target(reply), bodyOf(reply)])).toEqual([
      ['/slow/1', 'GET /not HTTP/1.1\r\n\r\n'],
      ['/2', 'abcdefg'],
      ['/3', ''],
      ['/4', 'four'],
      ['/5', ''],
    ]);
  });

  test('keeps the order also when the pipeline arrives byte by byte', async () => {
    const talker = await talkTo(holdfast.port);
    const bytes = `${GET('/slow/1')}POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello${GET('/3')}`;
    for (const byte of bytes) {
      talker.send(byte);
      await new Promise(setImmediate);
    }
    const replies = [await talker.reply(), await talker.reply(), await talker.reply()];
    expect(replies.map((reply) => [target(reply), bodyOf(reply)])).toEqual([
      ['/slow/1', ''],
      ['/2', 'hello'],
      ['/3', ''],
    ]);
  });

  test('answers what came before a refused request, refuses that, and drops the rest', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(`${GET('/slow/1')}${GET('/2')}GET /3 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${GET('/4')}`);
    expect(target(await talker.reply())).toBe('/slow/1');
    expect(target(await talker.reply())).toBe('/2');
    const refused = await talker.reply();
    expect([refused.status, refused.get('connection')]).toEqual([400, 'close']);
    expect(await talker.ended()).toBe('end');
    expect(talker.unread()).toBe('');
  });

  test('ends after a response to Connection: close', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(GET('/1', 'Connection: close\r\n'));
    const reply = await talker.reply();
    expect([reply.status, reply.get('connection')]).toEqual([200, 'close']);
    expect(await talker.ended()).toBe('end');
  });

  test('still gets its response when the client of a Connection: close request closes its half', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(GET('/slow/1', 'Connection: close\r\n'));
    talker.socket.end();
    expect(target(await talker.reply())).toBe('/slow/1');
    expect(await talker.ended()).toBe('end');
  });

  test('outlives a server that closes its own', async () => {
    const talker = await talkTo(holdfast.port);
    for (let index = 0; index < 3; index += 1) {
      talker.send(GET('/scripted/close'));
      const reply = await talker.reply();
      expect([reply.body, reply.get('connection')]).toEqual(['bye', undefined]);
    }
  });

  test('outlives an HTTP/1.0 server', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(GET('/scripted/once') + GET('/scripted/once'));
    for (let index = 0; index < 2; index += 1) {
      const reply = await talker.reply();
      expect([reply.startLine, reply.body, reply.get('connection')]).toEqual([
        'HTTP/1.1 200 OK',
        'ok',
        undefined,
      ]);
    }
  });

  test('carries as many requests as requestsPerConnection says, the last with Connection: close', async () => {
    const talker = await talkTo(few);
    talker.send(GET('/1') + GET('/2') + GET('/3'));
    expect((await talker.reply()).get('connection')).toBeUndefined();
    expect((await talker.reply()).get('connection')).toBe('close');
    expect(await talker.ended()).toBe('end');
    expect(talker.unread()).toBe('');
  });

  test('skips empty lines before a request line', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send(`\r\n${GET('/1')}\r\n${GET('/2')}`);
    expect(target(await talker.reply())).toBe('/1');
    expect(target(await talker.reply())).toBe('/2');
  });
});

describe('an HTTP/1.0 client', () => {
  test('gets its response and the end of the connection', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('GET /1 HTTP/1.0\r\nHost: shop\r\n\r\n');
    const reply = await talker.reply();
    expect([reply.status, target(reply), reply.get('connection')]).toEqual([200, '/1', 'close']);
    expect(await talker.ended()).toBe('end');
  });

  test('keeps the connection when it asks for it', async () => {
    const talker = await talkTo(holdfast.port);
    for (const path of ['/1', '/2']) {
      talker.send(`GET ${path} HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n`);
      const reply = await talker.reply();
      expect([target(reply), reply.get('connection')]).toEqual([path, 'keep-alive']);
    }
  });

  test('may leave Host out: the server gets one nevertheless', async () => {
    const reply = await askOnce(holdfast.port, 'GET /1 HTTP/1.0\r\n\r\n');
    const { headers } = JSON.parse(reply.body) as { headers: Record<string, string> };
    expect(headers['host']).toBe(`127.0.0.1:${holdfast.port}`);
  });
});

describe('connections to servers', () => {
  test('are used again and again', async () => {
    const before = scripted.connections();
    const talker = await talkTo(holdfast.port);
    for (let index = 0; index < 20; index += 1) {
      talker.send(GET(`/scripted/again/${index}`));
      expect((await talker.reply()).body).toBe('ok');
    }
    expect(scripted.connections() - before).toBe(1);
    expect(scripted.heard.at(-1)?.head).not.toMatch(/^connection:/im);
  });
});
