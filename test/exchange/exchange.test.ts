// One exchange between played streams: which server is asked, what each side is told, and that everything is given back.

import { describe, expect, test } from 'vitest';
import { NO_TRAILERS } from '../../src/exchange/streams.ts';
import { Counter } from '../../src/shared/stripe.ts';
import { ExchangeScene } from '../support/exchange-scene.ts';

const GET = 'GET /x HTTP/1.1\r\nhost: shop\r\n\r\n';
const POST = 'POST /x HTTP/1.1\r\nhost: shop\r\ncontent-length: 6\r\n\r\n';
const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n';
const TWO = ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2'];
const NOTHING_LEFT = { inFlight: 0, busy: 0, deadlines: 0, queued: 0, open: 0, endedTwice: 0 };

const scene = (more = '', servers: readonly string[] = TWO): ExchangeScene =>
  new ExchangeScene(1, { more, servers });

describe('a request that is answered', () => {
  test('goes to a server once it is connected, and back whole', () => {
    const world = scene();
    const client = world.client();
    world.begin(client, GET);
    expect(world.last.received.text).toBe('');
    world.last.user.onConnected(world.last);
    expect(world.last.received.text).toMatch(/^GET \/x HTTP\/1\.1\r\nhost: shop\r\n/);
    world.sendHead(world.last, OK, 'hello');
    expect([client.outcomes, client.statuses, client.body.text]).toEqual([['whole'], [200], 'hello']);
    expect([world.last.ends, world.left()]).toEqual([['released'], NOTHING_LEFT]);
  });

  test('is sent at once where a connection is idle', () => {
    const world = scene();
    world.hasIdle = true;
    world.begin(world.client(), GET);
    expect(world.last.received.text).toMatch(/^GET \/x/);
  });

  test('its body may come in parts, both ways', () => {
    const world = scene();
    const client = world.client();
    client.requestBody.isDone = false;
    const exchange = world.begin(client, POST, 'ab');
    world.last.user.onConnected(world.last);
    world.sendPart(client, exchange, 'cd', false);
    world.sendPart(client, exchange, 'ef', true);
    expect(world.last.received.text.endsWith('\r\n\r\nabcdef')).toBe(true);
    expect(world.last.requestEnds).toEqual([[]]);
    world.sendHead(world.last, OK, 'he', false);
    world.sendBody(world.last, 'llo');
    expect(client.outcomes).toEqual([]);
    world.last.user.onResponseEnd(NO_TRAILERS);
    expect([client.outcomes, client.body.text, world.left()]).toEqual([['whole'], 'hello', NOTHING_LEFT]);
  });

  test('each side is told once that the other has ended, with its trailers', () => {
    const world = scene();
    const client = world.client();
    client.requestBody.isDone = false;
    const exchange = world.begin(client, POST, 'abcdef');
    world.last.user.onConnected(world.last);
    expect(world.last.requestEnds).toEqual([]);
    client.requestBody.trailers = ['x-sum', '6'];
    world.sendPart(client, exchange, '', true);
    expect(world.last.requestEnds).toEqual([['x-sum', '6']]);
    world.sendHead(world.last, OK, 'hello', false);
    world.last.user.onResponseEnd(['x-sum', '5']);
    expect([client.outcomes, client.trailers]).toEqual([['whole'], ['x-sum', '5']]);
  });

  test('before its request is whole: the stream is told that the rest is owed', () => {
    const world = scene();
    const client = world.client();
    client.requestBody.isDone = false;
    world.begin(client, POST, 'ab');
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'hello');
    expect([world.last.ends, world.last.wasRequestDone, client.outcomes]).toEqual([
      ['released'],
      false,
      ['whole'],
    ]);
  });

  test('counts its bytes, its status and its time once', () => {
    const world = scene();
    world.begin(world.client(), GET);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'hello');
    const { slot } = world.last;
    expect(world.own.counter(slot, Counter.code + 2)).toBe(1);
    expect(world.own.counter(slot, Counter.responseBytes)).toBe(5);
    world.accessLog.flush();
    expect(world.logged.join('')).toMatch(/"status":200.*"endedBy":"server","error":null/);
  });
});

describe('interim responses', () => {
  const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

  test('pass up to the limit; one more is no answer', () => {
    const world = scene('limits: { interimResponses: 2 }\nretry: { attempts: 0 }');
    const client = world.client();
    world.begin(client, GET);
    world.last.user.onConnected(world.last);
    for (let count = 0; count < 3; count += 1) world.sendHead(world.last, CONTINUE);
    expect([client.interims, client.outcomes, world.last.ends]).toEqual([2, ['bad-response'], ['destroyed']]);
    expect(world.left()).toEqual(NOTHING_LEFT);
  });

  test('the limit is one for all attempts together', () => {
    const world = scene('limits: { interimResponses: 1 }');
    const client = world.client();
    world.begin(client, GET);
    for (let attempt = 0; attempt < 2; attempt += 1) {
      world.last.user.onConnected(world.last);
      world.sendHead(world.last, CONTINUE);
      world.last.user.onServerClosed();
    }
    expect(client.interims).toBe(1);
  });
});

