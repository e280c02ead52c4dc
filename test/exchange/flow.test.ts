// Who is read and who is not, what is waited for meanwhile, and what becomes of an attempt's beginnings.

import { describe, expect, test, vi } from 'vitest';
import { ReplayableRequest } from '../../src/exchange/replayable-request.ts';
import { ExchangeScene } from '../support/exchange-scene.ts';
import type { FakeServer } from '../support/fake-streams.ts';

const POST = 'POST /x HTTP/1.1\r\nhost: shop\r\ncontent-length: 6\r\n\r\n';
const GET = 'GET /x HTTP/1.1\r\nhost: shop\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n';
const scene = (more = ''): ExchangeScene => new ExchangeScene(1, { more, servers: ['a=http://127.0.0.1:1'] });

/** Its first two bytes of nine. */
const beginResponse = (world: ExchangeScene, type: string): void =>
  world.sendHead(
    world.last,
    `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: 9\r\n\r\n`,
    'he',
    false,
  );

test('a part of a request that has nothing in it is not passed on, the end that comes with it is', () => {
  const world = scene();
  const client = world.client();
  client.requestBody.isDone = false;
  const exchange = world.begin(client, POST, 'abcdef');
  world.last.user.onConnected(world.last);
  const write = vi.spyOn(world.last, 'writeBody');
  world.sendPart(client, exchange, '', true);
  expect(write).not.toHaveBeenCalled();
  expect(world.last.requestEnds).toHaveLength(1);
});

describe('a server that takes nothing', () => {
  test.each([
    ['of a request that is whole: its client is read on, which notices that it goes', true],
    ['of a request that is not: its client waits', false],
  ])('%s', (_, isDone) => {
    const world = scene();
    const client = world.client();
    client.requestBody.isDone = isDone;
    world.begin(client, POST, 'abc');
    world.last.isFull = true;
    world.last.user.onConnected(world.last);
    expect(client.isPaused).toBe(!isDone);
  });

  test('of the last part: its client is told to wait, and goes on with it', () => {
    const world = scene();
    const client = world.client();
    client.requestBody.isDone = false;
    const exchange = world.begin(client, POST, 'abc');
    world.last.user.onConnected(world.last);
    world.last.isFull = true;
    world.sendPart(client, exchange, 'def', true);
    expect([client.isPaused, world.last.requestEnds.length]).toEqual([true, 1]);
    world.last.user.onServerDrain();
    expect(client.isPaused).toBe(false);
  });
});

describe('what is waited for', () => {
  test.each([
    ['the rest of a request that its client owes', 'abc', false, 30_000, 'request-timeout'],
    ['an answer, once the request is whole', 'abcdef', true, 60_000, 'response-timeout'],
  ])('%s', (_, body, isDone, ms, outcome) => {
    const world = scene('retry: { attempts: 0 }');
    const client = world.client();
    client.requestBody.isDone = isDone;
    world.begin(client, POST, body);
    world.last.user.onConnected(world.last);
    world.pass(ms - 1);
    expect(client.outcomes).toEqual([]);
    world.pass(1);
    expect(client.outcomes).toEqual([outcome]);
  });

  test('an answer, where the request waits for the server to take it', () => {
    const world = scene('retry: { attempts: 0 }');
    const client = world.client();
    client.requestBody.isDone = false;
    world.begin(client, POST, 'abc');
    world.last.isFull = true;
    world.last.user.onConnected(world.last);
    world.pass(59_999);
    expect(client.outcomes).toEqual([]);
    world.pass(1);
    expect(client.outcomes).toEqual(['response-timeout']);
  });

  test('the next byte of a response that has begun, whatever else happens', () => {
    const world = scene('timeouts: { response: 5s, idle: 20s }');
    const client = world.client();
    client.requestBody.isDone = false;
    const exchange = world.begin(client, POST, 'abc');
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'he', false);
    world.last.user.onServerDrain();
    world.pass(19_999);
    expect(client.outcomes).toEqual([]);
    world.sendPart(client, exchange, 'def', true);
    world.pass(19_999);
    world.sendBody(world.last, 'l');
    world.pass(19_999);
    exchange.onClientDrain();
    world.pass(19_999);
    expect(client.outcomes).toEqual([]);
    world.pass(1);
    expect(client.outcomes).toEqual(['broken']);
  });

  test.each([['text/event-stream'], ['Text/Event-Stream; charset=utf-8'], ['application/grpc+proto']])(
    'a message of %s, for as long as a tunnel may be silent',
    (type) => {
      const world = scene();
      const client = world.client();
      world.begin(client, GET);
      world.last.user.onConnected(world.last);
      beginResponse(world, type);
      world.pass(3_599_999);
      expect(client.outcomes).toEqual([]);
      world.pass(1);
      expect(client.outcomes).toEqual(['broken']);
    },
  );

  test.each([
    'text/html',
    'text/event-strea',
    'application/json',
    'application/g',
    'x-text/event-stream',
    'te',
  ])('the next byte of %s, no longer than of any', (type) => {
    const world = scene();
    const client = world.client();
    world.begin(client, GET);
    world.last.user.onConnected(world.last);
    beginResponse(world, type);
    world.pass(60_000);
    expect(client.outcomes).toEqual(['broken']);
  });
});

