import { beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { Sweeper } from '../../src/sessions/sweep.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { packHome } from '../../src/shared/session-table.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Counter, END_REASONS, type EndReason, Gauge } from '../../src/shared/stripe.ts';
import { type PoolText, Revisions, slotOf } from '../support/revision.ts';
import { touched } from '../support/touched.ts';

const SERVERS = ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2'];
const POOL: PoolText = { more: 'sticky: { mode: cookie-hash, idle: 30m, life: 24h }', servers: SERVERS };

class Scene {
  readonly clock = new ManualClock();
  readonly scheduler = new ManualScheduler(this.clock);
  readonly shared = SharedState.create(1, 20_000, this.clock.nowMs());
  readonly worker = SharedState.attach(this.shared.handles(), 0);
  readonly revisions = new Revisions(this.shared);
  readonly sweeper = new Sweeper({ shared: this.shared, clock: this.clock, scheduler: this.scheduler });
  revision!: Revision;
  #made = 0;

  constructor(...pools: readonly PoolText[]) {
    this.apply(...(pools.length === 0 ? [POOL] : pools));
  }

  apply(...pools: readonly PoolText[]): void {
    this.revision = this.revisions.next(...pools);
    this.sweeper.apply(this.revision);
  }

  slot(name: string): number {
    return slotOf(this.revision, name.includes('/') ? name : `shop/${name}`);
  }

  home(name: string): number {
    const slot = this.slot(name);
    return packHome(slot, this.shared.control.generation(slot));
  }

  /** A worker places a session, as choose does: entry, then delta. Returns the key, which is also the low word. */
  place(name: string, options: { tentative?: boolean; requests?: number } = {}): number {
    this.#made += 1;
    const key = this.#made * 7_919;
    const { table, control, own } = this.worker;
    const nowMs = this.clock.nowMs();
    const entry = table.insert(
      key,
      ~key,
      this.home(name),
      nowMs,
      control.sweepEpoch(),
      options.tentative === true,
    );
    own.addGauge(this.slot(name), Gauge.sessionDelta, 1);
    for (let request = 0; request < (options.requests ?? 0); request += 1) {
      touched(table, entry, nowMs);
      table.release(entry, key, ~key, nowMs);
    }
    return key;
  }

  end(name: string, key: number): void {
    const { table, own } = this.worker;
    if (!table.remove(table.find(key, ~key), key, ~key)) return;
    own.addGauge(this.slot(name), Gauge.sessionDelta, -1);
    own.addGauge(this.slot(name), Gauge.sessionsLeft, 1);
  }

  find(key: number): number {
    return this.shared.table.find(key, ~key);
  }

  sessions(name: string): number {
    return this.shared.control.sessions(this.slot(name));
  }

  placed(name: string): number {
    return this.shared.placedSessions(this.slot(name));
  }

  ended(name: string, reason: EndReason): number {
    return this.shared.sumCounter(this.slot(name), Counter.ended + END_REASONS.indexOf(reason));
  }
}

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});

describe('counts', () => {
  test('sessions are counted by home, tentative ones apart', () => {
    for (let index = 0; index < 30; index += 1) scene.place('a');
    for (let index = 0; index < 12; index += 1) scene.place('b');
    for (let index = 0; index < 5; index += 1) scene.place('b', { tentative: true });
    scene.sweeper.sweepNow();
    expect([scene.sessions('a'), scene.sessions('b')]).toEqual([30, 12]);
    expect(scene.shared.control.tentative(scene.slot('b'))).toBe(5);
    expect(scene.sweeper.report).toMatchObject({ entries: 47, expired: 0, passes: 1 });
  });

  test('between two sweeps placed sessions follow what workers place and end', () => {
    const keys = Array.from({ length: 10 }, () => scene.place('a'));
    expect(scene.placed('a')).toBe(10);
    scene.sweeper.sweepNow();
    expect(scene.placed('a')).toBe(10);
    scene.place('a');
    scene.end('a', keys[0] ?? 0);
    scene.end('a', keys[1] ?? 0);
    expect([scene.placed('a'), scene.sessions('a')]).toEqual([9, 10]);
    scene.sweeper.sweepNow();
    expect([scene.placed('a'), scene.sessions('a')]).toEqual([9, 9]);
  });

  test('a session whose client shows its cookie is counted from the next sweep on', () => {
    const key = scene.place('a', { tentative: true });
    scene.sweeper.sweepNow();
    expect([scene.sessions('a'), scene.placed('a')]).toEqual([0, 1]);
    scene.worker.table.confirm(scene.find(key));
    scene.sweeper.sweepNow();
    expect([scene.sessions('a'), scene.placed('a')]).toEqual([1, 1]);
  });

  test('a moved session counts for its new home', () => {
    const key = scene.place('a');
    scene.sweeper.sweepNow();
    scene.worker.table.move(scene.find(key), key, ~key, scene.home('a'), scene.home('b'));
    scene.sweeper.sweepNow();
    expect([scene.sessions('a'), scene.sessions('b')]).toEqual([0, 1]);
  });

  test('counts are right when sessions come, go and move in the middle of 500 passes, and never too small for a limit', () => {
    const alive: { key: number; name: string }[] = [];
    let turn = 0;
    for (let pass = 0; pass < 500; pass += 1) {
      let isFinished = false;
      while (!isFinished) {
        turn += 1;
        const name = turn % 3 === 0 ? 'b' : 'a';
        alive.push({ key: scene.place(name), name });
        if (turn % 4 === 0) {
          const [gone] = alive.splice((turn * 31) % alive.length, 1);
          if (gone !== undefined) scene.end(gone.name, gone.key);
        }
        isFinished = scene.sweeper.step(0);
        for (const home of ['a', 'b']) {
          const there = alive.filter((session) => session.name === home).length;
          expect(scene.worker.placedSessionsMost(scene.slot(home))).toBeGreaterThanOrEqual(there);
        }
      }
    }
    scene.sweeper.sweepNow();
    for (const name of ['a', 'b']) {
      const expected = alive.filter((session) => session.name === name).length;
      expect([scene.sessions(name), scene.placed(name)]).toEqual([expected, expected]);
    }
  });

  test('while nothing ends, a pass in slices never makes placed sessions wrong', () => {
    let made = 0;
    for (let pass = 0; pass < 300; pass += 1) {
      do {
        scene.place('a');
        made += 1;
        expect(scene.placed('a')).toBe(made);
      } while (!scene.sweeper.step(0));
      expect(scene.placed('a')).toBe(made);
    }
  });
});