describe('an attempt that fails', () => {
  test.each([
    ['refused', (world: ExchangeScene) => world.last.user.onUnreachable('connect-failed'), 'connect-failed'],
    [
      'not connected in time',
      (world: ExchangeScene) => world.last.user.onUnreachable('connect-timeout'),
      'connect-timeout',
    ],
    ['closed', (world: ExchangeScene) => world.last.user.onServerClosed(), 'server-closed'],
    [
      'answered with garbage',
      (world: ExchangeScene) => world.last.user.onBadResponse('malformed'),
      'bad-response',
    ],
    ['silent', (world: ExchangeScene) => world.pass(60_001), 'response-timeout'],
  ] as const)('%s: another server is tried, and then the client is told', (_what, fail, kind) => {
    const world = scene('retry: { attempts: 1, budget: 100% }');
    const client = world.client();
    const trial = (): void => {
      const isConnecting = kind === 'connect-failed' || kind === 'connect-timeout';
      if (!isConnecting) world.last.user.onConnected(world.last);
      if (kind !== 'response-timeout') world.last.destroy();
      fail(world);
    };
    world.begin(client, GET);
    const first = world.last;
    trial();
    if (kind === 'bad-response') {
      // RFC 9110 section 9.2.2 allows it, but the server has acted on the request and would again
      expect(client.outcomes.length).toBeLessThanOrEqual(1);
    } else {
      expect([client.outcomes, world.last.slot === first.slot]).toEqual([[], false]);
      trial();
      // where everybody is away, one waits for somebody to come back
      if (kind === 'connect-failed') world.pass(world.plan.config.queue.whenDownMs + 1);
    }
    expect([client.outcomes, world.left()]).toEqual([[kind], NOTHING_LEFT]);
  });

  test('a connection that was idle and has died is tried once more on a new one, the same server', () => {
    const world = scene('retry: { attempts: 0 }');
    world.hasIdle = true;
    const client = world.client();
    world.begin(client, GET);
    const stale = world.last;
    world.hasIdle = false;
    stale.destroy();
    stale.user.onServerClosed();
    expect([world.last.slot, world.last.isReused]).toEqual([stale.slot, false]);
    world.last.user.onConnected(world.last);
    world.last.destroy();
    world.last.user.onServerClosed();
    expect([client.outcomes, world.streams.length, world.left()]).toEqual([
      ['server-closed'],
      2,
      NOTHING_LEFT,
    ]);
  });

  test.each([
    ['short', 'cd', true],
    ['longer than is kept', 'x'.repeat(140_000), false],
  ])('a body that has gone on its way in part, where that does no harm: %s', (_what, part, isRepeated) => {
    const world = scene('retry: { attempts: 3, budget: 100% }');
    const client = world.client();
    client.requestBody.isDone = false;
    const exchange = world.begin(client, POST.replace('POST', 'PUT'), 'ab');
    world.last.user.onConnected(world.last);
    for (let at = 0; at < part.length; at += 4000)
      world.sendPart(client, exchange, part.slice(at, at + 4000), false);
    world.last.destroy();
    world.last.user.onServerClosed();
    expect(world.streams.length).toBe(isRepeated ? 2 : 1);
    if (!isRepeated) {
      expect(client.outcomes).toEqual(['server-closed']);
      return;
    }
    world.last.user.onConnected(world.last);
    world.sendPart(client, exchange, 'ef', true);
    expect(world.last.received.text.endsWith(`\r\n\r\nab${part}ef`)).toBe(true);
    expect(world.last.requestEnds).toHaveLength(1);
  });

  test('a body that has gone on its way in part is not sent again where it might do harm', () => {
    const world = scene('retry: { attempts: 3, budget: 100% }');
    const client = world.client();
    client.requestBody.isDone = false;
    const exchange = world.begin(client, POST, 'ab');
    world.last.user.onConnected(world.last);
    world.sendPart(client, exchange, 'cd', false);
    world.last.destroy();
    world.last.user.onServerClosed();
    expect([client.outcomes, world.streams.length]).toEqual([['server-closed'], 1]);
  });

  test('a body that is all there is sent again, byte for byte, after the memory it came in was read into', () => {
    const world = scene('retry: { attempts: 1, budget: 100% }');
    const client = world.client();
    world.begin(client, POST, 'abcdef');
    world.last.user.onUnreachable('connect-failed');
    world.last.user.onConnected(world.last);
    expect(world.last.received.text.endsWith('\r\n\r\nabcdef')).toBe(true);
  });

  test('a status that the pool wants retried is not relayed while there are attempts', () => {
    const world = scene('retry: { attempts: 1, budget: 100%, status: [503] }');
    const client = world.client();
    world.begin(client, GET);
    for (const body of ['first', 'again']) {
      world.last.user.onConnected(world.last);
      world.sendHead(world.last, 'HTTP/1.1 503 Busy\r\ncontent-length: 5\r\n\r\n', body);
    }
    expect([client.statuses, client.body.text, world.streams.length]).toEqual([[503], 'again', 2]);
    expect([world.streams[0]?.ends, world.left()]).toEqual([['destroyed'], NOTHING_LEFT]);
    expect(world.own.counter(world.streams[0]?.slot ?? -1, Counter.failures)).toBe(1);
  });
});

