// A thread whose requests wait for a server listens to what other threads offer: once, and again after each offer.

import { expect, test, vi } from 'vitest';
import { ManualClock, TurnClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { Affinity } from '../../src/choose/affinity.ts';
import { Chooser } from '../../src/choose/chooser.ts';
import { compilePool } from '../../src/choose/plan.ts';
import { Deadlines } from '../../src/exchange/deadlines.ts';
import { PoolRuntimes } from '../../src/exchange/pool-runtimes.ts';
import type { Waiter } from '../../src/exchange/wait-queue.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { eventually } from '../support/eventually.ts';
import { Revisions } from '../support/revision.ts';

test('however often somebody begins to wait, one offer is listened for, as long as none has come', async () => {
  const main = SharedState.create(1, 1_000, 0);
  const shared = SharedState.attach(main.handles(), 0);
  const random = new SeededRandom(1);
  const [pool] = new Revisions(main).next({ servers: ['a=http://127.0.0.1:1'] }).pools;
  const plan = compilePool(pool!, random);
  const clock = new TurnClock(new ManualClock());
  const runtimes = new PoolRuntimes(shared, clock, new Deadlines(clock, () => undefined));
  const chooser = new Chooser(shared, random);
  runtimes.configure(plan, chooser);
  const listens = vi.spyOn(shared.waiting, 'onOffer');
  let served = 0;
  const waiter: Waiter = {
    ...{ plan, affinity: new Affinity(), tried: [] },
    retryFromQueue: () => (served += 1),
  };
  const { queue } = runtimes.of(plan);
  for (let times = 0; times < 3; times += 1) {
    queue.add(waiter);
    queue.remove(waiter);
  }
  // a reload changes nothing of it
  runtimes.configure(plan, chooser);
  queue.add(waiter);
  expect(listens).toHaveBeenCalledTimes(1);
  const slot = plan.slots[0] as number;
  main.waiting.offer(plan.id, slot);
  await eventually(() => served === 1);
  expect(listens).toHaveBeenCalledTimes(2);
  // nobody waits: it is heard, and not listened for any more until somebody does
  main.waiting.offer(plan.id, slot);
  await new Promise<void>(
    (resolve) => main.waiting.onOffer(plan.id, () => resolve()) ?? main.waiting.offer(plan.id, slot),
  );
  queue.add(waiter);
  queue.remove(waiter);
  expect([served, listens.mock.calls.length]).toEqual([1, 3]);
});
