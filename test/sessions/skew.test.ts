import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { chiSquareBelow, chiSquareLimit, expectedFullest, normalBelow } from '../../src/sessions/chance.ts';
import { EVEN, expectedRatio, type Load, measureSkew } from '../../src/sessions/skew.ts';

const loads = (counts: readonly number[], weights?: readonly number[]): Load[] =>
  counts.map((count, index) => ({ count, weight: weights?.[index] ?? 1 }));

describe('computed by hand', () => {
  test('40, 30, 20, 10 over four equal servers', () => {
    const skew = measureSkew(loads([40, 30, 20, 10]));
    // x = 1.6, 1.2, 0.8, 0.4; variance (0.36 + 0.04 + 0.04 + 0.36) / 4 = 0.2
    expect(skew.ratio).toBeCloseTo(1.6, 12);
    expect(skew.trough).toBeCloseTo(0.4, 12);
    expect(skew.cv).toBeCloseTo(Math.sqrt(0.2), 12);
    expect(skew.jain).toBeCloseTo(16 / (4 * 4.8), 12);
    expect(skew.gini).toBeCloseTo(0.25, 12);
    expect(skew.floorCv).toBeCloseTo(Math.sqrt(0.03), 12);
    expect(skew.excess).toBeCloseTo(Math.sqrt(0.17), 12);
    expect(skew.chi2).toBeCloseTo((15 ** 2 + 5 ** 2 + 5 ** 2 + 15 ** 2) / 25, 12);
    expect(skew.isBeyondChance).toBe(true);
  });

  test('30 and 10 on servers of weight 3 and 1 are even', () => {
    const skew = measureSkew(loads([30, 10], [3, 1]));
    expect(skew).toMatchObject({
      ratio: 1,
      cv: 0,
      jain: 1,
      gini: 0,
      trough: 1,
      excess: 0,
      chi2: 0,
      isBeyondChance: false,
    });
  });

  test('20 and 20 on servers of weight 3 and 1', () => {
    const skew = measureSkew(loads([20, 20], [3, 1]));
    // x = 2/3 and 2; variance 0.75/9 + 0.25 = 1/3
    expect(skew.ratio).toBeCloseTo(2, 12);
    expect(skew.trough).toBeCloseTo(2 / 3, 12);
    expect(skew.cv).toBeCloseTo(Math.sqrt(1 / 3), 12);
    expect(skew.gini).toBeCloseTo(0.75 * 0.25 * (4 / 3), 12);
    expect(skew.chi2).toBeCloseTo(10 ** 2 / 30 + 10 ** 2 / 10, 12);
  });

  test('everything on one of n', () => {
    expect(measureSkew(loads([100, 0, 0, 0]))).toMatchObject({ ratio: 4, trough: 0, jain: 0.25, gini: 0.75 });
  });
});

describe('nothing to compare', () => {
  test.each([
    ['no servers', loads([])],
    ['one server', loads([7])],
    ['no sessions', loads([0, 0, 0])],
    ['weights of zero only', loads([3, 4], [0, 0])],
    ['one server of some weight', loads([3, 4], [1, 0])],
  ])('%s', (_name, given) => {
    expect(measureSkew(given)).toEqual(EVEN);
  });

  test('a server of weight 0 is left out with what it holds', () => {
    expect(measureSkew(loads([10, 10, 99], [1, 1, 0]))).toEqual(measureSkew(loads([10, 10])));
  });
});

