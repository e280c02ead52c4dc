// WebSockets and sessions: who is connected is there, though a tunnel shows no cookie again.

import { describe, expect, test } from 'vitest';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { Sweeper } from '../../src/sessions/sweep.ts';
import { World } from './fixture.ts';

const IDLE_MS = 60_000;
const TUNNEL_MS = 40 * IDLE_MS;

describe.each(['cookie-hash', 'cookie-pin'] as const)(
  '%s: a user who has nothing but a WebSocket',
  (mode) => {
    const open = (world: World) => {
      const tunnel = world.begin();
      const home = tunnel.attempt()!;
      const cookie = tunnel.answer([], false, 101).split(';')[0]!;
      return { tunnel, home, cookie };
    };

    test('counts while it is connected, and no longer', () => {
      const world = new World({ sticky: { mode } });
      const { tunnel, home } = open(world);
      expect([world.entries().used, world.entries().tentative, world.created(home)]).toEqual([1, 0, 1]);
      tunnel.finish();
      expect([world.entries().tentative, world.ended(home, 'idle')]).toEqual([1, 1]);
    });

    test('goes on counting when its cookie has come back meanwhile', () => {
      const world = new World({ sticky: { mode } });
      const { tunnel, home, cookie } = open(world);
      expect(world.exchange({ cookie })).toMatchObject({ server: home, outcome: 'home' });
      tunnel.finish();
      expect([world.entries().tentative, world.ended(home, 'idle'), world.created(home)]).toEqual([0, 0, 1]);
    });

    test('an answer that is no WebSocket leaves it tentative', () => {
      const world = new World({ sticky: { mode } });
      world.exchange();
      expect([world.entries().tentative, world.total((name) => world.created(name))]).toEqual([1, 0]);
    });
  },
);

describe('an application cookie whose value rolls, under a long WebSocket', () => {
  const set = (value: string): readonly string[] => [`Set-Cookie: sid=${value}; Path=/`];
  const scene = () => {
    const world = new World({
      sticky: { mode: 'learn', cookie: 'sid', cookieOwner: 'application', idleMs: IDLE_MS },
    });
    const { shared, clock } = world;
    const sweeper = new Sweeper({ shared, clock, scheduler: new ManualScheduler(clock) });
    const { config } = world;
    const plan = world.plans[0]!;
    const generations = config.servers.map(() => 2);
    const pool = { id: 3, config, slots: [...plan.slots], generations, keys: [] };
    sweeper.apply({ number: 1, config: {} as never, pools: [pool], listeners: [] } as never);
    const pass = (ms: number): void => {
      for (let left = ms; left > 0; left -= 1_000) {
        clock.advance(Math.min(1_000, left));
        sweeper.sweepNow();
      }
    };
    const home = world.exchange({ responseHeaders: set('one') }).server!;
    world.exchange({ cookie: 'sid=one', responseHeaders: set('two') });
    return { world, home, pass };
  };

  test.each([
    ['by the value that opened it', 'two', 'two'],
    ['by the value that was set while it opened', 'one', 'two'],
  ])('the session is found after it %s', (_, opened, shown) => {
    const { world, home, pass } = scene();
    const tunnel = world.begin({ cookie: `sid=${opened}` });
    expect(tunnel.attempt()).toBe(home);
    tunnel.answer([], false, 101);
    pass(TUNNEL_MS);
    tunnel.finish();
    pass(IDLE_MS - 2_000);
    expect(world.exchange({ cookie: `sid=${shown}` })).toMatchObject({ server: home, outcome: 'home' });
    expect([world.entries().used, world.created(home)]).toEqual([1, 1]);
  });

  test('the value that opened it is not replaced by another request that has just ended', () => {
    const { world, home, pass } = scene();
    const tunnel = world.begin({ cookie: 'sid=two' });
    tunnel.attempt();
    tunnel.answer([], false, 101);
    const long = world.begin({ cookie: 'sid=two' });
    long.attempt();
    long.answer();
    pass(30_000);
    long.finish();
    pass(TUNNEL_MS);
    expect(world.exchange({ cookie: 'sid=two' })).toMatchObject({ server: home, outcome: 'home' });
    tunnel.finish();
  });

  test('values that it has replaced go all the same, and all once nobody is connected', () => {
    const { world, home, pass } = scene();
    const tunnel = world.begin({ cookie: 'sid=two' });
    expect(tunnel.attempt()).toBe(home);
    tunnel.answer([], false, 101);
    for (let roll = 0; roll < 20; roll += 1) {
      pass(15_000);
      const cookie = `sid=${roll === 0 ? 'two' : `roll${roll}`}`;
      world.exchange({ cookie, responseHeaders: set(`roll${roll + 1}`) });
    }
    pass(2 * IDLE_MS);
    // the one shown last, and the one that its answer set
    expect(world.entries()).toMatchObject({ used: 1, aliases: 2 });
    expect(world.exchange({ cookie: 'sid=roll20' })).toMatchObject({ server: home, outcome: 'home' });
    tunnel.finish();
    pass(2 * IDLE_MS);
    expect(world.entries()).toMatchObject({ used: 0, aliases: 0 });
  });
});
