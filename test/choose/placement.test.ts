// Where sessions end up: even where the policy is even, spread when a home dies, within the bound, barely disturbed
// when servers come and go.

import { describe, expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import type { PoolPlan } from '../../src/choose/plan.ts';
import { rankWord, winnerOf } from '../../src/choose/rendezvous.ts';
import { Verdict } from '../../src/shared/control.ts';
import { CHI_SQUARE_999, chiSquare } from './chi-square.ts';
import { World } from './fixture.ts';
import { cookiePair } from './messages.ts';
import { MODES, visit } from './modes.ts';

const NAMES = ['a', 'b', 'c', 'd'];

describe.each(['cookie-hash', 'cookie-pin'] as const)(
  '1000 new sessions by %s and least-sessions',
  (mode) => {
    test.each([1, 2])('over 4 servers are 250 ± 3 on each, on %d threads', (workers) => {
      const world = new World({ sticky: { mode }, pool: { policy: 'least-sessions' }, workers });
      const counts = new Map(NAMES.map((name) => [name, 0]));
      const open: ReturnType<World['begin']>[] = [];
      for (let session = 0; session < 1000; session += 1) {
        const exchange = world.begin({}, session % workers);
        const server = exchange.attempt()!;
        counts.set(server, counts.get(server)! + 1);
        exchange.answer();
        open.push(exchange);
        if (session % 7 === 0) for (const done of open.splice(0)) done.finish();
      }
      for (const count of counts.values()) expect(Math.abs(count - 250)).toBeLessThanOrEqual(3);
    });
  },
);

test('least-sessions counts sessions that are only reserved: 100 log-ins at once are even', () => {
  const world = new World({
    sticky: { mode: 'learn', cookie: 'connect.sid', cookieOwner: 'application' },
    pool: { policy: 'least-sessions' },
  });
  const logins = Array.from({ length: 100 }, () => world.begin());
  const servers = logins.map((login) => login.attempt());
  expect(NAMES.map((name) => servers.filter((server) => server === name).length)).toEqual([25, 25, 25, 25]);
  logins.forEach((login, number) => {
    login.answer([`Set-Cookie: connect.sid=user-${number}; Path=/`]);
    login.finish();
  });
  expect(NAMES.map((name) => world.placed(name))).toEqual([25, 25, 25, 25]);
  expect(world.total((name) => world.created(name))).toBe(100);
});

test.each(['cookie-hash', 'cookie-pin', 'learn', 'address-hash'] as const)(
  'the sessions of a dead home spread over all survivors by weight (%s)',
  (mode) => {
    const servers = [{ weight: 3 }, { weight: 1 }, { weight: 1 }, { weight: 2 }];
    const isOwn = mode === 'cookie-hash' || mode === 'cookie-pin';
    const world = new World({ sticky: { mode, cookie: isOwn ? 'holdfast' : 'sid' }, servers });
    const requests = Array.from({ length: 4000 }, (_, number) => {
      if (mode === 'address-hash') return { address: `10.0.${number >> 8}.${number & 255}` };
      if (mode === 'learn') {
        world.exchange({ responseHeaders: [`Set-Cookie: sid=${number}`] });
        return { cookie: `sid=${number}` };
      }
      return { cookie: cookiePair(world.exchange().setCookie) };
    });
    const dead = requests.filter((request) => world.exchange(request).server === 'a');
    world.setVerdict('a', Verdict.down);
    const homes = dead.map((request) => world.exchange(request).server);
    const counts = ['b', 'c', 'd'].map((name) => homes.filter((home) => home === name).length);
    expect(dead.length).toBeGreaterThan(1000);
    expect(chiSquare(counts, [1, 1, 2])).toBeLessThan(CHI_SQUARE_999[2]!);
    expect(world.lost('a', 'failure')).toBe(dead.length);
    for (const request of requests) world.exchange(request);
    expect(world.lost('a', 'failure')).toBe(dead.length);
    expect(world.moves('failure')).toBe(dead.length);
    expect(world.entries().busy).toBe(0);
  },
);

describe('rendezvous', () => {
  const all = (plan: PoolPlan): Int32Array => Int32Array.from(plan.slots, (_, index) => index);
  const homesOf = (plan: PoolPlan, keys: number): (string | undefined)[] => {
    const random = new SeededRandom(11);
    const range = all(plan);
    return Array.from({ length: keys }, () => {
      const word = rankWord(random.below(2 ** 32) | 0, random.below(2 ** 32) | 0, 0);
      return plan.config.servers[winnerOf(plan, range, range.length, word)]?.name;
    });
  };
  const plan = (servers: readonly object[]): PoolPlan => new World({ servers, sessionsMax: 16 }).plans[0]!;

  test.each([2, 4, 10])('is even over %d servers', (size) => {
    const homes = homesOf(plan(Array.from({ length: size }, () => ({}))), 20_000);
    const counts = [...Map.groupBy(homes, (home) => home).values()].map((group) => group.length);
    expect(counts.length).toBe(size);
    expect(chiSquare(counts)).toBeLessThan(CHI_SQUARE_999[size - 1]!);
  });

  test('keeps to the weights', () => {
    const homes = homesOf(plan([{ weight: 1 }, { weight: 2 }, { weight: 5 }]), 20_000);
    const counts = ['a', 'b', 'c'].map((name) => homes.filter((home) => home === name).length);
    expect(chiSquare(counts, [1, 2, 5])).toBeLessThan(CHI_SQUARE_999[2]!);
  });

  test.each([
    { title: 'equal weights', weights: [1, 1, 1, 1, 1] },
    { title: 'mixed weights', weights: [1, 3, 2, 1, 2] },
  ])('a new server takes its share and every moved key goes to it ($title)', ({ weights }) => {
    const servers = weights.map((weight) => ({ weight }));
    const before = homesOf(plan(servers.slice(0, 4)), 20_000);
    const after = homesOf(plan(servers), 20_000);
    const moved = after.filter((home, key) => home !== before[key]);
    expect(new Set(moved)).toEqual(new Set(['e']));
    const share = weights[4]! / weights.reduce((sum, weight) => sum + weight, 0);
    expect(chiSquare([moved.length, 20_000 - moved.length], [share, 1 - share])).toBeLessThan(
      CHI_SQUARE_999[1]!,
    );
  });

  test('weights that turn equal change nothing but what they must', () => {
    const scaled = homesOf(plan([{ weight: 2 }, { weight: 2 }, { weight: 2 }]), 5000);
    expect(scaled).toEqual(homesOf(plan([{}, {}, {}]), 5000));
    const almost = homesOf(plan([{ weight: 1000 }, { weight: 1000 }, { weight: 999 }]), 5000);
    expect(almost.filter((home, key) => home !== scaled[key]).length).toBeLessThan(20);
  });

  test('two turns of a key are independent rankings', () => {
    const pool = plan([{}, {}, {}, {}]);
    const range = all(pool);
    const pairs = new Array<number>(16).fill(0);
    for (let key = 0; key < 16_000; key += 1) {
      const first = winnerOf(pool, range, 4, rankWord(key, 5, 0));
      const second = winnerOf(pool, range, 4, rankWord(key, 5, 0x10000));
      pairs[first * 4 + second]! += 1;
    }
    // 15 degrees of freedom
    expect(chiSquare(pairs)).toBeLessThan(37.7);
  });
});

describe('bounded load', () => {
  test('no server gets more than its bound; the passed-over keys are counted as overflow', () => {
    const world = new World({
      sticky: { mode: 'header-hash', header: 'x-session-id', bound: { by: 'sessions', factor: 1.1 } },
    });
    for (let key = 0; key < 2000; key += 1) {
      world.exchange({ headers: [`x-session-id: ${key}`] });
      const placed = NAMES.map((name) => world.placed(name));
      expect(Math.max(...placed)).toBeLessThanOrEqual(Math.ceil((1.1 * (key + 1)) / 4));
    }
    const overflow = world.outcomes('overflow');
    expect(overflow).toBeGreaterThan(0);
    expect(overflow + world.outcomes('new')).toBe(2000);
    for (let key = 0; key < 2000; key += 1) {
      expect(world.exchange({ headers: [`x-session-id: ${key}`] }).outcome).toBe('home');
    }
  });

  test('fair shares follow the weights', () => {
    const world = new World({
      sticky: { mode: 'address-hash', bound: { by: 'sessions', factor: 1.25 } },
      servers: [{ weight: 4 }, {}, {}],
    });
    for (let key = 0; key < 1200; key += 1) world.exchange({ address: `2001:db8:0:${key.toString(16)}::1` });
    expect(world.placed('a')).toBeGreaterThan(600);
    expect(world.placed('b')).toBeLessThanOrEqual(Math.ceil((1.25 * 1200) / 6));
  });

  test('learned sessions of a dead home fill up those that have least', () => {
    const mode = MODES.find(({ title }) => title === 'learn by cookie');
    const world = new World({ ...mode?.options });
    const clients = Array.from({ length: 400 }, (_, number) => mode!.client(number));
    for (const client of clients) visit(world, client);
    world.setVerdict('b', Verdict.down);
    for (const client of clients) visit(world, client);
    expect(['a', 'c', 'd'].map((name) => world.placed(name)).sort()).toEqual([133, 133, 134]);
    // b comes back empty: what c had is all its own, for the others hold their share
    world.setVerdict('b', Verdict.up);
    world.setVerdict('c', Verdict.down);
    const held = world.placed('c');
    for (const client of clients) visit(world, client);
    expect(world.placed('b')).toBe(held);
  });

  test('without a bound the hash alone decides', () => {
    const world = new World({ sticky: { mode: 'address-hash' } });
    const again = new World({ sticky: { mode: 'address-hash' }, seed: 9, firstSlot: 90 });
    for (let key = 0; key < 500; key += 1) {
      const address = `10.1.${key >> 8}.${key & 255}`;
      expect(again.exchange({ address: `::ffff:${address}` }).server).toBe(
        world.exchange({ address }).server,
      );
    }
  });
});
