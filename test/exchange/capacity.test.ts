// Places on servers: the last one is given to one of those who saw it free.

import { expect, test } from 'vitest';
import { Affinity } from '../../src/choose/affinity.ts';
import { releaseCapacity, reserveCapacity } from '../../src/exchange/capacity.ts';
import { RequestHead } from '../../src/http1/message.ts';
import { Gauge, type Stripe } from '../../src/shared/stripe.ts';
import { runThread } from '../support/proxy-thread.ts';

const POOL = 'pools: { p: { health: off, servers: [{ url: "http://127.0.0.1:1", maxConnections: 1 }] } }';

test('who loses the race for the last place has given back what was counted, and is told that all are busy', async () => {
  const { thread, shared } = await runThread(POOL);
  const plan = thread.router.route(Buffer.alloc(0), new RequestHead());
  const slot = plan?.slots[0];
  if (plan === null || slot === undefined) throw new Error('there is a server');
  const others = shared.stripes.find((stripe: Stripe) => stripe.buffer !== thread.own.buffer) as Stripe;
  const affinity = new Affinity();
  const choose = thread.chooser.choose.bind(thread.chooser);
  // another thread takes the place between our choice and our counting
  thread.chooser.choose = (...args) => {
    const chosen = choose(...args);
    others.addGauge(chosen, Gauge.inFlight, 1);
    return chosen;
  };
  expect([reserveCapacity(thread, plan, affinity, [], 0), affinity.failure]).toEqual([-1, 'busy']);
  expect([thread.own.gauge(slot, Gauge.inFlight), shared.inFlight(slot)]).toEqual([0, 1]);
  others.addGauge(slot, Gauge.inFlight, -1);
  thread.chooser.choose = choose;
  expect(reserveCapacity(thread, plan, affinity, [], 0)).toBe(slot);
  expect(reserveCapacity(thread, plan, new Affinity(), [], 0)).toBe(-1);
  releaseCapacity(thread, slot);
  expect(shared.inFlight(slot)).toBe(0);
});
