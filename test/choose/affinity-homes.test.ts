// One affinity suite for every sticky mode: what moves a session, and what does not.

import { describe, expect, test } from 'vitest';
import { REFUSED_MS } from '../../src/choose/refusals.ts';
import type { HealthConfig } from '../../src/config/model.ts';
import { Verdict } from '../../src/shared/control.ts';
import { World, type WorldOptions } from './fixture.ts';
import { MODES, visit } from './modes.ts';

const HEALTH: HealthConfig = {
  path: null,
  grpc: null,
  intervalMs: 2_000,
  timeoutMs: 1_000,
  rise: 2,
  fall: 3,
  status: [[200, 399]],
  host: null,
  headers: {},
  method: 'GET',
  port: null,
  body: null,
};

describe.each(MODES)('$title', (mode) => {
  const make = (more: Omit<WorldOptions, 'sticky'> & { sticky?: object } = {}): World =>
    new World({ workers: 2, ...mode.options, ...more, sticky: { ...mode.options.sticky, ...more.sticky } });

  test('every request of a session reaches its home, on any thread', () => {
    const world = make();
    for (let number = 0; number < 50; number += 1) {
      const client = mode.client(number);
      const home = visit(world, client, number % 2).server;
      for (let request = 0; request < 6; request += 1) {
        const outcome = visit(world, client, request % 2);
        expect(outcome).toMatchObject({ server: home, outcome: 'home', setCookie: '', moveReason: null });
      }
    }
    expect(world.outcomes('home')).toBe(300);
    expect(world.outcomes('new')).toBe(50);
    expect(world.entries()).toMatchObject({ used: 50, busy: 0, tentative: 0 });
    expect(world.total((name) => world.created(name))).toBe(50);
    expect(world.total((name) => world.placed(name))).toBe(50);
  });

  test('a dead home: the session moves once, is lost once, and stays at the new home', () => {
    const world = make();
    const clients = Array.from({ length: 40 }, (_, number) => mode.client(number));
    for (const client of clients) for (const worker of [0, 1]) visit(world, client, worker);
    const held = world.entries().homes.get('b') ?? 0;
    const others = clients.map((client) => visit(world, client).server);
    world.setVerdict('b', Verdict.down);
    clients.forEach((client, number) => {
      const first = visit(world, client, 1);
      expect(first.server).not.toBe('b');
      expect(first.outcome).toBe(others[number] === 'b' ? 'moved' : 'home');
      expect(first.moveReason).toBe(others[number] === 'b' ? 'failure' : null);
      expect(first.setCookie !== '').toBe(mode.isOwn && others[number] === 'b');
      expect(visit(world, client, 0)).toMatchObject({ server: first.server, outcome: 'home', setCookie: '' });
      world.setVerdict('b', Verdict.up);
      expect(visit(world, client, 0)).toMatchObject({ server: first.server, outcome: 'home', setCookie: '' });
      world.setVerdict('b', Verdict.down);
    });
    expect(held).toBeGreaterThan(0);
    expect(world.lost('b', 'failure')).toBe(held);
    expect(world.total((name) => world.lost(name, 'failure'))).toBe(held);
    expect(world.moves('failure')).toBe(held);
    expect(world.entries().homes.get('b')).toBeUndefined();
    expect(world.placed('b')).toBe(0);
    expect(world.total((name) => world.placed(name))).toBe(40);
    expect(world.total((name) => world.created(name))).toBe(40);
  });

  test('who answers 503 has not taken the session of a dead home: it is at home when that is up again', () => {
    const world = make({ pool: { state: 'shared' } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.setVerdict(home, Verdict.down);
    for (let times = 0; times < 3; times += 1) {
      const declined = visit(world, client, times % 2, { status: 503 });
      expect(declined).toMatchObject({ outcome: 'overflow', moveReason: null, setCookie: '' });
      expect(declined.server).not.toBe(home);
    }
    expect(world.moves('failure')).toBe(0);
    expect(world.entries().homes).toEqual(new Map([[home, 1]]));
    expect([world.placed(home), world.total((name) => world.placed(name))]).toEqual([1, 1]);
    world.setVerdict(home, Verdict.up);
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home' });
    world.setVerdict(home, Verdict.down);
    const taken = visit(world, client);
    expect(taken).toMatchObject({ outcome: 'moved', moveReason: 'failure' });
    expect([taken.setCookie !== '', world.moves('failure')]).toEqual([mode.isOwn, 1]);
    world.setVerdict(home, Verdict.up);
    expect(visit(world, client)).toMatchObject({ server: taken.server, outcome: 'home' });
    expect(world.total((name) => world.lost(name, 'failure'))).toBe(0);
  });

  test('failBack: a session that is back at the home a failure drove it from is not due to go anywhere', () => {
    const world = make({ pool: { state: 'shared' }, sticky: { failBack: 'home' } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    const { table } = world.shared;
    const isDue = (): boolean =>
      Array.from({ length: table.capacity }, (_, entry) => entry).some(
        (entry) => table.isUsed(entry) && table.notes.hasOrigin(entry),
      );
    world.setVerdict(home, Verdict.down);
    visit(world, client, 0, { status: 503 });
    expect([world.entries().homes.get(home), isDue()]).toEqual([1, false]);
    visit(world, client);
    expect([world.entries().homes.get(home), isDue()]).toEqual([undefined, true]);
    for (const { name } of world.config.servers)
      world.setVerdict(name, name === home ? Verdict.up : Verdict.down);
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'moved' });
    expect(isDue()).toBe(false);
  });

  test('of parallel requests one is answered well: the session moves there once, and a 503 takes nothing back', () => {
    for (const isLate of [false, true]) {
      const world = make({ pool: { state: 'shared' } });
      const client = mode.client(1);
      visit(world, client);
      const home = visit(world, client).server!;
      world.setVerdict(home, Verdict.down);
      const [good, bad] = [world.begin(client.request()), world.begin(client.request(), 1)];
      const other = good.attempt();
      expect(bad.attempt()).toBe(other);
      expect(world.placed(home)).toBe(1);
      if (isLate) good.answer();
      bad.answer([], false, 503);
      if (!isLate) good.answer();
      expect(bad.finish()).toMatchObject({ outcome: 'overflow', moveReason: null });
      const moved = good.finish();
      expect(moved).toMatchObject({ outcome: 'moved', moveReason: 'failure' });
      client.receive(moved);
      expect([world.moves('failure'), world.placed(home), world.placed(other!)]).toEqual([1, 0, 1]);
      world.setVerdict(home, Verdict.up);
      expect(visit(world, client)).toMatchObject({ server: other, outcome: 'home' });
    }
  });

  test('parallel requests that are all answered well are one move', () => {
    const world = make({ pool: { state: 'shared' } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.setVerdict(home, Verdict.down);
    const all = [0, 1, 0].map((worker) => world.begin(client.request(), worker));
    for (const one of all) one.attempt();
    for (const one of all) one.answer();
    const outcomes = all.map((one) => one.finish());
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['moved', 'home', 'home']);
    expect([world.moves('failure'), world.placed(home), world.entries().busy]).toEqual([1, 0, 0]);
  });

  test('a server that fails before it answers is not moved to: the session stays, or goes to the one that answers', () => {
    const world = make({ pool: { state: 'shared' } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.setVerdict(home, Verdict.down);
    const first = world.begin(client.request());
    const failed = first.attempt()!;
    expect(first.finish()).toMatchObject({ moveReason: null });
    expect([world.moves('failure'), world.placed(home), world.placed(failed)]).toEqual([0, 1, 0]);
    const second = world.begin(client.request());
    expect(second.attempt()).toBe(failed);
    second.tried.push(second.slot);
    const next = second.attempt()!;
    expect([failed, home]).not.toContain(next);
    second.answer();
    client.receive(second.finish());
    expect([world.moves('failure'), world.placed(home), world.placed(failed), world.placed(next)]).toEqual([
      1, 0, 0, 1,
    ]);
  });

  test('parallel requests of a session whose home died come to the same new home; it is lost once', () => {
    const world = make();
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.setVerdict(home, Verdict.down);
    const parallel = [0, 1, 0, 1].map((worker) => world.begin(client.request(), worker));
    for (const exchange of parallel) exchange.choose();
    for (const exchange of parallel) exchange.commit();
    const outcomes = parallel.map((exchange) => {
      exchange.answer();
      return exchange.finish();
    });
    expect(new Set(outcomes.map((outcome) => outcome.server)).size).toBe(1);
    expect(world.lost(home, 'failure')).toBe(1);
    expect(world.moves('failure')).toBe(1);
    expect(world.entries()).toMatchObject({ used: 1, busy: 0 });
  });

  test('whenDown refuse: the request is refused and the session keeps its home', () => {
    const world = make({ sticky: { whenDown: 'refuse' } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.setVerdict(home, Verdict.down);
    expect(visit(world, client)).toMatchObject({ server: null, failure: 'home-down', outcome: 'refused' });
    world.setVerdict(home, Verdict.up);
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home' });
    expect(world.outcomes('refused')).toBe(1);
    expect(world.moves('failure')).toBe(0);
    expect(world.entries().busy).toBe(0);
  });

  test('whenDown refuse: a home that failed once but is up is tried again', () => {
    const world = make({ sticky: { whenDown: 'refuse' } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    const exchange = world.begin(client.request());
    expect(exchange.attempt()).toBe(home);
    exchange.tried.push(exchange.slot);
    expect(exchange.attempt()).toBe(home);
  });

  test('a home that fails before it answers is asked again, however often: it lives', () => {
    const world = make();
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    const exchange = world.begin(client.request(), 0);
    for (let attempt = 0; attempt < 4; attempt += 1) {
      expect(exchange.attempt()).toBe(home);
      exchange.tried.push(exchange.slot);
    }
    expect(exchange.finish()).toMatchObject({ outcome: 'home', moveReason: null });
    expect([world.total((name) => world.lost(name, 'failure')), world.moves('failure')]).toEqual([0, 0]);
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home', setCookie: '' });
  });

  test('an ejected home keeps its sessions and gets no new ones', () => {
    const world = make();
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.setVerdict(home, Verdict.ejected);
    for (let request = 0; request < 3; request += 1)
      expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home', setCookie: '' });
    for (let number = 2; number < 30; number += 1)
      expect(visit(world, mode.client(number)).server).not.toBe(home);
    expect([world.lost(home, 'failure'), world.moves('failure')]).toEqual([0, 0]);
  });

  test('state shared: a home that fails or is ejected is passed over this once, and the session stays', () => {
    const world = make({ pool: { state: 'shared' } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    const others = ['a', 'b', 'c', 'd'].filter((name) => name !== home);
    const failed = world.begin(client.request(), 0);
    const served = [];
    for (let attempt = 0; attempt < 4; attempt += 1) {
      served.push(failed.attempt());
      failed.tried.push(failed.slot);
    }
    expect([served[0], served.slice(1).toSorted()]).toEqual([home, others]);
    failed.answer();
    expect(failed.finish()).toMatchObject({ outcome: 'overflow', moveReason: null, setCookie: '' });
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home' });
    world.setVerdict(home, Verdict.ejected);
    expect(visit(world, client)).toMatchObject({ outcome: 'overflow', moveReason: null, setCookie: '' });
    for (const other of others) world.setVerdict(other, Verdict.down);
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home' });
    for (const name of ['a', 'b', 'c', 'd']) world.setVerdict(name, Verdict.up);
    expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home' });
    expect([world.placed(home), world.moves('failure')]).toEqual([1, 0]);
  });

  test('a home that refused a moment ago: local waits for it, shared goes elsewhere this once, one asks again', () => {
    for (const state of ['local', 'shared'] as const) {
      const world = make({ pool: { state, health: HEALTH } });
      const client = mode.client(1);
      visit(world, client);
      const home = visit(world, client).server!;
      const { refusals } = world.choosers[0]!;
      refusals.refused(world.slotOf(home), world.clock.nowMs());
      world.clock.advance(REFUSED_MS - 1);
      const outcome = visit(world, client);
      if (state === 'local') expect(outcome).toMatchObject({ server: null, failure: 'home-down' });
      else expect(outcome).toMatchObject({ outcome: 'overflow', moveReason: null });
      world.clock.advance(1);
      const probe = world.begin(client.request(), 0);
      expect(probe.attempt()).toBe(home);
      expect(visit(world, client).server).not.toBe(home);
      refusals.reached(world.slotOf(home));
      expect(visit(world, client)).toMatchObject({ server: home, outcome: 'home' });
      probe.finish();
      // without a word of the checks no number of refusals moves it
      for (let time = 0; time < 20; time += 1) {
        refusals.refused(world.slotOf(home), world.clock.nowMs());
        world.clock.advance(REFUSED_MS);
      }
      expect(visit(world, client)).toMatchObject({ server: home, moveReason: null });
      expect(world.moves('failure')).toBe(0);
    }
  });

  test('without health checks a second refusal, later, is what tells that a home is gone', () => {
    const world = make({ pool: { health: null } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    const { refusals } = world.choosers[0]!;
    const slot = world.slotOf(home);
    for (let together = 0; together < 5; together += 1) refusals.refused(slot, world.clock.nowMs());
    expect(visit(world, client)).toMatchObject({ server: null, failure: 'home-down' });
    world.clock.advance(REFUSED_MS);
    refusals.refused(slot, world.clock.nowMs());
    expect(visit(world, client)).toMatchObject({ outcome: 'moved', moveReason: 'failure' });
    expect([world.lost(home, 'failure'), world.moves('failure')]).toEqual([1, 1]);
    // what was so an hour ago is asked again
    world.clock.advance(3_600_000);
    expect(refusals.isHeld(slot, world.clock.nowMs())).toBe(false);
    refusals.asked(slot, world.clock.nowMs());
    expect(refusals.isConfirmed(slot, world.clock.nowMs())).toBe(false);
  });

  test('without health checks one that accepts connections, which come to nothing, is waited for and not left', () => {
    const world = make({ pool: { health: null } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    const { refusals } = world.choosers[0]!;
    const slot = world.slotOf(home);
    for (let time = 0; time < 5; time += 1) {
      refusals.failed(slot, world.clock.nowMs());
      expect(visit(world, client)).toMatchObject({ server: null, failure: 'home-down' });
      world.clock.advance(REFUSED_MS);
    }
    expect(visit(world, client)).toMatchObject({ server: home, moveReason: null });
    // and refused once it is not gone either
    refusals.failed(slot, world.clock.nowMs());
    refusals.refused(slot, world.clock.nowMs());
    expect(visit(world, client)).toMatchObject({ server: null, failure: 'home-down' });
    world.clock.advance(REFUSED_MS);
    refusals.refused(slot, world.clock.nowMs());
    refusals.failed(slot, world.clock.nowMs());
    expect(visit(world, client)).toMatchObject({ outcome: 'moved', moveReason: 'failure' });
  });

  test('state shared: a move loses nothing', () => {
    const world = make({ pool: { state: 'shared' } });
    const client = mode.client(1);
    visit(world, client);
    const home = visit(world, client).server!;
    world.setVerdict(home, Verdict.down);
    expect(visit(world, client)).toMatchObject({ outcome: 'moved', moveReason: 'failure' });
    expect(world.lost(home, 'failure')).toBe(0);
    expect(world.moves('failure')).toBe(1);
  });
});
