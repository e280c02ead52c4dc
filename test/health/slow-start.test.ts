// Slow start: the ramp, who gets one, and that least-sessions does not flood a newcomer.

import { expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import { rampedWeight, SlowStart } from '../../src/health/slow-start.ts';
import { Verdict } from '../../src/shared/control.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { World } from '../choose/fixture.ts';
import { type PoolText, Revisions, slotOf } from '../support/revision.ts';

const A = 'a=http://127.0.0.1:1';
const B = 'b=http://127.0.0.1:2 weight:4';
const SLOW = 'slowStart: 10s';

class Scene {
  readonly clock = new ManualClock();
  readonly scheduler = new ManualScheduler(this.clock);
  readonly shared = SharedState.create(1, 64, this.clock.nowMs());
  readonly revisions = new Revisions(this.shared);
  operator: number | null = null;
  readonly slowStart = new SlowStart({
    shared: this.shared,
    clock: this.clock,
    scheduler: this.scheduler,
    operatorWeight: () => this.operator,
  });
  revision!: Revision;

  apply(pool: PoolText): void {
    this.revision = this.revisions.next(pool);
    this.slowStart.apply(this.revision);
  }

  verdict(name: string, verdict: Verdict): void {
    this.shared.control.setVerdict(slotOf(this.revision, `shop/${name}`), verdict);
  }

  weight(name: string): number {
    return this.shared.control.weight(slotOf(this.revision, `shop/${name}`));
  }
}

test('the ramp: a tenth at first, all of it at the end, never 0 by rounding', () => {
  expect([0, 5_000, 10_000, 60_000].map((elapsedMs) => rampedWeight(1, elapsedMs, 10_000))).toEqual([
    100, 550, 1_000, 1_000,
  ]);
  expect(rampedWeight(3, 0, 0)).toBe(3_000);
  expect(rampedWeight(0, 0, 10_000)).toBe(0);
  expect(rampedWeight(0.001, 0, 10_000)).toBe(1);
});

test('servers that come up with the balancer begin at full weight', () => {
  const scene = new Scene();
  scene.apply({ more: SLOW, servers: [A, B] });
  scene.verdict('a', Verdict.up);
  scene.scheduler.advance(250);
  expect([scene.weight('a'), scene.weight('b')]).toEqual([1_000, 4_000]);
});

test('a server that comes back, or is added, has a tenth when it is up and grows from there', () => {
  const scene = new Scene();
  scene.apply({ more: SLOW, servers: [A] });
  scene.verdict('a', Verdict.up);
  scene.scheduler.advance(250);
  scene.apply({ more: SLOW, servers: [A, B] });
  expect([scene.weight('a'), scene.weight('b')]).toEqual([1_000, 400]);
  scene.verdict('b', Verdict.up);
  scene.scheduler.advance(5_250);
  expect(scene.weight('b')).toBe(2_200);
  scene.scheduler.advance(5_000);
  expect(scene.weight('b')).toBe(4_000);
  scene.verdict('a', Verdict.down);
  scene.scheduler.advance(250);
  expect(scene.weight('a')).toBe(100);
  scene.verdict('a', Verdict.up);
  scene.scheduler.advance(10_500);
  expect(scene.weight('a')).toBe(1_000);
});

test('a reload keeps the ramp, the operator’s weight is ramped too', () => {
  const scene = new Scene();
  scene.apply({ more: SLOW, servers: [A] });
  scene.apply({ more: SLOW, servers: [A, B] });
  scene.verdict('b', Verdict.up);
  scene.scheduler.advance(5_250);
  scene.apply({ more: SLOW, servers: [A, B] });
  expect(scene.weight('b')).toBe(2_200);
  scene.operator = 2;
  scene.scheduler.advance(250);
  expect(scene.weight('b')).toBe(1_145);
});

test('without slowStart nothing is written', () => {
  const scene = new Scene();
  scene.apply({ servers: [A] });
  scene.shared.control.setWeight(slotOf(scene.revision, 'shop/a'), 123);
  scene.scheduler.advance(1_000);
  expect(scene.weight('a')).toBe(123);
});

test('least-sessions gives a newcomer only what its weight allows', () => {
  const world = new World({ sticky: { mode: 'cookie-hash' }, pool: { policy: 'least-sessions' } });
  world.setVerdict('d', Verdict.down);
  for (let user = 0; user < 300; user += 1) world.exchange();
  world.setVerdict('d', Verdict.up);
  world.shared.control.setWeight(world.slotOf('d'), 100);
  for (let user = 0; user < 60; user += 1) world.exchange();
  expect(world.placed('d')).toBeLessThanOrEqual(13);
  expect(world.placed('d')).toBeGreaterThan(9);
});
