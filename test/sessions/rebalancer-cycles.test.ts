// When the rebalancer looks at a pool, and what it takes for requests and failures of that time.

import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { type PhaseChange, Rebalancer } from '../../src/sessions/rebalancer.ts';
import { Verdict } from '../../src/shared/control.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { CODE_CLASSES, Counter } from '../../src/shared/stripe.ts';
import { Revisions, slotOf } from '../support/revision.ts';

const SECOND = 1_000;
const MOVABLE = 'state: shared\nsticky: { mode: cookie-hash }';
const OK = Counter.code + CODE_CLASSES.indexOf('2xx');
const SERVER_ERROR = Counter.code + CODE_CLASSES.indexOf('5xx');

class Scene {
  readonly clock = new ManualClock();
  readonly scheduler = new ManualScheduler(this.clock);
  readonly shared = SharedState.create(1, 1_000, this.clock.nowMs());
  readonly worker = SharedState.attach(this.shared.handles(), 0);
  readonly revisions = new Revisions(this.shared);
  readonly changes: PhaseChange[] = [];
  readonly rebalancer = new Rebalancer({
    shared: this.shared,
    clock: this.clock,
    scheduler: this.scheduler,
    onPhase: (change) => this.changes.push(change),
  });
  slots: readonly number[] = [];

  apply(every: string, more = MOVABLE): void {
    const revision = this.revisions.next({
      more: `${more}\nrebalance: { mode: ${more === MOVABLE ? 'on' : 'off'}, every: ${every} }`,
      servers: ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2'],
    });
    this.slots = ['a', 'b'].map((name) => slotOf(revision, `shop/${name}`));
    for (const slot of this.slots) this.shared.control.setVerdict(slot, Verdict.up);
    this.rebalancer.apply(revision);
  }

  hold(...sessions: readonly number[]): void {
    this.slots.forEach((slot, index) => {
      this.shared.control.publishSweep(slot, sessions[index] ?? 0, 0, 0, 0);
    });
  }

  /** A sweep is over, so long after what was before. */
  sweep(afterMs = SECOND): void {
    this.clock.advance(afterMs);
    this.rebalancer.afterSweep();
    this.scheduler.advance(0);
  }

  count(server: number, offset: number, amount: number): void {
    this.worker.own.count(this.slots[server] ?? -1, offset, amount);
  }

  get report() {
    return this.rebalancer.report('shop');
  }
}

describe('cycles', () => {
  test('come every so long, with the sweep that is nearest, the first not at once', () => {
    const scene = new Scene();
    scene.apply('10s');
    const cycles = Array.from({ length: 31 }, () => {
      scene.sweep();
      return scene.report?.cycles;
    });
    expect(cycles.map((count, index) => [index + 1, count]).filter(([, count], at) => count !== cycles[at - 1]))
      .toEqual([[1, 0], [10, 1], [20, 2], [30, 3]]); // biome-ignore format: a table
  });

  test('begin half a second early rather than late, and not sooner', () => {
    const scene = new Scene();
    scene.apply('10s');
    scene.sweep(9_499);
    expect(scene.report?.cycles).toBe(0);
    scene.sweep(1);
    expect(scene.report?.cycles).toBe(1);
    // ten seconds after when it should have been, not after when it was
    scene.sweep(9_999);
    expect(scene.report?.cycles).toBe(1);
    scene.sweep(1);
    expect(scene.report?.cycles).toBe(2);
  });

  test('that were missed are not made up for', () => {
    const scene = new Scene();
    scene.apply('10s');
    scene.sweep(45_000);
    for (const afterMs of [1, 1_000, 7_998]) scene.sweep(afterMs);
    expect(scene.report?.cycles).toBe(1);
    scene.sweep(1);
    expect(scene.report?.cycles).toBe(2);
  });

  test('after a reload: the pool goes on where it was, and waits no longer than it does now', () => {
    const scene = new Scene();
    scene.apply('10m');
    scene.hold(900, 100);
    scene.sweep(600 * SECOND);
    expect(scene.report).toMatchObject({ cycles: 1, why: 'ratio 1.800 seen 1 of 3 times' });
    scene.apply('10s');
    scene.sweep(9_499);
    expect(scene.report?.cycles).toBe(1);
    scene.sweep(1);
    expect(scene.report).toMatchObject({ cycles: 2, why: 'ratio 1.800 seen 2 of 3 times' });
    // nor longer than it would have without
    scene.apply('10m');
    scene.sweep(10 * SECOND);
    expect(scene.report?.cycles).toBe(3);
  });

  test('are none of a pool whose sessions only their home can serve, or that has none', () => {
    const scene = new Scene();
    for (const more of [
      'state: local\nsticky: { mode: cookie-hash }',
      'state: shared\nsticky: { mode: none }',
    ]) {
      scene.apply('1s', more);
      scene.sweep();
      expect(scene.report).toBeNull();
    }
  });
});

describe('failures while sessions are moved', () => {
  function running(): Scene {
    const scene = new Scene();
    scene.apply('1s');
    scene.hold(900, 100);
    for (let cycle = 0; cycle < 3; cycle += 1) scene.sweep();
    expect(scene.report?.phase).toBe('running');
    return scene;
  }

  test('are answers of 5xx and requests without one, of all its servers, and are told with the change', () => {
    const scene = running();
    for (const server of [0, 1]) {
      scene.count(server, OK, 180);
      scene.count(server, SERVER_ERROR, 20);
      scene.count(server, Counter.failures, 5);
    }
    scene.sweep();
    const why = 'failed requests rose from 0.0 % to 12.5 %';
    expect(scene.report).toMatchObject({ phase: 'resting', why });
    expect(scene.changes.at(-1)).toEqual({ pool: 'shop', from: 'running', to: 'resting', why });
    expect(scene.changes.map(({ to }) => to)).toEqual(['running', 'resting']);
  });

  test('are those since the cycle before', () => {
    const scene = new Scene();
    scene.apply('1s');
    // before: nobody knows in what time
    scene.count(0, OK, 1_000);
    scene.count(0, SERVER_ERROR, 100);
    scene.apply('1s', 'state: local\nsticky: { mode: cookie-hash }');
    scene.apply('1s');
    scene.hold(900, 100);
    for (let cycle = 0; cycle < 3; cycle += 1) scene.sweep();
    scene.count(0, OK, 1_000);
    scene.count(0, SERVER_ERROR, 11);
    scene.hold(890, 110);
    scene.sweep();
    scene.count(1, OK, 1_000);
    scene.count(1, Counter.failures, 12);
    scene.hold(880, 120);
    scene.sweep();
    expect(scene.report?.phase).toBe('running');
    scene.count(1, OK, 100);
    scene.count(1, Counter.failures, 12);
    scene.sweep();
    expect(scene.report?.why).toBe('failed requests rose from 0.0 % to 12.0 %');
  });
});
