// The rebalancer over a real table and sweeper, its time moved by hand: which sessions it moves, and how many.

import { describe, expect, test, vi } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { MoveRound } from '../../src/sessions/move-round.ts';
import { Rebalancer } from '../../src/sessions/rebalancer.ts';
import { Sweeper } from '../../src/sessions/sweep.ts';
import { Mode, Verdict } from '../../src/shared/control.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { homeSlot, packHome } from '../../src/shared/session-table.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Gauge, MOVE_REASONS, type MoveReason, PoolCounter } from '../../src/shared/stripe.ts';
import { Revisions, slotOf } from '../support/revision.ts';
import { seeds } from '../support/seeds.ts';
import { touched } from '../support/touched.ts';

const COOL_DOWN_MS = 300_000;

class Scene {
  readonly clock = new ManualClock();
  readonly scheduler = new ManualScheduler(this.clock);
  readonly shared = SharedState.create(1, 5_000, this.clock.nowMs());
  readonly worker = SharedState.attach(this.shared.handles(), 0);
  readonly phases: string[] = [];
  readonly rebalancer = new Rebalancer({
    shared: this.shared,
    clock: this.clock,
    scheduler: this.scheduler,
    onPhase: ({ to }) => this.phases.push(to),
  });
  readonly sweeper = new Sweeper({
    shared: this.shared,
    clock: this.clock,
    scheduler: this.scheduler,
    onPass: () => this.rebalancer.afterSweep(),
  });
  readonly revision: Revision;
  readonly keys: number[] = [];

  constructor(rebalance: string, servers = 4, sticky = 'mode: cookie-hash') {
    this.revision = new Revisions(this.shared).next({
      more: `state: shared\nsticky: { ${sticky} }\nrebalance: { every: 1s, ${rebalance} }`,
      servers: Array.from(
        { length: servers },
        (_, index) => `${'abcdefgh'[index]}=http://127.0.0.1:${index + 1}`,
      ),
    });
    for (const slot of this.revision.pools[0]?.slots ?? []) this.shared.control.setVerdict(slot, Verdict.up);
    this.sweeper.apply(this.revision);
    this.rebalancer.apply(this.revision);
    this.sweeper.start();
  }

  slot(name: string): number {
    return slotOf(this.revision, `shop/${name}`);
  }

  home(name: string): number {
    return packHome(this.slot(name), this.shared.control.generation(this.slot(name)));
  }

  place(name: string, count: number): void {
    const { table, own, control } = this.worker;
    for (let index = 0; index < count; index += 1) {
      const key = (this.keys.length + 1) * 7_919;
      this.keys.push(key);
      table.insert(key, ~key, this.home(name), this.clock.nowMs(), control.sweepEpoch(), false);
      own.addGauge(this.slot(name), Gauge.sessionDelta, 1);
    }
  }

  entryOf(key: number): number {
    return this.worker.table.find(key, ~key);
  }

  homes(): Record<string, number> {
    const homes: Record<string, number> = {};
    for (const key of this.keys) {
      const slot = homeSlot(this.shared.table.home(this.entryOf(key)));
      const index = this.revision.pools[0]?.slots.indexOf(slot) ?? -1;
      const name = this.revision.pools[0]?.config.servers[index]?.name ?? '?';
      homes[name] = (homes[name] ?? 0) + 1;
    }
    return homes;
  }

  moves(reason: MoveReason): number {
    return this.shared.sumPoolCounter(0, PoolCounter.moves + MOVE_REASONS.indexOf(reason));
  }

  run(seconds: number): void {
    this.scheduler.advance(seconds * 1_000);
  }
}

const FOUR_OF_FIVE = (rebalance: string, sticky?: string): Scene => {
  const scene = new Scene(rebalance, 5, sticky);
  for (const name of ['a', 'b', 'c', 'd']) scene.place(name, 100);
  return scene;
};

