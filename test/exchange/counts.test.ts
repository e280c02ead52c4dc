// What an exchange leaves in its thread's counters, and what it tells of its server.

import { describe, expect, test } from 'vitest';
import { REFUSED_MS } from '../../src/choose/refusals.ts';
import { CODE_CLASSES, Counter, PASSIVE_KINDS, PoolCounter } from '../../src/shared/stripe.ts';
import { ExchangeScene } from '../support/exchange-scene.ts';
import type { FakeServer } from '../support/fake-streams.ts';

const GET = 'GET /x HTTP/1.1\r\nhost: shop\r\n\r\n';
const answer = (status: number): string => `HTTP/1.1 ${status} So\r\ncontent-length: 5\r\n\r\n`;

const scene = (more = ''): ExchangeScene =>
  new ExchangeScene(1, { more: `retry: { attempts: 0 }\n${more}`, servers: ['a=http://127.0.0.1:1'] });

function passive(world: ExchangeScene, { slot }: FakeServer): Record<string, number> {
  return Object.fromEntries(
    PASSIVE_KINDS.map((kind, at) => [kind, world.own.counter(slot, Counter.passive + at)]),
  );
}

function ask(world: ExchangeScene, status = 200, head = GET): FakeServer {
  world.begin(world.client(), head);
  world.last.user.onConnected(world.last);
  world.sendHead(world.last, answer(status), 'hello');
  return world.last;
}

test('a request: its class, its bytes both ways and how long it took', () => {
  const world = scene();
  const client = world.client();
  const post = 'POST /x HTTP/1.1\r\nhost: shop\r\ncontent-length: 6\r\n\r\n';
  world.begin(client, post, 'abcdef');
  world.last.user.onConnected(world.last);
  world.manual.advance(1500);
  world.clock.turn();
  world.sendHead(world.last, answer(404), 'hello');
  const { slot } = world.last;
  const codes = CODE_CLASSES.map((_, at) => world.own.counter(slot, Counter.code + at));
  expect(codes).toEqual([0, 0, 0, 0, 1, 0]);
  expect(world.own.counter(slot, Counter.durationSum)).toBeCloseTo(1.5, 9);
  expect(world.own.counter(slot, Counter.responseBytes)).toBe(5);
  expect(world.own.counter(slot, Counter.requestBytes)).toBe(world.last.received.text.length);
  expect(world.own.poolCounter(world.plan.id, PoolCounter.requests)).toBe(1);
});

test('answers of servers that are errors are counted for the pool, no others', () => {
  const world = scene();
  for (const status of [200, 404, 499, 500, 503]) ask(world, status);
  expect(world.own.poolCounter(world.plan.id, PoolCounter.serverErrors)).toBe(2);
});

test('how soon a server answers is what it took since the head was sent, errors left out', () => {
  const world = scene();
  const answered = (status: number, afterMs: number): number => {
    world.begin(world.client(), GET);
    world.manual.advance(1000);
    world.clock.turn();
    world.last.user.onConnected(world.last);
    world.manual.advance(afterMs);
    world.clock.turn();
    world.sendHead(world.last, answer(status), 'hello');
    return world.own.counter(world.last.slot, Counter.firstByteMs);
  };
  expect(answered(503, 8)).toBe(0);
  expect(answered(200, 40)).toBe(40);
  expect(answered(404, 48)).toBe(41);
  expect(answered(500, 8)).toBe(41);
  world.begin(world.client(), GET);
  world.last.user.onConnected(world.last);
  world.manual.stoodStillMs += 5000;
  world.clock.turn();
  world.sendHead(world.last, answer(200), 'hello');
  expect(world.own.counter(world.last.slot, Counter.firstByteMs)).toBe(41);
});

