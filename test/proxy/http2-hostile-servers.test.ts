// Servers that break the rules of HTTP/2, or flood: nothing of it reaches a client as a response, what there is of it is bounded,
// and the log says what it was.

import { expect, test } from 'vitest';
import { ask } from '../support/ask.ts';
import { scriptedServer } from '../support/http2-backend.ts';
import { block, END_HEADERS, END_STREAM, frame, number, Type } from '../support/http2-peer.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

const run = (url: string, pool = ''): Promise<RunningThread> =>
  runThread(`pools: { web: { protocol: h2, health: off, ${pool} servers: ["${url}"] } }`);

const FRAME_BYTES = 16_384;
const OK = block([[':status', '200']]);
const HEADERS = (stream: number, fields: Parameters<typeof block>[0], flags = END_HEADERS): Buffer =>
  frame(Type.headers, flags, stream, block(fields));

test('a server that answers in HTTP/1 is not reached, and the log says why', async () => {
  const server = await scriptedServer(
    (_, { socket }) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
    null,
  );
  const running = await run(server.url, 'retry: { attempts: 0 }, queue: { whenDown: 0s },');
  const reply = await ask(running.port);
  expect([reply.status, reply.headers['x-holdfast-error']]).toEqual([502, 'connect-failed']);
  expect(running.log.join()).toContain('HTTP/2: an answer in HTTP/1');
  await running.isQuiet();
});

test('a server that allows no streams is not reached', async () => {
  const settings = Buffer.concat([Buffer.from([0, 3]), number(0)]);
  const server = await scriptedServer(() => undefined, settings);
  const running = await run(server.url, 'retry: { attempts: 0 }, queue: { whenDown: 0s },');
  expect((await ask(running.port)).headers['x-holdfast-error']).toBe('connect-failed');
  expect(running.log.join()).toContain('takes no streams');
  await running.isQuiet();
});

test('a server that never speaks is a connect time-out', async () => {
  const server = await scriptedServer(() => undefined, null);
  const running = await run(server.url, 'retry: { attempts: 0 }, queue: { whenDown: 0s },');
  const reply = ask(running.port);
  await server.until((connection) => connection.frames.length > 0, 'a preface');
  running.pass(3000);
  expect((await reply).headers['x-holdfast-error']).toBe('connect-timeout');
  await running.isQuiet();
});

/** Fields of so many bytes, in as many frames as they fill. */
function large(stream: number, bytes: number, before: Parameters<typeof block>[0], flags: number): Buffer {
  const fields = Array.from({ length: bytes / 1000 }, (_, at) => [`x-${at}`, 'x'.repeat(1000)] as const);
  const whole = block([...before, ...fields]);
  const frames: Buffer[] = [];
  for (let at = 0; at < whole.length; at += FRAME_BYTES) {
    const ends = at + FRAME_BYTES >= whole.length ? END_HEADERS : 0;
    const type = at === 0 ? Type.headers : Type.continuation;
    frames.push(frame(type, at === 0 ? flags | ends : ends, stream, whole.subarray(at, at + FRAME_BYTES)));
  }
  return Buffer.concat(frames);
}

test.each([
  ['heads', (stream: number) => large(stream, 200_000, [[':status', '200']], 0)],
  [
    'trailers',
    (stream: number) =>
      Buffer.concat([HEADERS(stream, [[':status', '200']]), large(stream, 200_000, [], END_STREAM)]),
  ],
])('%s that are too large end their own stream, and no other on the connection', async (_what, sends) => {
  const server = await scriptedServer(({ type, stream }, connection) => {
    if (type === Type.headers && stream > 1) connection.send(sends(stream));
  });
  const running = await run(server.url, 'retry: { attempts: 0 },');
  const waiting = ask(running.port);
  const connection = await server.until(
    ({ frames }) => frames.some(({ stream }) => stream === 1),
    'a request',
  );
  // trailers may come when its answer has begun: then it breaks off
  const status = await ask(running.port).then(
    (reply) => reply.status,
    () => 502,
  );
  expect(status).toBe(502);
  connection.send(HEADERS(1, [[':status', '200']], END_HEADERS | END_STREAM));
  expect((await waiting).status).toBe(200);
  expect(server.connections()).toBe(1);
  await running.isQuiet();
});

