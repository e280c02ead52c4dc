// Connections of one thread to one server: reuse, limits, expiry and the counts of them, over real sockets.

import type { Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ManualClock, TurnClock } from '../../src/base/clock.ts';
import { Deadlines } from '../../src/exchange/deadlines.ts';
import { Answer, type PartOwner, type ServerStreamUser } from '../../src/exchange/streams.ts';
import { ResponseHead } from '../../src/http1/message.ts';
import { BodyReader } from '../../src/proxy/body-reader.ts';
import { ReadBuffers } from '../../src/proxy/read-buffers.ts';
import type { UpstreamConnection } from '../../src/proxy/upstream-connection.ts';
import { UpstreamPool } from '../../src/proxy/upstream-pool.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { BUCKETS, Counter, Gauge } from '../../src/shared/stripe.ts';
import { type Backend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { Revisions } from '../support/revision.ts';

const SLOT = 0;
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n';
/** Memory that nobody reads into. */
const PLAIN: PartOwner = { writeTo: (sink, part) => sink.write(part), copy: (part) => part };

/** Writes down what a connection tells it. */
class User implements ServerStreamUser {
  readonly client: ServerStreamUser['client'];
  /** Bytes of each read. */
  readonly reads: number[] = [];
  readonly isHead = false;
  readonly wantsUpgrade = false;
  readonly takesFramed = true;
  readonly request = { headText: '' };
  readonly responseLimits = { headBytesMax: 65_536, headerCountMax: 100, watched: [] };
  readonly heard: string[] = [];

  constructor(client: ServerStreamUser['client'] = null) {
    this.client = client;
  }

  onConnected(): void {
    this.heard.push('connected');
  }
  onUnreachable(kind: string): void {
    this.heard.push(kind);
  }
  onInterim(answer: Answer): void {
    this.heard.push(`interim ${answer.head.status}`);
  }
  onAnswer(answer: Answer): void {
    this.heard.push(`answer ${answer.head.status}`);
    this.reads.push(answer.buffer.length);
  }
  onResponsePart(part: Buffer): void {
    this.heard.push(part.toString('latin1'));
    this.reads.push(part.length);
  }
  onResponseEnd(): void {
    this.heard.push('end');
  }
  onBadResponse(): void {
    this.heard.push('bad response');
  }
  onServerClosed(): void {
    this.heard.push('closed');
  }
  onTunnelHalfClosed(): void {
    this.heard.push('half closed');
  }
  onServerDrain(): void {}
}

async function scene(keepAlive: string, serve: (socket: Socket) => void = () => undefined) {
  const backend: Backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.on('end', () => socket.end()).resume();
    serve(socket);
  });
  const main = SharedState.create(1, 1000, 0);
  const { own } = SharedState.attach(main.handles(), 0);
  const clock = new ManualClock();
  const turns = new TurnClock(clock);
  const deadlines = new Deadlines(turns, () => undefined);
  const revision = new Revisions(main).next({
    more: `keepAlive: ${keepAlive}`,
    servers: [`a=${backend.url}`],
  });
  const config = revision.pools[0]?.config;
  const server = config?.servers[0];
  if (config === undefined || server === undefined) throw new Error('no server');
  const pool = new UpstreamPool(SLOT, 1, server, config, {
    closeIdle: () => undefined,
    own,
    deadlines,
    clock: turns,
    buffers: new ReadBuffers(),
    answer: new Answer(new ResponseHead()),
  });
  pool.configure(config);
  const open = async (user = new User()): Promise<{ user: User; upstream: UpstreamConnection }> => {
    const upstream = pool.open(user, turns.turn());
    onTestFinished(() => upstream.destroy());
    await eventually(() => user.heard.includes('connected'));
    return { user, upstream };
  };
  const counts = (): readonly number[] => [
    own.gauge(SLOT, Gauge.upstreamActive),
    own.gauge(SLOT, Gauge.upstreamIdle),
  ];
  const pass = (ms: number): void => {
    clock.advance(ms);
    deadlines.walk();
  };
  return { backend, pool, own, open, counts, pass, turns };
}

function connects(own: SharedState['own']): { readonly seconds: number; readonly count: number } {
  let count = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1)
    count += own.counter(SLOT, Counter.connectSum + 1 + bucket);
  return { seconds: own.counter(SLOT, Counter.connectSum), count };
}

test('a connection is busy, idle, busy again; the newest idle one is taken first', async () => {
  const { pool, open, counts, own } = await scene('{ max: 10, idle: 60s }');
  const [first, second] = [await open(), await open()];
  expect(counts()).toEqual([2, 0]);
  // no time has passed on the clock of this test
  expect(connects(own)).toEqual({ seconds: 0, count: 2 });
  pool.giveBack(first.upstream, 0, 0);
  pool.giveBack(second.upstream, 0, 0);
  expect(counts()).toEqual([0, 2]);
  const user = new User();
  expect(pool.takeIdle(user)).toBe(second.upstream);
  expect(second.upstream.isReused).toBe(true);
  expect(counts()).toEqual([1, 1]);
  expect(pool.takeIdle(user)).toBe(first.upstream);
  expect(pool.takeIdle(user)).toBeNull();
});

