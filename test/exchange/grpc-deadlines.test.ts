// A call of gRPC ends when its client gives it up; no other request does.

import { describe, expect, test } from 'vitest';
import { isSecureClient } from '../../src/exchange/believed.ts';
import { NEVER } from '../../src/exchange/deadlines.ts';
import { grpcDeadlineMs, grpcTypeOf, isGrpc } from '../../src/exchange/grpc.ts';
import { requestOf } from '../choose/messages.ts';
import { ExchangeScene } from '../support/exchange-scene.ts';

const call = (type: string, timeout: string, method = 'POST'): string =>
  `${method} /a.B/c HTTP/1.1\r\nhost: shop\r\ncontent-type: ${type}\r\n${timeout}\r\n\r\n`;

describe('the deadline of a call', () => {
  test('ends it where nothing of a response has come, whoever it waits for', () => {
    const world = new ExchangeScene(1, { servers: ['a=http://127.0.0.1:1 maxConnections:1'] });
    const [sent, queued] = [world.client(), world.client()];
    world.begin(sent, call('application/grpc', 'grpc-timeout: 2S'));
    world.last.user.onConnected(world.last);
    world.begin(queued, call('application/grpc+proto', 'grpc-timeout: 500m'));
    world.pass(499);
    expect([sent.outcomes, queued.outcomes]).toEqual([[], []]);
    world.pass(1);
    expect([sent.outcomes, queued.outcomes]).toEqual([[], ['deadline-exceeded']]);
    world.pass(1500);
    expect(sent.outcomes).toEqual(['deadline-exceeded']);
    expect(world.left()).toEqual({ inFlight: 0, busy: 0, deadlines: 0, queued: 0, open: 0, endedTwice: 0 });
  });

  test('no longer counts once the response has begun', () => {
    const world = new ExchangeScene(1, { servers: ['a=http://127.0.0.1:1'] });
    const client = world.client();
    world.begin(client, call('application/grpc', 'grpc-timeout: 1S'));
    world.last.user.onConnected(world.last);
    world.sendHead(world.last, 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n', 'he', false);
    world.pass(1001);
    expect(client.outcomes).toEqual([]);
    // a response that then stalls is the server's fault
    world.pass(60_000);
    expect(client.outcomes).toEqual(['broken']);
    world.accessLog.flush();
    expect(JSON.parse(world.logged.join(''))).toMatchObject({ error: 'response-truncated' });
  });

  test('is not looked for in other requests, nor in other lines', () => {
    const world = new ExchangeScene(1, { servers: ['a=http://127.0.0.1:1'] });
    const others = [
      call('application/json', 'grpc-timeout: 1S'),
      call('application/grpc', 'x-grpc-timeout: 1S'),
      call('application/grpc', 'grpc-timeout: 1S', 'GET'),
    ].map((head) => {
      const client = world.client();
      world.begin(client, head);
      return client;
    });
    world.pass(1001);
    expect(others.map(({ outcomes }) => outcomes)).toEqual([[], [], []]);
    expect(grpcDeadlineMs('POST / HTTP/1.1\r\nx-grpc-timeout: 1S\r\n\r\n', 0)).toBe(NEVER);
    expect(grpcDeadlineMs('POST / HTTP/1.1\r\nGRPC-Timeout:\t1S \r\n\r\n', 7)).toBe(1007);
  });
});

test.each([
  ['application/grpc', 'POST', true],
  ['Application/GRPC+proto', 'POST', true],
  ['application/grp', 'POST', false],
  ['text/application/grpc', 'POST', false],
  ['application/grpc', 'GET', false],
])('%s by %s is a call: %s', (type, method, is) => {
  const { buffer, head } = requestOf([`Content-Type: ${type}`], '/', 'a', method);
  expect(isGrpc(buffer, head)).toBe(is);
  const none = requestOf(['X-Content-Type: application/grpc'], '/', 'a', method);
  expect(isGrpc(none.buffer, none.head)).toBe(false);
});

test.each([
  ['content-type: application/grpc+proto; x=y', 'application/grpc+proto'],
  ['a: b\r\nContent-Type:\tApplication/grpc', 'Application/grpc'],
  ['content-type: application/json', null],
  ['x-content-type: application/grpc', null],
])('%j is answered in %s', (fields, type) => {
  expect(grpcTypeOf(`${fields}\r\n`)).toBe(type);
});

test('a client is as safe as its own connection, where nobody is believed', () => {
  const { buffer, head } = requestOf(['X-Forwarded-Proto: https']);
  const over = (scheme: 'http' | 'https', isTrusted = false): boolean =>
    isSecureClient(buffer, head, { peerAddress: '10.0.0.1', isTrusted, scheme }, () => false);
  expect([over('http'), over('https'), over('http', true)]).toEqual([false, true, true]);
});
