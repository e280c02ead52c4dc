// Dry runs, and that what they predict is what happens.

import { describe, expect, test } from 'vitest';
import { type PlanQuestion, type PlanServer, planChange, type SessionPlan } from '../../src/sessions/plan.ts';
import { poolOf } from '../choose/fixture.ts';

const MINUTE_MS = 60_000;

function servers(...counts: readonly number[]): PlanServer[] {
  return counts.map((sessions, index) => ({
    name: 'abcdefgh'.charAt(index),
    sessions,
    weight: 1,
    isMember: true,
    sessionsMax: 0,
  }));
}

function ask(action: PlanQuestion['action'], server: string, more: Partial<PlanQuestion> = {}): SessionPlan {
  const plan = planChange({
    action,
    server,
    weight: 1,
    config: poolOf({ sticky: { mode: 'cookie-hash' } }),
    servers: servers(500, 500, 500, 500),
    meanLifeMs: 30 * MINUTE_MS,
    ...more,
  });
  if (typeof plan === 'string') throw new Error(plan);
  return plan;
}

const REBALANCE = { mode: 'on', start: 1.25, stop: 1.08, budget: 0.02, everyMs: 10_000 } as const;
const SHARED = poolOf({ sticky: { mode: 'cookie-hash' }, pool: { state: 'shared', rebalance: REBALANCE } });
const LEAST = poolOf({ sticky: { mode: 'cookie-hash' }, pool: { policy: 'least-sessions' } });

describe('drain', () => {
  test('local sessions stay, and end with time: T ln n until the last one', () => {
    const plan = ask('drain', 'b');
    expect(plan).toMatchObject({ sessions: 500, moves: 0, lost: 0, skewAfter: { ratio: 1 } });
    expect(plan.seconds).toBeCloseTo(30 * 60 * Math.log(500), 3);
  });

  test('shared sessions move within the budget', () => {
    const plan = ask('drain', 'b', { config: SHARED });
    expect(plan).toMatchObject({ moves: 500, lost: 0 });
    const [least = 0, ...others] = plan.after.map(({ sessions }) => sessions).sort((a, b) => a - b);
    expect(least).toBe(0);
    expect(others.reduce((sum, sessions) => sum + sessions, 0)).toBe(2_000);
    expect(Math.max(...others)).toBeLessThanOrEqual(668);
    expect(plan.seconds).toBe(Math.ceil(500 / 40) * 10);
  });

  test('without a known life the time cannot be told, and why is said', () => {
    const plan = ask('drain', 'b', { meanLifeMs: null });
    expect(plan.seconds).toBeNull();
    expect(plan.notes[1]).toContain('too few sessions have ended lately');
  });

  test('the last server', () => {
    const plan = ask('drain', 'a', { servers: servers(7) });
    expect(plan).toMatchObject({ moves: 0, lost: 0, seconds: null });
    expect(plan.notes).toEqual(['no other server is eligible: new sessions are refused with 503']);
  });
});

describe('remove', () => {
  test('local: what it holds is lost', () => {
    const plan = ask('remove', 'b');
    expect(plan).toMatchObject({ moves: 500, lost: 500 });
    expect(plan.after).toEqual(['a', 'c', 'd'].map((server) => ({ server, sessions: 667 })));
  });

  test('local sessions of an application count again only after another log-in', () => {
    const config = poolOf({ sticky: { mode: 'learn', cookie: 'sid', cookieOwner: 'application' } });
    expect(ask('remove', 'b', { config }).after.map(({ sessions }) => sessions)).toEqual([500, 500, 500]);
  });

  test('shared: nothing is lost', () => {
    expect(ask('remove', 'b', { config: SHARED })).toMatchObject({ moves: 500, lost: 0 });
  });

  test('learned sessions fill up those that have least, others spread by weight', () => {
    const uneven = { servers: servers(400, 500, 700, 800) };
    const learned = poolOf({
      sticky: { mode: 'learn', cookie: 'sid', cookieOwner: 'application' },
      pool: { state: 'shared' },
    });
    const after = (config: PlanQuestion['config']): number[] =>
      ask('remove', 'b', { config, ...uneven }).after.map(({ sessions }) => sessions);
    expect(after(learned)).toEqual([800, 800, 800]);
    expect(after(SHARED)).toEqual([567, 867, 967]);
  });
});

describe('add', () => {
  test('with rebalancing the rebalancer is played through', () => {
    const plan = ask('add', 'e', { config: SHARED });
    expect(plan.skewBefore.ratio).toBe(1);
    expect(plan.skewAfter.ratio).toBeLessThan(1.08);
    expect(plan.moves).toBe(280);
    expect(plan.seconds).toBe(90);
  });

  test('a newcomer that makes the pool too little uneven stays empty, and the plan says so', () => {
    const plan = ask('add', 'f', { config: SHARED, servers: servers(400, 400, 400, 400, 400) });
    expect(plan).toMatchObject({ moves: 0, seconds: 0 });
    expect(plan.notes[0]).toBe('nothing moves: ratio 1.200 is below start 1.25');
  });

  test('with least-sessions all new sessions go there: even after T ln((n + 1) / n)', () => {
    const plan = ask('add', 'e', { config: LEAST });
    expect(plan).toMatchObject({ moves: 0, lost: 0, skewAfter: { ratio: 1 } });
    expect(plan.seconds).toBeCloseTo(30 * 60 * Math.log(5 / 4), 6);
  });

  test('with other policies nine tenths of the share take 2.3 T', () => {
    expect(ask('add', 'e').seconds).toBeCloseTo(2.3 * 30 * 60, 6);
  });
});

test('servers that are not there, or there already', () => {
  const question = { weight: 1, config: SHARED, servers: servers(1), meanLifeMs: null };
  expect(planChange({ ...question, action: 'drain', server: 'x' })).toBe('there is no server x');
  expect(planChange({ ...question, action: 'add', server: 'a' })).toBe('there is a server a already');
});