test('how long a connect has taken is counted once, in seconds', async () => {
  const { pool, own, turns, pass } = await scene('{ max: 10 }');
  const user = new User();
  const upstream = pool.open(user, turns.turn());
  onTestFinished(() => upstream.destroy());
  // before the event loop comes to the connect
  pass(1500);
  await eventually(() => user.heard.includes('connected'));
  expect(connects(own)).toEqual({ seconds: 1.5, count: 1 });
  pool.giveBack(upstream, 0, 0);
  pool.takeIdle(user);
  expect(connects(own).count).toBe(1);
});

test('more than max are not kept, and with 0 none is', async () => {
  const { pool, open, counts, backend } = await scene('{ max: 1, idle: 60s }');
  for (const { upstream } of [await open(), await open()]) pool.giveBack(upstream, 0, 0);
  expect(counts()).toEqual([0, 1]);
  await eventually(() => backend.sockets.size === 1);
  const none = await scene('{ max: 0 }');
  none.pool.giveBack((await none.open()).upstream, 0, 0);
  expect(none.counts()).toEqual([0, 0]);
});

test('by default as many are kept as were in use at once', async () => {
  const { pool, open, counts } = await scene('{ idle: 60s }');
  const busy = await Promise.all(Array.from({ length: 300 }, () => open()));
  for (const { upstream } of busy) pool.giveBack(upstream, 0, 0);
  expect(counts()).toEqual([0, 300]);
});

test('what is no longer needed at once grows old, while the newest is used again and again', async () => {
  const { pool, open, counts, pass, turns } = await scene('{ idle: 60s }');
  const [first, second] = [await open(), await open()];
  pool.giveBack(first.upstream, 0, turns.turn());
  pool.giveBack(second.upstream, 0, turns.turn());
  for (let round = 0; round < 3; round += 1) {
    expect(pool.takeIdle(new User())).toBe(second.upstream);
    pool.giveBack(second.upstream, 0, turns.turn());
    pass(20_001);
  }
  expect(counts()).toEqual([0, 1]);
  expect(pool.takeIdle(new User())).toBe(second.upstream);
});

test.each([
  ['the configured time', 0, 60_000],
  ["a second less than the server's hint", 5000, 4000],
  ['the configured time, when the hint is longer', 600_000, 60_000],
])('an idle connection is kept for %s', async (_what, hintMs, keptMs) => {
  const { pool, open, counts, pass, turns, backend } = await scene('{ max: 10, idle: 60s }');
  const { upstream, user } = await open();
  pool.giveBack(upstream, hintMs, turns.turn());
  pass(keptMs - 1);
  expect(counts()).toEqual([0, 1]);
  pass(1);
  expect(counts()).toEqual([0, 0]);
  await eventually(() => backend.sockets.size === 0);
  expect(user.heard).toEqual(['connected']);
});

test('a hint of a second or less means: do not keep', async () => {
  const { pool, open, counts } = await scene('{ max: 10, idle: 60s }');
  pool.giveBack((await open()).upstream, 1000, 0);
  expect(counts()).toEqual([0, 0]);
});

test('bytes or an end on an idle connection close it: the next request must not take them for its answer', async () => {
  const sockets: Socket[] = [];
  const { pool, open, counts } = await scene('{ max: 10, idle: 60s }', (socket) => sockets.push(socket));
  const [first, second] = [await open(), await open()];
  pool.giveBack(first.upstream, 0, 0);
  pool.giveBack(second.upstream, 0, 0);
  sockets[0]?.write('HTTP/1.1 200 OK\r\n\r\n');
  sockets[1]?.end();
  await eventually(() => counts()[1] === 0);
  expect([counts(), first.user.heard, second.user.heard]).toEqual([[0, 0], ['connected'], ['connected']]);
});

test('a connect that takes too long is given up', async () => {
  const { pool, counts, pass, turns } = await scene('{ max: 10 }');
  const user = new User();
  pool.open(user, turns.turn());
  // the time passes before the event loop comes to the connect
  pass(2000);
  expect([user.heard, counts()]).toEqual([['connect-timeout'], [0, 0]]);
});

test('retired: idle connections end now, busy ones when they are given back', async () => {
  const { pool, open, counts, backend } = await scene('{ max: 10, idle: 60s }');
  const [busy, idle] = [await open(), await open()];
  pool.giveBack(idle.upstream, 0, 0);
  pool.retire();
  expect(counts()).toEqual([1, 0]);
  pool.giveBack(busy.upstream, 0, 0);
  expect(counts()).toEqual([0, 0]);
  await eventually(() => backend.sockets.size === 0);
});

