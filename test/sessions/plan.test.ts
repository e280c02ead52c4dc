// Dry runs, and that what they predict is what happens.

import { describe, expect, test } from 'vitest';
import {
  PLAN_ACTIONS,
  type PlanQuestion,
  type PlanServer,
  planChange,
  type SessionPlan,
} from '../../src/sessions/plan.ts';
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

test('what can be asked for', () => {
  expect(PLAN_ACTIONS).toEqual(['drain', 'add', 'remove']);
});

describe('what happens is said', () => {
  const LIMITS = { idleMs: 30 * MINUTE_MS, lifeMs: 1_440 * MINUTE_MS };
  const UNKNOWN =
    'too few sessions have ended lately to tell how long they live: at least 30m after their last request, at most 24h';
  const config = (pool: object = {}) => poolOf({ sticky: { mode: 'cookie-hash', ...LIMITS }, pool });

  test('of a server that is added', () => {
    const all = 'only new sessions go to it, all of them until it holds its fair share';
    const fair =
      'only new sessions go to it, a fair share of them; the time is until it holds nine tenths of its share';
    expect(ask('add', 'e', { config: LEAST }).notes).toEqual([all]);
    expect(ask('add', 'e').notes).toEqual([fair]);
    const slow = config({ slowStartMs: 30_000 });
    expect(ask('add', 'e', { config: slow, meanLifeMs: null }).notes).toEqual([
      fair,
      'slow start paces the first 30s',
      UNKNOWN,
    ]);
    expect(ask('add', 'e', { weight: 0 })).toMatchObject({
      seconds: null,
      notes: ['weight 0 takes no sessions'],
    });
    expect(ask('add', 'e', { config: SHARED }).notes).toEqual([
      'the rebalancer moves 280 sessions, until the ratio is below 1.08',
    ]);
  });

  test('of one that drains or is removed', () => {
    const stay = 'no new sessions; those it has stay until they end, since only this server has their state';
    expect(ask('drain', 'b').notes).toEqual([stay]);
    expect(ask('drain', 'b', { config: config(), meanLifeMs: null }).notes).toEqual([stay, UNKNOWN]);
    expect(ask('drain', 'b', { config: SHARED }).notes).toEqual([
      'its 500 sessions move to the other servers, at most 40.0 every 10s; busy ones when they are idle',
    ]);
    const next = 'its sessions get another home at their next request';
    const lost = 'their state is lost with the server';
    const application = poolOf({
      sticky: { mode: 'cookie-hash', cookie: 'sid', cookieOwner: 'application' },
    });
    expect(ask('remove', 'b').notes).toEqual([next, lost]);
    expect(ask('remove', 'b', { config: SHARED }).notes).toEqual([next]);
    expect(ask('remove', 'b', { config: application }).notes).toEqual([
      next,
      lost,
      'they count again when their users have logged in anew',
    ]);
  });

  test('that there is no room, where all the others have a limit', () => {
    const limited = (...limits: readonly number[]) =>
      servers(10, 5, 9).map((server, index) => ({ ...server, sessionsMax: limits[index] ?? 0 }));
    const asked = (...limits: readonly number[]) =>
      ask('drain', 'a', { config: SHARED, servers: limited(...limits) }).notes.slice(1);
    // the second is over its limit: that makes no less room at the third
    expect(asked(1, 4, 18)).toEqual(['the others have room for 9 of these 10 sessions (maxSessions)']);
    expect(asked(1, 4, 19)).toEqual([]);
    expect(asked(1, 6, 0)).toEqual([]);
    expect(ask('drain', 'a', { servers: limited(1, 4, 9) }).notes).toHaveLength(1);
    // who takes none has no room, and asks for none
    const down = limited(1, 9, 0).map((server, index) => ({ ...server, isMember: index < 2 }));
    expect(ask('drain', 'a', { config: SHARED, servers: down }).notes[1]).toBe(
      'the others have room for 4 of these 10 sessions (maxSessions)',
    );
  });
});

describe('servers that take no sessions', () => {
  const withOneDown = servers(300, 600, 100).map((server, index) => ({ ...server, isMember: index < 2 }));

  test('keep what they have, and share nothing', () => {
    const after = (action: PlanQuestion['action'], more: Partial<PlanQuestion> = {}) =>
      ask(action, action === 'add' ? 'd' : 'a', { servers: withOneDown, ...more }).after.map(
        ({ server, sessions }) => [server, sessions],
      );
    expect(after('remove')).toEqual([
      ['b', 900],
      ['c', 100],
    ]);
    expect(after('drain')).toEqual([
      ['a', 300],
      ['b', 600],
      ['c', 100],
    ]);
    expect(after('drain', { config: SHARED })).toEqual([
      ['a', 0],
      ['b', 900],
      ['c', 100],
    ]);
    expect(after('add', { weight: 2 })).toEqual([
      ['a', 225],
      ['b', 225],
      ['c', 100],
      ['d', 450],
    ]);
    expect(after('add', { weight: 0 })).toEqual([
      ['a', 300],
      ['b', 600],
      ['c', 100],
      ['d', 0],
    ]);
    expect(after('add', { config: SHARED }).filter(([, sessions]) => sessions === 100)).toEqual([['c', 100]]);
  });

  test('the time is by the weights of those that do', () => {
    const { seconds } = ask('add', 'd', { config: LEAST, servers: withOneDown, weight: 2 });
    expect(seconds).toBeCloseTo(30 * 60 * Math.log(4 / 2), 6);
    expect(ask('add', 'd', { servers: withOneDown, meanLifeMs: null }).seconds).toBeNull();
  });

  test('the last that takes any: removed, its sessions are lost where only it has them', () => {
    const alone = servers(300, 100).map((server, index) => ({ ...server, isMember: index < 1 }));
    expect(ask('remove', 'a', { servers: alone })).toMatchObject({
      ...{ moves: 0, lost: 300, seconds: null, after: [{ server: 'b', sessions: 100 }] },
    });
    expect(ask('remove', 'a', { servers: alone, config: SHARED })).toMatchObject({ lost: 0 });
    expect(ask('drain', 'a', { servers: alone }).after).toHaveLength(2);
  });
});

test('a server without sessions is empty at once, and one that lives long ends with the longest life', () => {
  expect(ask('drain', 'a', { servers: servers(0, 5) }).seconds).toBe(0);
  expect(ask('drain', 'a', { servers: servers(0, 5), meanLifeMs: null }).seconds).toBe(0);
  expect(ask('drain', 'a', { servers: servers(1, 5) }).seconds).toBe(0);
  expect(ask('remove', 'a', { servers: servers(0, 5) })).toMatchObject({ moves: 0, seconds: 0, notes: [] });
  const day = 1_440 * MINUTE_MS;
  const config = poolOf({ sticky: { mode: 'cookie-hash', lifeMs: day } });
  expect(ask('drain', 'a', { config, meanLifeMs: day }).seconds).toBe(day / 1_000);
  const still = poolOf({
    sticky: { mode: 'cookie-hash' },
    pool: { state: 'shared', rebalance: { ...REBALANCE, budget: 0 } },
  });
  expect(ask('drain', 'a', { config: still }).seconds).toBeNull();
});

test('servers that are not there, or there already', () => {
  const question = { weight: 1, config: SHARED, servers: servers(1), meanLifeMs: null };
  expect(planChange({ ...question, action: 'drain', server: 'x' })).toBe('there is no server x');
  expect(planChange({ ...question, action: 'add', server: 'a' })).toBe('there is a server a already');
});
