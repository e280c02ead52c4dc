// Every attack of the soak once, on one connection: it is told to go and counted, or kept within its limits; little of it reaches
// the server, nothing is left of it, and an honest client beside it is answered. `npm run soak:http2-attacks` measures them.

import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { ABUSE_KINDS } from '../../src/http2/abuse.ts';
import { PoolCounter } from '../../src/shared/stripe.ts';
import { ATTACKS, opening } from '../soak/http2-attacks.ts';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { Http2Peer, request } from '../support/http2-peer.ts';
import { whenDone } from '../support/lifetime.ts';
import { runThread } from '../support/proxy-thread.ts';

const LARGE = Buffer.alloc(1 << 20, 'l');
const HONEST = 5;
/** Streams that one connection may have; what it asks for beyond them never reaches a server. */
const STREAMS = 100;

test.each(ATTACKS)('$name', async (attack) => {
  const backend = await httpBackend('a', (incoming, response) => {
    incoming.resume();
    if (incoming.url === '/large') response.end(LARGE);
    else if (incoming.url !== '/wait') response.end('ok');
  });
  const running = await runThread(
    `pools: { web: { health: off, servers: ["${backend.url}"] } }`,
    'h2c: true',
  );
  const { own } = running.thread;
  const abuse = (): number => ABUSE_KINDS.reduce((sum, kind) => sum + own.http2Abuse(0, kind), 0);
  const socket = connect({ port: running.port, host: '127.0.0.1' });
  let isOver = false;
  whenDone(() => socket.destroy());
  socket.on('error', () => undefined).on('close', () => (isOver = true));
  socket.on('end', () => (isOver = true));
  if (attack.reads ?? true) socket.resume();
  const again = attack.again?.() ?? null;
  const more = (): void => {
    while (again !== null && !socket.destroyed && socket.write(again));
  };
  socket.on('drain', more);
  socket.write(opening(attack));
  more();
  const honest = new Http2Peer(running.port);
  for (let index = 0; index < HONEST; index += 1) {
    honest.send(request(1 + 2 * index));
    await honest.until(() => honest.isWhole(1 + 2 * index), 'an answer');
  }
  if (attack.keeps === true) expect(abuse()).toBe(0);
  else {
    await eventually(() => abuse() > 0);
    if (attack.reads ?? true) await eventually(() => isOver);
  }
  expect(own.poolCounter(0, PoolCounter.requests)).toBeLessThanOrEqual(HONEST + STREAMS);
  for (const each of [socket, honest.socket]) each.destroy();
  await running.isQuiet();
  expect(own.http2Streams(0)).toBe(0);
});
