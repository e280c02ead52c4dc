// Which of the keys that a request shows says where it belongs: how many are looked at, under which secrets, and how much of
// an address counts.

import { describe, expect, test } from 'vitest';
import { SHOWN_MAX } from '../../src/choose/affinity.ts';
import { SECRET, World } from './fixture.ts';
import { cookiePair } from './messages.ts';

const OWN = { mode: 'cookie-hash' } as const;
const APPLICATION = { mode: 'learn', cookie: 'sid', cookieOwner: 'application' } as const;
const OTHER_SECRET = SECRET.map((byte) => byte ^ 0x55);
const forged = Array.from({ length: SHOWN_MAX }, (_, index) => `holdfast=${String(index).repeat(80)}`);

describe('cookies of our name, of which browsers send one for each path and domain', () => {
  /** A session's cookie, and another balancer's world that does not know it. */
  const begun = () => {
    const world = new World({ sticky: OWN });
    const first = world.exchange();
    const cookie = cookiePair(first.setCookie);
    world.exchange({ cookie });
    return { world, server: first.server, cookie, other: new World({ sticky: OWN, seed: 7 }) };
  };

  test('the last that is looked at counts, known to the table or not', () => {
    const { world, server, cookie, other } = begun();
    const shown = [...forged.slice(1), cookie].join('; ');
    for (const one of [world, other])
      expect(one.exchange({ cookie: shown })).toMatchObject({ server, outcome: 'home' });
  });

  test('what is behind it is not looked at', () => {
    const { world, cookie, other } = begun();
    const shown = [...forged, cookie].join('; ');
    for (const one of [world, other])
      expect(one.exchange({ cookie: shown })).toMatchObject({ outcome: 'invalid' });
  });

  test('over several lines they are counted together', () => {
    const { world, cookie, other } = begun();
    const headers = [...forged, cookie].map((pair) => `Cookie: ${pair}`);
    for (const one of [world, other]) expect(one.exchange({ headers })).toMatchObject({ outcome: 'invalid' });
  });

  test('of two written in the same second the first in the request counts, of others the later', () => {
    const world = new World({ sticky: OWN });
    const at = (apartMs: number): readonly (readonly [server: string, cookie: string])[] => {
      const first = world.exchange();
      world.clock.advance(apartMs);
      let second = world.exchange();
      while (second.server === first.server) second = world.exchange();
      return [first, second].map(({ server, setCookie }) => [server!, cookiePair(setCookie)] as const);
    };
    const homeOf = (...cookies: readonly string[]): string | null =>
      new World({ sticky: OWN, seed: 9 }).exchange({ cookie: cookies.join('; ') }).server;
    const [[a, cookieA], [b, cookieB]] = at(0) as [[string, string], [string, string]];
    expect([homeOf(cookieA, cookieB), homeOf(cookieB, cookieA)]).toEqual([a, b]);
    const [[, early], [c, late]] = at(2000) as [[string, string], [string, string]];
    expect([homeOf(early, late), homeOf(late, early)]).toEqual([c, c]);
  });
});

test('of the application’s cookies as many are looked at', () => {
  const world = new World({ sticky: APPLICATION });
  const { server } = world.exchange({ responseHeaders: ['Set-Cookie: sid=mine; Path=/'] });
  const others = Array.from({ length: SHOWN_MAX }, (_, index) => `sid=other${index}`);
  const shown = (...cookies: readonly string[]) => world.exchange({ cookie: cookies.join('; ') });
  expect(shown(...others.slice(1), 'sid=mine')).toMatchObject({ server, outcome: 'home' });
  expect(shown(...others, 'sid=mine').outcome).not.toBe('home');
});

test.each([
  ['our own', OWN],
  ['the application’s', APPLICATION],
])('a session goes on under the new secret once it has been seen under both: %s', (_, sticky) => {
  const secrets = [SECRET];
  const world = new World({ sticky, secrets });
  const use = (...keys: readonly Uint8Array[]): void => {
    secrets.splice(0, secrets.length, ...keys);
    world.plans = [world.compile(world.config)];
  };
  const first = world.exchange({ responseHeaders: ['Set-Cookie: sid=mine; Path=/'] });
  const { server } = first;
  const cookie = sticky === OWN ? cookiePair(first.setCookie) : 'sid=mine';
  world.exchange({ cookie });
  use(OTHER_SECRET, SECRET);
  for (let time = 0; time < 2; time += 1)
    expect(world.exchange({ cookie })).toMatchObject({ server, outcome: 'home' });
  expect(world.entries()).toMatchObject({ used: 1, aliases: 1, busy: 0 });
  use(OTHER_SECRET);
  expect(world.exchange({ cookie })).toMatchObject({ server, outcome: 'home' });
  expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
  expect([world.created(server!), world.placed(server!)]).toEqual([1, 1]);
});

test.each([
  ['2001:db8::1', '2001:DB8:0:0:ffff::2', true],
  ['2001:db8::1', '2001:db8:0:1::1', false],
  ['192.0.2.1', '192.0.2.2', false],
  ['::ffff:192.0.2.1', '192.0.2.1', true],
])('address-hash: whether %s and %s are one client: %s', (one, other, isOne) => {
  const world = new World({ sticky: { mode: 'address-hash' } });
  for (const address of [one, other]) world.exchange({ address });
  expect(world.entries().used).toBe(isOne ? 1 : 2);
});

test.each([
  [{ ipv4: 24, ipv6: 128 }, '192.0.2.1', '192.0.2.77', true],
  [{ ipv4: 24, ipv6: 128 }, '192.0.2.1', '192.0.3.1', false],
  [{ ipv4: 32, ipv6: 128 }, '2001:db8::1', '2001:db8::2', false],
  [{ ipv4: 32, ipv6: 48 }, '2001:db8:0:1::1', '2001:db8:0:2::2', true],
])('address-hash with mask %j: whether %s and %s are one client: %s', (mask, one, other, isOne) => {
  const world = new World({ sticky: { mode: 'address-hash', mask } });
  for (const address of [one, other]) world.exchange({ address });
  expect(world.entries().used).toBe(isOne ? 1 : 2);
});