describe('what speaks against a server', () => {
  test.each([
    ['connect-failed', { connect: 1, response: 0, status: 0 }],
    ['connect-timeout', { connect: 1, response: 0, status: 0 }],
    ['tls-failed', { connect: 1, response: 0, status: 0 }],
    ['stream-refused', { connect: 0, response: 0, status: 0 }],
    ['out-of-resources', { connect: 0, response: 0, status: 0 }],
  ] as const)('not reached: %s', (kind, counts) => {
    const world = scene();
    world.begin(world.client(), GET);
    const first = world.last;
    first.destroy();
    first.user.onUnreachable(kind, kind === 'tls-failed' ? 'certificate has expired' : '');
    if (kind === 'stream-refused') {
      world.last.destroy();
      world.last.user.onUnreachable(kind);
    }
    const isFailure = kind !== 'out-of-resources';
    const isServers = counts.connect > 0;
    expect(passive(world, first)).toEqual(counts);
    expect(world.own.counter(first.slot, Counter.failures)).toBe(isFailure ? 1 : 0);
    expect(world.main.control.takeFailingClients(first.slot) !== 0).toBe(isServers);
    expect(world.own.failing(first.slot, world.clock.nowMs())).toBe(isServers ? 0.25 : 0);
    expect(world.chooser.refusals.isHeld(first.slot, world.clock.nowMs())).toBe(isServers);
    expect(world.warnings.length).toBe(kind === 'tls-failed' ? 1 : 0);
  });

  test.each([
    [false, true],
    [true, false],
  ])(
    'not reached, and it has accepted the connection: %s; twice: it is taken for gone: %s',
    (hasAccepted, isGone) => {
      const world = scene();
      for (let time = 0; time < 2; time += 1) {
        world.manual.advance(REFUSED_MS);
        world.clock.turn();
        world.begin(world.client(), GET);
        const { last } = world;
        last.destroy();
        last.user.onUnreachable('connect-failed', '', hasAccepted);
        const nowMs = world.clock.nowMs();
        expect(world.chooser.refusals.isHeld(last.slot, nowMs)).toBe(true);
        expect(world.chooser.refusals.isConfirmed(last.slot, nowMs)).toBe(isGone && time > 0);
      }
    },
  );

  test('closed without an answer, and broken off', () => {
    const world = scene();
    for (const head of ['', answer(200)]) {
      world.begin(world.client(), GET);
      world.last.user.onConnected(world.last);
      if (head !== '') world.sendHead(world.last, head, 'he', false);
      world.last.destroy();
      world.last.user.onServerClosed();
    }
    expect(passive(world, world.last)).toEqual({ connect: 0, response: 2, status: 0 });
  });

  test('a status, where the pool says so', () => {
    const world = scene('passive: { status: [503] }');
    for (const status of [500, 503, 200]) ask(world, status);
    expect(passive(world, world.last)).toEqual({ connect: 0, response: 0, status: 1 });
    expect(world.main.control.takeFailingClients(world.last.slot)).not.toBe(0);
    const other = scene('passive: off');
    ask(other, 503);
    expect(passive(other, other.last)).toEqual({ connect: 0, response: 0, status: 0 });
    expect(other.main.control.takeFailingClients(other.last.slot)).toBe(0);
  });

  test('several clients of one network are one, others are others', () => {
    const world = scene();
    const bits = (...addresses: readonly string[]): number => {
      for (const address of addresses) {
        world.pass(1000);
        world.begin(world.client(address), GET);
        world.last.user.onConnected(world.last);
        world.last.destroy();
        world.last.user.onServerClosed();
      }
      const taken = world.main.control.takeFailingClients(world.last.slot) >>> 0;
      return taken.toString(2).replaceAll('0', '').length;
    };
    expect(bits('2001:db8::1', '2001:db8::2')).toBe(1);
    expect(bits(...Array.from({ length: 40 }, (_, at) => `192.0.2.${at}`))).toBeGreaterThan(15);
  });
});

test('a request that waits is counted once, however often it waits', () => {
  const world = new ExchangeScene(1, { servers: ['a=http://127.0.0.1:1 maxConnections:1'] });
  const held = world.begin(world.client(), GET);
  world.begin(world.client(), GET);
  for (let tick = 0; tick < 3; tick += 1) world.pass(100);
  expect(world.own.poolCounter(world.plan.id, PoolCounter.queued)).toBe(1);
  held.abort();
  world.last.user.onConnected(world.last);
  world.sendHead(world.last, answer(200), 'hello');
  expect(world.own.poolCounter(world.plan.id, PoolCounter.queued)).toBe(1);
});
