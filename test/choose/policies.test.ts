// One suite that every policy must pass, and what each of them promises beyond it.

import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { Gathered } from '../../src/choose/candidates.ts';
import { NONE_FREE, Placement } from '../../src/choose/placement.ts';
import { Refusals } from '../../src/choose/refusals.ts';
import type { PolicyName } from '../../src/config/model.ts';
import { Mode, Verdict } from '../../src/shared/control.ts';
import { Counter, Gauge } from '../../src/shared/stripe.ts';
import { CHI_SQUARE_999, chiSquare } from './chi-square.ts';
import { World, type WorldOptions } from './fixture.ts';

const POLICIES: readonly PolicyName[] = [
  'round-robin',
  'least-connections',
  'random-two',
  'least-sessions',
  'least-time',
];

class Picker {
  readonly world: World;
  readonly placement: Placement;
  readonly refusals = new Refusals();

  constructor(policy: PolicyName, options: WorldOptions = {}) {
    this.world = new World({ ...options, pool: { policy } });
    this.placement = new Placement(
      this.world.workers[0]!,
      this.refusals,
      new SeededRandom(options.seed ?? 1),
    );
  }

  gather(tried: readonly number[] = []): Gathered {
    return this.placement.gather(this.world.plans[0]!, tried, this.world.clock.nowMs());
  }

  /** Name of the server the policy picks, null when none may be picked. */
  pick(tried: readonly number[] = []): string | null {
    if (this.gather(tried) !== Gathered.some) return null;
    const index = this.placement.byPolicy(this.world.plans[0]!);
    return index === NONE_FREE ? null : (this.world.config.servers[index]?.name ?? 'none of the pool');
  }

  counts(picks: number, after: (name: string) => void = () => {}): number[] {
    const counts = new Map(this.world.config.servers.map((server) => [server.name, 0]));
    for (let pick = 0; pick < picks; pick += 1) {
      const name = this.pick() ?? 'nobody';
      counts.set(name, (counts.get(name) ?? 0) + 1);
      after(name);
    }
    return [...counts.values()];
  }
}

describe.each(POLICIES)('policy %s', (policy) => {
  test('every mix of states of up to four servers ends with an eligible server or none', () => {
    const states = [
      'up',
      'down',
      'ejected',
      'draining',
      'maintenance',
      'weightless',
      'full',
      'backup',
    ] as const;
    for (let size = 1; size <= 4; size += 1) {
      for (let mix = 0; mix < states.length ** size; mix += 1) {
        const mine = Array.from(
          { length: size },
          (_, at) => states[Math.floor(mix / states.length ** at) % states.length]!,
        );
        const limited = mine.map((state) => ({
          maxConnections: state === 'full' ? 1 : 0,
          backup: state === 'backup',
        }));
        const picker = sharedPicker(policy, limited);
        mine.forEach((state, index) => {
          const slot = picker.world.slot(index);
          const { control, own } = picker.world.workers[0]!;
          control.setVerdict(
            slot,
            state === 'down' ? Verdict.down : state === 'ejected' ? Verdict.ejected : Verdict.up,
          );
          control.setMode(
            slot,
            state === 'draining' ? Mode.drain : state === 'maintenance' ? Mode.maintenance : Mode.ready,
          );
          control.setWeight(slot, state === 'weightless' ? 0 : 1000);
          own.addGauge(slot, Gauge.inFlight, (state === 'full' ? 1 : 0) - own.gauge(slot, Gauge.inFlight));
        });
        const isAnyFull = mine.includes('full');
        const wanted = mine.includes('up')
          ? 'up'
          : isAnyFull
            ? null
            : mine.includes('backup')
              ? 'backup'
              : null;
        const picked = picker.pick();
        const state =
          picked === null ? null : mine[picker.world.config.servers.findIndex((s) => s.name === picked)];
        expect(state, mine.join(' ')).toBe(wanted);
      }
    }
  });

  test('servers not checked yet are taken only while none is up', () => {
    const picker = new Picker(policy, { servers: [{}, {}, { backup: true }] });
    for (const name of ['a', 'b', 'c']) picker.world.setVerdict(name, Verdict.starting);
    expect(['a', 'b']).toContain(picker.pick());
    picker.world.setVerdict('b', Verdict.up);
    expect(new Set(Array.from({ length: 20 }, () => picker.pick()))).toEqual(new Set(['b']));
  });

  test('a server that was tried is taken again only when no other is eligible', () => {
    const picker = new Picker(policy, { servers: [{}, {}, {}] });
    const [a, b, c] = [0, 1, 2].map((index) => picker.world.slot(index)) as [number, number, number];
    for (let round = 0; round < 20; round += 1) {
      expect(['b', 'c']).toContain(picker.pick([a]));
      expect(picker.pick([a, c])).toBe('b');
    }
    expect(picker.pick([a, b, c])).not.toBeNull();
    picker.world.setVerdict('b', Verdict.down);
    expect(picker.pick([a, c])).not.toBe('b');
  });

  test('a backup stands in for a tried primary', () => {
    const picker = new Picker(policy, { servers: [{}, { backup: true }] });
    expect(picker.pick()).toBe('a');
    expect(picker.pick([picker.world.slot(0)])).toBe('b');
  });

  test('the same seed gives the same picks', () => {
    const one = new Picker(policy, { seed: 7 });
    const two = new Picker(policy, { seed: 7 });
    for (let pick = 0; pick < 200; pick += 1) expect(one.pick()).toBe(two.pick());
  });

  test('equal servers get equal shares in the long run', () => {
    const picker = new Picker(policy);
    const counts = picker.counts(4000, (name) =>
      picker.world.workers[0]!.own.addGauge(picker.world.slotOf(name), Gauge.sessionDelta, 1),
    );
    expect(chiSquare(counts)).toBeLessThan(CHI_SQUARE_999[3]!);
  });
});

