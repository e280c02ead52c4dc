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

interface Moment {
  /** Since the newcomer came, in lives. */
  readonly lives: number;
  readonly ratio: number;
  /** The newcomer's part of all sessions. */
  readonly share: number;
}

function ratioOf(counts: readonly number[]): number {
  return (Math.max(...counts) * counts.length) / counts.reduce((sum, count) => sum + count, 0);
}

function fill(policy: PolicyName, seed: number, untilLives: number): readonly Moment[] {
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
  const moments: Moment[] = [];
  while (world.clock.nowMs() - begunMs < untilLives * LIFE_MS) {
    step();
    const list = [...counts.values()];
    moments.push({
      lives: (world.clock.nowMs() - begunMs) / LIFE_MS,
      ratio: ratioOf(list),
      share: (counts.get('e') ?? 0) / list.reduce((sum, count) => sum + count, 0),
    });
  }
  expect(moved).toBe(0);
  return moments;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function firstTime(moments: readonly Moment[], is: (moment: Moment) => boolean): number {
  return moments.find(is)?.lives ?? Number.NaN;
}

test('least-sessions: below 1.10 after 0.13 T, even after T ln(5/4) = 0.223 T, and nothing moves', () => {
  const runs = [1, 2, 3, 4].map((seed) => fill('least-sessions', seed, 0.3));
  const below = mean(runs.map((moments) => firstTime(moments, ({ ratio }) => ratio < 1.1)));
  const even = mean(runs.map((moments) => firstTime(moments, ({ share }) => share >= 0.98 / 5)));
  expect(Math.abs(below - Math.log(1.25 / 1.1))).toBeLessThan(0.02);
  expect(Math.abs(even - Math.log(5 / 4))).toBeLessThan(0.03);
});

// When a random count first passes a line is late or early by luck; how high it stands at a time is not.
test('round robin: the newcomer has (1 - exp(-t)) of its share, six tenths after 0.92 T, nine tenths after 2.3 T', () => {
  const runs = [1, 2, 3].map((seed) => fill('round-robin', seed, Math.log(10) + 0.01));
  for (const part of [0.6, 0.9]) {
    const lives = -Math.log(1 - part);
    const shares = runs.map((moments) => moments.findLast((moment) => moment.lives <= lives)?.share ?? 0);
    // the count is a Poisson variable: three standard errors of the mean
    const error = Math.sqrt(part / 5 / SESSIONS / runs.length);
    expect(Math.abs(mean(shares) - part / 5)).toBeLessThan(3 * error);
  }
}, 60_000);
