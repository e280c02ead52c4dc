// A client that goes away, at every moment it can: the server hears of it at once and nothing is left behind.

import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { forFile } from '../support/lifetime.ts';
import { isQuiet, socketsOf } from '../support/quiet.ts';
import { type Heard, type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { type Talker, talkTo } from '../support/talker.ts';

let holdfast: RunningHoldfast;
let backend: ScriptedBackend;
let before = 0;

forFile(async () => {
  backend = await scriptedBackend({
    '/wait': () => undefined,
    '/begin': (heard) => heard.send('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nfirst'),
    '/chunks': (heard) => heard.send('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n'),
    '/events': (heard) => heard.send('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n'),
    '/flood': (heard) => {
      heard.send('HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n');
      const pour = (): void => {
        while (!heard.hasEnded() && heard.socket.write(Buffer.alloc(65536)));
      };
      heard.socket.on('drain', pour);
      pour();
    },
    '/tunnel': (heard) => {
      heard.send(
        'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhello',
      );
    },
  });
  holdfast = await runHoldfast(`
listen: [{ address: 127.0.0.1:0, timeouts: { header: 60s, body: 60s } }]
admin: { address: 127.0.0.1:0 }
threads: 2
routes:
  - { path: /busy, pool: busy }
  - { pool: p }
pools:
  p:
    health: off
    sticky: { mode: cookie-hash, idle: 1s }
    servers: [{ url: ${backend.url} }]
  busy:
    health: off
    queue: { size: 10, timeout: 60s }
    servers: [{ url: ${backend.url}, maxConnections: 1 }]
`);
  before = socketsOf(holdfast);
});

afterEach(async () => {
  await isQuiet(holdfast, before);
  expect(holdfast.log()).not.toContain('worker thread');
});

const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n';
let counter = 0;

/** Sends a request whose target nobody used before; resolves when the server has it. */
async function ask(path: string, lines = '', body = ''): Promise<{ talker: Talker; heard: Heard }> {
  counter += 1;
  const target = `${path}?${counter}`;
  const talker = await talkTo(holdfast.port);
  talker.send(
    `POST ${target} HTTP/1.1\r\nHost: a\r\n${lines}\r\n${body}`.replace(
      /^POST/,
      lines.includes('Length') || lines.includes('chunked') ? 'POST' : 'GET',
    ),
  );
  return { talker, heard: await backend.hears(target) };
}

const LEAVING: readonly (readonly [string, (talker: Talker) => void])[] = [
  ['closes', (talker) => talker.socket.destroy()],
  ['resets', (talker) => talker.socket.resetAndDestroy()],
  ['ends its half', (talker) => talker.socket.end()],
];

describe.each(LEAVING)('a client that %s', (how, leave) => {
  const gone = (heard: Heard): Promise<true> =>
    eventually(() => heard.hasEnded() || null, { deadlineMs: 2000, what: () => 'the server to hear of it' });

  test('before its first byte', async () => leave(await talkTo(holdfast.port)));

  test('in the middle of a head', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('GET / HTTP/1.1\r\nHos');
    leave(talker);
  });

  test('in the middle of a body', async () => {
    const { talker, heard } = await ask('/wait', 'Content-Length: 100\r\n', 'abc');
    leave(talker);
    await gone(heard);
  });

  test('in the middle of a chunk', async () => {
    const { talker, heard } = await ask('/wait', 'Transfer-Encoding: chunked\r\n', '5\r\nab');
    leave(talker);
    await gone(heard);
  });

  test('while it waits for the response', async () => {
    const { talker, heard } = await ask('/wait');
    leave(talker);
    await gone(heard);
  });

  test('in the middle of a response', async () => {
    for (const path of ['/begin', '/chunks', '/events']) {
      const { talker, heard } = await ask(path);
      await talker.until('1');
      leave(talker);
      await gone(heard);
    }
  });

  test('in the middle of a response that it does not read', async () => {
    const { talker, heard } = await ask('/flood');
    await talker.until('200 OK');
    talker.socket.pause();
    await eventually(() => heard.socket.writableLength > 0 || null);
    // What is unread turns the close into a reset; a mere FIN of one who does not read is not an end yet.
    if (how === 'ends its half') talker.socket.destroy();
    else leave(talker);
    await gone(heard);
  });

  test('in a tunnel', async () => {
    const { talker, heard } = await ask('/tunnel', UPGRADE);
    await talker.until('hello');
    leave(talker);
    await gone(heard);
    // An orderly end of one half leaves the other to the server.
    if (how !== 'resets') heard.socket.end();
  });

  test('while it waits for a free server', async () => {
    const first = await ask('/wait');
    counter += 1;
    const holder = await talkTo(holdfast.port);
    holder.send(`GET /busy/x?${counter} HTTP/1.1\r\nHost: a\r\n\r\n`);
    const talker = await talkTo(holdfast.port);
    talker.send('GET /busy/never HTTP/1.1\r\nHost: a\r\n\r\n');
    leave(talker);
    holder.socket.destroy();
    first.talker.socket.destroy();
  });
});

describe('clients that went away', () => {
  test('leave no session busy: all sessions end by being idle', async () => {
    const { talker } = await ask('/begin');
    const head = await talker.until('first');
    const cookie = /set-cookie: (holdfast=[^;]+)/.exec(head)?.[1] ?? '';
    talker.socket.resetAndDestroy();
    for (const path of ['/wait', '/begin', '/flood']) {
      const again = await ask(path, `Cookie: ${cookie}\r\n`);
      again.talker.socket.resetAndDestroy();
    }
    await eventually(async () => (await holdfast.metric('holdfast_sessions_created_total')) > 0 || null);
    await eventually(async () => (await holdfast.metric('holdfast_session_table_entries')) === 0 || null, {
      deadlineMs: 10_000,
      what: () => 'the session table to be empty',
    });
  });

  test('are counted', async () => {
    expect(
      await holdfast.metric('holdfast_rejected_requests_total', { reason: 'client-aborted' }),
    ).toBeGreaterThan(20);
    expect(await holdfast.metric('holdfast_worker_restarts_total')).toBe(0);
  });
});