describe('laws', () => {
  const counts = fc.array(fc.nat({ max: 100_000 }), { minLength: 2, maxLength: 40 });
  const weighted = fc.array(fc.tuple(fc.nat({ max: 100_000 }), fc.integer({ min: 1, max: 1_000 })), {
    minLength: 2,
    maxLength: 40,
  });
  const ofPairs = (pairs: readonly (readonly [number, number])[]): Load[] =>
    pairs.map(([count, weight]) => ({ count, weight }));

  test('every measure stays in its range', () => {
    fc.assert(
      fc.property(weighted, (pairs) => {
        const skew = measureSkew(ofPairs(pairs));
        const total = pairs.reduce((sum, [, weight]) => sum + weight, 0);
        const ratioMax = total / Math.min(...pairs.map(([, weight]) => weight));
        expect(skew.ratio).toBeGreaterThanOrEqual(1 - 1e-9);
        expect(skew.ratio).toBeLessThanOrEqual(ratioMax + 1e-6);
        expect(skew.trough).toBeLessThanOrEqual(1 + 1e-9);
        expect(skew.jain).toBeGreaterThanOrEqual(1 / pairs.length - 1e-9);
        expect(skew.jain).toBeLessThanOrEqual(1 + 1e-9);
        expect(skew.gini).toBeGreaterThanOrEqual(-1e-9);
        expect(skew.gini).toBeLessThan(1);
        expect(skew.excess).toBeLessThanOrEqual(skew.cv);
        expect(
          Object.values(skew).every((value) => typeof value === 'boolean' || Number.isFinite(value)),
        ).toBe(true);
      }),
    );
  });

  test('scaling all weights or reordering servers changes nothing', () => {
    fc.assert(
      fc.property(weighted, fc.integer({ min: 2, max: 50 }), (pairs, factor) => {
        const plain = measureSkew(ofPairs(pairs));
        const other = measureSkew(
          ofPairs(pairs.map(([count, weight]) => [count, weight * factor] as const).reverse()),
        );
        for (const key of ['ratio', 'cv', 'jain', 'gini', 'floor', 'chi2'] as const) {
          expect(other[key]).toBeCloseTo(plain[key], 6);
        }
      }),
    );
  });

  test('with equal weights jain is 1 / (1 + cv^2) and gini the mean absolute difference', () => {
    fc.assert(
      fc.property(counts, (given) => {
        const total = given.reduce((sum, count) => sum + count, 0);
        fc.pre(total > 0);
        const skew = measureSkew(loads(given));
        expect(skew.jain).toBeCloseTo(1 / (1 + skew.cv ** 2), 9);
        let differences = 0;
        for (const a of given) for (const b of given) differences += Math.abs(a - b);
        expect(skew.gini).toBeCloseTo(differences / (2 * given.length * total), 9);
      }),
    );
  });

  test('a server of weight w is as good as w servers of weight 1 with its load in equal parts', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(1_000), fc.integer({ min: 1, max: 6 })), { minLength: 2, maxLength: 8 }),
        (pairs) => {
          const whole = measureSkew(pairs.map(([count, weight]) => ({ count: count * weight, weight })));
          const split = measureSkew(pairs.flatMap(([count, weight]) => loads(Array(weight).fill(count))));
          for (const key of ['ratio', 'trough', 'cv', 'gini', 'chi2'] as const)
            expect(split[key]).toBeCloseTo(whole[key], 9);
        },
      ),
    );
  });
});

