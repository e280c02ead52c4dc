// The rebalancer's decisions over thousands of seeds, on counts alone. SEED= replays one, SEEDS= widens.

import { expect, test, vi } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import {
  INITIAL_STATE,
  planCycle,
  type RebalanceRules,
  type RebalanceServer,
  type RebalanceState,
  spend,
} from '../../src/sessions/rebalance.ts';
import { measureSkew, type Skew } from '../../src/sessions/skew.ts';
import { seeds } from '../support/seeds.ts';

const ALL = seeds(200);
const CYCLE_MS = 10_000;

vi.setConfig({ testTimeout: 20_000 + 50 * ALL.length });

interface Server {
  sessions: number;
  weight: number;
  role: RebalanceServer['role'];
  gave: number;
  took: number;
}

class Pool {
  readonly random: SeededRandom;
  readonly servers: Server[];
  rules: RebalanceRules;
  state: RebalanceState = INITIAL_STATE;
  nowMs = 0;
  moved = 0;
  /** Sum over the cycles of budget × sessions. */
  allowed = 0;
  /** Chance that a session chosen to move can be moved. */
  movable = 1;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const count = 2 + this.random.below(11);
    const scale = 2 + this.random.below(500);
    this.servers = Array.from({ length: count }, () => ({
      sessions: this.random.below(scale),
      weight: 1 + this.random.below(4),
      role: 'member',
      gave: 0,
      took: 0,
    }));
    const stop = 1.02 + this.random.next() * 0.1;
    const start = stop + 0.02 + this.random.next() * 0.3;
    this.rules = {
      mode: 'on',
      start,
      stop,
      budget: [0.002, 0.01, 0.02, 0.05, 0.2][this.random.below(5)] ?? 0.02,
    };
  }

  get sessions(): number {
    return this.servers.reduce((sum, server) => sum + server.sessions, 0);
  }

  get members(): readonly Server[] {
    return this.servers.filter(({ role }) => role === 'member');
  }

  get skew(): Skew {
    return measureSkew(this.members.map(({ sessions, weight }) => ({ count: sessions, weight })));
  }

  get ratio(): number {
    return this.skew.ratio;
  }

  /** One cycle: plans, checks the plan, moves. Returns how many moved. */
  cycle(failures = 0): number {
    this.nowMs += CYCLE_MS;
    const share = this.rules.budget * this.sessions;
    const facts = { nowMs: this.nowMs, servers: this.servers, requests: 1_000, failures };
    const plan = planCycle(this.state, this.rules, facts);
    let moved = 0;
    const givers = new Set<number>();
    const takers = new Set<number>();
    for (const { from, to, sessions } of [...plan.draining, ...plan.levelling]) {
      let done = 0;
      for (let index = 0; index < sessions; index += 1) if (this.random.next() < this.movable) done += 1;
      this.#move(from, to, done);
      moved += done;
      givers.add(from);
      takers.add(to);
    }
    expect([...givers].filter((index) => takers.has(index))).toEqual([]);
    this.state = spend(plan.state, moved);
    this.moved += moved;
    this.allowed += share;
    expect(moved).toBeLessThanOrEqual(Math.ceil(share));
    expect(this.moved).toBeLessThanOrEqual(this.allowed + 1 + 1e-6);
    return moved;
  }

  #move(from: number, to: number, sessions: number): void {
    const giver = this.servers[from]!;
    const taker = this.servers[to]!;
    giver.sessions -= sessions;
    giver.gave += sessions;
    taker.sessions += sessions;
    taker.took += sessions;
    expect(giver.sessions).toBeGreaterThanOrEqual(0);
    expect(taker.role).toBe('member');
  }

  /** Sessions come and go: `rate` of them per cycle, placed at random by weight. */
  churn(rate: number): void {
    const total = this.sessions;
    for (const server of this.servers) {
      for (let left = server.sessions; left > 0; left -= 1)
        if (this.random.next() < rate) server.sessions -= 1;
    }
    const { members } = this;
    const weights = members.reduce((sum, { weight }) => sum + weight, 0);
    for (let arrivals = Math.round(total * rate); arrivals > 0; arrivals -= 1) {
      let point = this.random.next() * weights;
      const chosen = members.find(({ weight }) => {
        point -= weight;
        return point < 0;
      });
      if (chosen !== undefined) chosen.sessions += 1;
    }
  }
}

function forEachSeed(scenario: (pool: Pool, seed: number) => void): void {
  for (const seed of ALL) {
    try {
      scenario(new Pool(seed), seed);
    } catch (error) {
      throw new Error(`SEED=${seed}`, { cause: error });
    }
  }
}

/** Sessions above the fair shares, rounded up: what levelling can need at most. */
function surplusOf(pool: Pool): number {
  const { members } = pool;
  const sessions = members.reduce((sum, server) => sum + server.sessions, 0);
  const weights = members.reduce((sum, server) => sum + server.weight, 0);
  return members.reduce((sum, server) => {
    const above = server.sessions - (sessions * server.weight) / weights;
    return sum + Math.max(0, Math.ceil(above - 1e-9));
  }, 0);
}

