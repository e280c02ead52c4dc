// What a client of HTTP/2 may not do without end: each limit has a name, ends the connection or the stream, and is counted.

import { expect, test } from 'vitest';
import type { AbuseKind } from '../../src/http2/abuse.ts';
import { Gauge, PoolCounter } from '../../src/shared/stripe.ts';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import {
  block,
  CALM,
  END_HEADERS,
  END_STREAM,
  frame,
  Http2Peer,
  number,
  repeat,
  request,
  Type,
} from '../support/http2-peer.ts';
import { forFile } from '../support/lifetime.ts';
import { abuseOf, type RunningThread, runThread } from '../support/proxy-thread.ts';

const BODY_BYTES = 200_000;
let pool = '';

forFile(async () => {
  const backend = await httpBackend('a', (incoming, response) => {
    if (incoming.url === '/wait') return;
    incoming.resume();
    incoming.on('end', () => response.end(incoming.url === '/large' ? Buffer.alloc(BODY_BYTES, 'x') : 'ok'));
  });
  pool = `pools: { web: { health: off, servers: ["${backend.url}"] } }`;
});

const run = (http2: string): Promise<RunningThread> => runThread(pool, `h2c: true, http2: { ${http2} }`);

/** Ends in GOAWAY(ENHANCE_YOUR_CALM), and is counted once. */
async function calms(running: RunningThread, peer: Http2Peer, kind: AbuseKind): Promise<void> {
  await peer.until(() => peer.of(Type.goaway).length > 0, 'GOAWAY');
  expect(peer.codes(Type.goaway)).toEqual([CALM]);
  expect(abuseOf(running)[kind]).toBe(1);
  peer.socket.end();
  await running.isQuiet();
  expect(running.thread.own.http2Connections(0)).toBe(0);
  expect(running.thread.own.http2Streams(0)).toBe(0);
}

const FRAMES: readonly (readonly [kind: AbuseKind, before: Buffer, one: Buffer])[] = [
  ['settings', Buffer.alloc(0), frame(Type.settings)],
  ['settings', Buffer.alloc(0), frame(Type.settings, 1)],
  ['ping', Buffer.alloc(0), frame(Type.ping, 0, 0, Buffer.alloc(8))],
  ['ping', Buffer.alloc(0), frame(Type.ping, 1, 0, Buffer.alloc(8))],
  ['priority', Buffer.alloc(0), frame(Type.priority, 0, 1, Buffer.alloc(5))],
  ['priority', Buffer.alloc(0), frame(16, 0, 0, Buffer.concat([number(1), Buffer.from('u=1')]))],
  ['window_update', Buffer.alloc(0), frame(Type.window, 0, 0, number(1))],
  ['empty_data', request(1, [], '/', 'POST'), frame(Type.data, 0, 1)],
  // padding and nothing else
  ['empty_data', request(1, [], '/', 'POST'), frame(Type.data, 8, 1, Buffer.from([3, 0, 0, 0]))],
  // on a stream that was refused
  ['empty_data', request(1, [['connection', 'close']], '/', 'POST'), frame(Type.data, 0, 1)],
  ['frames', Buffer.alloc(0), frame(0xee)],
];

for (const [kind, before, one] of FRAMES)
  test(`${kind}: frames of type ${one[3]}, flags ${one[4]}, that carry nothing`, async () => {
    const running = await run('frames: 100/60s');
    const peer = new Http2Peer(running.port);
    peer.send(
      before,
      repeat(50, () => one),
    );
    await peer.synced();
    expect(peer.of(Type.goaway)).toEqual([]);
    peer.send(repeat(150, () => one));
    await calms(running, peer, kind);
  });

test('continuation: a header block in many small pieces', async () => {
  const running = await run('frames: 1000/60s');
  const peer = new Http2Peer(running.port);
  peer.send(
    frame(Type.headers, END_STREAM, 1),
    repeat(50, () => frame(Type.continuation, 0, 1)),
  );
  await calms(running, peer, 'continuation');
});

test('headers: a block that does not end is given up at its limit', async () => {
  const running = await run('headerBytes: 32KiB');
  const peer = new Http2Peer(running.port);
  peer.send(
    frame(Type.headers, END_STREAM, 1),
    repeat(9, () => frame(Type.continuation, 0, 1, Buffer.alloc(16_000))),
  );
  await calms(running, peer, 'headers');
});

test('headers: a small block that decodes to megabytes is given up while it is decoded', async () => {
  const running = await run('headerBytes: 16KiB');
  const peer = new Http2Peer(running.port);
  // one entry of 3 KB in the table, then a byte for each time it is meant
  const entry = Buffer.concat([
    Buffer.from([0x40, 1, 0x61, 127, 128 | (2873 & 127), 2873 >> 7]),
    Buffer.alloc(3000, 'v'),
  ]);
  peer.send(
    frame(Type.headers, END_STREAM | END_HEADERS, 1, Buffer.concat([entry, Buffer.alloc(12_000, 0xbe)])),
  );
  await calms(running, peer, 'headers');
});

