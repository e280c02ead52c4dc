// Exchanges, connections and what they hold are used again. After every way in which an exchange can end, the next one on
// the same objects is served as if it were the first, and in the end nothing is left: places, connections, deadlines,
// busy sessions.

import { describe, expect, test } from 'vitest';
import { RequestHead } from '../../src/http1/message.ts';
import { tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';
import {
  answer,
  type Heard,
  type Script,
  type ScriptedBackend,
  scriptedBackend,
} from '../support/scripted-backend.ts';
import { type Talker, talkTo } from '../support/talker.ts';

const chunked = (length: number, extension = '', trailers = ''): string =>
  `${length.toString(16)}${extension}\r\n${'c'.repeat(length)}\r\n0\r\n${trailers}\r\n`;

const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n';
const INTERIM = 'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n';
/** Nearly as much as one message may have of them: 30 chunks of 130 bytes of extensions; trailers of 8000 bytes. */
const EXTENDED = `1;${'e'.repeat(128)}\r\nc\r\n`.repeat(30);
const TRAILERS = `x-sum: ${'t'.repeat(8000)}\r\n`;

const SCRIPTS: Readonly<Record<string, Script>> = {
  '/plain': answer('whole'),
  '/silent': () => undefined,
  '/dies': (heard) => heard.socket.destroy(),
  '/half': (heard) => heard.send('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'),
  '/half-held': (heard) => heard.send('HTTP/1.1 302 Found\r\ncontent-length: 10\r\n\r\nhalf'),
  '/half-and-dies': (heard) => {
    heard.send('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf');
    heard.socket.end();
  },
  '/garbage': (heard) => heard.send('what?\r\n\r\n'),
  '/status': (heard) => heard.finish('HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy'),
  '/close': (heard) => {
    heard.send('HTTP/1.1 200 OK\r\n\r\nuntil the end');
    heard.socket.end();
  },
  '/chunked': (heard) =>
    heard.finish(
      `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${EXTENDED}${chunked(5, '', TRAILERS)}`,
    ),
  '/interim': (heard) => heard.finish(`${INTERIM.repeat(16)}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n`),
  '/interims': (heard) => heard.finish(`${INTERIM.repeat(17)}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n`),
  '/upgrade': (heard) => heard.send(SWITCHED),
  '/early': (heard) => heard.send('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly'),
  '/upload': (heard) =>
    heard.onBody(() => {
      if (heard.body().includes('0\r\n')) answer('taken')(heard);
    }),
};

interface Scene {
  readonly running: RunningThread;
  readonly server: ScriptedBackend;
  talk(): Promise<Talker>;
}

async function scene(pool = '', listener = ''): Promise<Scene> {
  const server = await scriptedBackend(SCRIPTS);
  const running = await runThread(
    `
pools:
  p:
    health: off
    passive: off
    holdUntilComplete: redirects
    sticky: { mode: cookie-hash }
    timeouts: { response: 60s, idle: 60s }
    retry: { attempts: 0 }
    queue: { size: 10, timeout: 60s }
    ${pool}
    servers: [{ url: "${server.url}", maxConnections: 1 }]
`,
    `limits: { bodyBytes: 100KiB }, timeouts: { body: 60s }, ${listener}`,
  );
  return { running, server, talk: () => talkTo(running.port) };
}

const get = (path: string, lines = '', version = 1): string =>
  `GET ${path} HTTP/1.${version}\r\nHost: t\r\n${lines}\r\n`;
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: websocket\r\n';
const UPLOAD = 'POST /upload HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n';

interface Ending {
  readonly what: string;
  /** Makes an exchange end in that way. */
  readonly end: (talker: Talker, scene: Scene) => Promise<unknown>;
}

const replies = (path: string, status: number, kind = '', lines = '', version = 1): Ending => ({
  what: `${path} ${lines.trim()} HTTP/1.${version} -> ${status} ${kind}`,
  end: async (talker) => {
    talker.send(get(path, lines, version));
    let reply = await talker.reply();
    while (reply.status === 103) reply = await talker.reply();
    expect([reply.status, reply.get('x-holdfast-error') ?? '']).toEqual([status, kind]);
  },
});

/** The request waits for something in the server's script; then the clock moves, or the client goes. */
const waits = (
  what: string,
  path: string,
  bytes: string,
  then: (talker: Talker, scene: Scene, heard: Heard) => Promise<unknown> | void,
): Ending => ({
  what,
  end: async (talker, all) => {
    talker.send(bytes);
    await then(talker, all, await all.server.hears(path));
  },
});

const gone = (talker: Talker): void => void talker.socket.resetAndDestroy();

const ENDINGS: readonly Ending[] = [
  replies('/plain', 200),
  replies('/plain', 200, '', 'Connection: close\r\n'),
  replies('/plain', 200, '', '', 0),
  replies('/dies', 502, 'server-closed'),
  replies('/garbage', 502, 'bad-response'),
  replies('/status', 503),
  replies('/close', 200),
  replies('/close', 200, '', '', 0),
  replies('/chunked', 200),
  replies('/chunked', 200, '', '', 0),
  replies('/interim', 200),
  replies('/interims', 502, 'bad-response'),
  waits('no answer in time', '/silent', get('/silent'), async (talker, { running }) => {
    running.pass(60_000);
    expect((await talker.reply()).status).toBe(504);
  }),
  waits('a body that stalls', '/half', get('/half'), async (talker, { running }) => {
    await talker.until('half');
    running.pass(60_000);
    expect(await talker.ended()).toBe('reset');
  }),
  waits('a held body that stalls', '/half-held', get('/half-held'), async (talker, { running }) => {
    await eventually(() => running.heardFromServers() > 0);
    running.pass(60_000);
    const reply = await talker.reply();
    expect([reply.status, reply.get('x-holdfast-error')]).toEqual([504, 'response-timeout']);
  }),
  waits('a body that breaks off', '/half-and-dies', get('/half-and-dies'), async (talker) => {
    expect(await talker.ended()).toBe('reset');
  }),
  waits('a client gone before the answer', '/silent', get('/silent'), gone),
  waits('a client gone in the body', '/half', get('/half'), gone),
  waits('a client gone while its answer is held', '/half-held', get('/half-held'), gone),
  waits('a client gone in its upload', '/upload', `${UPLOAD}5\r\nhal`, gone),
  waits('an upload that stalls', '/upload', `${UPLOAD}5\r\nhal`, async (talker, { running }) => {
    running.pass(60_000);
    expect((await talker.reply()).status).toBe(408);
  }),
  waits('an upload that breaks a rule', '/upload', `${UPLOAD}5\r\nhal`, async (talker) => {
    talker.send('loXX');
    expect((await talker.reply()).status).toBe(400);
  }),
  waits('an upload that grows too large', '/upload', UPLOAD, async (talker) => {
    talker.send(chunked(101 * 1024));
    expect((await talker.reply()).status).toBe(413);
  }),
  waits(
    'an upload that grows too large once its answer has begun',
    '/half',
    UPLOAD.replace('/upload', '/half'),
    async (talker, _all, heard) => {
      await talker.until('half');
      talker.send(chunked(101 * 1024));
      await eventually(() => heard.hasEnded());
      expect(await talker.ended()).toBe('reset');
    },
  ),
  waits(
    'an answer before the end of the upload',
    '/early',
    `${UPLOAD.replace('/upload', '/early')}5\r\nhal`,
    async (talker, _all, heard) => {
      expect((await talker.reply()).body).toBe('early');
      await eventually(() => heard.hasEnded());
    },
  ),
  waits(
    'an upload with extensions and trailers',
    '/upload',
    `${UPLOAD}${EXTENDED}${chunked(5, '', TRAILERS)}`,
    async (talker) => {
      expect((await talker.reply()).body).toBe('taken');
    },
  ),
  waits('a tunnel that the client cuts', '/upgrade', get('/upgrade', UPGRADE), async (talker) => {
    expect((await talker.reply()).status).toBe(101);
    gone(talker);
  }),
  waits(
    'a tunnel that the server cuts',
    '/upgrade',
    get('/upgrade', UPGRADE),
    async (talker, _all, heard) => {
      expect((await talker.reply()).status).toBe(101);
      heard.socket.resetAndDestroy();
      expect(await talker.ended()).not.toBe('open');
    },
  ),
  waits('a tunnel that both end', '/upgrade', get('/upgrade', UPGRADE), async (talker, _all, heard) => {
    expect((await talker.reply()).status).toBe(101);
    talker.socket.end();
    heard.socket.end();
    expect(await talker.ended()).toBe('end');
  }),
  waits(
    'a place that another waits for in vain',
    '/silent',
    get('/silent'),
    async (talker, { running, talk }) => {
      const another = await talk();
      another.send(get('/plain'));
      await eventually(() => running.thread.own.clientConnections(0) === 2);
      gone(talker);
      expect((await another.reply()).body).toBe('whole');
      another.socket.destroy();
    },
  ),
];

/** What any next user of the same objects asks: all that a stale flag or total would spoil. */
async function expectServed({ talk }: Scene): Promise<void> {
  const talker = await talk();
  for (let turn = 0; turn < 2; turn += 1) {
    talker.send(get('/plain'));
    expect((await talker.reply()).body).toBe('whole');
    talker.send(get('/chunked'));
    expect((await talker.reply()).body).toBe(`${'c'.repeat(30)}ccccc`);
    talker.send(`${UPLOAD}${EXTENDED}${chunked(5, '', TRAILERS)}`);
    expect((await talker.reply()).body).toBe('taken');
    talker.send(get('/interim'));
    for (let count = 0; count < 16; count += 1) expect((await talker.reply()).status).toBe(103);
    expect((await talker.reply()).status).toBe(200);
  }
  talker.socket.destroy();
}

describe('after', () => {
  test.each(ENDINGS)('$what: nothing is left, and the next is served', async ({ end }) => {
    const all = await scene();
    for (let turn = 0; turn < 2; turn += 1) {
      all.server.heard.length = 0;
      const talker = await all.talk();
      await end(talker, all);
      talker.socket.destroy();
      await all.running.isQuiet();
      await expectServed(all);
      await all.running.isQuiet();
    }
  });
});

test('a held answer that stalls or breaks off counts as a failure of its server, once', async () => {
  const { running, server, talk } = await scene();
  const talker = await talk();
  talker.send(get('/half-held'));
  await server.hears('/half-held');
  await eventually(() => running.heardFromServers() > 0);
  running.pass(60_000);
  expect((await talker.reply()).status).toBe(504);
  expect(running.failures(0)).toBe(1);
});

test('a client that does not take its answer is no failure of the server', async () => {
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 999999999\r\n\r\n');
      const pump = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
      };
      socket.on('drain', pump);
      pump();
    });
  });
  const running = await runThread(
    `pools: { p: { health: off, timeouts: { idle: 60s }, servers: ["${backend.url}"] } }`,
  );
  const talker = await talkTo(running.port);
  talker.socket.pause();
  talker.send(get('/'));
  await eventually(() => running.unsent() > 0);
  let seen = -1;
  await eventually(() => {
    const isAtRest = seen === talker.socket.bytesRead;
    seen = talker.socket.bytesRead;
    return isAtRest;
  });
  running.pass(60_000);
  talker.socket.destroy();
  await running.isQuiet();
  expect(running.failures(0)).toBe(0);
});