describe('levelling', () => {
  test('a newcomer is filled within the budget, and the books stay right', () => {
    const scene = FOUR_OF_FIVE('mode: on, start: 1.2, stop: 1.02, budget: 5%');
    scene.run(3.9);
    expect(scene.moves('rebalance')).toBeLessThanOrEqual(20);
    scene.run(10);
    expect(scene.homes()).toEqual({ a: 80, b: 80, c: 80, d: 80, e: 80 });
    expect(scene.moves('rebalance')).toBe(80);
    for (const name of ['a', 'b', 'c', 'd', 'e'])
      expect(scene.shared.placedSessions(scene.slot(name))).toBe(80);
    expect(scene.phases).toEqual(['running', 'idle']);
    expect(scene.rebalancer.report('shop')).toMatchObject({ phase: 'idle', moved: 80 });
  });

  test('former values of sessions are none: they go nowhere, count nowhere, and do not stand in the way', () => {
    const scene = FOUR_OF_FIVE('mode: on, start: 1.2, stop: 1.02, budget: 5%');
    const { table } = scene.worker;
    for (const [at, key] of scene.keys.entries()) {
      // longer unseen than any session
      for (const value of [1, 2, 3]) {
        const alias = key + value;
        table.insert(
          alias,
          ~alias,
          scene.home('abcd'[at % 4]!),
          scene.clock.nowMs() - 60_000,
          0,
          false,
          key,
          ~key,
        );
      }
    }
    scene.run(15);
    expect(scene.homes()).toEqual({ a: 80, b: 80, c: 80, d: 80, e: 80 });
    expect(scene.moves('rebalance')).toBe(80);
  });

  test('the idlest go first', () => {
    const scene = FOUR_OF_FIVE('mode: on, start: 1.2, stop: 1.02, budget: 5%');
    scene.run(1.5);
    scene.keys.forEach((key, index) => {
      if (index % 2 === 0) return;
      const entry = scene.entryOf(key);
      touched(scene.worker.table, entry, scene.clock.nowMs());
      scene.worker.table.release(entry, key, ~key, scene.clock.nowMs());
    });
    scene.run(12);
    const moved = scene.keys.map(
      (key) => homeSlot(scene.shared.table.home(scene.entryOf(key))) === scene.slot('e'),
    );
    expect(moved.filter(Boolean).length).toBe(80);
    expect(moved.filter((isMoved, index) => isMoved && index % 2 === 1)).toEqual([]);
  });

  test('a session with a request or tunnel open stays; with all of them busy it gives up', () => {
    const scene = FOUR_OF_FIVE('mode: on, start: 1.2, stop: 1.02, budget: 5%');
    for (const key of scene.keys) touched(scene.worker.table, scene.entryOf(key), scene.clock.nowMs());
    scene.run(20);
    expect(scene.moves('rebalance')).toBe(0);
    expect(scene.rebalancer.report('shop')).toMatchObject({ phase: 'resting' });
    expect(scene.rebalancer.report('shop')?.why).toContain('3 cycles without gain');
  });

  test('those that come back while the table is walked are replaced, so that the plan is kept to', () => {
    const scene = FOUR_OF_FIVE('mode: on');
    const { table } = scene.worker;
    scene.run(1.5);
    for (const key of scene.keys.slice(20)) {
      touched(table, scene.entryOf(key), scene.clock.nowMs());
      table.release(scene.entryOf(key), key, ~key, scene.clock.nowMs());
    }
    const levelling = [{ from: 0, to: 4, sessions: 20 }];
    const pool = scene.revision.pools[0]!;
    const rules = { draining: [], isIdleOnly: false, returnsTo: [], isReturnIdleOnly: false };
    const round = new MoveRound(
      scene.shared,
      [{ pool, grant: 20, levelling, ...rules }],
      scene.clock.nowMs(),
    );
    expect(round.scan(table.capacity)).toBe(true);
    for (const key of scene.keys.slice(0, 15)) touched(table, scene.entryOf(key), scene.clock.nowMs());
    expect(round.act().get('shop')).toBe(20);
    expect(scene.homes()).toEqual({ a: 80, b: 100, c: 100, d: 100, e: 20 });
  });

  test('a server with maxSessions gets no more, and the place of one that is on its way does not look free', () => {
    const scene = FOUR_OF_FIVE('mode: on');
    const { table } = scene.shared;
    const whole = scene.revision.pools[0]!;
    const servers = whole.config.servers.map((server) => ({ ...server, maxSessions: 12 }));
    const pool = { ...whole, config: { ...whole.config, servers } };
    const levelling = [{ from: 0, to: 4, sessions: 20 }];
    const rules = { draining: [], isIdleOnly: false, returnsTo: [], isReturnIdleOnly: false };
    scene.run(1.5);
    const round = new MoveRound(
      scene.shared,
      [{ pool, grant: 20, levelling, ...rules }],
      scene.clock.nowMs(),
    );
    round.scan(table.capacity);
    const seen: number[] = [];
    const move = table.move.bind(table);
    vi.spyOn(table, 'move').mockImplementation((...of) => {
      const isMoved = move(...of);
      seen.push(scene.worker.placedSessionsMost(scene.slot('e')));
      return isMoved;
    });
    expect(round.act().get('shop')).toBe(12);
    expect(seen).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    expect(scene.homes()).toEqual({ a: 88, b: 100, c: 100, d: 100, e: 12 });
    expect(scene.worker.placedSessions(scene.slot('e'))).toBe(12);
  });

  test('mode idle leaves a session alone that was seen a moment ago', () => {
    const scene = FOUR_OF_FIVE('mode: idle, start: 1.2, stop: 1.02, budget: 5%');
    for (let second = 0; second < 20; second += 1) {
      for (const key of scene.keys.filter((_, index) => index % 100 < 90)) {
        const entry = scene.entryOf(key);
        touched(scene.worker.table, entry, scene.clock.nowMs());
        scene.worker.table.release(entry, key, ~key, scene.clock.nowMs());
      }
      scene.run(1);
    }
    expect(scene.moves('rebalance')).toBe(40);
    expect(scene.homes()).toEqual({ a: 90, b: 90, c: 90, d: 90, e: 40 });
  });

  test('mode off moves nothing', () => {
    const scene = FOUR_OF_FIVE('mode: off, budget: 5%');
    scene.run(30);
    expect(scene.homes()).toEqual({ a: 100, b: 100, c: 100, d: 100 });
  });
});