describe('chance', () => {
  test('the normal distribution', () => {
    expect(normalBelow(0)).toBeCloseTo(0.5, 6);
    expect(normalBelow(1)).toBeCloseTo(0.841345, 6);
    expect(normalBelow(-1.959964)).toBeCloseTo(0.025, 6);
  });

  test('where servers hold many, the fullest is the expected maximum of n standard normals above the mean', () => {
    const known = {
      2: 0.564,
      3: 0.846,
      4: 1.029,
      5: 1.163,
      6: 1.267,
      8: 1.424,
      10: 1.539,
      16: 1.766,
      32: 2.07,
      100: 2.508,
    };
    const mean = 1e8;
    for (const [n, expected] of Object.entries(known)) {
      const fullest = expectedFullest(Array(Number(n)).fill(mean));
      expect((fullest - 1) * Math.sqrt(mean)).toBeCloseTo(expected, 3);
    }
  });

  test('where exact reckoning ends and the normal distribution begins there is no step', () => {
    for (const n of [2, 4, 10, 100, 1_000]) {
      const exact = expectedFullest(Array(n).fill(1_000));
      const normal = expectedFullest(Array(n).fill(1_000.001));
      expect(Math.abs(exact / normal - 1)).toBeLessThan(0.002);
    }
  });

  test('every number of servers and sessions has a floor, at once', () => {
    for (const n of [2, 3, 7, 64, 1_000])
      for (const sessions of [0.5, 1, 9, 1e3, 1e6, 1e7]) {
        const floor = expectedRatio(Array(n).fill(1 / n), sessions);
        expect(floor).toBeGreaterThan(1);
        expect(floor).toBeLessThan(n * 1.01 + 1 / sessions);
      }
  });

  test('99.9 % points of chi-square', () => {
    const known = { 2: 13.8, 3: 16.3, 4: 18.5, 7: 24.3, 9: 27.9, 15: 37.7 };
    for (const [freedom, limit] of Object.entries(known))
      expect(chiSquareLimit(Number(freedom))).toBeCloseTo(limit, 1);
    expect(chiSquareBelow(1, 3.841459)).toBeCloseTo(0.95, 6);
    expect(chiSquareLimit(999)).toBeCloseTo(1142.85, 1);
  });

  test('the floor for 1000 sessions on 4 servers is 1.065, for 10000 on 100 it is 1.260', () => {
    expect(measureSkew(loads([250, 250, 250, 250])).floor).toBeCloseTo(1.0654, 3);
    expect(expectedRatio(Array(100).fill(0.01), 10_000)).toBeCloseTo(1.2596, 3);
  });

  test('fewer effective pieces raise the floor and excuse more', () => {
    const given = loads([300, 250, 250, 200]);
    expect(measureSkew(given).isBeyondChance).toBe(true);
    const hot = measureSkew(given, 34);
    expect(hot.floor).toBeCloseTo(1.362, 2);
    expect(hot.isBeyondChance).toBe(false);
    expect(hot.excess).toBe(0);
  });
});

/** Places sessions at random by weight, again and again. */
function simulate(
  weights: readonly number[],
  sessions: number,
  rounds: number,
): { ratio: number; cv2: number; beyond: number } {
  const random = new SeededRandom(sessions + weights.length);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const serverOf = weights.flatMap((weight, index) =>
    Array<number>(Math.round((weight / total) * 1_200)).fill(index),
  );
  let ratio = 0;
  let cv2 = 0;
  let beyond = 0;
  for (let round = 0; round < rounds; round += 1) {
    const counts = weights.map(() => 0);
    for (let session = 0; session < sessions; session += 1) {
      const server = serverOf[random.below(serverOf.length)] ?? 0;
      counts[server] = (counts[server] ?? 0) + 1;
    }
    const skew = measureSkew(loads(counts, weights));
    ratio += skew.ratio / rounds;
    cv2 += skew.cv ** 2 / rounds;
    beyond += skew.isBeyondChance ? 1 / rounds : 0;
  }
  return { ratio, cv2, beyond };
}

describe('random placement measured', () => {
  test.each([
    ['4 equal servers, 1000 sessions', [1, 1, 1, 1], 1_000],
    ['4 equal servers, 100 sessions', [1, 1, 1, 1], 100],
    ['10 equal servers, 1000 sessions', Array<number>(10).fill(1), 1_000],
    ['weights 1, 2, 3; 600 sessions', [1, 2, 3], 600],
    ['weights 1, 1, 10; 2000 sessions', [1, 1, 10], 2_000],
    ['4 equal servers, 10 sessions', [1, 1, 1, 1], 10],
    ['100 equal servers, 100 sessions', Array<number>(100).fill(1), 100],
    ['weights 1, 2, 3; 12 sessions', [1, 2, 3], 12],
  ])('the floor is what comes out: %s', (_name, weights, sessions) => {
    const measured = simulate(weights, sessions, 4_000);
    const { floor, floorCv } = measureSkew(
      loads(
        weights.map((weight) => weight * sessions),
        weights,
      ),
      sessions,
    );
    expect(Math.abs(measured.ratio / floor - 1)).toBeLessThan(0.01);
    expect(Math.abs(measured.ratio - floor) / (floor - 1)).toBeLessThan(0.04);
    expect(measured.cv2 / floorCv ** 2).toBeCloseTo(1, 0.9);
    expect(measured.beyond).toBeLessThan(0.004);
  });
});
