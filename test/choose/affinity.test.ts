// One affinity suite for every sticky mode: what a session may rely on, however it is identified.

import { describe, expect, test } from 'vitest';
import { Mode, Verdict } from '../../src/shared/control.ts';
import { packHome } from '../../src/shared/session-table.ts';
import { World, type WorldOptions } from './fixture.ts';
import { MODES, visit } from './modes.ts';

describe.each(MODES)('$title', (mode) => {
  const make = (more: Omit<WorldOptions, 'sticky'> & { sticky?: object } = {}): World =>
    new World({ workers: 2, ...mode.options, ...more, sticky: { ...mode.options.sticky, ...more.sticky } });

  test('drain: existing sessions still go home, new ones elsewhere', () => {
    const world = make();
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.setMode(home, Mode.drain);
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home' });
    world.shared.control.setWeight(world.slotOf(home), 0);
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home' });
    for (let number = 2; number < 30; number += 1) {
      const other = mode.client(number);
      expect(visit(world, other).server).not.toBe(home);
      expect(visit(world, other).server).not.toBe(home);
    }
  });

  test('maintenance: moves by the operator', () => {
    const world = make();
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.setMode(home, Mode.maintenance);
    expect(visit(world, client)).toMatchObject({ outcome: 'moved', moveReason: 'operator' });
    expect(world.lost(home, 'operator')).toBe(1);
    expect(world.moves('operator')).toBe(1);
  });

  test('a removed server: its sessions move, though waiting is asked for', () => {
    const world = make({ sticky: { whenDown: 'refuse' } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.reload(['a', 'b', 'c', 'd'].filter((name) => name !== home));
    const moved = visit(world, client);
    expect(moved).toMatchObject({ outcome: 'moved', moveReason: 'removed' });
    expect(world.lost(home, 'removed')).toBe(1);
    expect(world.lostInPool('removed')).toBe(1);
    expect(world.moves('removed')).toBe(1);
    expect(visit(world, client)).toMatchObject({ server: moved.server, outcome: 'home', setCookie: '' });
  });

  test('a server that is removed while this thread has the plan of before: removed, not failed', () => {
    const world = make({ sticky: { whenDown: 'refuse' } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    const { control } = world.shared;
    const slot = world.slotOf(home);
    control.setGeneration(slot, control.generation(slot) + 1);
    control.setVerdict(slot, Verdict.down);
    expect(visit(world, client)).toMatchObject({ outcome: 'moved', moveReason: 'removed' });
    expect(world.moves('removed')).toBe(1);
    expect(world.moves('failure')).toBe(0);
  });

  test('a slot given to another server is not the home any more', () => {
    const world = make();
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    const { table, control } = world.shared;
    for (let entry = 0; entry < table.capacity; entry += 1) {
      if (!table.isUsed(entry)) continue;
      const old = packHome(world.slotOf(home), control.generation(world.slotOf(home)) - 2);
      table.move(entry, table.keyLow(entry), table.keyHigh(entry), table.home(entry), old);
    }
    expect(visit(world, client)).toMatchObject({ outcome: 'moved', moveReason: 'removed' });
    expect(world.total((name) => world.lost(name, 'removed'))).toBe(0);
    expect(world.lostInPool('removed')).toBe(1);
  });

  test('a full home: the request waits when the state is local, and finds it again', () => {
    const world = make({ servers: Array.from({ length: 4 }, () => ({ maxConnections: 2 })) });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.addInFlight(home, 1, 0);
    world.addInFlight(home, 1, 1);
    const waiting = world.begin(client.request());
    expect(waiting.attempt()).toBeNull();
    expect(waiting.affinity.failure).toBe('busy');
    expect(waiting.attempt()).toBeNull();
    world.addInFlight(home, -1, 1);
    expect(waiting.attempt()).toBe(home);
    waiting.answer();
    expect(waiting.finish()).toMatchObject({ server: home, outcome: 'home', failure: null });
    expect(world.entries().busy).toBe(0);
  });

  test('a full home: where state is shared the request is served elsewhere and the session stays', () => {
    const world = make({
      pool: { state: 'shared' },
      servers: Array.from({ length: 4 }, () => ({ maxConnections: 2 })),
    });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.addInFlight(home, 2, 1);
    const outcome = visit(world, client);
    expect(outcome).toMatchObject({ outcome: 'overflow', moveReason: null, setCookie: '', failure: null });
    expect(outcome.server).not.toBe(home);
    world.addInFlight(home, -2, 1);
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home' });
    expect(world.total((name) => world.placed(name))).toBe(1);
  });

  test('a full home with sessions of no backup: the request waits for it, as where state is local', () => {
    const world = make({
      pool: { state: 'shared' },
      servers: Array.from({ length: 4 }, () => ({ maxConnections: 2 })),
    });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.addInFlight(home, 2, 1);
    world.shared.control.setUnbacked(world.slotOf(home), 1);
    expect(visit(world, client)).toMatchObject({ server: null, failure: 'busy' });
    world.shared.control.setUnbacked(world.slotOf(home), 0);
    expect(visit(world, client)).toMatchObject({ outcome: 'overflow' });
  });

  test('everybody down: no server; everybody full: busy', () => {
    const world = make({ servers: [{ maxConnections: 1 }, { maxConnections: 1 }] });
    world.addInFlight('a', 1);
    world.addInFlight('b', 1);
    expect(visit(world, mode.client(1))).toMatchObject({ server: null, failure: 'busy' });
    for (const name of ['a', 'b']) world.setVerdict(name, Verdict.down);
    expect(visit(world, mode.client(1))).toMatchObject({ server: null, failure: 'no-server' });
    expect(world.entries()).toMatchObject({ used: 0, busy: 0 });
    expect(world.outcomes('none')).toBe(2);
  });

  test('a first request that fails leaves nothing behind', () => {
    const world = make();
    const client = mode.client(1);
    const outcome = world.exchange({ ...client.request(), failing: ['a', 'b', 'c'], unanswered: true });
    expect(outcome.server).toBe('d');
    expect(world.entries()).toMatchObject({ used: 0 });
    expect(world.total((name) => world.placed(name))).toBe(0);
    expect(world.total((name) => world.created(name))).toBe(0);
    expect(world.moves('failure')).toBe(0);
  });

  test('a first request that is answered on the third attempt begins one session, there', () => {
    const world = make();
    const client = mode.client(1);
    const first = visit(world, client, 0, { failing: ['a', 'c', 'd'] });
    expect(first.server).toBe('b');
    expect(visit(world, client)).toMatchObject({ server: 'b', outcome: 'home' });
    expect(world.entries()).toMatchObject({ used: 1, busy: 0, tentative: 0 });
    expect(world.created('b')).toBe(1);
    expect(world.total((name) => world.placed(name))).toBe(1);
    expect(world.total((name) => world.lost(name, 'failure'))).toBe(0);
  });

  test('idle for too long: the session ended, another begins', () => {
    const world = make();
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.clock.advance(30 * 60_000 + 200);
    expect(visit(world, client).outcome).toBe('expired');
    expect(world.ended(home, 'idle')).toBe(1);
    expect(visit(world, client).outcome).toBe('home');
    expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
    expect(world.total((name) => world.placed(name))).toBe(1);
  });

  test('a session with an open tunnel is not idle', () => {
    const world = make();
    const client = mode.client(1);
    visit(world, client);
    const tunnel = world.begin(client.request());
    const home = tunnel.attempt();
    tunnel.answer();
    world.clock.advance(3_600_000);
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home' });
    tunnel.finish();
  });

  test('older than its life: the session ended, however busy', () => {
    const world = make({ sticky: { lifeMs: 3_600_000 } });
    const client = mode.client(1);
    for (let minute = 0; minute <= 60; minute += 10) {
      visit(world, client);
      world.clock.advance(600_100);
    }
    expect(world.outcomes('expired')).toBe(1);
    expect(world.total((name) => world.ended(name, 'life'))).toBe(1);
  });

  test('exactly one outcome is counted per exchange', () => {
    const world = make();
    const clients = Array.from({ length: 10 }, (_, number) => mode.client(number));
    let exchanges = 0;
    for (let round = 0; round < 5; round += 1) {
      if (round === 3) world.setVerdict('a', Verdict.down);
      for (const client of clients) {
        visit(world, client, round % 2, { failing: round === 2 ? ['c'] : [] });
        exchanges += 1;
      }
    }
    const outcomes = ['none', 'new', 'home', 'moved', 'refused', 'invalid', 'expired', 'overflow'] as const;
    expect(outcomes.reduce((sum, outcome) => sum + world.outcomes(outcome), 0)).toBe(exchanges);
  });

  test('a request without a key is nobody’s session, unless we hand out the key', () => {
    if (mode.title === 'address-hash') return; // every request has an address
    const world = make();
    for (let request = 0; request < 20; request += 1) world.exchange({});
    expect(world.total((name) => world.created(name))).toBe(0);
    expect(world.entries()).toMatchObject({
      used: mode.isOwn ? 20 : 0,
      tentative: mode.isOwn ? 20 : 0,
      busy: 0,
    });
    expect(world.outcomes(mode.isOwn ? 'new' : 'none')).toBe(20);
    expect(world.total((name) => world.placed(name))).toBe(mode.isOwn ? 20 : 0);
  });
});

describe('none', () => {
  test('the policy chooses every request; nothing is kept', () => {
    const world = new World();
    const servers = Array.from({ length: 8 }, () => world.exchange({ cookie: 'holdfast=x' }).server);
    expect([...servers].sort()).toEqual(['a', 'a', 'b', 'b', 'c', 'c', 'd', 'd']);
    expect(world.outcomes('none')).toBe(8);
    expect(world.entries().used).toBe(0);
  });
});
