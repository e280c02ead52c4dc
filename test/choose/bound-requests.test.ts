// bound: { by: requests }: a request whose home has more in flight than its share is served by the next by its key, once.

import { expect, test } from 'vitest';
import { Mode, Verdict } from '../../src/shared/control.ts';
import { World, type WorldOptions } from './fixture.ts';
import { cookiePair } from './messages.ts';

const STICKY = {
  mode: 'header-hash',
  header: 'x-session-id',
  bound: { by: 'requests', factor: 1.25 },
} as const;

function worldOf(options: WorldOptions = {}): World {
  return new World({ sticky: STICKY, pool: { state: 'shared' }, ...options });
}

const KEY = { headers: ['X-Session-Id: conversation-1'] };

function others(world: World, home: string): readonly string[] {
  return world.config.servers.map(({ name }) => name).filter((name) => name !== home);
}

test('a busy home is helped out by the same server each time, and keeps the session', () => {
  const world = worldOf();
  const { server: home } = world.exchange(KEY);
  // 4 in flight of 4: with one more its share is ceil(1.25 * 5 / 4) = 2
  world.addInFlight(home!, 4);
  const helped = [1, 2, 3].map(() => world.exchange(KEY));
  const [{ server: next }] = helped as [(typeof helped)[number]];
  expect(helped.map(({ server, outcome }) => [server, outcome])).toEqual([
    ...[1, 2, 3].map(() => [next, 'overflow']),
  ]);
  expect(others(world, home!)).toContain(next);
  world.addInFlight(home!, -4);
  expect(world.exchange(KEY)).toMatchObject({ server: home, outcome: 'home' });
  expect([world.placed(home!), world.placed(next!)]).toEqual([1, 0]);
});

test('who is next by the key is passed over where it is busy too; when all are, home it is', () => {
  const world = worldOf();
  const { server: home } = world.exchange(KEY);
  world.addInFlight(home!, 4);
  const { server: next } = world.exchange(KEY);
  world.addInFlight(next!, 4);
  const { server: third } = world.exchange(KEY);
  expect([home, next]).not.toContain(third);
  for (const name of others(world, home!)) if (name !== next) world.addInFlight(name, 4);
  expect(world.exchange(KEY)).toMatchObject({ server: home, outcome: 'home' });
});

test('a key that is new while its server is busy is not remembered elsewhere', () => {
  const calm = worldOf();
  const { server: best } = calm.exchange(KEY);
  const world = worldOf();
  world.addInFlight(best!, 4);
  expect(world.exchange(KEY)).toMatchObject({ outcome: 'overflow' });
  expect(world.entries().used).toBe(0);
  world.addInFlight(best!, -4);
  expect(world.exchange(KEY)).toMatchObject({ server: best, outcome: 'new' });
});

test('shares follow the weights', () => {
  const world = worldOf({ servers: [{ weight: 8 }, {}, {}] });
  const keys = Array.from({ length: 200 }, (_, key) => ({ headers: [`X-Session-Id: ${key}`] }));
  const isAtA = (key: (typeof keys)[number]): boolean => world.exchange(key).server === 'a';
  const key = keys.find(isAtA)!;
  // of 10 and one more it may have ceil(1.25 * 11 * 0.8) = 11
  world.addInFlight('a', 10);
  expect(world.exchange(key)).toMatchObject({ server: 'a', outcome: 'home' });
});

test('a home that drains or has sessions without a backup is asked all the same', () => {
  const world = worldOf();
  const { server: home } = world.exchange(KEY);
  world.addInFlight(home!, 9);
  world.setMode(home!, Mode.drain);
  expect(world.exchange(KEY)).toMatchObject({ server: home, outcome: 'home' });
  world.setMode(home!, Mode.ready);
  world.shared.control.setUnbacked(world.slotOf(home!), 1);
  expect(world.exchange(KEY)).toMatchObject({ server: home, outcome: 'home' });
  world.shared.control.setUnbacked(world.slotOf(home!), 0);
  for (const name of others(world, home!)) world.setVerdict(name, Verdict.down);
  expect(world.exchange(KEY)).toMatchObject({ server: home, outcome: 'home' });
});

test('with mode cookie-pin the bound has no effect, as the check of the configuration says', () => {
  const world = worldOf({ sticky: { mode: 'cookie-pin', bound: STICKY.bound } });
  const { server: home, setCookie } = world.exchange();
  world.addInFlight(home!, 40);
  expect(world.exchange({ cookie: cookiePair(setCookie) })).toMatchObject({ server: home, outcome: 'home' });
});
