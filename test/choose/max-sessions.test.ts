// maxSessions: a server that has all the sessions it may have takes no new one, and keeps those it has.

import { expect, test, vi } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { Verdict } from '../../src/shared/control.ts';
import { seeds } from '../support/seeds.ts';
import { type Outcome, World } from './fixture.ts';
import { cookiePair } from './messages.ts';

const OWN = { mode: 'cookie-hash' } as const;

function begin(world: World, count: number): readonly Outcome[] {
  return Array.from({ length: count }, () => world.exchange());
}

test('new sessions fill servers up to their limits, then find all full', () => {
  const world = new World({ sticky: OWN, servers: [{ maxSessions: 1 }, { maxSessions: 2 }] });
  const began = begin(world, 3);
  expect(began.map(({ failure }) => failure)).toEqual([null, null, null]);
  expect([world.placed('a'), world.placed('b')]).toEqual([1, 2]);
  expect(world.exchange()).toMatchObject({ server: null, failure: 'full' });
  for (const { server, setCookie } of began)
    expect(world.exchange({ cookie: cookiePair(setCookie) })).toMatchObject({ server, outcome: 'home' });
});

test('the end of a session makes room for another', () => {
  const world = new World({ sticky: OWN, servers: [{ maxSessions: 1 }] });
  const [first] = begin(world, 1);
  const cookie = cookiePair(first!.setCookie);
  expect(world.exchange()).toMatchObject({ failure: 'full' });
  world.exchange({ cookie, responseHeaders: ['x-holdfast-session: end'] });
  expect(world.exchange()).toMatchObject({ server: 'a', failure: null });
});

test('a request that is tried again at the only server is not shut out by its own session', () => {
  const world = new World({ sticky: OWN, servers: [{ maxSessions: 1 }] });
  const exchange = world.begin();
  expect(exchange.attempt()).toBe('a');
  exchange.tried.push(world.slotOf('a'));
  expect(exchange.attempt()).toBe('a');
  expect(world.placed('a')).toBe(1);
});

test('a request that may learn a session holds a place while it is under way', () => {
  const world = new World({ sticky: { mode: 'learn', cookie: 'sid' }, servers: [{ maxSessions: 1 }] });
  const exchange = world.begin();
  expect(exchange.attempt()).toBe('a');
  expect(world.exchange()).toMatchObject({ failure: 'full' });
  exchange.answer([]);
  exchange.finish();
  expect(world.exchange({ responseHeaders: ['Set-Cookie: sid=1'] })).toMatchObject({ server: 'a' });
  expect(world.exchange()).toMatchObject({ failure: 'full' });
  expect(world.exchange({ cookie: 'sid=1' })).toMatchObject({ server: 'a' });
});

test('a place is held until the session that was learned counts', () => {
  const world = new World({ sticky: { mode: 'learn', cookie: 'sid' }, servers: [{ maxSessions: 1 }] });
  const { table } = world.workers[0]!;
  const insert = table.insert.bind(table);
  const spy = vi.spyOn(table, 'insert').mockImplementation((...entry) => {
    expect(world.shared.placedSessionsMost(world.slotOf('a'))).toBe(1);
    return insert(...entry);
  });
  world.exchange({ responseHeaders: ['Set-Cookie: sid=1'] });
  expect(spy).toHaveBeenCalledOnce();
  expect([world.placed('a'), world.exchange().failure]).toEqual([1, 'full']);
});

test('sessions of a dead home go to servers that have room', () => {
  const world = new World({
    sticky: OWN,
    pool: { state: 'shared' },
    servers: [{}, { maxSessions: 3 }, { maxSessions: 2 }],
  });
  world.setVerdict('b', Verdict.down);
  world.setVerdict('c', Verdict.down);
  const cookies = begin(world, 9).map(({ setCookie }) => cookiePair(setCookie));
  world.setVerdict('b', Verdict.up);
  world.setVerdict('c', Verdict.up);
  world.setVerdict('a', Verdict.down);
  const outcomes = cookies.map((cookie) => world.exchange({ cookie }));
  expect(outcomes.filter(({ failure }) => failure === 'full')).toHaveLength(4);
  expect([world.placed('b'), world.placed('c')]).toEqual([3, 2]);
});

test('backups are for servers that are down, not for those that are full', () => {
  const world = new World({ sticky: OWN, servers: [{ maxSessions: 1 }, { backup: true }] });
  begin(world, 1);
  expect(world.exchange()).toMatchObject({ failure: 'full' });
});

test('who loses the race for the last place gives back what was counted', () => {
  const world = new World({ sticky: OWN, servers: [{ maxSessions: 1 }], workers: 2 });
  const one = world.begin();
  const other = world.begin({}, 1);
  // both have chosen before either counts
  expect(one.choose()).toBe(other.choose());
  expect([one.commit(), other.commit()]).toEqual([true, false]);
  expect([other.attempt(), other.affinity.failure]).toEqual([null, 'full']);
  expect(world.placed('a')).toBe(1);
  one.finish();
  expect([other.attempt(), world.placed('a')]).toEqual(['a', 1]);
});

test.each(seeds(20))('with seed %i: never above the limit, and full only when all are', (seed) => {
  const random = new SeededRandom(seed);
  const servers = Array.from({ length: 1 + random.below(4) }, () => ({ maxSessions: 1 + random.below(4) }));
  const room = servers.reduce((sum, { maxSessions }) => sum + maxSessions, 0);
  const world = new World({ sticky: OWN, servers, workers: 2, seed });
  const live: string[] = [];
  for (let step = 0; step < 300; step += 1) {
    const worker = random.below(2);
    if (live.length > 0 && random.below(3) === 0) {
      const [cookie] = live.splice(random.below(live.length), 1);
      world.exchange({ cookie: cookie!, responseHeaders: ['x-holdfast-session: end'] }, worker);
    } else if (live.length > 0 && random.below(2) === 0) {
      const cookie = live[random.below(live.length)]!;
      expect(world.exchange({ cookie }, worker)).toMatchObject({ outcome: 'home' });
    } else {
      const { failure, setCookie } = world.exchange({}, worker);
      expect(failure).toBe(live.length === room ? 'full' : null);
      if (failure === null) live.push(cookiePair(setCookie));
    }
    for (const { name, maxSessions } of world.config.servers)
      expect(world.placed(name)).toBeLessThanOrEqual(maxSessions);
    expect(world.total((name) => world.placed(name))).toBe(live.length);
  }
});
