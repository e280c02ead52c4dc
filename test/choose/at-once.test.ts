// Several requests of one session at once: whichever is first, and whatever becomes of the others, a home that lives
// keeps the session.

import { describe, expect, test, vi } from 'vitest';
import { Verdict } from '../../src/shared/control.ts';
import { type Exchange, type ExchangeOptions, World, type WorldOptions } from './fixture.ts';

const HEADER: WorldOptions = {
  workers: 2,
  sticky: { mode: 'learn', cookieOwner: 'application', header: 'x-session-id' },
};
const COOKIE: WorldOptions = {
  workers: 2,
  sticky: { mode: 'learn', cookie: 'sid', cookieOwner: 'application' },
};
const MINE = { headers: ['X-Session-Id: mine'] };
const shown = (value: string): { cookie: string } => ({ cookie: `sid=${value}` });
const set = (value: string): string => `Set-Cookie: sid=${value}; Path=/`;

/** Two requests on two threads that have chosen different servers and not gone there yet. */
function apart(
  options: WorldOptions,
  request: ExchangeOptions,
): Record<'first' | 'second', Exchange> & { world: World } {
  for (let seed = 1; seed < 100; seed += 1) {
    const world = new World({ ...options, seed });
    const [first, second] = [world.begin(request, 0), world.begin(request, 1)];
    if (first.choose() !== second.choose()) return { world, first, second };
  }
  throw new Error('both threads always choose the same');
}

describe('requests of one new session that wait for a server together', () => {
  test.each([0, 1])('all go to one server, the second one on thread %i', (thread) => {
    const world = new World(HEADER);
    for (const name of ['a', 'b', 'c', 'd']) world.setVerdict(name, Verdict.down);
    const first = world.begin(MINE, 0);
    const second = world.begin(MINE, thread);
    expect([first.attempt(), second.attempt()]).toEqual([null, null]);
    for (const name of ['a', 'b', 'c', 'd']) world.setVerdict(name, Verdict.up);
    const home = first.attempt();
    expect(second.attempt()).toBe(home);
    for (const one of [first, second]) {
      one.answer();
      expect(one.finish().server).toBe(home);
    }
    expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
  });

  test('two threads that choose in the same moment go to one server', () => {
    const { world, first, second } = apart(HEADER, MINE);
    expect(first.commit()).toBe(true);
    expect(second.commit()).toBe(false);
    const home = first.finish().server;
    expect(second.attempt()).toBe(home);
    second.finish();
    expect(world.entries()).toMatchObject({ busy: 0 });
  });
});

describe('the request that began a session is tried again', () => {
  test('the server that has answered another request of it meanwhile is its home', () => {
    const world = new World(HEADER);
    const first = world.begin(MINE, 0);
    const home = first.attempt()!;
    expect(world.exchange(MINE, 1).server).toBe(home);
    first.tried.push(first.slot);
    expect(first.attempt()).toBe(home);
    first.answer();
    first.finish();
    expect(world.exchange(MINE).server).toBe(home);
  });

  test('it fails altogether, and the session that others have used stays', () => {
    const world = new World(HEADER);
    const first = world.begin(MINE, 0);
    const home = first.attempt()!;
    expect(world.exchange(MINE, 1).server).toBe(home);
    first.finish();
    expect(world.exchange(MINE)).toMatchObject({ server: home, outcome: 'home' });
    expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
  });
});

test('what a home that was given up for a moment sets is at home there', () => {
  const world = new World(COOKIE);
  const home = world.exchange({ responseHeaders: [set('old')] }).server!;
  const slow = world.begin(shown('old'));
  slow.attempt();
  world.setVerdict(home, Verdict.down);
  const other = world.exchange({ ...shown('old'), responseHeaders: [set('old')] }, 1).server!;
  world.setVerdict(home, Verdict.up);
  slow.answer([set('new')]);
  slow.finish();
  expect(world.exchange(shown('new'), 1)).toMatchObject({ server: home, outcome: 'home' });
  expect(world.exchange(shown('old'), 1)).toMatchObject({ server: other, outcome: 'home' });
  expect(world.entries()).toMatchObject({ used: 2, tentative: 0, busy: 0 });
});