test('resets: requests that the client makes us reset (MadeYouReset)', async () => {
  const running = await run('resets: 50/60s');
  const peer = new Http2Peer(running.port);
  peer.send(
    repeat(100, (index) =>
      Buffer.concat([request(1 + 2 * index, [], '/wait'), frame(Type.window, 0, 1 + 2 * index, number(0))]),
    ),
  );
  await calms(running, peer, 'resets');
});

test('resets: malformed requests', async () => {
  const running = await run('resets: 50/60s');
  const peer = new Http2Peer(running.port);
  peer.send(repeat(100, (index) => request(1 + 2 * index, [['connection', 'close']])));
  await calms(running, peer, 'resets');
});

test('what is taken back before its read is over never reaches a server', async () => {
  const running = await run('resets: 200/10s');
  const peer = new Http2Peer(running.port);
  await peer.synced();
  peer.send(
    repeat(40, (index) =>
      Buffer.concat([
        request(1 + 2 * index, [], '/', 'POST'),
        frame(Type.data, 0, 1 + 2 * index, 'x'),
        index % 2 === 0
          ? frame(Type.reset, 0, 1 + 2 * index, number(8))
          : frame(Type.window, 0, 1 + 2 * index, number(0)),
      ]),
    ),
  );
  await peer.synced();
  expect(running.thread.own.poolCounter(0, PoolCounter.requests)).toBe(0);
  expect(running.thread.own.http2Streams(0)).toBe(0);
  peer.socket.destroy();
  await running.isQuiet();
});

test('who asks for much at once shares the thread with others', async () => {
  const order: string[] = [];
  const backend = await httpBackend('a', (incoming, response) => {
    order.push(incoming.url ?? '');
    response.end('ok');
  });
  const running = await runThread(
    `pools: { web: { health: off, servers: ["${backend.url}"] } }`,
    'h2c: true',
  );
  const greedy = new Http2Peer(running.port);
  const modest = new Http2Peer(running.port);
  await Promise.all([greedy.synced(), modest.synced()]);
  greedy.send(repeat(100, (index) => request(1 + 2 * index, [], '/greedy')));
  modest.send(request(1, [], '/modest'));
  const ids = Array.from({ length: 100 }, (_, index) => 1 + 2 * index);
  await greedy.until(() => ids.every((id) => greedy.isWhole(id)), 'all answers');
  await modest.until(() => modest.isWhole(1), 'an answer');
  expect(order).toHaveLength(101);
  expect(order.indexOf('/modest')).toBeLessThan(60);
  for (const peer of [greedy, modest]) peer.socket.destroy();
  await running.isQuiet();
});

test('who asks for much at once has few connections to servers opened in a turn', async () => {
  const running = await run('streams: 100');
  const open = (): number => running.thread.own.gauge(0, Gauge.upstreamActive);
  const peer = new Http2Peer(running.port);
  await peer.synced();
  let [most, before] = [0, 0];
  const each = {
    onTurnEnd: (): void => {
      most = Math.max(most, open() - before);
      before = open();
      if (before < 100 && !peer.isClosed) running.thread.turnEnd.add(each);
    },
  };
  each.onTurnEnd();
  peer.send(repeat(100, (index) => request(1 + 2 * index, [], '/wait')));
  await eventually(() => open() === 100);
  // the first of them with the read, others at the end of the same turn
  expect(most).toBeLessThanOrEqual(4);
  peer.socket.destroy();
  await running.isQuiet();
});

test('streams: more requests at once than announced are refused, and begin when there is room', async () => {
  const running = await run('streams: 10');
  const peer = new Http2Peer(running.port);
  peer.send(repeat(13, (index) => request(1 + 2 * index, [], '/wait')));
  await peer.synced();
  expect(peer.codes(Type.reset)).toEqual([7, 7, 7]);
  expect(abuseOf(running)).toEqual({ streams: 3 });
  expect(running.thread.own.http2Streams(0)).toBe(10);
  peer.send(frame(Type.reset, 0, 1, number(8)), request(99));
  await peer.until(() => peer.isWhole(99), 'an answer where there is room again');
  peer.socket.destroy();
  await running.isQuiet();
});