test('an uneven pool becomes even within the budget, moving no more than its surplus', () => {
  let started = 0;
  forEachSeed((pool) => {
    const skew = measureSkew(pool.members.map(({ sessions, weight }) => ({ count: sessions, weight })));
    const mustMove = skew.ratio >= pool.rules.start && skew.isBeyondChance;
    const surplus = surplusOf(pool);
    const cycles = 3 + Math.ceil((surplus + 1) / (pool.rules.budget * pool.sessions || 1)) + 3;
    for (let cycle = 0; cycle < cycles; cycle += 1) pool.cycle();
    expect(pool.moved).toBeLessThanOrEqual(surplus);
    if (!mustMove) {
      expect(pool.moved).toBe(0);
      return;
    }
    started += 1;
    // either below stop, or as near to the fair shares as whole sessions come
    const isEven = pool.ratio < pool.rules.stop || surplusOf(pool) <= pool.servers.length;
    expect({ isEven, ratio: pool.ratio, state: pool.state }).toMatchObject({ isEven: true });
  });
  if (ALL.length > 1) expect(started).toBeGreaterThan((ALL.length - 1) / 4);
});

test('no server gives and takes: nothing swings, and an even pool stays untouched', () => {
  forEachSeed((pool) => {
    for (let cycle = 0; cycle < 60; cycle += 1) pool.cycle();
    for (const { gave, took } of pool.servers) expect(Math.min(gave, took)).toBe(0);
    const { moved } = pool;
    if (pool.state.phase === 'idle' && pool.ratio < pool.rules.start) {
      for (let cycle = 0; cycle < 20; cycle += 1) pool.cycle();
      expect(pool.moved).toBe(moved);
    }
  });
});

test('with sessions that cannot always be moved, the ratio grows in no cycle', () => {
  forEachSeed((pool) => {
    pool.movable = 0.2 + 0.8 * pool.random.next();
    let before = pool.ratio;
    for (let cycle = 0; cycle < 60; cycle += 1) {
      pool.cycle();
      expect(pool.ratio).toBeLessThanOrEqual(before + 1e-9);
      before = pool.ratio;
    }
  });
});

test('with sessions that come and go, nothing uneven is left alone, and pools are more even than without', () => {
  const ratios = { on: 0, off: 0 };
  for (const mode of ['on', 'off'] as const) {
    forEachSeed((pool, seed) => {
      pool.rules = { ...pool.rules, mode };
      pool.movable = 0.2 + 0.8 * pool.random.next();
      let unevenAndIdle = 0;
      for (let cycle = 0; cycle < 60; cycle += 1) {
        pool.churn(0.01 * (1 + (seed % 4)));
        const { ratio, isBeyondChance } = pool.skew;
        pool.cycle();
        const isLeft = pool.state.phase === 'idle' && ratio >= pool.rules.start && isBeyondChance;
        unevenAndIdle = isLeft ? unevenAndIdle + 1 : 0;
        if (mode === 'on') expect(unevenAndIdle).toBeLessThan(3);
      }
      ratios[mode] += pool.ratio;
    });
  }
  if (ALL.length >= 100) expect(ratios.on).toBeLessThan(ratios.off);
});

test('a drained server is empty after the budget’s own time, and nothing goes to it', () => {
  forEachSeed((pool, seed) => {
    const drained = pool.servers[seed % pool.servers.length]!;
    drained.role = 'draining';
    const cycles = Math.ceil((drained.sessions + 1) / (pool.rules.budget * pool.sessions || 1)) + 1;
    for (let cycle = 0; cycle < cycles; cycle += 1) pool.cycle();
    expect(drained.sessions).toBe(0);
    expect(drained.took).toBe(0);
  });
});

test('failures that rise while sessions move end it, for a minute at least', () => {
  let stopped = 0;
  forEachSeed((pool) => {
    for (let cycle = 0; cycle < 3; cycle += 1) pool.cycle();
    if (pool.state.phase !== 'running' || pool.ratio < pool.rules.stop) return;
    stopped += 1;
    for (let cycle = 0; cycle < 5; cycle += 1) expect(pool.cycle(100)).toBe(0);
    expect(pool.state.phase).toBe('resting');
    expect(pool.state.why).toContain('failed requests rose');
  });
  if (ALL.length > 1) expect(stopped).toBeGreaterThan(0);
});

test('when nothing can be moved it gives up after three cycles that should have gained, and says why', () => {
  let gaveUp = 0;
  forEachSeed((pool) => {
    pool.movable = 0;
    for (let cycle = 0; cycle < 3; cycle += 1) pool.cycle();
    const { phase, last } = pool.state;
    if (phase !== 'running' || last === null || pool.rules.budget * pool.sessions < 1) return;
    const mustGain = last.ratio - last.planned > 1e-9;
    const phases = [1, 2, 3].map(() => {
      pool.cycle();
      return pool.state.phase;
    });
    expect(pool.moved).toBe(0);
    // two servers that are equally full: one cycle's moves from one of them gain nothing yet
    if (!mustGain) return;
    gaveUp += 1;
    expect(phases).toEqual(['running', 'running', 'resting']);
    expect(pool.state.why).toBe(`3 cycles without gain at ratio ${pool.ratio.toFixed(3)}`);
  });
  if (ALL.length > 1) expect(gaveUp).toBeGreaterThan(0);
});
