// Requests of HTTP/2 whose fields are larger than they may be before they are decoded.

import { expect, test } from 'vitest';
import type { AbuseKind } from '../../src/http2/abuse.ts';
import { httpBackend } from '../support/backend.ts';
import {
  block,
  CALM,
  END_HEADERS,
  END_STREAM,
  frame,
  Http2Peer,
  repeat,
  request,
  Type,
} from '../support/http2-peer.ts';
import { type RunningThread, runThread } from '../support/proxy-thread.ts';

async function run(http2: string): Promise<RunningThread> {
  const backend = await httpBackend('a', ({ url }, response) => void (url === '/wait' || response.end('ok')));
  return runThread(
    `pools: { web: { health: off, servers: ["${backend.url}"] } }`,
    `h2c: true, http2: { ${http2} }`,
  );
}

/** Ends in GOAWAY(ENHANCE_YOUR_CALM), and is counted once. */
async function calms({ thread, isQuiet }: RunningThread, peer: Http2Peer, kind: AbuseKind): Promise<void> {
  await peer.until(() => peer.of(Type.goaway).length > 0, 'GOAWAY');
  expect([peer.codes(Type.goaway), thread.own.http2Abuse(0, kind)]).toEqual([[CALM], 1]);
  peer.socket.end();
  await isQuiet();
}

/** A request of so many bytes in whole frames, whose last field enters the table. */
function largeRequest(stream: number, bytes: number): Buffer {
  const head = request(stream, [['x', 'y'.repeat(8000)]]).subarray(9);
  const more = block([['x', 'y'.repeat(8000)]]);
  const kept = Buffer.from([0x40, 6, ...Buffer.from('x-kept'), 3, ...Buffer.from('yes')]);
  const times = Math.ceil((bytes - head.length) / more.length);
  const whole = Buffer.concat([head, ...Array.from({ length: times }, () => more), kept]);
  const count = Math.ceil(whole.length / 16_384);
  return repeat(count, (index) => {
    const flags = (index === 0 ? END_STREAM : 0) | (index === count - 1 ? END_HEADERS : 0);
    const payload = whole.subarray(16_384 * index, 16_384 * (index + 1));
    return frame(index === 0 ? Type.headers : Type.continuation, flags, stream, payload);
  });
}

test('a request that is larger than it may be is refused by itself; the table is kept in step', async () => {
  const running = await run('headerBytes: 32KiB');
  const peer = new Http2Peer(running.port);
  peer.send(request(1, [], '/wait'), largeRequest(3, 40_000), largeRequest(5, 110_000));
  // refers to what the last of them has put into the table
  const referring = Buffer.concat([request(7).subarray(9), Buffer.from([0xbe])]);
  peer.send(frame(Type.headers, END_STREAM | END_HEADERS, 7, referring));
  await peer.until(() => [3, 5, 7].every((id) => peer.isWhole(id)), 'three answers');
  expect([3, 5, 7].map((id) => peer.body(id).slice(0, 3))).toEqual(['431', '431', 'ok']);
  expect(peer.of(Type.reset)).toEqual([]);
  peer.send(largeRequest(9, 140_000));
  await calms(running, peer, 'headers');
});

test('requests that are larger than they may be, one after the other', async () => {
  const running = await run('headerBytes: 32KiB, resets: 5/60s');
  const peer = new Http2Peer(running.port);
  peer.send(repeat(5, (index) => largeRequest(1 + 2 * index, 40_000)));
  await peer.until(() => peer.isWhole(9), 'five answers');
  peer.send(largeRequest(11, 40_000));
  await calms(running, peer, 'resets');
});
