// A server that fails, at every moment it can: the right reply while one is possible, a visible truncation after.

import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { forFile } from '../support/lifetime.ts';
import { isQuiet, socketsOf } from '../support/quiet.ts';
import {
  answer,
  type Heard,
  type Script,
  type ScriptedBackend,
  scriptedBackend,
} from '../support/scripted-backend.ts';
import { askOnce, get, talkTo } from '../support/talker.ts';

let holdfast: RunningHoldfast;
let backend: ScriptedBackend;
let before = 0;

const reset = (heard: Heard): void => void heard.socket.resetAndDestroy();
/** Sends the bytes, then ends or resets; a reset waits until the bytes have had the time to be read. */
const then =
  (bytes: string, ending: 'end' | 'reset' | 'stay'): Script =>
  (heard) => {
    heard.send(bytes);
    if (ending === 'end') heard.socket.end();
    if (ending === 'reset') setTimeout(() => reset(heard), 30);
  };
const OK = 'HTTP/1.1 200 OK\r\n';

/** Response of the server, how it ends, and the kind of our reply. */
const REFUSED: readonly (readonly [string, string, 'end' | 'reset' | 'stay', string])[] = [
  ['resets before its answer', '', 'reset', 'server-closed'],
  ['ends before its answer', '', 'end', 'server-closed'],
  ['resets in the middle of its head', `${OK}content-le`, 'reset', 'server-closed'],
  ['ends in the middle of its head', `${OK}content-le`, 'end', 'server-closed'],
  ['ends after 100 Continue', 'HTTP/1.1 100 Continue\r\n\r\n', 'end', 'server-closed'],
  ['sends garbage', '\x16\x03\x01\x02', 'stay', 'bad-response'],
  ['sends HTTP/2', 'HTTP/2 200\r\n\r\n', 'stay', 'bad-response'],
  ['sends a head without end', `${OK}x: ${'x'.repeat(70_000)}`, 'stay', 'bad-response'],
  ['sends too many lines', `${OK}${'x: 1\r\n'.repeat(300)}\r\n`, 'stay', 'bad-response'],
  ['sends two lengths', `${OK}content-length: 1\r\ncontent-length: 2\r\n\r\nab`, 'stay', 'bad-response'],
  [
    'sends a length and chunks',
    `${OK}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`,
    'stay',
    'bad-response',
  ],
  ['sends an unknown coding', `${OK}transfer-encoding: gzip, chunked\r\n\r\n`, 'stay', 'bad-response'],
  [
    'sends chunks in HTTP/1.0',
    'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
    'stay',
    'bad-response',
  ],
  ['sends a bad length', `${OK}content-length: -1\r\n\r\n`, 'stay', 'bad-response'],
  ['sends a bare line feed', `${OK}x: 1\nset-cookie: a=b\r\n\r\n`, 'stay', 'bad-response'],
  ['sends a folded line', `${OK}x: 1\r\n 2\r\n\r\n`, 'stay', 'bad-response'],
  [
    'sends a bad chunk with its head',
    `${OK}transfer-encoding: chunked\r\n\r\nzz\r\n`,
    'stay',
    'bad-response',
  ],
  [
    'switches protocols unasked',
    'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n',
    'stay',
    'bad-response',
  ],
];

/** What is there of the response, and how it breaks. */
const TRUNCATED: readonly (readonly [string, string, 'end' | 'reset' | 'stay'])[] = [
  ['ends in the middle of a body', `${OK}content-length: 10\r\n\r\nhello`, 'end'],
  ['resets in the middle of a body', `${OK}content-length: 10\r\n\r\nhello`, 'reset'],
  ['ends in the middle of a chunk', `${OK}transfer-encoding: chunked\r\n\r\n9\r\nhello`, 'end'],
  ['resets in the middle of a chunk', `${OK}transfer-encoding: chunked\r\n\r\n9\r\nhello`, 'reset'],
  ['ends between chunks', `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`, 'end'],
  ['ends before the last line', `${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n`, 'end'],
  ['resets a body that ends with the connection', `${OK}x: 1\r\n\r\nhello`, 'reset'],
];

