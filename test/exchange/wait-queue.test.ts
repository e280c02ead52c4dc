// The queue of requests that wait for a server with a free connection: whose turn it is.

import { expect, test } from 'vitest';
import { SeededRandom } from '../../src/base/random.ts';
import { Affinity } from '../../src/choose/affinity.ts';
import { compilePool, type PoolPlan } from '../../src/choose/plan.ts';
import { ANY_SLOT, type Waiter, WaitQueue } from '../../src/exchange/wait-queue.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Revisions } from '../support/revision.ts';

/** Servers by slot with so many free connections, and what became of those who waited. */
class Scene {
  readonly queue: WaitQueue;
  readonly free = new Map<number, number>();
  readonly served: string[] = [];
  /** By this one all servers are busy. */
  tightPlan: PoolPlan | undefined;
  /** By this one no server takes another session. */
  fullPlan: PoolPlan | undefined;
  tries = 0;

  constructor(sizeMax = 100) {
    this.queue = new WaitQueue(sizeMax);
  }

  /** Waits for its home, or for any server when that is null: but for those that it has `tried`. False: the queue is full. */
  wait(
    name: string,
    home: number | null,
    plan: PoolPlan | null = null,
    tried: readonly number[] = [],
    failure: 'busy' | 'full' = 'busy',
  ): boolean {
    const affinity = new Affinity();
    affinity.failure = failure;
    affinity.isHomeOnly = home !== null;
    affinity.homeSlot = home ?? -1;
    const waiter: Waiter = {
      plan,
      affinity,
      tried,
      retryFromQueue: () => {
        this.tries += 1;
        const others = [...this.free.keys()].filter((candidate) => !tried.includes(candidate));
        const slots = home === null ? others : [home];
        const slot = slots.find((candidate) => this.#hasPlace(candidate, plan, failure));
        if (slot === undefined) {
          expect(this.queue.add(waiter)).toBe(true);
          return;
        }
        this.free.set(slot, (this.free.get(slot) ?? 0) - 1);
        this.served.push(`${name} on ${slot}`);
      },
    };
    return this.queue.add(waiter);
  }

  #hasPlace(slot: number, plan: PoolPlan | null, failure: 'busy' | 'full'): boolean {
    if (failure === 'full' && plan === this.fullPlan) return false;
    return plan !== this.tightPlan && (this.free.get(slot) ?? 0) > 0;
  }

  freed(slot: number, count = 1): string[] {
    this.free.set(slot, (this.free.get(slot) ?? 0) + count);
    this.queue.serve(slot, 0);
    return this.served.splice(0);
  }
}

test('first in, first out, one for each place', () => {
  const scene = new Scene();
  for (const name of ['one', 'two', 'three', 'four']) scene.wait(name, null);
  expect(scene.freed(7)).toEqual(['one on 7']);
  expect(scene.freed(7, 2)).toEqual(['two on 7', 'three on 7']);
  expect(scene.queue.length).toBe(1);
});

test('one that is tried in vain keeps its place', () => {
  const scene = new Scene();
  for (const name of ['one', 'two', 'three']) scene.wait(name, null);
  scene.queue.serve(7, 0);
  expect([scene.served, scene.queue.length, scene.tries]).toEqual([[], 3, 1]);
  expect(scene.freed(7, 3)).toEqual(['one on 7', 'two on 7', 'three on 7']);
});

test('who is at home elsewhere is passed over, without a try', () => {
  const scene = new Scene();
  for (let count = 0; count < 50; count += 1) scene.wait(`home ${count}`, 1);
  scene.wait('anywhere', null);
  scene.wait('at home', 2);
  expect(scene.freed(2)).toEqual(['anywhere on 2']);
  // it, and the one whose turn it would have been then; none of the fifty
  expect(scene.tries).toBe(2);
  expect(scene.freed(2)).toEqual(['at home on 2']);
  expect(scene.freed(1)).toEqual(['home 0 on 1']);
  expect(scene.queue.length).toBe(49);
});

function planOf(): PoolPlan {
  const shared = SharedState.create(1, 1000, 0);
  const revision = new Revisions(shared).next({ servers: ['a=http://127.0.0.1:1'] });
  const [pool] = revision.pools;
  if (pool === undefined) throw new Error('no pool');
  return compilePool(pool, new SeededRandom(1));
}

test('who has tried the server, and waits for another, holds up nobody', () => {
  const scene = new Scene();
  for (const name of ['back', 'back too']) scene.wait(name, null, null, [7]);
  for (const name of ['one', 'two', 'three']) scene.wait(name, null);
  expect(scene.freed(7)).toEqual(['one on 7']);
  // the first of the two speaks for both, and the one whose turn it would have been then for all
  expect(scene.tries).toBe(3);
  scene.free.set(7, 1);
  scene.queue.serve(ANY_SLOT, 0);
  expect(scene.served.splice(0)).toEqual(['two on 7']);
  expect(scene.freed(8, 2)).toEqual(['back on 8', 'back too on 8']);
  expect(scene.freed(7)).toEqual(['three on 7']);
});