test.each<[what: string, said: RegExp, sends: (stream: number) => Buffer]>([
  ['a frame that is too large', /frame of/, () => frame(Type.data, 0, 1, Buffer.alloc(17_000))],
  ['PUSH_PROMISE', /PUSH_PROMISE/, () => frame(5, END_HEADERS, 1, number(2))],
  ['HEADERS on a stream nobody has opened', /nobody has opened/, () => HEADERS(99, [[':status', '200']])],
  ['no :status', /no :status/, (stream) => HEADERS(stream, [['x', 'y']])],
  ['a malformed :status', /:status/, (stream) => HEADERS(stream, [[':status', '2x0']])],
  [
    'two :status',
    /:status/,
    (stream) =>
      HEADERS(stream, [
        [':status', '200'],
        [':status', '200'],
      ]),
  ],
  [
    'a pseudo-field of requests',
    /pseudo-field/,
    (stream) =>
      HEADERS(stream, [
        [':status', '200'],
        [':path', '/'],
      ]),
  ],
  [
    'a capital',
    /malformed name/,
    (stream) =>
      HEADERS(stream, [
        [':status', '200'],
        ['X-Y', 'z'],
      ]),
  ],
  [
    'a line feed',
    /malformed name/,
    (stream) =>
      HEADERS(stream, [
        [':status', '200'],
        ['x', 'a\r\nb: c'],
      ]),
  ],
  [
    'connection',
    /connection/,
    (stream) =>
      HEADERS(stream, [
        [':status', '200'],
        ['connection', 'close'],
      ]),
  ],
  [
    'transfer-encoding',
    /connection/,
    (stream) =>
      HEADERS(stream, [
        [':status', '200'],
        ['transfer-encoding', 'chunked'],
      ]),
  ],
  ['status 101', /101/, (stream) => HEADERS(stream, [[':status', '101']])],
  [
    'an interim response that is the last',
    /interim/,
    (stream) => HEADERS(stream, [[':status', '103']], END_HEADERS | END_STREAM),
  ],
  [
    'two content-lengths',
    /Content-Length/i,
    (stream) =>
      HEADERS(stream, [
        [':status', '200'],
        ['content-length', '1'],
        ['content-length', '2'],
      ]),
  ],
  ['DATA before a head', /DATA before/, (stream) => frame(Type.data, 0, stream, 'x')],
  [
    'a head that is too large',
    /larger than 16384/,
    (stream) => {
      const fields = (from: number) =>
        Array.from({ length: 9 }, (_, at) => [`x-${from + at}`, 'y'.repeat(1000)] as const);
      return Buffer.concat([
        frame(Type.headers, 0, stream, block([[':status', '200'], ...fields(0)])),
        frame(Type.continuation, END_HEADERS, stream, block(fields(9))),
      ]);
    },
  ],
  [
    'CONTINUATION without end',
    /continuation|headers/,
    (stream) =>
      Buffer.concat([
        frame(Type.headers, 0, stream, OK),
        ...Array.from({ length: 40 }, () => frame(Type.continuation, 0, stream, '')),
      ]),
  ],
  [
    'a header bomb',
    /headers/,
    (stream) =>
      frame(
        Type.headers,
        END_HEADERS,
        stream,
        Buffer.concat([
          OK,
          Buffer.from([0x40, 1, 0x78, 127, 0xd0, 0x1d]),
          Buffer.alloc(3919, 'y'),
          Buffer.alloc(600, 0xbe),
        ]),
      ),
  ],
  [
    'a block that does not decode',
    /decode/,
    (stream) => frame(Type.headers, END_HEADERS, stream, Buffer.from([0xff, 0xff])),
  ],
  [
    'a flood of PING',
    /ping/,
    () => Buffer.concat(Array.from({ length: 1500 }, () => frame(Type.ping, 0, 0, Buffer.alloc(8)))),
  ],
  [
    'a flood of SETTINGS',
    /settings/,
    () => Buffer.concat(Array.from({ length: 1500 }, () => frame(Type.settings, 0, 0, ''))),
  ],
  [
    'a flood of empty DATA',
    /empty_data/,
    (stream) =>
      Buffer.concat([
        frame(Type.headers, END_HEADERS, stream, OK),
        ...Array.from({ length: 1500 }, () => frame(Type.data, 0, stream, '')),
      ]),
  ],
  [
    'a flood of WINDOW_UPDATE',
    /window_update/,
    () => Buffer.concat(Array.from({ length: 1500 }, () => frame(Type.window, 0, 0, number(1)))),
  ],
])('%s: bad-response, and the log says why', async (_, said, sends) => {
  const server = await scriptedServer(({ type, stream }, connection) => {
    if (type === Type.headers) connection.send(sends(stream));
  });
  const running = await run(server.url, 'retry: { attempts: 0 }, limits: { responseHeadBytes: 16KiB },');
  const outcome = await ask(running.port).catch(() => null);
  // one that has begun is cut off
  if (outcome !== null)
    expect([outcome.status, outcome.headers['x-holdfast-error']]).toEqual([502, 'bad-response']);
  expect(running.log.join('\n')).toMatch(said);
  await running.isQuiet();
});

