import { beforeEach, describe, expect, test } from 'vitest';
import type { ProbeOutcome } from '../../src/health/probe-outcome.ts';
import { BAD, GOOD, HEALTH, HealthScene, POOL, REFUSED, settle } from '../support/health-scene.ts';

let scene: HealthScene;
beforeEach(() => {
  scene = new HealthScene();
});

describe('schedule', () => {
  test('every server is checked at once, and one success makes it up', async () => {
    await scene.apply(POOL);
    expect(scene.checked).toEqual(['a@0', 'b@0']);
    expect([scene.verdict('a'), scene.verdict('b')]).toEqual(['up', 'up']);
    expect(scene.transitions).toEqual(['a starting>up', 'b starting>up']);
  });

  test('the second checks are spread over the interval, later ones come every interval give or take a tenth', async () => {
    const servers = Array.from({ length: 20 }, (_, index) => `s${index}=http://127.0.0.1:${index + 1}`);
    await scene.apply({ more: HEALTH, servers });
    await scene.pass(60_000);
    const times = new Map<string, number[]>();
    for (const entry of scene.checked) {
      const [name = '', at] = entry.split('@');
      times.set(name, [...(times.get(name) ?? []), Number(at)]);
    }
    const seconds = [...times.values()].map((list) => list[1] ?? 0).sort((a, b) => a - b);
    expect(seconds[0]).toBeLessThan(500);
    expect(seconds[19]).toBeGreaterThan(1_500);
    const gaps = [...times.values()].flatMap((list) =>
      list.slice(2).map((at, index) => at - (list[index + 1] ?? 0)),
    );
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_800);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(2_210);
    expect(new Set(gaps).size).toBeGreaterThan(20);
  });

  test('a check that hangs is not joined by a second one', async () => {
    scene.answers.set('a', new Promise(() => undefined));
    await scene.apply(POOL);
    scene.monitor.checkNow(scene.slot('a'));
    await scene.pass(10_000);
    expect(scene.checked.filter((entry) => entry.startsWith('a'))).toEqual(['a@0']);
    expect(scene.verdict('a')).toBe('starting');
  });
});

describe('verdicts', () => {
  test('a first check that fails makes a server down; rise successes bring it back', async () => {
    scene.answers.set('a', BAD);
    await scene.apply(POOL);
    expect(scene.verdict('a')).toBe('down');
    scene.answers.set('a', GOOD);
    await scene.pass(5_000);
    expect(scene.transitions.filter((line) => line.startsWith('a'))).toEqual([
      'a starting>down',
      'a down>up',
    ]);
  });

  test('fall failing checks take a server out, counted by result', async () => {
    await scene.apply(POOL);
    scene.answers.set('a', { ...BAD, result: 'timeout' });
    await scene.pass(1_950);
    expect(scene.verdict('a')).toBe('up');
    await scene.pass(5_000);
    expect(scene.verdict('a')).toBe('down');
    const checks = scene.monitor.checks(scene.slot('a'));
    expect(checks).toEqual({ success: 1, failure: 0, timeout: checks.timeout });
    expect(checks.timeout).toBeGreaterThanOrEqual(3);
    expect(scene.monitor.transitions(scene.slot('a'))).toEqual({ starting: 0, up: 1, down: 1, ejected: 0 });
    expect(scene.monitor.lastCheck(scene.slot('a'))?.detail).toBe('status 500');
  });

  test('a server that is up again, or at another address, is not held to what has just failed', async () => {
    await scene.apply(POOL);
    const slot = scene.slot('a');
    const own = scene.shared.stripes[0]!;
    const failing = (): number => scene.shared.failing(slot, scene.clock.nowMs());
    const fail = (): void => {
      for (let times = 0; times < 4; times += 1) own.noteOutcome(slot, true, scene.clock.nowMs());
      expect(failing()).toBeGreaterThan(0.5);
    };
    fail();
    scene.answers.set('a', REFUSED);
    scene.shared.control.reportConnectFailure(slot);
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('down');
    scene.answers.set('a', GOOD);
    fail();
    while (scene.verdict('a') === 'down') await scene.pass(100);
    expect(failing()).toBe(0);

    fail();
    const [, ...others] = POOL.servers;
    await scene.apply({ ...POOL, servers: ['a=http://127.0.0.1:9', ...others] });
    expect(failing()).toBe(0);
  });

  test('a refused connection that a worker reports is confirmed by one failing check within 60 ms', async () => {
    await scene.apply(POOL);
    scene.answers.set('a', REFUSED);
    scene.shared.control.reportConnectFailure(scene.slot('a'));
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('down');
  });

  test('a report that the check does not confirm changes nothing', async () => {
    await scene.apply(POOL);
    scene.shared.control.reportConnectFailure(scene.slot('a'));
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('up');
    expect(scene.monitor.checks(scene.slot('a')).success).toBe(2);
  });

  test('a report during a running check leads to another one right after it', async () => {
    await scene.apply(POOL);
    let finish: (outcome: ProbeOutcome) => void = () => undefined;
    scene.answers.set(
      'a',
      new Promise((resolve) => {
        finish = resolve;
      }),
    );
    scene.monitor.checkNow(scene.slot('a'));
    scene.shared.control.reportConnectFailure(scene.slot('a'));
    await scene.pass(60);
    scene.answers.set('a', REFUSED);
    finish(GOOD);
    await settle();
    await settle();
    expect(scene.verdict('a')).toBe('down');
  });

  test('a check that is refused is repeated at once: refused twice is down', async () => {
    await scene.apply(POOL);
    scene.answers.set('a', REFUSED);
    scene.monitor.checkNow(scene.slot('a'));
    await settle();
    expect(scene.verdict('a')).toBe('up');
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('down');
  });

  test('without health checks servers are up and nothing is checked', async () => {
    await scene.apply({ ...POOL, more: 'health: off' });
    await scene.pass(5_000);
    expect([scene.verdict('a'), scene.checked]).toEqual(['up', []]);
  });
});

