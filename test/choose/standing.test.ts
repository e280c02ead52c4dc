// Candidates that stand from one request to the next, against candidates gathered for each, and policies as they are
// defined: O(servers), by what shared memory says at that moment.

import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { Gathered } from '../../src/choose/candidates.ts';
import { NONE_FREE, Placement } from '../../src/choose/placement.ts';
import type { PoolPlan } from '../../src/choose/plan.ts';
import { COMPARED_MAX } from '../../src/choose/policies/policy.ts';
import { REFUSED_MS, Refusals } from '../../src/choose/refusals.ts';
import type { PolicyName } from '../../src/config/model.ts';
import { Mode, Verdict } from '../../src/shared/control.ts';
import { Gauge } from '../../src/shared/stripe.ts';
import { seeds } from '../support/seeds.ts';
import { World } from './fixture.ts';

const STEPS = 3_000;

type Defined = (indices: readonly number[], plan: PoolPlan, world: World, random: SeededRandom) => number;

const weightOf = (plan: PoolPlan, world: World, index: number): number =>
  world.workers[0]!.control.weight(plan.slots[index]!);

/** Smooth weighted round robin: each step all credits grow by their weights, the richest pays the sum. */
function roundRobin(credits: number[]): Defined {
  return (indices, plan, world) => {
    const weights = indices.map((index) => weightOf(plan, world, index));
    indices.forEach((index, at) => {
      credits[index]! += weights[at]!;
    });
    const best = indices.reduce((one, other) => (credits[other]! > credits[one]! ? other : one));
    credits[best]! -= weights.reduce((sum, weight) => sum + weight, 0);
    return best;
  };
}

function loadOf(plan: PoolPlan, world: World, index: number): number {
  return (world.workers[0]!.inFlight(plan.slots[index]!) + 1) / weightOf(plan, world, index);
}

const leastConnections: Defined = (indices, plan, world, random) => {
  let best = indices[0]!;
  let ties = 1;
  for (const index of indices.slice(1)) {
    const [load, bestLoad] = [loadOf(plan, world, index), loadOf(plan, world, best)];
    if (load > bestLoad) continue;
    ties = load < bestLoad ? 1 : ties + 1;
    if (ties === 1 || random.below(ties) === 0) best = index;
  }
  return best;
};

const randomTwo: Defined = (indices, plan, world, random) => {
  const draw = (among: readonly number[]): number => {
    let point = random.next() * among.reduce((sum, index) => sum + weightOf(plan, world, index), 0);
    return (
      among.find((index) => {
        point -= weightOf(plan, world, index);
        return point < 0;
      }) ?? among.at(-1)!
    );
  };
  const first = draw(indices);
  if (indices.length === 1) return first;
  const second = draw(indices.filter((index) => index !== first));
  return loadOf(plan, world, second) < loadOf(plan, world, first) ? second : first;
};

/** Who may be chosen, as candidates.ts says it; none of them is a backup or has a limit. */
function eligible(
  plan: PoolPlan,
  world: World,
  tried: readonly number[],
  held: (slot: number) => boolean,
): number[] {
  const { control } = world.workers[0]!;
  const all = [...plan.slots.keys()];
  const among = (verdict: Verdict, but: readonly number[]): number[] =>
    all.filter((index) => {
      const slot = plan.slots[index]!;
      const isReady = control.mode(slot) === Mode.ready && control.weight(slot) > 0;
      return control.verdict(slot) === verdict && isReady && !but.includes(slot) && !held(slot);
    });
  const groups = [tried, []].flatMap((but) => [among(Verdict.up, but), among(Verdict.starting, but)]);
  return groups.find((group) => group.length > 0) ?? [];
}

/** The step of the cycle that the fixture's first worker starts at. */
function startOf(seed: number): number {
  return new SeededRandom(seed * 2000).below(256);
}

function scene(policy: PolicyName, servers: number, seed: number, maxConnections = 0) {
  const dice = new SeededRandom(seed);
  const world = new World({
    pool: { policy },
    seed,
    servers: Array.from({ length: servers }, () => ({ maxConnections })),
  });
  const plan = world.plans[0]!;
  const refusals = new Refusals();
  const placement = new Placement(world.workers[0]!, refusals, new SeededRandom(seed));
  return { dice, world, plan, refusals, placement };
}

