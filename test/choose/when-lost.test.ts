// whenLost: 404. A session that is lost with its home is not moved to a server that does not know it: its client is told.

import { describe, expect, test } from 'vitest';
import { Mode, Verdict } from '../../src/shared/control.ts';
import { World } from './fixture.ts';
import { MODES, visit } from './modes.ts';

const TOLD = { server: null, failure: 'session-lost', outcome: 'refused', moveReason: null, setCookie: '' };

/** Those in which the application names its sessions. */
const LEARNED = MODES.filter(({ isOwn, isForeign }) => !isOwn && !isForeign);

describe.each(LEARNED)('$title', (mode) => {
  const begun = (more: { state?: 'shared'; whenDown?: 'refuse' } = {}) => {
    const { state = 'local', whenDown = 'move' } = more;
    const world = new World({
      ...mode.options,
      workers: 2,
      sticky: { ...mode.options.sticky, whenLost: 404, whenDown },
      pool: { state, health: null },
    });
    const client = mode.client(1);
    visit(world, client);
    return { world, client, home: visit(world, client).server! };
  };

  test.each([
    ['down', 'failure', (world: World, home: string) => world.setVerdict(home, Verdict.down)],
    ['in maintenance', 'operator', (world: World, home: string) => world.setMode(home, Mode.maintenance)],
  ] as const)('a home that is %s: its client is told each time, and it is lost once', (_, reason, leave) => {
    const { world, client, home } = begun();
    leave(world, home);
    for (const thread of [0, 1, 0]) expect(visit(world, client, thread)).toMatchObject(TOLD);
    expect([world.lost(home, reason), world.lostInPool(reason), world.moves(reason)]).toEqual([1, 1, 0]);
    expect(world.entries()).toMatchObject({ used: 1, tentative: 1, busy: 0 });
    const other = visit(world, mode.client(2));
    expect(other.server).not.toBe(home);
  });

  test('a home that is removed: also where a home that is down is waited for', () => {
    const { world, client, home } = begun({ whenDown: 'refuse' });
    world.setVerdict(home, Verdict.down);
    expect(visit(world, client)).toMatchObject({ failure: 'home-down' });
    world.reload(['a', 'b', 'c', 'd'].filter((name) => name !== home));
    expect(visit(world, client)).toMatchObject(TOLD);
    expect(world.lostInPool('removed')).toBe(1);
  });

  test('one that comes back is the home again', () => {
    const { world, client, home } = begun();
    world.setVerdict(home, Verdict.down);
    expect(visit(world, client)).toMatchObject(TOLD);
    world.setVerdict(home, Verdict.up);
    expect(world.entries()).toMatchObject({ used: 1, tentative: 1 });
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home' });
    // it has accepted the key, and so has kept the session
    expect(world.entries()).toMatchObject({ used: 1, tentative: 0, busy: 0 });
  });

  test('drain loses none, and where any server can serve them they move', () => {
    const draining = begun();
    draining.world.setMode(draining.home, Mode.drain);
    expect(visit(draining.world, draining.client)).toMatchObject({ server: draining.home, outcome: 'home' });
    const shared = begun({ state: 'shared' });
    shared.world.setVerdict(shared.home, Verdict.down);
    expect(visit(shared.world, shared.client)).toMatchObject({ outcome: 'moved', moveReason: 'failure' });
  });
});
