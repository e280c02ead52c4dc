// Sessions that belong to the application: begun, regenerated and ended by what its responses say.

import { describe, expect, test } from 'vitest';
import { Verdict } from '../../src/shared/control.ts';
import { type ExchangeOptions, World, type WorldOptions } from './fixture.ts';

const APPLICATION: WorldOptions = {
  sticky: { mode: 'cookie-hash', cookie: 'connect.sid', cookieOwner: 'application' },
  workers: 2,
};

const set = (value: string, more = ''): string => `Set-Cookie: connect.sid=${value}; Path=/; HttpOnly${more}`;

function login(world: World, value: string, more: ExchangeOptions = {}): string {
  return world.exchange({ responseHeaders: [set(value)], ...more }).server!;
}

describe.each([
  { title: 'cookie-hash on the application’s cookie', options: APPLICATION },
  { title: 'learn', options: { ...APPLICATION, sticky: { ...APPLICATION.sticky, mode: 'learn' as const } } },
])('$title', ({ options }) => {
  test('the second request reaches the server that created the session', () => {
    const world = new World(options);
    for (let user = 0; user < 200; user += 1) {
      const creator = login(world, `s%3A${user}.sig`);
      expect(world.exchange({ cookie: `theme=dark; connect.sid=s%3A${user}.sig` }, user % 2)).toMatchObject({
        server: creator,
        outcome: 'home',
      });
    }
  });

  test('a visitor whom the application gives no session does not count', () => {
    const world = new World(options);
    for (let visit = 0; visit < 50; visit += 1) world.exchange({ responseHeaders: ['Set-Cookie: other=1'] });
    expect(world.entries().used).toBe(0);
    expect(world.total((name) => world.placed(name))).toBe(0);
    expect(world.outcomes('none')).toBe(50);
  });

  test('an id regenerated at log-in is the same session', () => {
    const world = new World(options);
    const home = login(world, 'before');
    const outcome = world.exchange({ cookie: 'connect.sid=before', responseHeaders: [set('after')] });
    expect(outcome).toMatchObject({ server: home, outcome: 'home' });
    expect(world.exchange({ cookie: 'connect.sid=after' })).toMatchObject({ server: home, outcome: 'home' });
    expect(world.created(home)).toBe(1);
    expect(world.placed(home)).toBe(1);
    expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
    expect(world.total((name) => world.ended(name, 'logout'))).toBe(0);
  });

  test.each([
    ['an empty value', 'Set-Cookie: connect.sid=; Path=/'],
    ['Max-Age=0', 'Set-Cookie: connect.sid=x; Max-Age=0'],
    ['a date gone by', 'Set-Cookie: connect.sid=x; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT'],
  ])('deleting the cookie by %s ends the session', (_, header) => {
    const world = new World(options);
    const home = login(world, 'mine');
    world.exchange({ cookie: 'connect.sid=mine' });
    world.exchange({ cookie: 'connect.sid=mine', responseHeaders: [header] });
    expect(world.ended(home, 'logout')).toBe(1);
    expect(world.entries()).toMatchObject({ used: 0 });
    expect(world.placed(home)).toBe(0);
  });

  test('several Set-Cookie lines for the cookie: the last counts, as in a browser', () => {
    const world = new World(options);
    const home = login(world, 'one');
    world.exchange({
      cookie: 'connect.sid=one',
      responseHeaders: [
        set('', '; Max-Age=0'),
        set('two'),
        'Set-Cookie: connect.sid.sig=zzz',
        'Set-Cookie: connect=0',
      ],
    });
    expect(world.exchange({ cookie: 'connect.sid=two' })).toMatchObject({ server: home, outcome: 'home' });
    expect(world.ended(home, 'logout')).toBe(0);
    expect(world.entries().used).toBe(1);
  });

  test('a cookie set again with the same value (rolling) changes nothing', () => {
    const world = new World(options);
    const home = login(world, 'same');
    for (let request = 0; request < 5; request += 1) {
      world.exchange({ cookie: 'connect.sid=same', responseHeaders: [set('same')] });
    }
    expect(world.created(home)).toBe(1);
    expect(world.placed(home)).toBe(1);
  });

  test('with local state an unknown id is a route, but no session until the application sets it', () => {
    const world = new World(options);
    const first = world.exchange({ cookie: 'connect.sid=stale' });
    for (let request = 0; request < 3; request += 1) {
      expect(world.exchange({ cookie: 'connect.sid=stale' }).server).toBe(first.server);
    }
    expect(world.total((name) => world.created(name))).toBe(0);
    expect(world.entries()).toMatchObject({ used: 1, tentative: 1 });
    world.exchange({ cookie: 'connect.sid=stale', responseHeaders: [set('stale')] });
    expect(world.total((name) => world.created(name))).toBe(1);
    expect(world.entries()).toMatchObject({ used: 1, tentative: 0 });
  });

  test('a session lost with its home is none until the application sets it anew', () => {
    const world = new World(options);
    const home = login(world, 'mine');
    world.setVerdict(home, Verdict.down);
    const moved = world.exchange({ cookie: 'connect.sid=mine' });
    for (let request = 0; request < 3; request += 1) {
      expect(world.exchange({ cookie: 'connect.sid=mine' }).server).toBe(moved.server);
    }
    expect(world.lost(home, 'failure')).toBe(1);
    expect(world.entries()).toMatchObject({ used: 1, tentative: 1 });
    world.exchange({ cookie: 'connect.sid=mine', responseHeaders: [set('again')] });
    expect(world.created(moved.server!)).toBe(1);
    expect(world.entries()).toMatchObject({ used: 1, tentative: 0 });
  });

  test('with shared state an unknown id is a session when it is seen again', () => {
    const world = new World({ ...options, pool: { state: 'shared' } });
    const first = world.exchange({ cookie: 'connect.sid=from-before-the-restart' });
    expect(first.outcome).toBe('new');
    expect(world.entries()).toMatchObject({ used: 1, tentative: 1 });
    expect(world.created(first.server!)).toBe(0);
    const second = world.exchange({ cookie: 'connect.sid=from-before-the-restart' }, 1);
    expect(second).toMatchObject({ server: first.server, outcome: 'home' });
    expect(world.created(first.server!)).toBe(1);
    expect(world.entries()).toMatchObject({ used: 1, tentative: 0 });
  });

  test('an unknown id that the application replaces at once leaves one session', () => {
    const world = new World(options);
    const { server } = world.exchange({ cookie: 'connect.sid=stale', responseHeaders: [set('fresh')] });
    expect(world.entries()).toMatchObject({ used: 1, tentative: 0 });
    expect(world.created(server!)).toBe(1);
    expect(world.placed(server!)).toBe(1);
  });

  test('only the server that answered is learned', () => {
    const world = new World(options);
    const server = login(world, 'mine', { failing: ['a', 'b'] });
    expect(['c', 'd']).toContain(server);
    expect(world.exchange({ cookie: 'connect.sid=mine' }).server).toBe(server);
    expect(world.total((name) => world.placed(name))).toBe(1);
  });

  test('log-out by a parallel request leaves no busy count and no entry', () => {
    const world = new World(options);
    login(world, 'mine');
    const slow = world.begin({ cookie: 'connect.sid=mine' }, 1);
    slow.attempt();
    world.exchange({ cookie: 'connect.sid=mine', responseHeaders: [set('', '; Max-Age=0')] });
    slow.answer();
    slow.finish();
    expect(world.entries()).toMatchObject({ used: 0 });
    expect(world.total((name) => world.placed(name))).toBe(0);
  });

  test('values are compared as they are written, quotes aside', () => {
    const world = new World(options);
    const home = login(world, '"s%3Aabc"');
    expect(world.exchange({ cookie: 'connect.sid=s%3Aabc' })).toMatchObject({
      server: home,
      outcome: 'home',
    });
    expect(world.exchange({ cookie: 'connect.sid=s:abc' }).outcome).toBe('new');
  });
});

