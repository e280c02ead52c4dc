// One walk over the table: which sessions may go, why, and what is counted.

import { beforeEach, describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { MoveRound, type RoundOrder } from '../../src/sessions/move-round.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { packHome } from '../../src/shared/session-table.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Gauge, MOVE_REASONS, type MoveReason, PoolCounter } from '../../src/shared/stripe.ts';
import { Revisions, slotOf } from '../support/revision.ts';
import { touched } from '../support/touched.ts';

const MINUTE = 60_000;
/** Within which a session that was moved stays, as coarse as it is kept. */
const COOL_DOWN_MS = 352_000;
const POOL = {
  more: 'state: shared\nsticky: { mode: cookie-hash, idle: 1h, life: 2h }',
  servers: ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2', 'c=http://127.0.0.1:3'],
};
/** Places in the configuration. */
const [A, B, C] = [0, 1, 2];
const NOTHING = { draining: [], levelling: [], isIdleOnly: false, returnsTo: [], isReturnIdleOnly: false };

class Scene {
  readonly clock = new ManualClock();
  readonly shared = SharedState.create(1, 1_000, this.clock.nowMs());
  readonly revision: Revision = new Revisions(this.shared).next(POOL, { ...POOL, name: 'api' });
  readonly keys: number[] = [];

  home(server: string): number {
    const slot = slotOf(this.revision, server.includes('/') ? server : `shop/${server}`);
    return packHome(slot, this.shared.control.generation(slot));
  }

  /** As many sessions, each seen a millisecond after the one before; returns their entries. */
  place(server: string, count: number): readonly number[] {
    return Array.from({ length: count }, () => {
      const key = (this.keys.length + 1) * 7_919;
      this.keys.push(key);
      this.clock.advance(100);
      return this.shared.table.insert(key, ~key, this.home(server), this.clock.nowMs(), 0, false);
    });
  }

  /** Sessions of a, b and c. */
  homes(pool = 'shop'): readonly number[] {
    const { table } = this.shared;
    const homes = this.keys.map((key) => table.home(table.find(key, ~key)));
    return ['a', 'b', 'c'].map(
      (name) => homes.filter((home) => home === this.home(`${pool}/${name}`)).length,
    );
  }

  round(...orders: readonly (Partial<RoundOrder> & { readonly grant: number })[]): MoveRound {
    const pools = this.revision.pools;
    const whole = orders.map((order, index) => ({ pool: pools[index]!, ...NOTHING, ...order }));
    return new MoveRound(this.shared, whole, this.clock.nowMs());
  }

  /** How many it has moved in the first pool. */
  move(order: Partial<RoundOrder> & { readonly grant: number }): number | undefined {
    const round = this.round(order);
    expect(round.scan(this.shared.table.capacity)).toBe(true);
    return round.act().get('shop');
  }

  moves(pool = 0): Partial<Record<MoveReason, number>> {
    const { id } = this.revision.pools[pool]!;
    const counts = MOVE_REASONS.map((reason, index) => [
      reason,
      this.shared.sumPoolCounter(id, PoolCounter.moves + index),
    ]);
    return Object.fromEntries(counts.filter(([, count]) => count !== 0));
  }

  /** Of each server: begun less gone, gone. */
  deltas(): readonly (readonly number[])[] {
    return (this.revision.pools[0]?.slots ?? []).map((slot) => [
      this.shared.sumGauge(slot, Gauge.sessionDelta),
      this.shared.sumGauge(slot, Gauge.sessionsLeft),
    ]);
  }
}

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});