test('a call of gRPC that breaks off is told its status, any other response is not', () => {
  const resets = (type: string, code?: number): unknown[] => {
    const world = scene();
    const client = world.client();
    const told: unknown[] = [];
    client.reset = (...[trailers]: readonly unknown[]) => told.push(trailers);
    world.begin(client, GET);
    world.last.user.onConnected(world.last);
    beginResponse(world, type);
    world.last.destroy();
    world.last.user.onServerClosed(code);
    return told;
  };
  const message = ['grpc-message', 'the server ended its response early'];
  expect(resets('application/grpc')).toEqual([['grpc-status', '14', ...message]]);
  expect(resets('application/grpc', 8)).toEqual([['grpc-status', '1', ...message]]);
  expect([resets('application/grpc-web'), resets('text/event-stream'), resets('text/html')]).toEqual([
    ...[[[]], [[]], [[]]],
  ]);
});

describe('a request is kept to be sent again', () => {
  const MOST = 128 * 1024;
  const owner = { writeTo: () => true, copy: (part: Buffer) => Buffer.from(part) };
  const sentBy = (request: ReplayableRequest, mayRefuse = false): string | null => {
    let sent: string | null = null;
    const server = {
      mayRefuse,
      send: (_head: string, body: Buffer | null) => {
        sent = body?.toString() ?? null;
        return true;
      },
    } as unknown as FakeServer;
    expect(request.sendTo(server, owner)).toBe(true);
    return sent;
  };

  test.each([
    ['idempotent', true, false, ['abc', 'abcdef'], true],
    ['not idempotent, to a server that may refuse it', false, true, ['abc', 'abcdef'], false],
    ['not idempotent', false, false, ['abc', null], false],
  ])('one that is %s', (_, isIdempotent, mayRefuse, sent, mayRepeat) => {
    const request = new ReplayableRequest();
    request.isIdempotent = isIdempotent;
    request.keep(Buffer.from('abc'));
    request.keep(Buffer.alloc(0));
    const first = sentBy(request, mayRefuse);
    request.passed(Buffer.from('def'), owner);
    expect([first, sentBy(request, mayRefuse)]).toEqual(sent);
    expect([request.mayRepeat, request.isReplayable]).toEqual([mayRepeat, sent[1] !== null]);
    request.clear();
    expect([sentBy(request), request.isReplayable]).toEqual([null, true]);
  });

  test('no more of it than may be', () => {
    const request = new ReplayableRequest();
    request.isIdempotent = true;
    request.keep(Buffer.alloc(MOST - 1));
    sentBy(request);
    request.passed(Buffer.alloc(1), owner);
    expect([request.mayRepeat, sentBy(request)?.length]).toEqual([true, MOST]);
    request.passed(Buffer.alloc(1), owner);
    expect([request.mayRepeat, sentBy(request)]).toEqual([false, null]);
    const whole = new ReplayableRequest();
    whole.isIdempotent = true;
    whole.keep(Buffer.alloc(MOST + 1));
    expect([whole.mayRepeat, whole.isReplayable]).toEqual([false, false]);
  });
});