test('streams: a stream counts until the exchange behind it is over, whatever the client says', async () => {
  const running = await run('streams: 10, resets: 1000/1s');
  const peer = new Http2Peer(running.port);
  for (let round = 0; round < 20; round += 1) {
    const first = 1 + 20 * round;
    peer.send(repeat(10, (index) => request(first + 2 * index, [], '/wait')));
    peer.send(repeat(10, (index) => frame(Type.reset, 0, first + 2 * index, number(8))));
    await peer.synced();
    expect(running.thread.own.http2Streams(0)).toBe(0);
  }
  peer.socket.destroy();
  await running.isQuiet();
});

test('a request whose body never comes is answered 408, one whose head never ends is cut, as is a silent client', async () => {
  const running = await runThread(pool, 'h2c: true, timeouts: { header: 5s, body: 5s, keepAlive: 30s }');
  const slow = new Http2Peer(running.port);
  slow.send(request(1, [], '/', 'POST'), frame(Type.data, 0, 1, 'x'));
  const endless = new Http2Peer(running.port);
  endless.send(frame(Type.headers, END_STREAM, 1, block([[':method', 'GET']])));
  const idle = new Http2Peer(running.port);
  const mute = new Http2Peer(running.port);
  mute.socket.removeAllListeners('data');
  await Promise.all([slow.synced(), idle.synced()]);
  await eventually(() => running.thread.own.http2Connections(0) >= 3);
  running.pass(6000);
  await slow.until(() => slow.isWhole(1), '408');
  await endless.until(() => endless.isClosed, 'the end of a head that does not end');
  await idle.synced();
  expect(idle.isClosed).toBe(false);
  running.pass(31_000);
  await idle.until(() => idle.of(Type.goaway).length > 0, 'the end of an idle connection');
  expect(idle.codes(Type.goaway)).toEqual([0]);
  for (const peer of [slow, idle, mute]) peer.socket.destroy();
  await running.isQuiet();
});

test('stalled: responses of which a client takes nothing are dropped, in the end', async () => {
  const running = await run('streams: 20');
  // no window at all
  const peer = new Http2Peer(running.port, [[4, 0]]);
  peer.send(repeat(20, (index) => request(1 + 2 * index)));
  await peer.until(() => peer.of(Type.headers).length === 20, 'heads');
  await eventually(() => running.thread.own.http2Streams(0) === 20);
  running.pass(30_000);
  await peer.synced();
  expect(abuseOf(running)).toEqual({});
  running.pass(31_000);
  await peer.until(() => peer.of(Type.reset).length === 20, 'resets');
  expect(abuseOf(running)).toEqual({ stalled: 1 });
  expect(running.thread.own.http2Streams(0)).toBe(0);
  peer.socket.destroy();
  await running.isQuiet();
});

test('stalled: a response that is granted no window is dropped, however much of others is taken', async () => {
  const running = await run('streams: 20');
  const peer = new Http2Peer(running.port, [[4, 0]]);
  peer.send(request(1), request(3));
  await peer.until(() => peer.of(Type.headers).length === 2, 'heads');
  for (const body of ['o', 'ok']) {
    peer.send(frame(Type.window, 0, 3, number(1)));
    await peer.until(() => peer.body(3) === body, 'some of the other');
    running.pass(29_000);
  }
  running.pass(5_000);
  await peer.until(() => peer.of(Type.reset).length === 1, 'a reset');
  expect(peer.of(Type.reset, 1)).toHaveLength(1);
  expect(abuseOf(running)).toEqual({ stalled: 1 });
  peer.socket.destroy();
  await running.isQuiet();
});

test('a large response to a client that grants no window keeps little of it, and is broken off', async () => {
  const running = await run('streams: 20');
  const peer = new Http2Peer(running.port, [[4, 0]]);
  peer.send(request(1, [], '/large'));
  await peer.until(() => peer.of(Type.headers).length === 1, 'the head');
  await peer.synced();
  running.pass(61_000);
  await peer.until(() => peer.of(Type.reset).length === 1, 'a reset');
  peer.socket.destroy();
  await running.isQuiet();
});

test('unread: a client that makes us answer and does not read is cut', async () => {
  const running = await run('frames: 1000000/1s');
  const peer = new Http2Peer(running.port);
  await peer.synced();
  peer.socket.pause();
  const pings = repeat(20_000, () => frame(Type.ping, 0, 0, Buffer.alloc(8)));
  // more than the kernel keeps for it
  let rounds = 0;
  while (abuseOf(running)['unread'] === undefined && rounds < 400 && !peer.isClosed) {
    rounds += 1;
    await new Promise<void>((resolve) => peer.socket.write(pings, () => resolve()));
  }
  await eventually(() => abuseOf(running)['unread'] === 1);
  expect(running.unsent()).toBeLessThan(4 * 1024 * 1024);
  // and it is not waited for that it reads in the end
  running.pass(1001);
  running.pass(2001);
  await eventually(() => running.thread.own.http2Connections(0) === 0);
  peer.socket.destroy();
  await running.isQuiet();
});