/** Something happens, or nothing. */
function happen({ dice, world, plan, refusals }: ReturnType<typeof scene>): void {
  const slot = plan.slots[dice.below(plan.slots.length)]!;
  const { control, own } = world.workers[0]!;
  const kind = dice.below(30);
  if (kind === 0)
    control.setVerdict(slot, [Verdict.up, Verdict.down, Verdict.ejected, Verdict.starting][dice.below(4)]!);
  else if (kind === 1) control.setMode(slot, [Mode.ready, Mode.drain, Mode.maintenance][dice.below(3)]!);
  else if (kind === 2) control.setWeight(slot, 500 * dice.below(6));
  else if (kind === 3) refusals.refused(slot, world.clock.nowMs());
  else if (kind === 4) world.clock.advance(REFUSED_MS);
  else if (kind < 20) own.addGauge(slot, Gauge.inFlight, dice.below(3) - own.gauge(slot, Gauge.inFlight));
}

describe.each(['round-robin', 'least-connections', 'random-two'] as const)('%s', (policy) => {
  test.each(seeds(8))('chooses what it is defined to choose, whatever happens, seed %d', (seed) => {
    const servers = [1, 2, 7, COMPARED_MAX][seed % 4]!;
    const it = scene(policy, servers, seed);
    const { world, plan, dice, refusals, placement } = it;
    const random = new SeededRandom(seed);
    const everybody = [...plan.slots.keys()];
    const inTurn = roundRobin(everybody.map(() => 0));
    for (let step = startOf(seed); step > 0; step -= 1) inTurn(everybody, plan, world, random);
    const defined = { 'round-robin': inTurn, 'least-connections': leastConnections, 'random-two': randomTwo };
    const got: (number | null)[] = [];
    const wanted: (number | null)[] = [];
    for (let step = 0; step < STEPS; step += 1) {
      happen(it);
      const nowMs = world.clock.nowMs();
      const tried = dice.below(10) === 0 ? [plan.slots[dice.below(servers)]!] : [];
      const indices = eligible(plan, world, tried, (slot) => refusals.isHeld(slot, nowMs));
      wanted.push(indices.length === 0 ? null : defined[policy](indices, plan, world, random));
      got.push(placement.gather(plan, tried, nowMs) === Gathered.some ? placement.byPolicy(plan) : null);
    }
    expect(got).toEqual(wanted);
  });
});

test.each(['least-connections', 'least-time'] as const)(
  '%s of a thousand servers fills them nearly as evenly as if it compared all',
  (policy) => {
    const { world, plan, placement } = scene(policy, 1_000, 7);
    const { own } = world.workers[0]!;
    for (let request = 0; request < 20_000; request += 1) {
      placement.gather(plan, [], world.clock.nowMs());
      own.addGauge(plan.slots[placement.byPolicy(plan)]!, Gauge.inFlight, 1);
    }
    const inFlight = [...plan.slots].map((slot) => own.gauge(slot, Gauge.inFlight));
    expect([Math.min(...inFlight), Math.max(...inFlight)]).toEqual([19, 21]);
  },
);

describe.each(['round-robin', 'least-connections', 'random-two', 'least-time', 'least-sessions'] as const)(
  '%s with connection limits',
  (policy) => {
    test.each(seeds(4))('takes nobody who is full, and nobody only when all are, seed %d', (seed) => {
      const it = scene(policy, [1, 3, COMPARED_MAX + 8][seed % 3]!, seed, 2);
      const { world, plan, dice, refusals, placement } = it;
      const [shared] = world.workers;
      let full = 0;
      for (let step = 0; step < STEPS; step += 1) {
        happen(it);
        const nowMs = world.clock.nowMs();
        const tried = dice.below(10) === 0 ? [plan.slots[dice.below(plan.slots.length)]!] : [];
        const all = eligible(plan, world, tried, (slot) => refusals.isHeld(slot, nowMs));
        const free = all.filter((index) => shared!.inFlight(plan.slots[index]!) < 2);
        const gathered = placement.gather(plan, tried, nowMs);
        const picked = gathered === Gathered.some ? placement.byPolicy(plan) : NONE_FREE;
        if (free.length < all.length) full += 1;
        if (free.length === 0) expect(picked).toBe(NONE_FREE);
        else expect(free).toContain(picked);
        expect(gathered === Gathered.none).toBe(all.length === 0);
      }
      expect(full).toBeGreaterThan(0);
    });
  },
);
