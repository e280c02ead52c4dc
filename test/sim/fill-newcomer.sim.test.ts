// State local: a server joins, only new sessions go to it. How long until the pool is even again, against the formulas
// of steady state with exponential lives of mean T: least-sessions T ln((n + 1) / n), its ratio below 1.10 after 0.13 T;
// round robin below 1.10 after 0.92 T. Real chooser, table and sweeper; time moved by hand.

import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import type { PolicyName } from '../../src/config/model.ts';
import { Sweeper } from '../../src/sessions/sweep.ts';
import { Verdict } from '../../src/shared/control.ts';
import { World } from '../choose/fixture.ts';

const SESSIONS = 2_000;
const LIFE_MS = 600_000;
const STEP_MS = 1_000;

interface Times {
  /** When the ratio was first below 1.10, in lives. */
  readonly below: number;
  /** When the newcomer first held its fair share. */
  readonly even: number;
}

function ratioOf(counts: readonly number[]): number {
  return (Math.max(...counts) * counts.length) / counts.reduce((sum, count) => sum + count, 0);
}

function fill(policy: PolicyName, seed: number): Times {
  const random = new SeededRandom(seed);
  const world = new World({
    servers: [{}, {}, {}, {}, {}],
    sticky: { mode: 'learn', cookie: 'sid', cookieOwner: 'application', idleMs: 1e9, lifeMs: 1e9 },
    pool: { policy },
    seed,
  });
  const sweeper = new Sweeper({ shared: world.shared, clock: world.clock });
  const ends: { atMs: number; id: number; home: string }[] = [];
  const counts = new Map(['a', 'b', 'c', 'd', 'e'].map((name) => [name, 0]));
  const life = (): number => -Math.log(1 - random.next()) * LIFE_MS;
  let made = 0;
  let moved = 0;
  const arrive = (): void => {
    made += 1;
    const { server } = world.exchange({ responseHeaders: [`Set-Cookie: sid=${made}`] });
    if (server === null) return;
    counts.set(server, (counts.get(server) ?? 0) + 1);
    ends.push({ atMs: world.clock.nowMs() + life(), id: made, home: server });
  };
  const step = (): void => {
    world.clock.advance(STEP_MS);
    for (let index = ends.length - 1; index >= 0; index -= 1) {
      const session = ends[index]!;
      if (session.atMs > world.clock.nowMs()) continue;
      const gone = 'Set-Cookie: sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT';
      const { server } = world.exchange({ cookie: `sid=${session.id}`, responseHeaders: [gone] });
      if (server !== session.home) moved += 1;
      counts.set(session.home, (counts.get(session.home) ?? 0) - 1);
      ends.splice(index, 1);
    }
    const due = (SESSIONS * STEP_MS) / LIFE_MS;
    for (let left = due; random.next() < left; left -= 1) arrive();
    sweeper.sweepNow();
  };
  world.setVerdict('e', Verdict.down);
  for (let index = 0; index < SESSIONS; index += 1) arrive();
  sweeper.sweepNow();
  world.setVerdict('e', Verdict.up);
  const begunMs = world.clock.nowMs();
  let below = Number.NaN;
  let even = Number.NaN;
  while (Number.isNaN(even) && world.clock.nowMs() - begunMs < 4 * LIFE_MS) {
    step();
    const lives = (world.clock.nowMs() - begunMs) / LIFE_MS;
    const list = [...counts.values()];
    if (Number.isNaN(below) && ratioOf(list) < 1.1) below = lives;
    const total = list.reduce((sum, count) => sum + count, 0);
    if ((counts.get('e') ?? 0) >= (policy === 'least-sessions' ? 0.98 : 0.9) * (total / 5)) even = lives;
  }
  expect(moved).toBe(0);
  return { below, even };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

test('least-sessions: below 1.10 after 0.13 T, even after T ln(5/4) = 0.223 T, and nothing moves', () => {
  const times = [1, 2, 3, 4].map((seed) => fill('least-sessions', seed));
  expect(Math.abs(mean(times.map(({ below }) => below)) - Math.log(1.25 / 1.1))).toBeLessThan(0.02);
  expect(Math.abs(mean(times.map(({ even }) => even)) - Math.log(5 / 4))).toBeLessThan(0.03);
});

test('round robin: below 1.10 after 0.92 T, nine tenths of the share after 2.3 T', () => {
  const times = [1, 2].map((seed) => fill('round-robin', seed));
  // the fullest of four random counts is above their mean, so that the ratio is late
  expect(mean(times.map(({ below }) => below))).toBeGreaterThan(0.75);
  expect(mean(times.map(({ below }) => below))).toBeLessThan(2);
  expect(Math.abs(mean(times.map(({ even }) => even)) - 2.3)).toBeLessThan(0.9);
}, 60_000);
