// Traces that begin here, and the id of a request in what we say ourselves.

import { expect, test } from 'vitest';
import { requestIdIn, requestIdOf } from '../../src/exchange/request-lines.ts';
import { newTraceparent, withTraceparent } from '../../src/exchange/traceparent.ts';
import { requestOf } from '../choose/messages.ts';

const HEAD = 'GET / HTTP/1.1\r\nhost: a\r\n\r\n';
const ID = /^00-([0-9a-f]{32})-([0-9a-f]{16})-01$/;

test('each is another: a trace, and a parent of its own in it', () => {
  const seen = Array.from({ length: 50 }, () => ID.exec(newTraceparent())?.slice(1) ?? ['', '']);
  expect(new Set(seen.flat()).size).toBe(100);
  expect(seen.some(([trace = '', parent = '']) => parent === '' || trace.includes(parent))).toBe(false);
});

test('a request that has none gets one at the end of its head, one that has keeps its own', () => {
  const began = withTraceparent(HEAD, requestOf([]).head);
  expect(began.slice(0, HEAD.length - 2)).toBe(HEAD.slice(0, -2));
  expect(began.slice(HEAD.length - 2)).toMatch(/^traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01\r\n\r\n$/);
  expect(withTraceparent(HEAD, requestOf(['Traceparent: 00-x']).head)).toBe(HEAD);
});

test('the id in a head is ours, which stands last, or else the one that came, no longer than it may be', () => {
  const head = (...lines: readonly string[]): string => `GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
  expect(requestIdIn(head('X-Request-Id:  theirs '))).toBe('theirs');
  expect(requestIdIn(head('X-Request-Id: theirs', 'x-request-id: ours'))).toBe('ours');
  expect(requestIdIn(head('x-request-id: a', 'x-request-id: b'))).toBe('b');
  expect(requestIdIn(head('x-no-request-id: theirs'))).toBe('');
  expect(requestIdIn(head(`X-Request-Id: ${'x'.repeat(300)}`))).toBe('x'.repeat(256));
});

test('a request that does not go on is known by the id of a trusted peer alone', () => {
  const { buffer, head } = requestOf(['X-Request-Id: theirs']);
  expect(requestIdOf(buffer, head, { isTrusted: true })).toBe('theirs');
  const [first, second] = [1, 2].map(() => requestIdOf(buffer, head, { isTrusted: false }));
  expect([first, second]).toEqual([expect.stringMatching(/^[0-9a-f]{16}-\d+$/), expect.any(String)]);
  expect(second).not.toBe(first);
  const none = requestOf([]);
  expect(requestIdOf(none.buffer, none.head, { isTrusted: true })).toMatch(/^[0-9a-f]{16}-\d+$/);
  const long = requestOf([`X-Request-Id: ${'x'.repeat(300)}`]);
  expect(requestIdOf(long.buffer, long.head, { isTrusted: true })).toBe('x'.repeat(256));
});
