// The limit of new sessions per client address: what counts as one client, when the minute is over, and that whoever is
// over the limit is served all the same.

import { describe, expect, test } from 'vitest';
import { AddressLimit } from '../../src/choose/address-limit.ts';
import { World, type WorldOptions } from './fixture.ts';
import { cookiePair } from './messages.ts';

test('all addresses of an IPv6 network are one client', () => {
  const limit = new AddressLimit();
  limit.most = 2;
  const addresses = [
    '2001:db8::1',
    '2001:DB8:0::2',
    '2001:db8::3',
    '2001:db8:0:1::1',
    '192.0.2.1',
    '::ffff:192.0.2.1',
    '192.0.2.1',
  ];
  expect(addresses.map((address) => limit.take(address, 1))).toEqual([
    true,
    true,
    false,
    true,
    true,
    true,
    false,
  ]);
});

describe('the sliding minute', () => {
  test('a burst is cut, and the minute before counts less the longer it is past', () => {
    const limit = new AddressLimit();
    limit.most = 10;
    const take = (nowMs: number): number => {
      let taken = 0;
      while (limit.take('a', nowMs)) taken += 1;
      return taken;
    };
    expect(take(600_000)).toBe(10);
    expect(take(659_000)).toBe(0);
    expect(take(690_000)).toBe(5);
    expect(take(715_000)).toBe(5);
    expect(take(1_000_000)).toBe(10);
    expect(limit.take('b', 1_000_000)).toBe(true);
  });

  test('0 is no limit', () => {
    const limit = new AddressLimit();
    for (let index = 0; index < 1_000; index += 1) expect(limit.take('a', 0)).toBe(true);
  });
});

test('who is counted already stays so when no more addresses are remembered', () => {
  const limit = new AddressLimit();
  limit.most = 3;
  expect(limit.take('192.0.2.1', 0)).toBe(true);
  for (let net = 0; net < 70; net += 1)
    for (let host = 0; host < 250; host += 1) limit.take(`10.0.${net}.${host}`, 0);
  const more = [1, 2, 3].map(() => limit.take('192.0.2.1', 0));
  expect(more).toEqual([true, true, false]);
});

const APPLICATION = { cookie: 'sid', cookieOwner: 'application' } as const;
const MODES: readonly WorldOptions[] = [
  { sticky: { mode: 'cookie-hash' } },
  { sticky: { mode: 'cookie-pin' } },
  { sticky: { mode: 'learn', ...APPLICATION } },
  { sticky: { mode: 'cookie-hash', ...APPLICATION } },
];

describe.each(MODES)('$sticky', (options) => {
  const isOwn = options.sticky?.cookieOwner === undefined;

  test('over the limit a request is served without a session, and counted', () => {
    const world = new World(options);
    for (const { addressLimit } of world.choosers) addressLimit.most = 5;
    let cookies = 0;
    for (let user = 0; user < 12; user += 1) {
      const responseHeaders = isOwn ? [] : [`Set-Cookie: sid=user${user}`];
      const outcome = world.exchange({ responseHeaders });
      expect(outcome.server).not.toBeNull();
      if (outcome.setCookie !== '') cookies += 1;
    }
    expect(world.entries().used).toBe(5);
    expect(world.outcomes('limited')).toBe(7);
    expect(cookies).toBe(isOwn ? 5 : 0);
    expect(world.total((name) => world.placed(name))).toBe(5);
    world.exchange({ address: '198.51.100.9', responseHeaders: isOwn ? [] : ['Set-Cookie: sid=other'] });
    expect(world.entries().used).toBe(6);
  });

  test('sessions that exist go on', () => {
    const world = new World(options);
    for (const { addressLimit } of world.choosers) addressLimit.most = 1;
    const { setCookie, server } = world.exchange({ responseHeaders: isOwn ? [] : ['Set-Cookie: sid=mine'] });
    const cookie = isOwn ? cookiePair(setCookie) : 'sid=mine';
    for (let request = 0; request < 10; request += 1) {
      expect(world.exchange({ cookie })).toMatchObject({ server, outcome: 'home' });
    }
  });
});