describe('expiry', () => {
  test('an idle session ends, is counted once and leaves placed sessions right', () => {
    scene.place('a');
    scene.sweeper.sweepNow();
    scene.clock.advance(30 * 60_000 + 200);
    const fresh = scene.place('a');
    scene.sweeper.sweepNow();
    expect([scene.sessions('a'), scene.placed('a'), scene.ended('a', 'idle')]).toEqual([1, 1, 1]);
    scene.sweeper.sweepNow();
    expect([scene.placed('a'), scene.ended('a', 'idle')]).toEqual([1, 1]);
    expect(scene.find(fresh)).toBeGreaterThanOrEqual(0);
  });

  test('a session with a request or tunnel open does not end by being idle, but by its age', () => {
    const key = scene.place('a');
    const { table } = scene.worker;
    touched(table, scene.find(key), scene.clock.nowMs());
    scene.clock.advance(23 * 3_600_000);
    scene.sweeper.sweepNow();
    expect(scene.sessions('a')).toBe(1);
    scene.clock.advance(3_600_000 + 200);
    scene.sweeper.sweepNow();
    expect([scene.sessions('a'), scene.ended('a', 'life'), scene.ended('a', 'idle')]).toEqual([0, 1, 0]);
  });

  test('a request in time keeps a session', () => {
    const key = scene.place('a');
    for (let minutes = 0; minutes < 100; minutes += 20) {
      scene.clock.advance(20 * 60_000);
      const entry = scene.find(key);
      touched(scene.worker.table, entry, scene.clock.nowMs());
      scene.worker.table.release(entry, key, ~key, scene.clock.nowMs());
      scene.sweeper.sweepNow();
    }
    expect(scene.sessions('a')).toBe(1);
  });

  test('a tentative session goes after a minute and is not counted as ended', () => {
    scene.place('a', { tentative: true });
    scene.clock.advance(59_000);
    scene.sweeper.sweepNow();
    expect(scene.placed('a')).toBe(1);
    scene.clock.advance(1_200);
    scene.sweeper.sweepNow();
    expect([scene.placed('a'), scene.ended('a', 'idle'), scene.sweeper.report.entries]).toEqual([0, 0, 1]);
    scene.sweeper.sweepNow();
    expect(scene.sweeper.report.entries).toBe(0);
  });

  test('the key of a session that its user has ended is kept for a minute, and while a request of it is open; it counts nowhere', () => {
    const keys = [scene.place('a'), scene.place('a')];
    const { table } = scene.worker;
    for (const key of keys) {
      if (key === keys[1]) touched(table, scene.find(key), scene.clock.nowMs());
      expect(table.bury(scene.find(key), key, ~key, scene.clock.nowMs())).toBe(true);
    }
    const left = (): boolean[] => keys.map((key) => scene.find(key) !== -1);
    scene.sweeper.sweepNow();
    expect([scene.sessions('a'), scene.sweeper.report.expired, ...left()]).toEqual([0, 0, true, true]);
    scene.clock.advance(60_000);
    scene.sweeper.sweepNow();
    expect(left()).toEqual([true, true]);
    scene.clock.advance(200);
    scene.sweeper.sweepNow();
    expect(left()).toEqual([false, true]);
    table.release(scene.find(keys[1]!), keys[1]!, ~keys[1]!, scene.clock.nowMs());
    scene.clock.advance(60_200);
    scene.sweeper.sweepNow();
    expect([...left(), scene.sweeper.report.expired, scene.ended('a', 'idle')]).toEqual([false, false, 0, 0]);
  });

  test('each pool has its own limits', () => {
    scene = new Scene(POOL, { ...POOL, name: 'api', more: 'sticky: { mode: cookie-hash, idle: 1m }' });
    scene.place('a');
    scene.place('api/a');
    scene.clock.advance(61_000);
    scene.sweeper.sweepNow();
    expect([scene.sessions('a'), scene.sessions('api/a'), scene.ended('api/a', 'idle')]).toEqual([1, 0, 1]);
  });

  test('sessions of a removed server are left to their next request, and go when idle, uncounted', () => {
    const key = scene.place('b');
    const former = scene.slot('b');
    scene.sweeper.sweepNow();
    scene.apply({ ...POOL, servers: [SERVERS[0] ?? '', 'c=http://127.0.0.1:3'] });
    scene.sweeper.sweepNow();
    expect([scene.sessions('c'), scene.sweeper.report.entries]).toEqual([0, 1]);
    expect(scene.find(key)).toBeGreaterThanOrEqual(0);
    scene.clock.advance(30 * 60_000 + 200);
    scene.sweeper.sweepNow();
    expect(scene.find(key)).toBe(-1);
    expect(scene.ended('c', 'idle')).toBe(0);
    expect(scene.shared.sumCounter(former, Counter.ended + END_REASONS.indexOf('idle'))).toBe(0);
  });
});