forFile(async () => {
  const scripts: Record<string, Script> = {
    '/late-garbage': (heard) => {
      heard.send(`${OK}transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n`);
      setTimeout(() => heard.send('zz\r\n'), 30);
    },
    '/extra': answer('ok', ''),
    '/extra-bytes': (heard) =>
      heard.finish(`${OK}content-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`),
    '/extra-later': (heard) => {
      heard.finish(`${OK}content-length: 2\r\n\r\nok`);
      setTimeout(() => heard.send('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'), 10);
    },
    '/idle-end': (heard) => {
      heard.finish(`${OK}content-length: 2\r\n\r\nok`);
      setTimeout(() => heard.socket.end(), 10);
    },
    '/idle-reset': (heard) => {
      heard.finish(`${OK}content-length: 2\r\n\r\nok`);
      setTimeout(() => reset(heard), 10);
    },
  };
  REFUSED.forEach(([, bytes, ending], index) => {
    scripts[`/refused/${index}`] = then(bytes, ending);
  });
  TRUNCATED.forEach(([, bytes, ending], index) => {
    scripts[`/truncated/${index}`] = then(bytes, ending);
  });
  backend = await scriptedBackend(scripts);
  holdfast = await runHoldfast(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 1
pools:
  p:
    health: off
    retry: { attempts: 0 }
    sticky: { mode: cookie-hash }
    servers: [{ url: ${backend.url} }]
`);
  before = socketsOf(holdfast);
});

afterEach(async () => {
  await isQuiet(holdfast, before);
  expect(holdfast.log()).not.toContain('worker thread');
});

describe('a server that', () => {
  test.each(REFUSED.map(([name, , , kind], index) => [name, kind, index] as const))(
    '%s: 502 %s, and the client connection goes on',
    async (_, kind, index) => {
      const talker = await talkTo(holdfast.port);
      talker.send(`POST /refused/${index} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi`);
      let reply = await talker.reply();
      if (reply.status === 100) reply = await talker.reply();
      expect([reply.status, reply.get('x-holdfast-error'), reply.get('set-cookie')]).toEqual([
        502,
        kind,
        undefined,
      ]);
      talker.send('GET /extra HTTP/1.1\r\nHost: a\r\n\r\n');
      expect((await talker.reply()).body).toBe('ok');
      talker.socket.destroy();
    },
  );

  test.each(TRUNCATED.map(([name], index) => [name, index] as const))(
    '%s: the client sees it',
    async (_, index) => {
      const talker = await talkTo(holdfast.port);
      talker.send(`GET /truncated/${index} HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect(await talker.until('hello')).not.toContain('\r\n0\r\n\r\n');
      expect(await talker.ended()).toBe('reset');
      expect(talker.unread().endsWith('\r\n0\r\n\r\n')).toBe(false);
    },
  );

  test('sends a bad chunk later: the client sees it', async () => {
    const talker = await talkTo(holdfast.port);
    talker.send('GET /late-garbage HTTP/1.1\r\nHost: a\r\n\r\n');
    await talker.until('hello');
    expect(await talker.ended()).toBe('reset');
    // a cookie may have anything in it
    expect(talker.unread().split('\r\n\r\n')[1]).toBe('5\r\nhello\r\n');
  });

  test('sends more than its response, at once or later: nobody gets it as an answer', async () => {
    for (const path of ['/extra-bytes', '/extra-later']) {
      const connections = backend.connections();
      expect((await get(holdfast.port, path)).body).toBe('ok');
      await hasLetGo(path);
      expect((await get(holdfast.port, '/extra')).body).toBe('ok');
      expect(backend.connections()).toBeGreaterThan(connections);
    }
  });

  test('closes an idle connection: the next request goes over another', async () => {
    for (const path of ['/idle-end', '/idle-reset']) {
      expect((await get(holdfast.port, path)).body).toBe('ok');
      await hasLetGo(path);
      const talker = await talkTo(holdfast.port);
      talker.send('POST /extra HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi');
      expect((await talker.reply()).body).toBe('ok');
      talker.socket.destroy();
    }
  });
});

/** Waits until the connection of the last request for that path is closed and the balancer has seen it. */
async function hasLetGo(path: string): Promise<void> {
  const heard = backend.heard.findLast(({ target }) => target === path);
  await eventually(() => heard?.hasEnded() || null);
  // Another turn of the thread's event loop: it answers this one itself.
  expect((await askOnce(holdfast.port, 'nonsense\r\n\r\n')).status).toBe(400);
}