test('what the answer that ends a session sets is the next one', () => {
  const world = new World(COOKIE);
  const home = world.exchange({ responseHeaders: [set('one')] }).server!;
  world.exchange({ ...shown('one'), responseHeaders: ['X-Holdfast-Session: end', set('two')] });
  expect(world.ended(home, 'logout')).toBe(1);
  expect(world.exchange(shown('two'), 1)).toMatchObject({ server: home, outcome: 'home' });
  expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
});

test('what the answer that ends a session sets again is over all the same', () => {
  for (const options of [COOKIE, HEADER]) {
    const world = new World(options);
    const home = world.exchange({ responseHeaders: [set('one'), 'X-Session-Id: one'] }).server!;
    const showing = { ...shown('one'), headers: ['X-Session-Id: one'] };
    world.exchange({ ...showing, responseHeaders: [set('two'), 'X-Session-Id: two'] });
    for (const value of ['one', 'two']) {
      const again = [set(value), `X-Session-Id: ${value}`];
      world.exchange({ ...showing, responseHeaders: ['X-Holdfast-Session: end', ...again] });
    }
    expect(world.ended(home, 'logout')).toBe(1);
    expect(world.entries()).toMatchObject({ used: 0, busy: 0 });
  }
});

test('an answer that was under way does not set our cookie again when its session has been ended meanwhile', () => {
  const world = new World({ sticky: { mode: 'cookie-hash' } });
  const cookie = world.exchange().setCookie.split(';')[0]!;
  const renewal = world.config.sticky.idleMs / 4;
  const answerTo = (end: boolean): string => {
    world.clock.advance(renewal);
    const slow = world.begin({ cookie });
    slow.attempt();
    if (end) world.exchange({ cookie, responseHeaders: ['X-Holdfast-Session: end'] });
    slow.answer();
    return slow.finish().setCookie;
  };
  expect(answerTo(false)).toMatch(/^holdfast=.{80};/);
  expect(answerTo(true)).toBe('');
  expect(world.entries()).toMatchObject({ used: 0, busy: 0 });
});

describe('a request under way while another logs out, and then tried again', () => {
  const OWN: WorldOptions = { workers: 2, sticky: { mode: 'cookie-hash' } };
  const end = 'X-Holdfast-Session: end';
  const shows = (value: string) => ({ cookie: `sid=${value}`, headers: [`X-Session-Id: ${value}`] });

  test.each([
    ['learned from a cookie', COOKIE, 0],
    ['learned from a header', HEADER, 0],
    ['of our cookie', OWN, 0],
    ['learned from a cookie, on another thread', COOKIE, 1],
    ['of our cookie, on another thread', OWN, 1],
  ])('does not begin the session again: %s', (_, options, thread) => {
    const world = new World(options);
    const set = ['Set-Cookie: sid=mine; Path=/', 'X-Session-Id: mine'];
    const first = world.exchange({ responseHeaders: set });
    const request = options === OWN ? { cookie: first.setCookie.split(';')[0]! } : shows('mine');
    world.exchange(request);
    world.clock.advance(world.config.sticky.idleMs / 4); // our cookie would be due again
    const slow = world.begin(request);
    expect(slow.attempt()).toBe(first.server);
    slow.tried.push(slow.slot);
    world.exchange({ ...request, responseHeaders: [end] }, thread);
    expect(slow.attempt()).toBe(first.server);
    expect(slow.answer(options === OWN ? [] : set)).toBe('');
    slow.finish();
    expect(world.entries()).toMatchObject({ used: 0, aliases: 0, busy: 0 });
    expect(world.ended(first.server!, 'logout')).toBe(1);
    expect(world.placed(first.server!)).toBe(0);
  });

  test.each([
    ['before it is chosen for', 0],
    ['between choosing and going there', 1],
  ])("goes to another server as nobody's where its home has gone too, ended %s", (_, order) => {
    const world = new World(OWN);
    const { server, setCookie } = world.exchange();
    const request = { cookie: setCookie.split(';')[0]! };
    world.exchange(request);
    const slow = world.begin(request);
    slow.attempt();
    slow.tried.push(slow.slot);
    world.setVerdict(server!, Verdict.down);
    if (order === 1) slow.choose();
    expect(world.shared.table.remove(slow.affinity.entry, slow.affinity.keyLow, slow.affinity.keyHigh)).toBe(
      true,
    );
    if (order === 0) slow.choose();
    expect(slow.commit()).toBe(true);
    expect(slow.answer()).toBe('');
    slow.finish();
    expect(world.entries()).toMatchObject({ used: 0, busy: 0 });
    expect(world.moves('failure')).toBe(0);
  });

  test('the answer may still begin the next one', () => {
    const world = new World(COOKIE);
    const { server } = world.exchange({ responseHeaders: [set('one')] });
    const slow = world.begin(shown('one'));
    slow.attempt();
    slow.tried.push(slow.slot);
    world.exchange({ ...shown('one'), responseHeaders: [end] }, 1);
    slow.attempt();
    slow.answer([set('two')]);
    slow.finish();
    expect(world.exchange(shown('two'))).toMatchObject({ server, outcome: 'home' });
    expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
  });
});

