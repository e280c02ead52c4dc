// Paced fail-over: sticky.moveRate sessions a second leave a home that is gone, the others wait for their turn.

import { describe, expect, test } from 'vitest';
import { MovePace } from '../../src/choose/move-pace.ts';
import type { PoolPlan } from '../../src/choose/plan.ts';
import { Mode, Verdict } from '../../src/shared/control.ts';
import { type Outcome, World, type WorldOptions } from './fixture.ts';
import { cookiePair } from './messages.ts';

const USERS = 40;

class Crowd {
  readonly world: World;
  readonly cookies: string[];
  readonly homes: (string | null)[];

  constructor(options: WorldOptions) {
    this.world = new World({
      servers: [{}, {}, {}],
      ...options,
      sticky: { mode: 'cookie-hash', ...options.sticky },
    });
    this.cookies = Array.from({ length: USERS * 3 }, () => cookiePair(this.world.exchange().setCookie));
    this.homes = this.ask().map(({ server }) => server);
  }

  /** Each user asks once, the threads in turn. */
  ask(): Outcome[] {
    return this.cookies.map((cookie, user) => {
      const outcome = this.world.exchange({ cookie }, user % this.world.workers.length);
      if (outcome.setCookie !== '') this.cookies[user] = cookiePair(outcome.setCookie);
      return outcome;
    });
  }
}

const refused = (outcomes: readonly Outcome[]): Outcome[] =>
  outcomes.filter(({ failure }) => failure === 'paced');

describe.each([1, 2, 4])('on %i threads', (workers) => {
  test('a server that dies: so many at once and so many a second move, the rest is refused until its turn', () => {
    const crowd = new Crowd({ workers, sticky: { movesPerSecond: 8 } });
    const { world } = crowd;
    const held = crowd.homes.filter((home) => home === 'a').length;
    expect(held).toBe(USERS);
    world.setVerdict('a', Verdict.down);
    const left: number[] = [];
    for (let second = 0; second <= 4; second += 1) {
      const outcomes = crowd.ask();
      expect(refused(outcomes).every(({ outcome, server }) => outcome === 'refused' && server === null)).toBe(
        true,
      );
      left.push(refused(outcomes).length);
      world.clock.advance(1_000);
    }
    expect(left).toEqual([32, 24, 16, 8, 0]);
    expect(world.moves('failure')).toBe(held);
    expect(world.lost('a', 'failure')).toBe(held);
    expect(refused(crowd.ask())).toEqual([]);
  });
});

test('those that are at home or have no home yet do not wait for it', () => {
  const crowd = new Crowd({ sticky: { movesPerSecond: 1 } });
  crowd.world.setVerdict('a', Verdict.down);
  const outcomes = crowd.ask();
  expect(refused(outcomes).length).toBe(USERS - 1);
  expect(outcomes.filter(({ outcome }) => outcome === 'home').length).toBe(2 * USERS);
  expect(crowd.world.exchange()).toMatchObject({ failure: null, outcome: 'new' });
});

test('maintenance and removal are paced as well, and a request that is tried again moves but once', () => {
  const crowd = new Crowd({ sticky: { movesPerSecond: 5 } });
  const { world } = crowd;
  world.setMode('a', Mode.maintenance);
  expect(refused(crowd.ask()).length).toBe(USERS - 5);
  world.clock.advance(1_000);
  world.reload(['b', 'c']);
  expect(refused(crowd.ask()).length).toBe(USERS - 10);
  world.clock.advance(200);
  const user = crowd.homes.findIndex((home, at) => home === 'a' && at > USERS);
  const cookie = crowd.cookies[user]!;
  const again = world.exchange({ cookie, failing: ['b'] });
  expect(again).toMatchObject({ server: 'c', failure: null, moveReason: 'removed' });
});

test('without moveRate all move at once; what is asked in vain leaves no trace', () => {
  const free = new Crowd({});
  free.world.setVerdict('a', Verdict.down);
  expect(refused(free.ask())).toEqual([]);

  const paced = new Crowd({ sticky: { movesPerSecond: 0.5 } });
  paced.world.setVerdict('a', Verdict.down);
  paced.ask();
  const placed = paced.world.placed('a');
  paced.ask();
  expect(paced.world.placed('a')).toBe(placed);
  expect(paced.world.moves('failure')).toBe(1);
});

test('however long nothing has moved, no more than a second of it is saved up; each pool has its own', () => {
  const world = new World({ sticky: { mode: 'cookie-hash', movesPerSecond: 8 } });
  const [plan] = world.plans as [PoolPlan];
  const other = { ...plan, id: plan.id + 1 };
  const pace = new MovePace(2);
  const take = (of: PoolPlan, nowMs: number): number => {
    let taken = 0;
    for (; pace.hasRoom(of, 1, nowMs); taken += 1) pace.take(of, nowMs);
    return taken;
  };
  expect([take(plan, 0), take(other, 0)]).toEqual([4, 4]);
  expect([take(plan, 3_600_000), take(other, 250)]).toEqual([4, 1]);
  // one that moves although there is no room, as when it is tried again, owes nothing
  for (let more = 0; more < 5; more += 1) pace.take(plan, 3_600_000);
  expect(take(plan, 3_600_500)).toBe(2);
});

test('a session takes one token however many requests are on their way with it, and gives it back when it stays', () => {
  const world = new World({ sticky: { mode: 'cookie-hash', movesPerSecond: 2 } });
  const [plan] = world.plans as [PoolPlan];
  const pace = new MovePace(1);
  const [one, two, three] = [11, 22, 33];
  for (const key of [one, one, two]) pace.begin(plan, key, 0);
  expect([one, two, three].map((key) => pace.hasRoom(plan, key, 0))).toEqual([true, true, false]);
  // another request of the session may still move it
  pace.end(plan, one, false);
  expect([pace.hasRoom(plan, three, 0), pace.hasRoom(plan, one, 0)]).toEqual([false, true]);
  pace.end(plan, one, true);
  expect(pace.hasRoom(plan, one, 0)).toBe(false);
  pace.end(plan, two, false);
  expect(pace.hasRoom(plan, three, 0)).toBe(true);
  pace.begin(plan, three, 0);
  expect(pace.hasRoom(plan, one, 0)).toBe(false);
});