test('a connection that its server resets while busy is counted once, and told', async () => {
  const sockets: Socket[] = [];
  const { open, counts } = await scene('{ max: 10 }', (socket) => sockets.push(socket));
  const { user, upstream } = await open();
  sockets[0]?.resetAndDestroy();
  await eventually(() => user.heard.length === 2);
  upstream.destroy();
  expect([user.heard, counts()]).toEqual([
    ['connected', 'closed'],
    [0, 0],
  ]);
});

describe('a server that answers before it has read the request', () => {
  const REST_BYTES = 32 * 1024 * 1024;

  async function answeredEarly() {
    const sockets: Socket[] = [];
    const made = await scene('{ max: 10, idle: 60s }', (socket) => sockets.push(socket.pause()));
    const { upstream, user } = await made.open();
    expect(upstream.writeBody(Buffer.alloc(REST_BYTES), PLAIN)).toBe(false);
    const server = sockets[0] as Socket;
    server.write(ANSWER);
    await eventually(() => user.heard.includes('answer 200'));
    upstream.release(true);
    return { ...made, server };
  }

  test('is still sent what waits, and no other request behind it', async () => {
    const { pool, counts, server } = await answeredEarly();
    expect([counts(), pool.takeIdle(new User())]).toEqual([[1, 0], null]);
    let received = 0;
    server.on('data', (part: Buffer) => (received += part.length)).resume();
    await eventually(() => received === REST_BYTES);
    await eventually(() => counts()[0] === 0);
    expect(pool.isEmpty).toBe(true);
  });

  test('and never reads it is given up in bounded time, whatever it sends meanwhile', async () => {
    const { counts, pass, server, backend } = await answeredEarly();
    for (let turn = 0; turn < 29; turn += 1) {
      server.write('more\r\n');
      pass(1000);
    }
    expect(counts()).toEqual([1, 0]);
    pass(1000);
    expect(counts()).toEqual([0, 0]);
    server.resume();
    await eventually(() => backend.sockets.size === 0);
  });

  test('and has read it all is used again', async () => {
    const { open, counts, pool } = await scene('{ max: 10, idle: 60s }', (socket) =>
      socket.once('data', () => socket.write(ANSWER)),
    );
    const { upstream, user } = await open();
    upstream.writeBody(Buffer.from('all of it'), PLAIN);
    await eventually(() => user.heard.includes('answer 200'));
    upstream.release(true);
    expect([counts(), pool.takeIdle(new User())]).toEqual([[0, 1], upstream]);
    // nothing has been answered this time
    upstream.release(true);
    expect(counts()).toEqual([0, 0]);
  });
});

test('a connection whose last words were a whole answer is dead: it serves nobody else', async () => {
  const { open, pool, counts, backend } = await scene('{ max: 4, idle: 60s }');
  const { user, upstream } = await open();
  let next: UpstreamConnection | null = null;
  user.onAnswer = (answer) => {
    user.heard.push(`answer ${answer.head.status}`);
    upstream.release(true);
    next = pool.takeIdle(new User());
  };
  const [server] = [...backend.sockets];
  server?.write(ANSWER);
  server?.resetAndDestroy();
  // written before the answer is read: that fails, and the answer is found when the connection is taken down
  upstream.writeBody(Buffer.from('more'), PLAIN);
  await eventually(() => user.heard.includes('answer 200'));
  expect([next, counts()]).toEqual([null, [0, 0]]);
});

test('what the client has no window for is read in short pieces, on a new connection and on one that was idle', async () => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n';
  const { pool, open } = await scene('{ max: 10, idle: 60s }', (socket) => {
    socket.on('data', () => socket.write(head + 'x'.repeat(300_000)));
  });
  const client = { ends: null, requestBody: new BodyReader(), window: 0 };
  const ask = async (user: User, upstream: UpstreamConnection): Promise<number> => {
    upstream.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n', null, PLAIN);
    await eventually(() => user.heard.at(-1) === 'end');
    upstream.release(true);
    return Math.max(...user.reads);
  };
  const { user, upstream } = await open(new User(client));
  expect(await ask(user, upstream)).toBe(4096);
  for (const [window, most] of [
    [20_000, 20_000],
    [Number.POSITIVE_INFINITY, 65_536],
    [0, 4096],
  ] as const) {
    client.window = window;
    const next = new User(client);
    expect(pool.takeIdle(next)).toBe(upstream);
    expect(await ask(next, upstream)).toBe(most);
  }
  // Node keeps something of each time that it is told where to read
  for (let times = 3; times <= 8; times += 1) {
    const next = new User(client);
    expect(pool.takeIdle(next)).toBe(upstream);
    await ask(next, upstream);
  }
  expect(pool.takeIdle(new User(client))).toBeNull();
});