describe('round-robin', () => {
  test('spreads a heavy server over the cycle and keeps to the weights exactly', () => {
    const picker = new Picker('round-robin', { servers: [{ weight: 5 }, {}, {}] });
    expect(picker.counts(700)).toEqual([500, 100, 100]);
    const cycle = Array.from({ length: 14 }, () => picker.pick()).join('');
    expect(cycle).not.toMatch(/a{6}|b[^a]|c[^a]/);
  });

  test('threads start at different places of the cycle', () => {
    const starts = Array.from({ length: 40 }, (_, seed) => new Picker('round-robin', { seed }).pick());
    expect(new Set(starts).size).toBe(4);
  });

  test('follows slow-start weights', () => {
    const picker = new Picker('round-robin', { servers: [{}, {}] });
    picker.world.shared.control.setWeight(picker.world.slot(1), 100);
    const [full, starting] = picker.counts(1100) as [number, number];
    expect(full + starting).toBe(1100);
    expect(Math.abs(starting - 100)).toBeLessThanOrEqual(1);
  });
});

describe('least-connections', () => {
  test('takes the fewest requests per weight over all threads, ties at random', () => {
    const picker = new Picker('least-connections', { servers: [{}, { weight: 4 }, {}, {}], workers: 2 });
    picker.world.addInFlight('a', 1, 1);
    picker.world.addInFlight('b', 2, 0);
    picker.world.addInFlight('c', 1, 1);
    picker.world.addInFlight('d', 1, 1);
    expect(picker.pick()).toBe('b');
    picker.world.addInFlight('b', 5, 1);
    const ties = picker.counts(3000);
    expect(chiSquare(ties)).toBeLessThan(CHI_SQUARE_999[3]!);
  });

  test('the picked load is always the least', () => {
    const random = new SeededRandom(5);
    const picker = new Picker('least-connections', { servers: Array.from({ length: 10 }, () => ({})) });
    const { own } = picker.world.workers[0]!;
    for (let round = 0; round < 2000; round += 1) {
      const slots = picker.world.config.servers.map((_, index) => picker.world.slot(index));
      for (const slot of slots)
        own.addGauge(slot, Gauge.inFlight, random.below(5) - own.gauge(slot, Gauge.inFlight));
      const least = Math.min(...slots.map((slot) => own.gauge(slot, Gauge.inFlight)));
      expect(own.gauge(picker.world.slotOf(picker.pick()!), Gauge.inFlight)).toBe(least);
    }
  });
});