describe('reload and modes', () => {
  test('a server that stays keeps its verdict and is not checked again because of it', async () => {
    scene.answers.set('b', BAD);
    await scene.apply(POOL);
    await scene.apply({ ...POOL, servers: [...POOL.servers, 'c=http://127.0.0.1:3'] });
    expect(scene.checked).toEqual(['a@0', 'b@0', 'c@0']);
    expect(['a', 'b', 'c'].map((name) => scene.verdict(name))).toEqual(['up', 'down', 'up']);
  });

  test('a server that is removed is checked no more; another in its slot starts afresh', async () => {
    scene.answers.set('b', BAD);
    await scene.apply(POOL);
    await scene.apply({ more: HEALTH, servers: ['a=http://127.0.0.1:1', 'd=http://127.0.0.1:4'] });
    await scene.pass(5_000);
    expect(scene.verdict('d')).toBe('up');
    expect(scene.monitor.checks(scene.slot('d')).failure).toBe(0);
    expect(scene.checked.filter((entry) => entry.startsWith('b'))).toEqual(['b@0']);
  });

  test('other check settings count at once, the verdict stays', async () => {
    await scene.apply(POOL);
    scene.answers.set('a', BAD);
    await scene.apply({ ...POOL, more: HEALTH.replace('fall: 3', 'fall: 1') });
    expect(scene.verdict('a')).toBe('down');
  });

  test('a server in maintenance is not checked; afterwards the first check decides', async () => {
    await scene.apply(POOL);
    scene.setMode('a', 'maintenance');
    await scene.pass(100);
    const before = scene.checked.length;
    scene.answers.set('a', BAD);
    await scene.pass(10_000);
    expect(scene.checked.slice(before).some((entry) => entry.startsWith('a'))).toBe(false);
    scene.setMode('a', 'ready');
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('down');
  });

  test('a server that is draining is checked as before', async () => {
    await scene.apply(POOL);
    scene.setMode('a', 'drain');
    scene.answers.set('a', BAD);
    await scene.pass(7_000);
    expect(scene.verdict('a')).toBe('down');
  });

  test('after stop nothing is scheduled any more', async () => {
    await scene.apply(POOL);
    await scene.monitor.stop();
    expect(scene.scheduler.pending).toBe(0);
  });
});

describe('passive signals', () => {
  const passivePool = {
    ...POOL,
    more: `${HEALTH}\npassive: { failures: 5, window: 10s, eject: 30s, maxEjected: 50% }`,
  };

  test('a server that fails real traffic is ejected though its checks succeed, and comes back', async () => {
    await scene.apply(passivePool);
    scene.passive.set(scene.slot('a'), {
      connectFailures: 0,
      responseFailures: 6,
      badStatuses: 0,
      successes: 2,
      clients: 0b111,
    });
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('ejected');
    await scene.pass(30_100);
    expect(scene.transitions.filter((line) => line.startsWith('a'))).toEqual([
      'a starting>up',
      'a up>ejected',
      'a ejected>up',
    ]);
  });

  test('what happened before the server came does not count against it', async () => {
    scene.revision = scene.revisions.next(passivePool);
    scene.passive.set(scene.slot('a'), {
      connectFailures: 99,
      responseFailures: 0,
      badStatuses: 0,
      successes: 0,
      clients: 0b111,
    });
    scene.monitor.apply(scene.revision);
    await scene.pass(200);
    expect(scene.verdict('a')).toBe('up');
  });

  test('switching passive health off takes ejected servers back', async () => {
    await scene.apply(passivePool);
    scene.passive.set(scene.slot('a'), {
      connectFailures: 9,
      responseFailures: 0,
      badStatuses: 0,
      successes: 0,
      clients: 0b111,
    });
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('ejected');
    await scene.apply({ ...POOL, more: `${HEALTH}\npassive: off` });
    await scene.pass(60);
    expect(scene.verdict('a')).toBe('up');
  });
});
