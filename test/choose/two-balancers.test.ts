// Two balancers with one secret know nothing of each other: what one has moved, the other learns by the cookie that says so.

import { describe, expect, test } from 'vitest';
import { Verdict } from '../../src/shared/control.ts';
import { World, type WorldOptions } from './fixture.ts';
import { type Client, MODES, visit } from './modes.ts';

const SECONDS = 5;

describe.each(MODES.filter(({ isOwn }) => isOwn))('$title', (mode) => {
  /** Both know the session, and its home lives. */
  function both(options: WorldOptions = {}): { one: World; two: World; client: Client; home: string } {
    const [one, two] = [1, 2].map((seed) => new World({ ...mode.options, ...options, seed })) as [
      World,
      World,
    ];
    const client = mode.client(1);
    visit(one, client);
    const home = visit(one, client).server!;
    expect(visit(two, client)).toMatchObject({ server: home, outcome: 'home' });
    for (const world of [one, two]) world.clock.advance(SECONDS * 1000);
    return { one, two, client, home };
  }

  test('a session that one has moved is at its new home at the other as well, though the old one is back', () => {
    const { one, two, client, home } = both();
    one.setVerdict(home, Verdict.down);
    const { server } = visit(one, client);
    expect(server).not.toBe(home);
    one.setVerdict(home, Verdict.up);
    for (const world of [two, one, two])
      expect(visit(world, client)).toMatchObject({
        server,
        outcome: 'home',
        moveReason: null,
        setCookie: '',
      });
    expect(two.entries().homes).toEqual(new Map([[server, 1]]));
    expect([two.placed(home), two.placed(server!), two.moves('failure')]).toEqual([0, 1, 0]);
    expect([two.lost(home, 'failure'), two.entries().busy]).toEqual([0, 0]);
  });

  test('a cookie from before the move changes nothing any more', () => {
    const { one, two, client, home } = both();
    const old = client.request();
    one.setVerdict(home, Verdict.down);
    const { server } = visit(one, client);
    expect(visit(two, client).server).toBe(server);
    two.clock.advance(SECONDS * 1000);
    visit(two, client);
    two.clock.advance(SECONDS * 1000);
    expect(two.exchange(old)).toMatchObject({ server, outcome: 'home' });
  });

  test('a session that has been idle at one and not at the other is not idle', () => {
    const idle = { ...mode.options.sticky, idleMs: 800_000 };
    const { one, two, client, home } = both({ sticky: idle });
    for (let visits = 0; visits < 3; visits += 1) {
      for (const world of [one, two]) world.clock.advance(300_000);
      visit(one, client);
    }
    expect(visit(two, client)).toMatchObject({ server: home, outcome: 'home' });
    expect(two.entries().homes).toEqual(new Map([[home, 1]]));
    for (const world of [one, two]) world.clock.advance(801_000);
    expect(visit(one, client).outcome).toBe('expired');
  });

  test('what is in use there stays, and so does a session whose new home is down by what is known there', () => {
    const { one, two, client, home } = both();
    const open = two.begin(client.request());
    open.attempt();
    one.setVerdict(home, Verdict.down);
    const { server } = visit(one, client);
    expect(visit(two, client)).toMatchObject({ server: home, outcome: 'home' });
    open.answer();
    open.finish();

    const other = both();
    other.one.setVerdict(other.home, Verdict.down);
    const moved = visit(other.one, other.client).server!;
    other.two.setVerdict(moved, Verdict.down);
    expect(visit(other.two, other.client)).toMatchObject({ server: other.home, outcome: 'home' });
    expect(server).not.toBe(home);
  });

  test('what this balancer has moved itself is not undone by an older cookie of another', () => {
    const { one, two, client, home } = both();
    two.setVerdict(home, Verdict.down);
    const stale = client.request();
    const { server } = visit(two, client);
    two.setVerdict(home, Verdict.up);
    expect(two.exchange(stale)).toMatchObject({ server, outcome: 'home' });
    expect(visit(one, client).server).toBe(server);
  });
});
