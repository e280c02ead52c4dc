// Who is counted as one client where a rate is limited: by address, by a header, by a cookie.

import { expect, test } from 'vitest';
import { hashBytes, hashed, hashKeyFrom } from '../../src/base/hash.ts';
import type { RateLimitConfig } from '../../src/config/model.ts';
import { limitKeyOf, RateLimit } from '../../src/exchange/client-key.ts';
import { RateCells } from '../../src/shared/rate-cells.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { requestOf } from '../choose/messages.ts';

const KEY = hashKeyFrom(Uint8Array.from({ length: 8 }, (_, index) => index + 1));

/** One request a second for each client; says which of these may pass, all asked at once from the same address. */
function passing(
  key: RateLimitConfig['key'],
  ...requests: readonly (readonly string[])[]
): readonly boolean[] {
  const limit = new RateLimit(0, { key, perSecond: 1, burst: 1 }, new RateCells(), KEY);
  return requests.map((lines) => {
    const { buffer, head } = requestOf(lines);
    return limit.take(buffer, head, () => '203.0.113.9', 0) === 0;
  });
}

test('the key is one for all threads, and a secret where there is a pool', () => {
  const hashWith = (...keys: readonly Uint8Array[]): number => {
    const pools = keys.map((key) => ({ keys: [key] }));
    hashBytes(limitKeyOf({ pools } as unknown as Revision), Buffer.from('client'), 0, 6);
    return hashed.low;
  };
  const [one, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
  expect(hashWith(one, other)).toBe(hashWith(one));
  expect(new Set([hashWith(one), hashWith(other), hashWith()]).size).toBe(3);
});

test('by a header: whoever has the same value is one client, and who has none is its address', () => {
  const requests = [
    ['X-Session-Id: one'],
    ['x-session-id: one'],
    ['X-Session-Id: two'],
    [],
    ['X-Session-Id:'],
    ['X-Session-Idx: three'],
  ];
  expect(passing({ kind: 'header', name: 'X-Session-Id' }, ...requests)).toEqual([
    true,
    false,
    true,
    true,
    false,
    false,
  ]);
});

test('by a cookie: in whichever line it stands; an empty one is none', () => {
  const requests = [
    ['Cookie: a=1; user=one'],
    ['Accept: x', 'Cookie: b=2', 'Cookie: user=one'],
    ['Cookie: user=two'],
    ['Cookie: a=1'],
    ['Cookie: user='],
    ['X-Session-Id: one'],
  ];
  expect(passing({ kind: 'cookie', name: 'user' }, ...requests)).toEqual([
    true,
    false,
    true,
    true,
    false,
    false,
  ]);
});

test('by address nothing that a client says counts', () => {
  expect(passing({ kind: 'address' }, ['Cookie: user=one'], ['Cookie: user=two'])).toEqual([true, false]);
});

test('a client that has sent nothing is its address, one of IPv6 its network', () => {
  const limit = new RateLimit(0, { key: { kind: 'address' }, perSecond: 1, burst: 1 }, new RateCells(), KEY);
  const addresses = ['2001:db8::1', '2001:db8::ffff', '2001:db8:0:1::1', '203.0.113.9', '203.0.113.10'];
  expect(addresses.map((address) => limit.takeFor(address, 0) === 0)).toEqual([
    true,
    false,
    true,
    true,
    true,
  ]);
});
