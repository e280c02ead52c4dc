// An hour of figures in bounded memory: rates over whatever was thinned, and what is gone.

import { beforeEach, expect, test } from 'vitest';
import { FAILURE_KINDS } from '../../src/base/failure.ts';
import { History } from '../../src/control/history.ts';
import type { PoolRevision, Revision } from '../../src/shared/revision.ts';
import { Counter, PoolCounter } from '../../src/shared/stripe.ts';
import { Balancer, POOL } from '../metrics/fixture.ts';

const BEGIN_MS = 1_700_000_000_000;
let balancer: Balancer;
let revision: Revision;
let pool: PoolRevision;
let history: History;
beforeEach(() => {
  balancer = new Balancer();
  revision = balancer.apply(POOL);
  const [only] = revision.pools;
  if (only === undefined) throw new Error('no pool');
  pool = only;
  history = new History(balancer.shared, () => ({ ratio: 1.5, floor: 1.2 }));
});

/** A second passes, in which so many requests came and so many of them went wrong. */
function second(at: number, requests: number, errors = 0): void {
  const own = balancer.workers[0]?.own;
  own?.countPool(pool.id, PoolCounter.requests, requests);
  own?.countPool(pool.id, PoolCounter.serverErrors, errors);
  for (let count = 0; count < requests; count += 1)
    own?.observe(pool.slots[0] ?? 0, Counter.durationSum, 0.004);
  history.sample(revision, at * 1000, BEGIN_MS + at * 1000);
}

test('rates, percentiles, sessions and skew, sample by sample', () => {
  balancer.shared.control.publishSweep(pool.slots[0] ?? 0, 7, 0, 0);
  for (let at = 0; at < 4; at += 1) second(at, 10 * at, at);
  const [found] = history.document().pools;
  expect(found?.name).toBe('shop');
  expect(found?.times).toEqual([0, 1, 2, 3].map((at) => BEGIN_MS / 1000 + at));
  expect(found?.requestRate).toEqual([null, 10, 20, 30]);
  expect(found?.errorRate).toEqual([null, 1, 2, 3]);
  expect(found?.p50[0]).toBeNull();
  expect(found?.p99[3]).toBeGreaterThan(0.0025);
  expect(found?.p99[3]).toBeLessThanOrEqual(0.005);
  expect([found?.ratio[3], found?.floor[3]]).toEqual([1.5, 1.2]);
  expect(found?.sessions[pool.config.servers[0]?.name ?? '']).toEqual([7, 7, 7, 7]);
});

test('a server that comes or goes has its line all the same, empty where it was not', () => {
  const [a, b, c] = pool.config.servers;
  if (a === undefined || b === undefined || c === undefined) throw new Error('three servers');
  const sample = (at: number, places: readonly number[], servers: readonly (typeof a)[]): void => {
    const slots = places.map((place) => pool.slots[place] ?? 0);
    const changed = { ...pool, slots, config: { ...pool.config, servers } };
    history.sample({ ...revision, pools: [changed] }, at * 1000, BEGIN_MS + at * 1000);
  };
  pool.slots.forEach((slot, place) => void balancer.shared.control.publishSweep(slot, 7 + place, 0, 0));
  sample(0, [0, 1], [a, b]);
  sample(1, [0, 1], [a, b]);
  sample(2, [1, 2], [b, c]);
  expect(history.document().pools[0]?.sessions).toEqual({
    a: [7, 7, null],
    b: [8, 8, 8],
    c: [null, null, 9],
  });
});

test('of the last minute: requests and errors, whoever answered', () => {
  expect(history.recent(pool.id)).toEqual({ seconds: 0, requests: 0, errors: 0 });
  for (let at = 0; at <= 100; at += 1) second(at, 5, at > 90 ? 1 : 0);
  balancer.workers[1]?.own.countRejected(FAILURE_KINDS.indexOf('no-server'), pool.id);
  balancer.workers[1]?.own.countRejected(FAILURE_KINDS.indexOf('client-aborted'), pool.id);
  second(101, 5, 1);
  expect(history.recent(pool.id)).toEqual({ seconds: 60, requests: 300, errors: 12 });
});

test('a clock that is set back changes no rate and no window', () => {
  for (let at = 0; at < 20; at += 1) {
    balancer.workers[0]?.own.countPool(pool.id, PoolCounter.requests, 5);
    history.sample(revision, at * 1000, BEGIN_MS + at * 1000 - (at < 10 ? 0 : 3_600_000));
  }
  expect(history.recent(pool.id)).toEqual({ seconds: 19, requests: 95, errors: 0 });
  expect(new Set(history.document().pools[0]?.requestRate.slice(1))).toEqual(new Set([5]));
});

test('after two hours there is an hour, thinned, with the right rates', () => {
  for (let at = 0; at < 7200; at += 1) second(at, 1);
  const [found] = history.document().pools;
  const times = found?.times ?? [];
  expect(times.length).toBeLessThan(640);
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(3590);
  expect(new Set(found?.requestRate.slice(1))).toEqual(new Set([1]));
});

test('a pool that is gone is forgotten, and one that gets its number begins anew', () => {
  second(0, 1);
  history.sample({ ...revision, pools: [] }, 1000, BEGIN_MS + 1000);
  expect(history.document().pools).toEqual([]);
  const renamed = { ...pool, config: { ...pool.config, name: 'other' } };
  second(2, 1);
  history.sample({ ...revision, pools: [renamed] }, 3000, BEGIN_MS + 3000);
  expect(history.document().pools.map(({ name, times }) => [name, times.length])).toEqual([['other', 1]]);
});
