// What an HTTP/2 connection waits for, of which its owner's deadline is the first.

import { expect, test } from 'vitest';
import { NEVER } from '../../src/exchange/deadlines.ts';
import { ConnectionTimes } from '../../src/proxy/http2/connection-times.ts';

function scene() {
  const owner = { deadlineMs: NEVER, deadlineIndex: -1, onDeadline: () => undefined };
  return { owner, times: new ConnectionTimes(owner) };
}

test('the first is waited for, and each is taken once', () => {
  const { owner, times } = scene();
  times.set('idle', 3000);
  times.set('pong', 1000);
  expect(owner.deadlineMs).toBe(1000);
  expect([times.take(999), times.take(1000), times.take(1000)]).toEqual([null, 'pong', null]);
  expect(owner.deadlineMs).toBe(3000);
  times.only('linger', 5000);
  expect([owner.deadlineMs, times.isSet('idle'), times.take(9000), owner.deadlineMs]).toEqual([
    5000,
    false,
    'linger',
    NEVER,
  ]);
});

test('time in which the thread stood still is nobody’s: all that is waited for is put off, once', () => {
  const { owner, times } = scene();
  times.set('head', 1000);
  times.set('idle', 3000);
  owner.deadlineMs += 700;
  times.set('taken', 4000);
  expect(owner.deadlineMs).toBe(1700);
  times.clear('head');
  expect(owner.deadlineMs).toBe(3700);
  owner.deadlineMs += 100;
  expect([times.take(3700), owner.deadlineMs]).toEqual([null, 3800]);
  expect([times.take(3800), owner.deadlineMs]).toEqual(['idle', 4100]);
});