describe('two threads begin a session of one key in the same moment', () => {
  /** Both have looked, and found nothing, before either begins it. */
  const bothBegin = () => {
    const { world, first, second } = apart(COOKIE, shown('unknown'));
    const { table } = world.workers[0]!;
    const insert = table.insert.bind(table);
    const spy = vi.spyOn(table, 'insert').mockImplementation((...entry) => {
      spy.mockRestore();
      expect(second.commit()).toBe(true);
      return insert(...entry);
    });
    expect(first.commit()).toBe(true);
    return { world, first, second };
  };

  test('it counts where it is, and nowhere else', () => {
    const { world, first, second } = bothBegin();
    const [home, other] = [world.nameOf(first.slot), world.nameOf(second.slot)];
    expect([world.placed(home), world.placed(other)]).toEqual([1, 0]);
    expect(world.entries()).toMatchObject({ used: 1, busy: 1, homes: new Map([[home, 1]]) });
    for (const one of [first, second]) {
      one.answer();
      one.finish();
    }
    expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
    expect(world.total((name) => world.placed(name))).toBe(1);
  });

  test('the end of a tunnel ends no count while the other request is there', () => {
    const { world, first, second } = bothBegin();
    first.answer([], false, 101);
    expect(world.entries()).toMatchObject({ tentative: 0 });
    first.finish();
    expect(world.entries()).toMatchObject({ used: 1, busy: 1, tentative: 0 });
    second.finish();
  });
});

test('a route that another request still uses stays when its client gets a session', () => {
  const world = new World(COOKIE);
  const first = world.begin(shown('unknown'));
  const home = first.attempt();
  const second = world.begin(shown('unknown'), 1);
  expect(second.attempt()).toBe(home);
  first.answer([set('real')]);
  first.finish();
  expect(world.entries()).toMatchObject({ used: 2, tentative: 1, busy: 1 });
  second.answer();
  second.finish();
  expect(world.exchange(shown('unknown'))).toMatchObject({ server: home, outcome: 'home' });
  const alone = world.begin(shown('another'));
  alone.attempt();
  alone.answer([set('more')]);
  alone.finish();
  expect(world.entries()).toMatchObject({ used: 3, tentative: 1, busy: 0 });
});

test('a session that is driven from one server to the next within a request moves and is lost once', () => {
  const world = new World({ ...COOKIE, pool: { state: 'local' } });
  const home = world.exchange({ responseHeaders: [set('mine')] }).server!;
  const slow = world.begin(shown('mine'));
  world.setVerdict(home, Verdict.down);
  for (let server = slow.attempt(), time = 0; time < 2; time += 1, server = slow.attempt()) {
    expect(server).not.toBe(home);
    slow.tried.push(slow.slot);
    world.setVerdict(server!, Verdict.down);
  }
  slow.answer();
  slow.finish();
  expect([world.moves('failure'), world.lost(home, 'failure'), world.lostInPool('failure')]).toEqual([
    1, 1, 1,
  ]);
});