describe('drain', () => {
  test('sessions move off a draining server within the budget, also with rebalancing off', () => {
    const scene = new Scene('mode: off, budget: 5%');
    for (const name of ['a', 'b', 'c', 'd']) scene.place(name, 100);
    scene.shared.control.setMode(scene.slot('b'), Mode.drain);
    scene.run(3.9);
    expect(scene.moves('drain')).toBeLessThanOrEqual(4 * 20);
    scene.run(4);
    expect(scene.moves('drain')).toBe(100);
    expect(Object.values(scene.homes()).sort()).toEqual([133, 133, 134]);
  });

  test('sessions that rebalancing has just moved go all the same', () => {
    const scene = FOUR_OF_FIVE('mode: on, start: 1.2, stop: 1.02, budget: 5%');
    scene.run(13.9);
    expect(scene.homes()['e']).toBe(80);
    scene.shared.control.setMode(scene.slot('e'), Mode.drain);
    scene.run(20);
    expect(scene.homes()['e']).toBeUndefined();
    expect(scene.moves('drain')).toBe(80);
  });

  test('those that nobody has confirmed stay, and those that end within a minute', () => {
    const scene = new Scene('mode: off, budget: 50%', 2, 'mode: cookie-hash, idle: 10m, life: 10m');
    const { table, control } = scene.worker;
    scene.place('a', 10);
    scene.run(9 * 60 + 1);
    scene.place('a', 10);
    table.insert(7, ~7, scene.home('a'), scene.clock.nowMs(), control.sweepEpoch(), true);
    scene.run(2);
    scene.shared.control.setMode(scene.slot('a'), Mode.drain);
    scene.run(10);
    expect(scene.homes()).toEqual({ a: 10, b: 10 });
    expect(homeSlot(table.home(table.find(7, ~7)))).toBe(scene.slot('a'));
    expect(scene.moves('drain')).toBe(10);
  });

  test('the last ones go as soon as their requests are over', () => {
    const scene = new Scene('mode: off, budget: 50%');
    scene.place('b', 10);
    const key = scene.keys[0]!;
    touched(scene.worker.table, scene.entryOf(key), scene.clock.nowMs());
    scene.shared.control.setMode(scene.slot('b'), Mode.drain);
    scene.run(20);
    expect(scene.homes()).toMatchObject({ b: 1 });
    scene.worker.table.release(scene.entryOf(key), key, ~key, scene.clock.nowMs());
    scene.run(3);
    expect(Object.keys(scene.homes())).not.toContain('b');
  });
});

describe('sessions without a backup', () => {
  test('keep all of their home in place, whatever would move them, until they have one', () => {
    const scene = new Scene('mode: on, start: 1.2, stop: 1.02, budget: 20%');
    scene.place('a', 200);
    scene.place('b', 100);
    for (const name of ['a', 'b']) scene.shared.control.setUnbacked(scene.slot(name), 1);
    scene.shared.control.setMode(scene.slot('b'), Mode.drain);
    for (const key of scene.keys)
      scene.worker.table.notes.rememberOrigin(scene.entryOf(key), scene.home('c'));
    scene.run(600);
    expect(scene.homes()).toEqual({ a: 200, b: 100 });
    for (const name of ['a', 'b']) scene.shared.control.setUnbacked(scene.slot(name), 0);
    scene.run(600);
    expect(Object.keys(scene.homes()).sort()).toEqual(['a', 'c', 'd']);
  });
});

