// How long the sweep keeps other keys of a session (aliases) that its client has shown.

import { beforeEach, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { Sweeper } from '../../src/sessions/sweep.ts';
import { packHome } from '../../src/shared/session-table.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Counter, END_REASONS } from '../../src/shared/stripe.ts';
import { Revisions, slotOf } from '../support/revision.ts';
import { touched } from '../support/touched.ts';

const MINUTE = 60_000;
/** Of the session, and of its values in the order in which they came. */
const [KEY, OLDER, NEWER] = [7, 5, 6];

class Scene {
  readonly clock = new ManualClock();
  readonly shared = SharedState.create(1, 1_000, this.clock.nowMs());
  readonly sweeper = new Sweeper({ shared: this.shared, clock: this.clock });
  readonly slot: number;
  readonly home: number;

  /** One session, just begun. */
  constructor(idle: string) {
    const revision = new Revisions(this.shared).next({
      more: `sticky: { mode: cookie-hash, idle: ${idle}, life: 24h }`,
      servers: ['a=http://127.0.0.1:1'],
    });
    this.slot = slotOf(revision, 'shop/a');
    this.home = packHome(this.slot, this.shared.control.generation(this.slot));
    this.sweeper.apply(revision);
    this.shared.table.insert(KEY, ~KEY, this.home, this.clock.nowMs(), 0, false);
  }

  add(value: number): void {
    this.shared.table.insert(value, ~value, this.home, this.clock.nowMs(), 0, false, KEY, ~KEY);
  }

  has(value: number): boolean {
    return this.shared.table.find(value, ~value) !== -1;
  }

  /** A request of the session begins. */
  begin(): void {
    touched(this.shared.table, this.shared.table.find(KEY, ~KEY), this.clock.nowMs());
  }

  /** It ends. */
  end(): void {
    this.shared.table.release(this.shared.table.find(KEY, ~KEY), KEY, ~KEY, this.clock.nowMs());
  }

  /** Each after so long. */
  sweeps(count: number, afterMs = MINUTE): void {
    for (let sweep = 0; sweep < count; sweep += 1) {
      this.clock.advance(afterMs);
      this.sweeper.sweepNow();
    }
  }
}

let scene: Scene;
beforeEach(() => {
  scene = new Scene('30m');
});

test('a value goes an eighth after the idle time, and is counted nowhere', () => {
  scene.add(OLDER);
  scene.clock.advance(15 * MINUTE);
  scene.begin();
  scene.end();
  scene.sweeps(18);
  const { control } = scene.shared;
  expect([scene.has(OLDER), control.sessions(scene.slot), scene.sweeper.report.entries]).toEqual([
    true,
    1,
    2,
  ]);
  scene.sweeps(1);
  const ended = scene.shared.sumCounter(scene.slot, Counter.ended + END_REASONS.indexOf('idle'));
  expect([scene.has(OLDER), control.sessions(scene.slot), ended]).toEqual([false, 1, 0]);
});

test('the newest one stays while the session has something open', () => {
  scene.add(OLDER);
  scene.clock.advance(200);
  scene.add(NEWER);
  // seen so much before the session as is still the newest
  scene.clock.advance(10_000);
  scene.begin();
  scene.sweeps(120);
  expect([scene.has(OLDER), scene.has(NEWER)]).toEqual([false, true]);
  scene.end();
  scene.sweeps(30);
  expect(scene.has(NEWER)).toBe(true);
  // a value is looked at again only after an eighth of the time
  scene.sweeps(8);
  expect(scene.has(NEWER)).toBe(false);
});

test('where sessions idle for a short time only, a newer one is known sooner', () => {
  scene = new Scene('64s');
  scene.add(OLDER);
  scene.clock.advance(200);
  scene.add(NEWER);
  // a quarter of an eighth
  scene.clock.advance(2_000);
  scene.begin();
  scene.sweeps(80, 1_000);
  expect([scene.has(OLDER), scene.has(NEWER)]).toEqual([false, true]);
});

test('a value whose session is gone goes with time', () => {
  scene.add(NEWER);
  scene.begin();
  scene.shared.table.remove(scene.shared.table.find(KEY, ~KEY), KEY, ~KEY);
  scene.sweeps(33);
  expect(scene.has(NEWER)).toBe(true);
  scene.sweeps(1);
  expect(scene.has(NEWER)).toBe(false);
});
