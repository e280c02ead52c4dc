// What one choice costs by each policy with few servers and with many: `npm run bench:choose`. Not a test. Nanoseconds of
// the fastest tenth of many short rounds, so that other work on the machine says little.

import { SeededRandom } from '../../src/base/random.ts';
import { Placement } from '../../src/choose/placement.ts';
import { Refusals } from '../../src/choose/refusals.ts';
import type { PolicyName } from '../../src/config/model.ts';
import { Gauge } from '../../src/shared/stripe.ts';
import { World } from '../choose/fixture.ts';

const SERVERS = [2, 200, 1_000];
const POLICIES: readonly PolicyName[] = [
  'round-robin',
  'least-connections',
  'random-two',
  'least-time',
  'least-sessions',
];
const ROUNDS = 1_500;
const CHOICES = 40;
const IN_FLIGHT = 3;
const NOBODY: readonly number[] = [];

/** One choice, its request counted in and, some choices later, out. */
function chooser(policy: PolicyName, servers: number, maxConnections: number): (count: number) => void {
  const world = new World({
    pool: { policy },
    workers: 2,
    servers: Array.from({ length: servers }, () => ({ maxConnections })),
  });
  const plan = world.plans[0]!;
  const { own } = world.workers[0]!;
  const placement = new Placement(world.workers[0]!, new Refusals(), new SeededRandom(1));
  const open = new Int32Array(IN_FLIGHT * 2).fill(-1);
  let at = 0;
  return (count) => {
    for (let choice = 0; choice < count; choice += 1) {
      placement.gather(plan, NOBODY, 1);
      const slot = plan.slots[placement.byPolicy(plan)]!;
      own.addGauge(slot, Gauge.inFlight, 1);
      if (open[at] !== -1) own.addGauge(open[at]!, Gauge.inFlight, -1);
      open[at] = slot;
      at = (at + 1) % open.length;
    }
  };
}

function nanoseconds(choose: (count: number) => void): number {
  choose(20_000);
  const times = Array.from({ length: ROUNDS }, () => {
    const begin = process.hrtime.bigint();
    choose(CHOICES);
    return Number(process.hrtime.bigint() - begin) / CHOICES;
  });
  return times.sort((one, other) => one - other)[ROUNDS / 10]!;
}

for (const maxConnections of [0, 1_000]) {
  const kind = maxConnections === 0 ? 'ns per choice' : 'with limits';
  console.log(`${kind.padEnd(20)}${SERVERS.map((servers) => `${servers} servers`.padStart(13)).join(' ')}`);
  for (const policy of POLICIES) {
    const all = SERVERS.map((servers) => nanoseconds(chooser(policy, servers, maxConnections)));
    console.log(`${policy.padEnd(20)}${all.map((ns) => ns.toFixed(0).padStart(13)).join(' ')}`);
  }
}
