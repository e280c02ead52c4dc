// Connections by address as one thread counts them.

import { expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { ClientLimits, type LimitedClient } from '../../src/exchange/client-limits.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Revisions } from '../support/revision.ts';

function limits(): ClientLimits {
  const shared = SharedState.create(1, 1000, systemClock.nowMs());
  const made = new ClientLimits(shared.rateCells, SharedState.attach(shared.handles(), 0).addresses);
  made.configure(new Revisions(shared).next({ servers: ['a=http://127.0.0.1:1'] }));
  return made;
}

const client = (peerAddress: string, isTrusted = false): LimitedClient => ({
  peerAddress,
  isTrusted,
  addressCells: -1,
  owing: () => null,
  abortSlow: () => undefined,
});

test('exactly as many as may be are let in; one that goes makes room for one, however often it is said', () => {
  const counted = limits();
  const [first, second, third] = ['203.0.113.9', '203.0.113.9', '203.0.113.9'].map((peer) => client(peer));
  expect([counted.admit(first!, 2), counted.admit(second!, 2), counted.admit(third!, 2)]).toEqual([
    true,
    true,
    false,
  ]);
  counted.release(third!);
  counted.release(first!);
  counted.release(first!);
  expect([counted.admit(client('203.0.113.9'), 2), counted.admit(client('203.0.113.9'), 2)]).toEqual([
    true,
    false,
  ]);
});

test('the network of an IPv6 client is counted as one, a trusted peer not at all', () => {
  const counted = limits();
  expect(counted.admit(client('2001:db8::1'), 1)).toBe(true);
  expect(counted.admit(client('2001:db8::2'), 1)).toBe(false);
  expect(counted.admit(client('2001:db8:0:1::1'), 1)).toBe(true);
  expect([1, 2, 3].map(() => counted.admit(client('10.0.0.1', true), 1))).toEqual([true, true, true]);
});
