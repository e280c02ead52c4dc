import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { EJECT_FACTOR_MAX, OutlierDetector, type PassiveSignals } from '../../src/health/outlier.ts';

const RULES = {
  failures: 5,
  windowMs: 10_000,
  ejectMs: 30_000,
  maxEjected: 0.5,
  panic: 0.5,
  status: [],
  clients: 3,
};
const NONE: PassiveSignals = {
  connectFailures: 0,
  responseFailures: 0,
  badStatuses: 0,
  successes: 0,
  clients: 0b111,
};
const START = 1_700_000_000_000;

/** A pool of `count` servers and its log of changes, as `+slot` for back in service and `-slot` for put aside. */
class Pool {
  readonly detector = new OutlierDetector(RULES);
  readonly down = new Set<number>();
  nowMs = START;

  constructor(count: number) {
    const slots = Array.from({ length: count }, (_, slot) => slot);
    this.detector.apply(RULES, slots, this.nowMs);
  }

  signal(slot: number, signals: Partial<PassiveSignals>): this {
    this.detector.observe(slot, { ...NONE, ...signals }, this.nowMs);
    return this;
  }

  after(ms: number): string {
    this.nowMs += ms;
    const changes = this.detector.decide(this.nowMs, (slot) => !this.down.has(slot));
    return changes.map(({ slot, isEjected }) => `${isEjected ? '-' : '+'}${slot}`).join(' ');
  }
}

describe('who is ejected', () => {
  test.each<[string, Partial<PassiveSignals>, string]>([
    ['enough connect failures', { connectFailures: 5 }, '-0'],
    ['one too few', { connectFailures: 4 }, ''],
    ['different kinds together', { connectFailures: 2, responseFailures: 2, badStatuses: 1 }, '-0'],
    ['bad answers in one of two replies', { badStatuses: 5, successes: 5 }, '-0'],
    ['many failures, but few of all', { badStatuses: 20, successes: 980 }, ''],
    ['many failures of one client', { responseFailures: 100, clients: 0b100 }, ''],
    ['many failures of two clients', { responseFailures: 100, clients: 0b101 }, ''],
    ['failures of three clients', { responseFailures: 5, clients: 0b10101 | (1 << 31) }, '-0'],
  ])('%s', (_name, signals, changes) => {
    expect(new Pool(4).signal(0, signals).after(50)).toBe(changes);
  });

  test('failures older than the window are forgotten', () => {
    const pool = new Pool(4).signal(0, { connectFailures: 4 });
    pool.after(11_000);
    expect(pool.signal(0, { connectFailures: 4 }).after(0)).toBe('');
  });

  test('clients of the whole window count together, and older ones no more', () => {
    const pool = new Pool(4);
    const fail = (bit: number, ms: number): string =>
      pool.signal(0, { responseFailures: 5, clients: 1 << bit }).after(ms);
    expect([fail(0, 4_000), fail(1, 7_000), fail(2, 2_000), fail(3, 0)]).toEqual(['', '', '', '-0']);
  });

  test('successes are forgotten with their window, as failures are', () => {
    const pool = new Pool(4).signal(0, { successes: 1_000 });
    pool.after(11_000);
    expect(pool.signal(0, { responseFailures: 5 }).after(0)).toBe('-0');
  });

  test('failures spread over the window add up', () => {
    const pool = new Pool(4);
    const changes = Array.from({ length: 5 }, () => pool.signal(0, { responseFailures: 1 }).after(1_500));
    expect(changes).toEqual(['', '', '', '', '-0']);
  });

  test('the reason tells the kinds apart', () => {
    const pool = new Pool(2);
    pool.detector.observe(0, { ...NONE, badStatuses: 6, successes: 6 }, pool.nowMs);
    const [change] = pool.detector.decide(pool.nowMs, () => true);
    expect(change?.reason).toBe(
      '6 of its last requests failed (50 %), most recently 0 connect, 0 response, 6 status failures',
    );
  });

  test('a server already out of service is not ejected as well', () => {
    const pool = new Pool(4);
    pool.down.add(0);
    expect(pool.signal(0, { connectFailures: 50 }).after(50)).toBe('');
  });
});