describe('random-two', () => {
  test('compares two different servers: the worst of all is never picked', () => {
    const picker = new Picker('random-two');
    picker.world.addInFlight('a', 9);
    expect(picker.counts(2000)[0]).toBe(0);
  });

  test('draws the pairs evenly', () => {
    const picker = new Picker('random-two', { servers: [{}, {}, {}, {}] });
    ['a', 'b', 'c', 'd'].forEach((name, index) => {
      picker.world.addInFlight(name, index);
    });
    // the least loaded wins 3 of the 6 pairs, the next 2, the next 1
    expect(chiSquare(picker.counts(6000).slice(0, 3), [3, 2, 1])).toBeLessThan(CHI_SQUARE_999[2]!);
  });

  test('draws by weight', () => {
    const picker = new Picker('random-two', { servers: [{ weight: 8 }, {}, {}] });
    const [heavy] = picker.counts(3000);
    expect(heavy).toBeGreaterThan(2000);
  });
});

describe('least-sessions', () => {
  test('counts what the sweep found, tentative ones, and what was placed since, per weight', () => {
    const picker = new Picker('least-sessions', { servers: [{}, { weight: 2 }] });
    const { control, own } = picker.world.workers[0]!;
    const [a, b] = [picker.world.slot(0), picker.world.slot(1)];
    own.addGauge(b, Gauge.sessionDelta, 30);
    control.publishSweep(a, 10, 1, 0);
    control.publishSweep(b, 15, 5, 30);
    expect(picker.pick()).toBe('b');
    own.addGauge(b, Gauge.sessionDelta, 4);
    expect(picker.pick()).toBe('a');
  });
});

describe('least-time', () => {
  function measure(picker: Picker, name: string, ms: number): void {
    picker.world.workers[0]!.own.smoothFirstByte(picker.world.slotOf(name), ms);
  }

  test('takes the fastest, scaled by what is in flight there', () => {
    const picker = new Picker('least-time', { servers: [{}, {}] });
    measure(picker, 'a', 10);
    measure(picker, 'b', 30);
    expect(picker.pick()).toBe('a');
    picker.world.addInFlight('a', 3);
    expect(picker.pick()).toBe('b');
  });

  test('measures a new server first, with one request and not with all', () => {
    const picker = new Picker('least-time', { servers: [{}, {}, {}] });
    measure(picker, 'a', 10);
    measure(picker, 'b', 10);
    expect(picker.pick()).toBe('c');
    picker.world.addInFlight('c', 1);
    expect(picker.pick()).not.toBe('c');
  });

  test('averages what the threads have measured', () => {
    const picker = new Picker('least-time', { servers: [{}, {}], workers: 2 });
    picker.world.workers[0]!.own.smoothFirstByte(picker.world.slot(0), 10);
    picker.world.workers[1]!.own.smoothFirstByte(picker.world.slot(0), 50);
    picker.world.workers[1]!.own.smoothFirstByte(picker.world.slot(1), 20);
    expect(picker.pick()).toBe('b');
    expect(picker.world.shared.sumCounter(picker.world.slot(0), Counter.firstByteMs)).toBe(60);
  });
});

const pickers = new Map<string, Picker>();

/** Worlds are not cheap: one for each shape of pool. */
function sharedPicker(policy: PolicyName, servers: NonNullable<WorldOptions['servers']>): Picker {
  const shape = `${policy} ${JSON.stringify(servers)}`;
  const known = pickers.get(shape);
  if (known !== undefined) return known;
  const picker = new Picker(policy, { servers, sessionsMax: 16 });
  pickers.set(shape, picker);
  return picker;
}