describe('regularly', () => {
  test('the first pass is at once, the next a second after the last, until stopped', () => {
    scene.place('a');
    scene.sweeper.start();
    scene.scheduler.advance(0);
    expect(scene.sweeper.report.passes).toBe(1);
    scene.scheduler.advance(5_000);
    expect(scene.sweeper.report.passes).toBe(6);
    scene.sweeper.stop();
    scene.scheduler.advance(5_000);
    expect([scene.sweeper.report.passes, scene.scheduler.pending]).toEqual([6, 0]);
  });

  test('requests of the last minute are known by server', () => {
    const { own } = scene.worker;
    scene.sweeper.sweepNow();
    for (let second = 0; second < 100; second += 1) {
      own.count(scene.slot('a'), Counter.code + 2, 10);
      scene.sweeper.sweepNow();
    }
    expect(scene.sweeper.recentRequests(scene.slot('a'))).toBe(590);
    expect(scene.sweeper.recentRequests(scene.slot('b'))).toBe(0);
  });
});

describe('hot sessions', () => {
  test('the busiest are named by hashed key with their share, hottest first', () => {
    for (let index = 0; index < 60; index += 1) scene.place(index % 2 === 0 ? 'a' : 'b', { requests: 1 });
    const hot = scene.place('b', { requests: 40 });
    scene.sweeper.sweepNow();
    const [first, ...others] = scene.sweeper.hottest('shop');
    expect(first).toEqual({
      key: hot.toString(16).padStart(8, '0'),
      slot: scene.slot('b'),
      requestsPerSecond: 4,
      share: expect.closeTo(0.4, 9),
    });
    expect(others).toHaveLength(15);
    const effective = scene.sweeper.effectiveSessions('shop');
    expect(effective).toBeCloseTo(100 ** 2 / (40 ** 2 + 60), 6);
    // a reload: what the last pass found holds until the next one
    scene.apply(POOL);
    expect(scene.sweeper.hottest('shop')).toEqual([first, ...others]);
    expect(scene.sweeper.effectiveSessions('shop')).toBe(effective);
  });

  test('an unknown pool has none', () => {
    expect([scene.sweeper.hottest('nope'), scene.sweeper.effectiveSessions('nope')]).toEqual([[], 0]);
  });
});

test('an application that gives its sessions other ids without end is told of once', () => {
  const told: (string | number)[] = [];
  const { shared, clock, revision } = scene;
  const sweeper = new Sweeper({
    shared,
    clock,
    onRenewals: (...what) => told.push(...what),
  });
  sweeper.apply(revision);
  const { table } = scene.worker;
  const sessions = Array.from({ length: 100 }, () => scene.place('a'));
  const renew = (times: number, from: number): void => {
    for (const key of sessions)
      for (let time = from; time < from + times; time += 1) {
        const [low, high] = [key + 1_000_000 * (time + 1), time];
        table.insert(low, high, scene.home('a'), clock.nowMs(), 0, false, key, ~key);
      }
  };
  renew(15, 0);
  sweeper.sweepNow();
  expect(told).toEqual([]);
  renew(1, 15);
  sweeper.sweepNow();
  renew(1, 16);
  sweeper.sweepNow();
  expect(told).toEqual(['shop', 16]);
});