describe('for how long', () => {
  test('for ejectMs, and afterwards with a clean slate', () => {
    const pool = new Pool(4).signal(0, { connectFailures: 9 });
    expect(pool.after(0)).toBe('-0');
    expect(pool.after(29_999)).toBe('');
    expect(pool.after(1)).toBe('+0');
    expect(pool.after(100)).toBe('');
  });

  test('good conduct counts also when it is looked at late', () => {
    const pool = new Pool(4);
    expect(pool.signal(0, { connectFailures: 5 }).after(50)).toBe('-0');
    expect(pool.after(30_000)).toBe('+0');
    expect(pool.signal(0, { connectFailures: 5 }).after(50)).toBe('-0');
    expect(pool.after(60_000)).toBe('+0');
    // one and a half times, and another half
    expect([pool.after(45_000), pool.after(15_000)]).toEqual(['', '']);
    expect(pool.signal(0, { connectFailures: 5 }).after(50)).toBe('-0');
    expect([pool.after(29_999), pool.after(1)]).toEqual(['', '+0']);
  });

  test('the clients that met failures before it was ejected do not count after it', () => {
    const pool = new Pool(4);
    const rules = { ...RULES, windowMs: 100_000, ejectMs: 5_000 };
    pool.detector.apply(rules, [0, 1, 2, 3], pool.nowMs);
    expect(pool.signal(0, { connectFailures: 5 }).after(50)).toBe('-0');
    expect(pool.after(5_000)).toBe('+0');
    expect(pool.signal(0, { connectFailures: 9, clients: 0b1 }).after(50)).toBe('');
  });

  test('longer each time, up to ten times, and shorter again after good conduct', () => {
    const pool = new Pool(4);
    const ejectionMs = (): number => {
      expect(pool.signal(0, { connectFailures: 9 }).after(0)).toBe('-0');
      const beginMs = pool.nowMs;
      while (pool.after(1_000) !== '+0');
      return pool.nowMs - beginMs;
    };
    const times = Array.from({ length: 13 }, ejectionMs);
    const factors = [
      1,
      2,
      3,
      4,
      5,
      6,
      7,
      8,
      9,
      EJECT_FACTOR_MAX,
      EJECT_FACTOR_MAX,
      EJECT_FACTOR_MAX,
      EJECT_FACTOR_MAX,
    ];
    expect(times).toEqual(factors.map((factor) => factor * 30_000));
    pool.after(8 * 30_000);
    expect(ejectionMs()).toBe(3 * 30_000);
    pool.after(3_600_000);
    expect(ejectionMs()).toBe(30_000);
  });
});

describe('how many', () => {
  test('no more than the allowed share, the first to be found out', () => {
    const pool = new Pool(4);
    for (let slot = 0; slot < 4; slot += 1) pool.signal(slot, { connectFailures: 9 });
    expect(pool.after(50)).toBe('-0 -1');
  });

  test('one of two and one of three, though the share would round to none', () => {
    expect(new Pool(2).signal(1, { connectFailures: 9 }).after(50)).toBe('-1');
    expect(new Pool(3).signal(1, { connectFailures: 9 }).after(50)).toBe('-1');
  });

  test('never the only server', () => {
    expect(new Pool(1).signal(0, { connectFailures: 900 }).after(50)).toBe('');
  });

  test('when too few would be left because others are down, ejections are ignored until that is over', () => {
    const pool = new Pool(4).signal(0, { connectFailures: 9 });
    expect(pool.after(50)).toBe('-0');
    pool.down.add(1).add(2);
    expect(pool.after(50)).toBe('+0');
    expect(pool.detector.isPanicking).toBe(true);
    expect(pool.signal(3, { connectFailures: 9 }).after(50)).toBe('');
    pool.down.clear();
    expect(pool.after(50)).toBe('-0 -3');
    expect(pool.detector.isPanicking).toBe(false);
  });
});

test('a server failing one reply in two is out within four seconds at ten requests a second, a good one never', () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const random = new SeededRandom(seed);
    const pool = new Pool(4);
    let ejectedAtMs = 0;
    for (let tick = 0; tick < 400 && ejectedAtMs === 0; tick += 1) {
      for (let slot = 0; slot < 4; slot += 1) {
        const isBad = random.next() < (slot === 0 ? 0.5 : 0.01);
        pool.signal(slot, isBad ? { badStatuses: 1 } : { successes: 1 });
      }
      const changes = pool.after(100);
      expect(['', '-0']).toContain(changes);
      if (changes === '-0') ejectedAtMs = pool.nowMs - START;
    }
    expect(ejectedAtMs).toBeGreaterThan(0);
    expect(ejectedAtMs).toBeLessThan(4_000);
  }
});

test('servers that a reload removes are forgotten, those that stay are not', () => {
  const pool = new Pool(4).signal(0, { connectFailures: 9 }).signal(1, { connectFailures: 4 });
  expect(pool.after(50)).toBe('-0');
  pool.detector.apply(RULES, [1, 2, 3, 7], pool.nowMs);
  expect(pool.signal(0, { connectFailures: 9 }).signal(1, { connectFailures: 1 }).after(50)).toBe('-1');
});