test('a retry on a status gives back the place and closes the connection of the attempt before', async () => {
  const [first, second] = [await scriptedBackend(SCRIPTS), await scriptedBackend(SCRIPTS)];
  const running = await runThread(`
pools:
  p:
    health: off
    passive: off
    retry: { attempts: 1, budget: 100%, status: [503] }
    servers: [{ url: "${first.url}", maxConnections: 1 }, { url: "${second.url}", maxConnections: 1 }]
`);
  const talker = await talkTo(running.port);
  for (let turn = 0; turn < 3; turn += 1) {
    talker.send(get('/status'));
    expect((await talker.reply()).status).toBe(503);
    talker.send(get('/plain'));
    expect((await talker.reply()).body).toBe('whole');
  }
  // each server was tried once for each of the three
  expect(
    [first, second].map(({ heard }) => heard.filter(({ target }) => target === '/status').length),
  ).toEqual([3, 3]);
  talker.socket.destroy();
  await running.isQuiet();
});

test('a connection that was idle does not go by the time it was to idle once it is busy again', async () => {
  const { running, talk } = await scene('keepAlive: { idle: 500ms }');
  const talker = await talk();
  talker.send(get('/plain'));
  expect((await talker.reply()).body).toBe('whole');
  talker.send(get('/half'));
  await talker.until('half');
  running.pass(700);
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(talker.unread()).toContain('half');
  expect(running.thread.own.clientConnections(0)).toBe(1);
  talker.socket.destroy();
  await running.isQuiet();
});

test('a client that goes while it waits for a place does not wait on', async () => {
  const { running, server, talk } = await scene();
  const { thread } = running;
  const plan = thread.router.route(Buffer.alloc(0), new RequestHead());
  if (plan === null) throw new Error('there is one pool');
  const [first, second] = [await talk(), await talk()];
  first.send(get('/silent'));
  await server.hears('/silent');
  second.send(get('/plain'));
  await eventually(() => thread.queue(plan).length === 1);
  gone(second);
  await eventually(() => thread.own.clientConnections(0) === 1);
  expect(thread.queue(plan).length).toBe(0);
  gone(first);
  await running.isQuiet();
});