describe('a response that breaks', () => {
  test('is reset where the client has seen its head', () => {
    const world = scene();
    const client = world.client();
    world.begin(client, GET);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'he', false);
    world.last.destroy();
    world.last.user.onServerClosed();
    expect([client.outcomes, world.left()]).toEqual([['broken'], NOTHING_LEFT]);
  });

  test('is a 502 where it was held', () => {
    const world = scene('holdUntilComplete: small');
    const client = world.client();
    world.begin(client, GET);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'he', false);
    expect(client.isHolding).toBe(true);
    world.last.destroy();
    world.last.user.onServerClosed();
    expect([client.outcomes, world.left()]).toEqual([['bad-response'], NOTHING_LEFT]);
  });

  test('is a 504 where it was held and stalls; the failure is counted', () => {
    const world = scene('holdUntilComplete: small');
    const client = world.client();
    world.begin(client, GET);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'he', false);
    const { slot } = world.last;
    world.pass(60_001);
    expect([client.outcomes, world.own.counter(slot, Counter.failures)]).toEqual([['response-timeout'], 1]);
    expect([world.last.ends, world.left()]).toEqual([['destroyed'], NOTHING_LEFT]);
  });
});

describe('back-pressure', () => {
  test('a client that takes nothing pauses its server, and goes on with it', () => {
    const world = scene();
    const client = world.client();
    const exchange = world.begin(client, GET);
    world.last.user.onConnected(world.last);
    client.isFull = true;
    world.sendHead(world.last, OK, 'he', false);
    expect(world.last.isPaused).toBe(true);
    client.isFull = false;
    exchange.onClientDrain();
    expect(world.last.isPaused).toBe(false);
  });

  test('a client that takes nothing for too long is cut, and no server is blamed', () => {
    const world = scene();
    const client = world.client();
    world.begin(client, GET);
    world.last.user.onConnected(world.last);
    client.isFull = true;
    world.sendHead(world.last, OK, 'he', false);
    const { slot } = world.last;
    world.pass(60_001);
    expect([client.outcomes, world.own.counter(slot, Counter.failures)]).toEqual([['broken'], 0]);
  });

  test('a server that takes nothing pauses the request', () => {
    const world = scene();
    const client = world.client();
    client.requestBody.isDone = false;
    const exchange = world.begin(client, POST, 'ab');
    world.last.user.onConnected(world.last);
    world.last.isFull = true;
    world.sendPart(client, exchange, 'cd', false);
    expect(client.isPaused).toBe(true);
    world.last.isFull = false;
    world.last.user.onServerDrain();
    expect(client.isPaused).toBe(false);
  });

  test('before there is a connection one part is kept, and the client waits', () => {
    const world = scene();
    const client = world.client();
    client.requestBody.isDone = false;
    const exchange = world.begin(client, POST);
    world.sendPart(client, exchange, 'ab', false);
    expect(client.isPaused).toBe(true);
    world.last.user.onConnected(world.last);
    expect([client.isPaused, world.last.received.text.endsWith('\r\n\r\nab')]).toEqual([false, true]);
  });
});

describe('limits of the request', () => {
  test.each([
    ['that its announcement exceeds', 100, true],
    ['that it does not exceed', 5, false],
  ])('a body limit %s', (_what, expectedBytes, isRefused) => {
    const world = scene();
    const client = world.client();
    Object.assign(client, {
      config: { ...client.config, limits: { ...client.config.limits, bodyBytes: 50 } },
    });
    client.requestBody.expectedBytes = expectedBytes;
    world.begin(client, POST);
    expect(client.outcomes).toEqual(isRefused ? ['body-too-large'] : []);
    expect(world.streams.length).toBe(isRefused ? 0 : 1);
  });

  test('a body limit holds when the answer has begun', () => {
    const world = scene();
    const client = world.client();
    Object.assign(client, {
      config: { ...client.config, limits: { ...client.config.limits, bodyBytes: 50 } },
    });
    client.requestBody.isDone = false;
    const exchange = world.begin(client, POST);
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, OK, 'he', false);
    client.requestBody.expectedBytes = 51;
    world.sendPart(client, exchange, 'x', false);
    expect([client.outcomes, world.left()]).toEqual([['broken'], NOTHING_LEFT]);
  });

  test('a body that stays away is a 408', () => {
    const world = scene();
    const client = world.client();
    client.requestBody.isDone = false;
    world.begin(client, POST, 'ab');
    world.last.user.onConnected(world.last);
    world.pass(30_001);
    expect([client.outcomes, world.left()]).toEqual([['request-timeout'], NOTHING_LEFT]);
  });
});
