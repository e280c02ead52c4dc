// From one cycle to the next: when moving begins, rests and ends, and how much it may move.

import { describe, expect, test } from 'vitest';
import {
  type CyclePlan,
  INITIAL_STATE,
  MOVES_PER_CYCLE_MAX,
  planCycle,
  type RebalanceRules,
  type RebalanceServer,
  type ServerRole,
  spend,
} from '../../src/sessions/rebalance.ts';

const RULES: RebalanceRules = { mode: 'on', start: 1.25, stop: 1.08, budget: 0.02 };
const UNEVEN = members(900, 100);

function members(...sessions: readonly number[]): readonly RebalanceServer[] {
  return sessions.map((count) => server(count));
}

function server(sessions: number, role: ServerRole = 'member'): RebalanceServer {
  return { sessions, weight: 1, role };
}

/** One pool's cycles, a second apart. Nothing is really moved: what the servers hold is told each time. */
class Cycles {
  state = INITIAL_STATE;
  nowMs = 0;
  readonly #rules: RebalanceRules;

  constructor(rules: Partial<RebalanceRules> = {}) {
    this.#rules = { ...RULES, ...rules };
  }

  next(servers: readonly RebalanceServer[], failures = 0, requests = 1_000): CyclePlan {
    this.nowMs += 1_000;
    const plan = planCycle(this.state, this.#rules, { nowMs: this.nowMs, servers, requests, failures });
    this.state = plan.state;
    return plan;
  }

  /** So far that it moves sessions. */
  run(): this {
    for (let cycle = 0; cycle < 3; cycle += 1) this.next(UNEVEN);
    expect(this.state.phase).toBe('running');
    return this;
  }
}

describe('requests fail while sessions are moved', () => {
  test('five or more, and two points in a hundred above what is usual: it rests', () => {
    const cycles = new Cycles().run();
    cycles.next(UNEVEN, 21);
    const why = 'failed requests rose from 0.0 % to 2.1 %';
    expect(cycles.state).toMatchObject({ phase: 'resting', why, restUntilMs: cycles.nowMs + 60_000 });
  });

  test('a few that fail are no rise, though nothing else was asked for, nor are many of very many', () => {
    const cycles = new Cycles().run();
    cycles.next(members(850, 150), 4, 4);
    cycles.next(members(800, 200), 5, 250);
    cycles.next(members(750, 250), 20, 1_000);
    expect(cycles.state).toMatchObject({ phase: 'running', usualFailures: 0 });
    cycles.next(members(700, 300), 5, 249);
    expect(cycles.state.phase).toBe('resting');
  });

  test('what is usual is learned while nothing is moved, by a fifth of each cycle that had requests', () => {
    const cycles = new Cycles();
    cycles.next(members(500, 500), 100);
    expect(cycles.state.usualFailures).toBeCloseTo(0.02, 9);
    cycles.next(members(500, 500), 0, 0);
    cycles.next(members(500, 500), 100);
    expect(cycles.state.usualFailures).toBeCloseTo(0.036, 9);
    // more failed than were asked for: they were asked for in the cycle before
    cycles.next(members(500, 500), 3_000);
    expect(cycles.state.usualFailures).toBeCloseTo(0.036 + (1 - 0.036) / 5, 9);
  });

  test('what it was used to is no rise, and what fails while sessions are moved becomes no use', () => {
    const cycles = new Cycles();
    for (let cycle = 0; cycle < 60; cycle += 1) cycles.next(members(500, 500), 100);
    cycles.run();
    const { usualFailures } = cycles.state;
    cycles.next(members(850, 150), 60);
    cycles.next(members(800, 200), 70);
    expect(cycles.state).toMatchObject({ phase: 'running', usualFailures });
  });
});

describe('moving gains nothing', () => {
  test('three cycles in a row: it rests', () => {
    const cycles = new Cycles().run();
    const phases = Array.from({ length: 3 }, () => cycles.next(UNEVEN).state.phase);
    expect(phases).toEqual(['running', 'running', 'resting']);
    const why = '3 cycles without gain at ratio 1.800';
    expect(cycles.state).toMatchObject({ why, restUntilMs: cycles.nowMs + 60_000, gainlessCycles: 0 });
  });

  test('a gain begins the count anew', () => {
    const cycles = new Cycles().run();
    for (const servers of [UNEVEN, UNEVEN, members(880, 120)]) cycles.next(servers);
    expect(cycles.state.gainlessCycles).toBe(0);
    for (let cycle = 0; cycle < 2; cycle += 1) cycles.next(members(880, 120));
    expect(cycles.state).toMatchObject({ phase: 'running', gainlessCycles: 2 });
  });

  test('half a hundredth of the ratio is one, or a quarter of what was planned where that is less', () => {
    const large = new Cycles().run();
    // 20 of 1000 sessions planned: from 1.80 to 1.76
    expect(large.state.last).toEqual({ ratio: 1.8, planned: 1.76 });
    expect(large.next(members(898, 102)).state.gainlessCycles).toBe(1);
    expect(large.next(members(895, 105)).state.gainlessCycles).toBe(0);
    const small = new Cycles({ budget: 0.005 }).run();
    // 5 planned: from 1.80 to 1.79, of which a quarter is 0.0025
    expect(small.next(members(899, 101)).state.gainlessCycles).toBe(1);
    expect(small.next(members(897, 103)).state.gainlessCycles).toBe(0);
  });

  test('a cycle that had no move to plan says nothing', () => {
    const cycles = new Cycles({ budget: 0.0001 }).run();
    for (let cycle = 0; cycle < 4; cycle += 1) {
      expect(cycles.next(UNEVEN).levelling).toEqual([]);
      expect(cycles.state).toMatchObject({ phase: 'running', gainlessCycles: 0 });
    }
  });
});

describe('a rest', () => {
  test('lasts a minute, keeps its reason, and unevenness is believed anew afterwards', () => {
    const cycles = new Cycles().run();
    cycles.next(UNEVEN, 500);
    const { why, restUntilMs } = cycles.state;
    while (cycles.nowMs < restUntilMs - 1_000) {
      expect(cycles.next(UNEVEN).levelling).toEqual([]);
      expect(cycles.state).toMatchObject({ phase: 'resting', why, unevenCycles: 0 });
    }
    const phases = Array.from({ length: 3 }, () => cycles.next(UNEVEN).state.phase);
    expect(phases).toEqual(['idle', 'idle', 'running']);
  });

  test('learns what fails usually', () => {
    const cycles = new Cycles().run();
    cycles.next(UNEVEN, 500);
    cycles.next(UNEVEN, 100);
    expect(cycles.state.phase).toBe('resting');
    expect(cycles.state.usualFailures).toBeCloseTo(0.02, 9);
  });
});

describe('an even pool', () => {
  test('ends moving below stop, not at it, and the next time has to be believed anew', () => {
    const cycles = new Cycles().run();
    expect(cycles.next(members(540, 460)).state.phase).toBe('running');
    const why = 'even enough: ratio 1.078 is below stop 1.08';
    expect(cycles.next(members(539, 461)).state).toMatchObject({ phase: 'idle', why, unevenCycles: 0 });
    expect(cycles.next(UNEVEN).state).toMatchObject({ phase: 'idle', unevenCycles: 1 });
  });

  test('begins nothing below start, at which it does', () => {
    const cycles = new Cycles();
    expect(cycles.next(members(624, 376)).state.unevenCycles).toBe(0);
    expect(cycles.next(members(625, 375)).state.unevenCycles).toBe(1);
  });

  test('switched off while it moves: it ends, and nothing is left of what it had counted', () => {
    const { state, nowMs } = new Cycles().run();
    const off = { ...RULES, mode: 'off' } as const;
    const before = { ...state, unevenCycles: 2, gainlessCycles: 2 };
    const plan = planCycle(before, off, { nowMs, servers: UNEVEN, requests: 0, failures: 0 });
    const why = 'rebalancing is off';
    expect(plan.state).toMatchObject({ phase: 'idle', why, unevenCycles: 0, gainlessCycles: 0 });
    expect(plan.levelling).toEqual([]);
  });
});

describe('the budget', () => {
  test('is saved up while it is less than a session, and never more than a cycle’s part and one', () => {
    const cycles = new Cycles();
    const grants = Array.from({ length: 4 }, () => cycles.next(members(10, 10)).grant);
    // 0.4 of a session each time
    expect(grants).toEqual([0, 0, 1, 1]);
    expect(cycles.state.allowance).toBeCloseTo(1.4, 9);
    expect(spend(cycles.state, 1).allowance).toBeCloseTo(0.4, 9);
    expect(spend(cycles.state, 2).allowance).toBe(0);
  });

  test('is a part of what members and draining servers hold, no matter how long nothing was moved', () => {
    const cycles = new Cycles();
    const servers = [server(500), server(480), server(20, 'draining'), server(9_000, 'out')];
    for (let cycle = 0; cycle < 5; cycle += 1) expect(cycles.next(servers).grant).toBe(20);
  });

  test('has a bound for the largest pools', () => {
    expect(new Cycles().next(members(900_000, 900_000)).grant).toBe(MOVES_PER_CYCLE_MAX);
  });
});

describe('draining servers', () => {
  const servers = [
    server(300),
    server(10, 'draining'),
    server(100),
    server(40, 'draining'),
    server(7, 'out'),
  ];

  test('are emptied in every phase, the fullest first, onto members alone, with what there is of the budget', () => {
    for (const mode of ['on', 'off'] as const) {
      const plan = new Cycles({ mode, budget: 0.1 }).next(servers);
      expect(plan.draining).toEqual([
        { from: 3, to: 2, sessions: 40 },
        { from: 1, to: 2, sessions: 5 },
      ]);
      expect(plan.grant).toBe(45);
    }
  });

  test('come first: nothing else moves until they are empty, and then between members, by their places', () => {
    const cycles = new Cycles().run();
    expect(
      cycles.next([server(0, 'draining'), server(900), server(9, 'draining'), server(100)]),
    ).toMatchObject({
      draining: [{ from: 2, to: 3, sessions: 9 }],
      levelling: [],
    });
    expect(cycles.next([server(0, 'draining'), server(880), server(0, 'out'), server(120)])).toMatchObject({
      draining: [],
      levelling: [{ from: 1, to: 3, sessions: 20 }],
    });
  });
});