describe('who may go', () => {
  test('for levelling: none that was moved within the cool-down, and then again', () => {
    scene.place('a', 10);
    scene.clock.advance(MINUTE);
    expect(scene.move({ grant: 4, levelling: [{ from: A, to: B, sessions: 4 }] })).toBe(4);
    scene.clock.advance(COOL_DOWN_MS - MINUTE);
    const back = { grant: 4, levelling: [{ from: B, to: C, sessions: 4 }] };
    expect(scene.move(back)).toBe(0);
    scene.clock.advance(MINUTE + 10_000);
    expect(scene.move(back)).toBe(4);
  });

  test('from a draining server: also one that was moved a moment ago, and one just seen', () => {
    scene.place('a', 10);
    scene.move({ grant: 4, levelling: [{ from: A, to: B, sessions: 4 }] });
    expect(scene.move({ grant: 4, isIdleOnly: true, draining: [{ from: B, to: C, sessions: 4 }] })).toBe(4);
  });

  test('back home: none that was moved within the cool-down', () => {
    const entries = scene.place('b', 3);
    scene.shared.table.notes.stampMove(entries[1]!, scene.clock.nowMs());
    for (const entry of entries) scene.shared.table.notes.rememberOrigin(entry, scene.home('a'));
    expect(scene.move({ grant: 9, returnsTo: [A] })).toBe(2);
    scene.clock.advance(COOL_DOWN_MS + MINUTE);
    expect(scene.move({ grant: 9, returnsTo: [A] })).toBe(1);
    expect(scene.homes()).toEqual([3, 0, 0]);
  });

  test.each(['isIdleOnly', 'isReturnIdleOnly'] as const)(
    '%s: who has not been seen for five seconds',
    (only) => {
      const entries = scene.place('a', 2);
      scene.clock.advance(4_900);
      for (const entry of entries) scene.shared.table.notes.rememberOrigin(entry, scene.home('b'));
      const order =
        only === 'isIdleOnly' ? { levelling: [{ from: A, to: B, sessions: 2 }] } : { returnsTo: [B] };
      // the second was seen a tenth of a second after the first
      expect(scene.move({ grant: 2, [only]: true, ...order })).toBe(1);
      expect(scene.move({ grant: 2, ...order })).toBe(1);
    },
  );

  test('none that ends within a minute', () => {
    scene.place('a', 2);
    scene.clock.advance(119 * MINUTE - 100);
    expect(scene.move({ grant: 2, levelling: [{ from: A, to: B, sessions: 2 }] })).toBe(1);
  });

  test('none that is on another server by now, or gone', () => {
    const { table } = scene.shared;
    const entries = scene.place('a', 5);
    const round = scene.round({ grant: 5, levelling: [{ from: A, to: B, sessions: 5 }] });
    round.scan(table.capacity);
    table.move(entries[0]!, scene.keys[0]!, ~scene.keys[0]!, scene.home('a'), scene.home('c'));
    table.remove(entries[1]!, scene.keys[1]!, ~scene.keys[1]!);
    touched(table, entries[2]!, scene.clock.nowMs());
    expect(round.act().get('shop')).toBe(2);
    expect(scene.homes()).toEqual([1, 2, 1]);
  });

  test('back home: none whose origin is not among those that take back, and none that is there', () => {
    const entries = scene.place('b', 3);
    for (const [index, origin] of ['a', 'c', 'b'].entries())
      scene.shared.table.notes.rememberOrigin(entries[index]!, scene.home(origin));
    expect(scene.move({ grant: 9, returnsTo: [A, B] })).toBe(1);
    expect(scene.homes()).toEqual([1, 2, 0]);
  });
});

describe('what is moved', () => {
  test('draining first, then home within what is left of the grant; levelling waits for the next time', () => {
    scene.place('a', 4);
    for (const entry of scene.place('b', 9)) scene.shared.table.notes.rememberOrigin(entry, scene.home('c'));
    const order = {
      grant: 10,
      draining: [{ from: A, to: B, sessions: 4 }],
      returnsTo: [C],
      levelling: [{ from: B, to: A, sessions: 3 }],
    };
    expect(scene.move(order)).toBe(10);
    expect(scene.moves()).toEqual({ drain: 4, rebalance: 6 });
    expect(scene.homes()).toEqual([0, 7, 6]);
    expect(scene.deltas()).toEqual([
      [-4, 4],
      [-2, 6],
      [6, 0],
    ]);
  });

  test('to several, each gets others, the idlest to the first', () => {
    const entries = scene.place('a', 20);
    const levelling = [
      { from: A, to: B, sessions: 3 },
      { from: A, to: C, sessions: 2 },
    ];
    expect(scene.move({ grant: 5, levelling })).toBe(5);
    const homes = entries.map((entry) => scene.shared.table.home(entry));
    const places = [...'bbbcc', ...Array(15).fill('a')].map((name) => scene.home(name));
    expect(homes).toEqual(places);
    expect(scene.deltas()).toEqual([
      [-5, 5],
      [3, 0],
      [2, 0],
    ]);
  });

  test('in each pool what was asked for there, in one walk of any number of steps', () => {
    scene.place('a', 10);
    scene.place('api/b', 10);
    const round = scene.round(
      { grant: 2, levelling: [{ from: A, to: B, sessions: 2 }] },
      { grant: 3, draining: [{ from: B, to: C, sessions: 3 }] },
    );
    let steps = 1;
    while (!round.scan(64)) steps += 1;
    expect(steps).toBe(Math.ceil(scene.shared.table.capacity / 64));
    expect([...round.act()]).toEqual([
      ['shop', 2],
      ['api', 3],
    ]);
    expect([scene.homes(), scene.homes('api')]).toEqual([
      [8, 2, 0],
      [0, 7, 3],
    ]);
    expect([scene.moves(0), scene.moves(1)]).toEqual([{ rebalance: 2 }, { drain: 3 }]);
  });
});
