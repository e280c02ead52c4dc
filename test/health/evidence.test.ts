// What counts for or against a server, and what no longer does.

import { beforeEach, describe, expect, test } from 'vitest';
import type { PassiveTotals } from '../../src/health/passive.ts';
import type { ProbeOutcome } from '../../src/health/probe-outcome.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { BAD, GOOD, HEALTH, HealthScene, POOL, REFUSED, settle } from '../support/health-scene.ts';

const PASSIVE = {
  ...POOL,
  more: `${HEALTH}\npassive: { failures: 5, window: 10s, eject: 30s, maxEjected: 50% }`,
};
const FAILURES: PassiveTotals = {
  connectFailures: 0,
  responseFailures: 9,
  badStatuses: 0,
  successes: 0,
  clients: 0b111,
};

let scene: HealthScene;
beforeEach(() => {
  scene = new HealthScene();
});

/** The next check of the server answers when it is told to. */
function pending(name: string): (outcome: ProbeOutcome) => void {
  let finish: (outcome: ProbeOutcome) => void = () => undefined;
  scene.answers.set(
    name,
    new Promise((resolve) => {
      finish = resolve;
    }),
  );
  return (outcome) => finish(outcome);
}

/** The same slots, given to other servers. */
function nextGeneration(revision: Revision): Revision {
  const pools = revision.pools.map((pool) => ({
    ...pool,
    generations: pool.generations.map((generation) => generation + 2),
  }));
  return { ...revision, pools };
}

describe('checks', () => {
  test('one that was under way when maintenance began judges nothing', async () => {
    const finish = pending('a');
    await scene.apply(POOL);
    scene.setMode('a', 'maintenance');
    await scene.pass(60);
    finish(BAD);
    await settle();
    expect(scene.verdict('a')).toBe('starting');
    expect(scene.monitor.checks(scene.slot('a')).failure).toBe(0);
  });

  test('a success is enough only for who waits when it comes', async () => {
    scene.answers.set('a', BAD);
    await scene.apply(POOL);
    await scene.pass(600);
    const before = scene.monitor.checks(scene.slot('a')).failure;
    scene.shared.control.want(scene.slot('a'));
    // the check for those who wait fails, and they go
    await scene.pass(60);
    expect(scene.monitor.checks(scene.slot('a')).failure).toBe(before + 1);
    scene.answers.set('a', GOOD);
    scene.monitor.checkNow(scene.slot('a'));
    await settle();
    expect(scene.verdict('a')).toBe('down');
    scene.monitor.checkNow(scene.slot('a'));
    await settle();
    expect(scene.verdict('a')).toBe('up');
  });

  test('a server that answers, if badly, is not down because a worker could not connect', async () => {
    await scene.apply(POOL);
    scene.answers.set('a', { ...BAD, isReached: true });
    scene.shared.control.reportConnectFailure(scene.slot('a'));
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('up');
    expect(scene.monitor.checks(scene.slot('a')).failure).toBe(1);
  });

  test('the interval goes from one check to the next, however long they take', async () => {
    const { answers, scheduler } = scene;
    answers.get = () => new Promise((resolve) => void scheduler.after(900, () => resolve(GOOD)));
    await scene.apply(POOL);
    await scene.pass(20_000);
    const times = scene.checked
      .filter((entry) => entry.startsWith('a'))
      .map((entry) => Number(entry.slice(2)));
    const gaps = times.slice(2).map((at, index) => at - (times[index + 1] ?? 0));
    expect(gaps.length).toBeGreaterThan(5);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(2_220);
  });

  test('what a worker could not reach before the server came does not hurry its second check', async () => {
    scene.revision = scene.revisions.next(POOL);
    scene.shared.control.reportConnectFailure(scene.slot('a'));
    scene.monitor.apply(scene.revision);
    scene.answers.set('a', GOOD);
    await settle();
    scene.answers.set('a', REFUSED);
    await scene.pass(60);
    expect([scene.verdict('a'), scene.monitor.checks(scene.slot('a')).success]).toEqual(['up', 1]);
  });

  test('a server that goes down is down since then', async () => {
    await scene.apply(POOL);
    await scene.pass(1_000);
    scene.answers.set('a', REFUSED);
    scene.shared.control.reportConnectFailure(scene.slot('a'));
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('down');
    await scene.pass(20_000);
    const downMs = scene.shared.control.downForMs(scene.slot('a'), scene.clock.nowMs());
    expect(downMs).toBeGreaterThanOrEqual(19_900);
    expect(downMs).toBeLessThanOrEqual(20_300);
  });
});

describe('another address, another server', () => {
  const MOVED = { ...PASSIVE, servers: ['a=http://127.0.0.1:9', 'b=http://127.0.0.1:2'] };

  test('at a new address the first check decides alone', async () => {
    await scene.apply(PASSIVE);
    scene.answers.set('a', BAD);
    await scene.apply(MOVED);
    expect(scene.verdict('a')).toBe('down');
  });

  test('what failed at the old address is forgotten', async () => {
    await scene.apply(PASSIVE);
    scene.passive.set(scene.slot('a'), FAILURES);
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('ejected');
    await scene.apply(MOVED);
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('up');
  });

  test('a slot that another server has got begins to count anew', async () => {
    scene.answers.set('a', BAD);
    await scene.apply(PASSIVE);
    const slot = scene.slot('a');
    expect(scene.monitor.checks(slot).failure).toBe(1);
    scene.answers.set('a', GOOD);
    scene.passive.set(slot, FAILURES);
    scene.monitor.apply(nextGeneration(scene.revision));
    await scene.pass(60);
    expect(scene.monitor.checks(slot)).toEqual({ success: 1, failure: 0, timeout: 0 });
    expect(scene.monitor.transitions(slot)).toEqual({ starting: 0, up: 1, down: 0, ejected: 0 });
    // nor is it held to what its former server has done
    expect(scene.verdict('a')).toBe('up');
  });
});

describe('traffic', () => {
  test('nobody is ejected who is not to have new sessions anyway', async () => {
    await scene.apply(PASSIVE);
    scene.setMode('a', 'drain');
    scene.passive.set(scene.slot('a'), FAILURES);
    await scene.pass(200);
    expect(scene.verdict('a')).toBe('up');
  });

  test('who comes back is not held to what failed until just before', async () => {
    scene.answers.set('a', BAD);
    await scene.apply(PASSIVE);
    scene.answers.set('a', GOOD);
    scene.monitor.checkNow(scene.slot('a'));
    await settle();
    scene.passive.set(scene.slot('a'), FAILURES);
    scene.monitor.checkNow(scene.slot('a'));
    await settle();
    expect(scene.verdict('a')).toBe('up');
    await scene.pass(200);
    expect(scene.transitions).not.toContain('a up>ejected');
  });
});