test('two balancers agree on unknown ids by hash alone', () => {
  const one = new World(APPLICATION);
  const two = new World({ ...APPLICATION, seed: 8, firstSlot: 50 });
  for (let user = 0; user < 300; user += 1) {
    const cookie = `connect.sid=${user}`;
    expect(two.exchange({ cookie }).server).toBe(one.exchange({ cookie }).server);
  }
});

test('a full table: what is pushed out is counted and the sums stay right', () => {
  const world = new World({ ...APPLICATION, sessionsMax: 64 });
  for (let user = 0; user < 1000; user += 1) {
    login(world, `user-${user}`);
    world.clock.advance(100);
  }
  const { used } = world.entries();
  expect(world.total((name) => world.created(name))).toBe(1000);
  expect(world.total((name) => world.ended(name, 'evicted'))).toBe(1000 - used);
  expect(world.total((name) => world.placed(name))).toBe(used);
});

test('crawlers without cookies push out each other, not the sessions', () => {
  const world = new World({ sticky: { mode: 'cookie-hash' }, sessionsMax: 64 });
  const first = world.exchange();
  const cookie = first.setCookie.split(';')[0]!;
  world.exchange({ cookie });
  for (let visit = 0; visit < 2000; visit += 1) world.exchange();
  expect(world.exchange({ cookie })).toMatchObject({ server: first.server, outcome: 'home' });
  expect(world.total((name) => world.created(name))).toBe(1);
});
