// What a call of gRPC says of its deadline, and how our own failures are told it.

import { expect, test } from 'vitest';
import { NEVER } from '../../src/exchange/deadlines.ts';
import { grpcDeadlineMs, grpcLines, grpcTrailers, isCallType } from '../../src/exchange/grpc.ts';

test.each([
  ['2H', 7_200_000],
  ['3M', 180_000],
  ['5S', 5000],
  ['250m', 250],
  ['1500u', 1.5],
  ['99999999n', 99.999999],
  // none of gRPC's: nobody knows what was meant
  ['5s', NEVER],
  ['5h', NEVER],
  ['5U', NEVER],
  ['123456789S', NEVER],
  ['-1S', NEVER],
  ['S', NEVER],
])('grpc-timeout: %s', (value, ms) => {
  expect(grpcDeadlineMs(`POST / HTTP/1.1\r\ngrpc-timeout: ${value}\r\n\r\n`, 0)).toBeCloseTo(ms, 6);
});

test('a message is percent-encoded, whatever is in it', () => {
  const message = (text: string): string =>
    /grpc-message: (.*)\r\n$/.exec(grpcLines('tls-failed', text))?.[1] ?? '';
  expect(message('plain: 100 ~')).toBe('plain: 100 ~');
  expect(message('100 %')).toBe('100 %25');
  expect(message('a\r\nb')).toBe('a%0D%0Ab');
  expect(decodeURIComponent(message('é and 💥'))).toBe('é and 💥');
  // a name of a certificate that was cut within a sign
  expect(decodeURIComponent(message('💥'.slice(0, 1)))).toBe('\ufffd');
});

test.each([
  ['NO_ERROR', 0, 13],
  ['PROTOCOL_ERROR', 1, 13],
  ['INTERNAL_ERROR', 2, 13],
  ['REFUSED_STREAM', 7, 14],
  ['CANCEL', 8, 1],
  ['ENHANCE_YOUR_CALM', 11, 8],
  ['INADEQUATE_SECURITY', 12, 7],
  ['no code: the connection closed', undefined, 14],
])('a server that ends a call with %s', (_, code, status) => {
  expect(grpcLines('server-closed', '', code)).toContain(`grpc-status: ${status}\r\n`);
  expect(grpcTrailers('server-closed', 'it ended early', code)).toEqual([
    'grpc-status',
    `${status}`,
    'grpc-message',
    'it ended early',
  ]);
});

test('what failed otherwise is told by its kind, whatever code came before', () => {
  expect(grpcLines('response-timeout', '', 8)).toContain('grpc-status: 4\r\n');
  expect(grpcTrailers('response-timeout', '', 8)[1]).toBe('4');
});

test.each([
  ['application/grpc', true],
  ['application/grpc+proto', true],
  ['application/grpc; charset=x', true],
  ['application/grpc-web', false],
  ['application/grpc-web+proto', false],
  ['application/grpcurl', false],
  ['text/event-stream', false],
])('%s: has messages and trailers as gRPC has them: %s', (type, is) => {
  expect(isCallType(type)).toBe(is);
});