test('who goes by the plan of before a reload holds up only those who do so too', () => {
  const scene = new Scene();
  scene.tightPlan = planOf();
  const plan = planOf();
  for (const name of ['old', 'old too']) scene.wait(name, null, scene.tightPlan);
  for (const name of ['one', 'two', 'three']) scene.wait(name, null, plan);
  expect(scene.freed(7)).toEqual(['one on 7']);
  expect(scene.tries).toBe(3);
  scene.free.set(7, 1);
  scene.queue.serve(ANY_SLOT, 0);
  expect(scene.served).toEqual(['two on 7']);
  expect(scene.tries).toBe(6);
});

test('any server may have become free: once one finds all busy, only those with a home go on trying', () => {
  const scene = new Scene();
  for (const name of ['one', 'two', 'three']) scene.wait(name, null);
  scene.wait('at 1', 1);
  scene.wait('at 2', 2);
  scene.wait('four', null);
  scene.queue.serve(ANY_SLOT, 0);
  expect([scene.served, scene.tries]).toEqual([[], 3]);
  scene.free.set(2, 1);
  scene.queue.serve(ANY_SLOT, 0);
  expect(scene.served).toEqual(['one on 2']);
  expect(scene.queue.length).toBe(5);
});

test('the size is a limit, that a reload may change; who leaves makes room', () => {
  const scene = new Scene(2);
  expect([scene.wait('one', null), scene.wait('two', null), scene.wait('three', null)]).toEqual([
    true,
    true,
    false,
  ]);
  scene.queue.sizeMax = 3;
  expect(scene.wait('three', null)).toBe(true);
  scene.queue.sizeMax = 1;
  expect(scene.wait('four', null)).toBe(false);
  expect(scene.freed(1, 3)).toEqual(['one on 1', 'two on 1', 'three on 1']);
  expect(scene.wait('five', null)).toBe(true);
});

test('it says when somebody begins to wait, and when nobody does any more', () => {
  const heard: boolean[] = [];
  const queue = new WaitQueue(10, (isWaiting) => heard.push(isWaiting));
  const waiter = (): Waiter => ({
    plan: null,
    affinity: new Affinity(),
    tried: [],
    retryFromQueue: () => undefined,
  });
  const [one, two] = [waiter(), waiter()];
  queue.add(one);
  queue.add(two);
  queue.remove(one);
  expect(heard).toEqual([true]);
  queue.serve(1, 0);
  queue.remove(two);
  queue.add(one);
  expect(heard).toEqual([true, false, true]);
});

test('one that is taken out is not served, and one that ends at once lets the next go in the same turn', () => {
  const queue = new WaitQueue(10);
  const served: string[] = [];
  const waiter = (name: string): Waiter => ({
    plan: null,
    affinity: new Affinity(),
    tried: [],
    retryFromQueue: () => {
      served.push(name);
      // an exchange that fails at once gives its place back while the queue is being served
      queue.serve(1, 0);
    },
  });
  const [one, two, three] = [waiter('one'), waiter('two'), waiter('three')];
  for (const each of [one, two, three]) queue.add(each);
  queue.remove(two);
  queue.remove(two);
  queue.serve(1, 0);
  expect([served, queue.length]).toEqual([['one', 'three'], 0]);
});

test('who leaves the queue while another is tried does not cost a third its place', () => {
  const queue = new WaitQueue(10);
  const tried: string[] = [];
  const waiter = (name: string, onRetry: () => void = () => undefined): Waiter => {
    const affinity = new Affinity();
    affinity.homeSlot = name === 'first' ? 2 : 1;
    affinity.isHomeOnly = true;
    const retryFromQueue = (): void => {
      tried.push(name);
      onRetry();
    };
    return { plan: null, affinity, tried: [], retryFromQueue };
  };
  const first = waiter('first');
  for (const one of [first, waiter('second', () => queue.remove(first)), waiter('third')]) queue.add(one);
  queue.serve(1, 0);
  queue.serve(ANY_SLOT, 0);
  expect([tried, queue.length]).toEqual([['second', 'third'], 0]);
});

test('who waits for the end of a session holds up nobody who waits for a place at home', () => {
  const scene = new Scene();
  const plan = planOf();
  for (let count = 0; count < 50; count += 1) scene.wait(`new ${count}`, null, plan, [], 'full');
  scene.wait('at home', 7, plan);
  expect(scene.freed(7)).toEqual(['new 0 on 7']);
  scene.fullPlan = plan;
  expect(scene.freed(7)).toEqual(['at home on 7']);
  // each time the first of those who wait for the end of a session speaks for them all
  expect(scene.tries).toBe(5);
});
