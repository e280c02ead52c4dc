// Which sessions move when a server has been chosen, before it has answered: those that only their home had.

import { describe, expect, test } from 'vitest';
import { Verdict } from '../../src/shared/control.ts';
import { type stickyOf, World } from './fixture.ts';
import { MODES, visit } from './modes.ts';

describe.each(MODES)('$title', (mode) => {
  function fallen(state: 'local' | 'shared') {
    const world = new World({ workers: 2, ...mode.options, pool: { state } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.setVerdict(home, Verdict.down);
    const exchange = world.begin(client.request(), 1);
    const chosen = exchange.attempt()!;
    expect(chosen).not.toBe(home);
    return { world, home, exchange, chosen };
  }

  test('state local: a session whose home is down is at home where it was sent, answered or not', () => {
    const { world, home, exchange, chosen } = fallen('local');
    const where = () => [world.entries().homes, world.moves('failure'), world.lost(home, 'failure')];
    expect(where()).toEqual([new Map([[chosen, 1]]), 1, 1]);
    expect([world.placed(home), world.placed(chosen)]).toEqual([0, 1]);
    expect(exchange.finish()).toMatchObject({ outcome: 'moved', moveReason: 'failure' });
    expect(where()).toEqual([new Map([[chosen, 1]]), 1, 1]);
    expect(world.entries().busy).toBe(0);
  });

  test('state shared: it stays until the other has answered', () => {
    const { world, home, exchange, chosen } = fallen('shared');
    expect([world.entries().homes, world.moves('failure')]).toEqual([new Map([[home, 1]]), 0]);
    exchange.answer();
    expect(exchange.finish()).toMatchObject({ outcome: 'moved', moveReason: 'failure' });
    expect([world.entries().homes, world.moves('failure')]).toEqual([new Map([[chosen, 1]]), 1]);
    expect([world.placed(home), world.placed(chosen), world.lost(home, 'failure')]).toEqual([0, 1, 0]);
  });
});

test('one that a cookie of the balancer before us names moves at once, whatever the state: it was at home there only', () => {
  const adopt = [
    { cookie: 'SERVERID', servers: { s1: 'a', s2: 'b', s3: 'c', s4: 'd' }, separator: null },
  ] as unknown as ReturnType<typeof stickyOf>['adopt'];
  const world = new World({ sticky: { mode: 'cookie-hash', adopt }, pool: { state: 'shared' } });
  world.setVerdict('b', Verdict.down);
  const exchange = world.begin({ cookie: 'SERVERID=s2' });
  const chosen = exchange.attempt()!;
  expect(world.entries().homes).toEqual(new Map([[chosen, 1]]));
  exchange.finish();
});