describe('fail-back', () => {
  function fallenOver(failBack: string): Scene {
    const scene = new Scene('mode: off, budget: 5%', 4, `mode: cookie-hash, failBack: ${failBack}`);
    for (const name of ['a', 'b', 'c', 'd']) scene.place(name, 100);
    scene.shared.control.setVerdict(scene.slot('b'), Verdict.down);
    for (const key of scene.keys) {
      const entry = scene.entryOf(key);
      if (scene.shared.table.home(entry) !== scene.home('b')) continue;
      scene.worker.table.notes.rememberOrigin(entry, scene.home('b'));
      scene.worker.table.move(entry, key, ~key, scene.home('b'), scene.home('c'));
    }
    scene.run(10);
    expect(scene.homes()).toEqual({ a: 100, c: 200, d: 100 });
    return scene;
  }

  test('home: sessions go back within the budget once it has been up for as long as its checks take', () => {
    const scene = fallenOver('home');
    scene.shared.control.setVerdict(scene.slot('b'), Verdict.up);
    scene.run(8);
    expect(scene.moves('rebalance')).toBe(0);
    scene.run(9);
    expect(scene.homes()).toEqual({ a: 100, b: 100, c: 100, d: 100 });
    scene.run(20);
    expect(scene.moves('rebalance')).toBe(100);
  });

  test('home-when-idle: only those idle for some seconds', () => {
    const scene = fallenOver('home-when-idle');
    scene.shared.control.setVerdict(scene.slot('b'), Verdict.up);
    for (let second = 0; second < 20; second += 1) {
      for (const key of scene.keys.slice(0, 130)) {
        const entry = scene.entryOf(key);
        touched(scene.worker.table, entry, scene.clock.nowMs());
        scene.worker.table.release(entry, key, ~key, scene.clock.nowMs());
      }
      scene.run(1);
    }
    expect(scene.homes()).toEqual({ a: 100, b: 70, c: 130, d: 100 });
  });
});

test.each(seeds(8))('no session is moved twice within the cool-down, none while busy, seed %d', (seed) => {
  const random = new SeededRandom(seed);
  const scene = new Scene('mode: on, start: 1.15, stop: 1.05, budget: 10%', 5);
  for (const name of ['a', 'b', 'c', 'd', 'e']) scene.place(name, 20 + random.below(200));
  const homes = new Map<number, number>();
  const movedAtMs = new Map<number, number>();
  const busy = new Set<number>();
  for (const key of scene.keys) homes.set(key, scene.shared.table.home(scene.entryOf(key)));
  for (let second = 0; second < 700; second += 1) {
    for (const key of [...busy].filter(() => random.next() < 0.3)) {
      scene.worker.table.release(scene.entryOf(key), key, ~key, scene.clock.nowMs());
      busy.delete(key);
    }
    for (let count = random.below(30); count > 0; count -= 1) {
      const key = scene.keys[random.below(scene.keys.length)]!;
      if (busy.has(key)) continue;
      busy.add(key);
      touched(scene.worker.table, scene.entryOf(key), scene.clock.nowMs());
    }
    // what is uneven changes, so that the rebalancer would have reasons to move the same sessions again
    if (second % 40 === 39) {
      const slot = scene.slot('abcde'[random.below(5)]!);
      scene.shared.control.setWeight(slot, 500 + random.below(4) * 500);
    }
    scene.run(1);
    for (const key of scene.keys) {
      const home = scene.shared.table.home(scene.entryOf(key));
      if (home === homes.get(key)) continue;
      homes.set(key, home);
      expect(busy.has(key), `seed ${seed}: busy session moved`).toBe(false);
      const before = movedAtMs.get(key) ?? Number.NEGATIVE_INFINITY;
      expect(scene.clock.nowMs() - before, `seed ${seed}: moved again`).toBeGreaterThanOrEqual(COOL_DOWN_MS);
      movedAtMs.set(key, scene.clock.nowMs());
    }
  }
  expect(movedAtMs.size).toBeGreaterThan(0);
  scene.rebalancer.stop();
  scene.sweeper.stop();
});