test.each<[what: string, sends: (stream: number) => Buffer]>([
  [
    'a body longer than its length',
    (stream) =>
      Buffer.concat([
        HEADERS(stream, [
          [':status', '200'],
          ['content-length', '3'],
        ]),
        frame(Type.data, 0, stream, 'one two'),
      ]),
  ],
  [
    'a body shorter than its length',
    (stream) =>
      Buffer.concat([
        HEADERS(stream, [
          [':status', '200'],
          ['content-length', '9'],
        ]),
        frame(Type.data, END_STREAM, stream, 'one'),
      ]),
  ],
  [
    'a reset within the body',
    (stream) =>
      Buffer.concat([
        HEADERS(stream, [[':status', '200']]),
        frame(Type.data, 0, stream, Buffer.alloc(5000, 'x')),
        frame(Type.reset, 0, stream, number(2)),
      ]),
  ],
  [
    'a trailer that may not be one',
    (stream) =>
      Buffer.concat([
        HEADERS(stream, [[':status', '200']]),
        frame(Type.data, 0, stream, Buffer.alloc(5000, 'x')),
        HEADERS(stream, [['content-length', '9']], END_HEADERS | END_STREAM),
      ]),
  ],
])('%s: the client never takes it for a whole response', async (_, sends) => {
  const server = await scriptedServer(({ type, stream }, connection) => {
    if (type === Type.headers) connection.send(sends(stream));
  });
  const running = await run(server.url, 'retry: { attempts: 0 },');
  const outcome = await ask(running.port).then(
    ({ status }) => status,
    () => 'broken',
  );
  expect([502, 'broken']).toContain(outcome);
  await running.isQuiet();
});

test.each<[what: string, refuses: (stream: number) => Buffer]>([
  ['REFUSED_STREAM', (stream) => frame(Type.reset, 0, stream, number(7))],
  ['GOAWAY', () => frame(Type.goaway, 0, 0, Buffer.concat([number(0), number(0)]))],
])('%s for a request that it has begun to answer: broken off, and not asked again', async (_, refuses) => {
  let asked = 0;
  const server = await scriptedServer(({ type, stream }, connection) => {
    if (type !== Type.headers) return;
    asked += 1;
    connection.send(
      HEADERS(stream, [[':status', '200']]),
      frame(Type.data, 0, stream, Buffer.alloc(5000, 'x')),
      refuses(stream),
    );
  });
  const running = await run(server.url);
  expect(await ask(running.port).catch(() => 'broken')).toBe('broken');
  expect(asked).toBe(1);
  await running.isQuiet();
});
