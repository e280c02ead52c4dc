// Slots: kept by a server over reloads, never handed on while anything of their former server is under way.

import { expect, test } from 'vitest';
import { POOLS_MAX, SERVERS_MAX } from '../../src/config/limits.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { HoldfastConfig } from '../../src/config/model.ts';
import { CHANGES_MAX } from '../../src/control/operator-changes.ts';
import { CapacityError, SlotRegistry } from '../../src/control/slots.ts';
import { Mode, Report, Verdict, WEIGHT_SCALE } from '../../src/shared/control.ts';
import { LISTENER_IDS_MAX, POOL_IDS_MAX, SLOTS_MAX } from '../../src/shared/limits.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Counter, Gauge, PoolCounter } from '../../src/shared/stripe.ts';

const SECRET = 'a secret of the test';

function configOf(
  names: readonly string[],
  address = '127.0.0.1:0',
  ports: Readonly<Record<string, number>> = {},
): HoldfastConfig {
  const servers = names.map((name) => `{ name: ${name}, url: "http://127.0.0.1:${ports[name] ?? 80}" }`);
  const text = `{ listen: "${address}", pools: { shop: { servers: [${servers.join(', ')}] } } }`;
  const { config, problems } = loadConfig(text, { file: 'test.yaml', env: {} });
  if (config === null) throw new Error(JSON.stringify(problems));
  return config;
}

function fixture(): {
  shared: SharedState;
  registry: SlotRegistry;
  slotsOf: (...names: string[]) => readonly number[];
} {
  const shared = SharedState.create(1, 1_000, 0);
  const registry = new SlotRegistry(shared);
  return {
    shared,
    registry,
    slotsOf: (...names) => registry.revise(configOf(names), SECRET).pools[0]?.slots ?? [],
  };
}

test('a server keeps its slot; a new one gets one that nobody had', () => {
  const { registry, shared, slotsOf } = fixture();
  expect(slotsOf('a', 'b', 'c')).toEqual([0, 1, 2]);
  const before = shared.control.generation(1);
  expect(slotsOf('c', 'd', 'a')).toEqual([2, 3, 0]);
  expect(shared.control.generation(1)).toBe(before + 1);
  // threads that have not swapped yet may still need it
  expect(shared.control.verdict(1)).toBe(Verdict.starting);
  registry.settle();
  expect([0, 1, 2].map((slot) => shared.control.verdict(slot))).toEqual([
    Verdict.starting,
    Verdict.down,
    Verdict.starting,
  ]);
  expect(slotsOf('a', 'e')).toEqual([0, 4]);
});

test('a server that was removed and comes back is the same: slot, generation, counters, what the operator has set', () => {
  const { shared, registry, slotsOf } = fixture();
  slotsOf('a', 'b');
  const generation = shared.control.generation(1);
  shared.own.count(1, Counter.created, 3);
  registry.change('shop', 'b', 1, { mode: 'drain', weight: 7 });
  slotsOf('a');
  expect(shared.control.generation(1)).toBe(generation + 1);
  expect(registry.report(1, Report.full, null, 0)).toBe(false);
  expect(slotsOf('b', 'a', 'c')).toEqual([1, 0, 2]);
  expect(shared.control.generation(1)).toBe(generation);
  expect(shared.control.verdict(1)).toBe(Verdict.starting);
  expect(shared.sumCounter(1, Counter.created)).toBe(3);
  expect([shared.control.mode(1), shared.control.weight(1)]).toEqual([Mode.drain, 7 * WEIGHT_SCALE]);
  // its slot is not given away any more
  expect(slotsOf('b', 'a', 'c', 'd')).toEqual([1, 0, 2, 3]);
});

test('sessions without a backup are news when there are some, and when there are none any more', () => {
  const { shared, registry, slotsOf } = fixture();
  slotsOf('a');
  const reports = [0, 3, 5, 0, 0].map((unbacked) => registry.report(0, Report.ready, null, unbacked));
  expect(reports).toEqual([false, true, false, true, false]);
  registry.report(0, Report.ready, null, 7);
  expect(shared.control.unbacked(0)).toBe(7);
});

test('a server with a new address keeps slot, generation and counters, and is to be checked anew', () => {
  const { shared, registry, slotsOf } = fixture();
  slotsOf('a', 'b');
  const generation = shared.control.generation(0);
  shared.own.count(0, Counter.created, 3);
  shared.control.setVerdict(0, Verdict.down);
  shared.control.setVerdict(1, Verdict.up);
  registry.change('shop', 'a', 0, { mode: 'drain' });
  const revision = registry.revise(configOf(['a', 'b'], undefined, { a: 81 }), SECRET);
  expect([revision.pools[0]?.slots, revision.pools[0]?.generations[0]]).toEqual([[0, 1], generation]);
  expect([shared.control.verdict(0), shared.control.verdict(1)]).toEqual([Verdict.starting, Verdict.up]);
  expect([shared.sumCounter(0, Counter.created), shared.control.mode(0)]).toEqual([3, Mode.drain]);
});

const many = (count: number, of: string): string[] =>
  Array.from({ length: count }, (_, index) => `${of}${index}`);

/** Every slot has been used. `first` are in the first ones; returns who is there in the end. */
function useAll(slotsOf: (...names: string[]) => readonly number[], ...first: string[]): string[] {
  let last = [...first, ...many(SERVERS_MAX - first.length, 'r0-')];
  slotsOf(...last);
  for (let round = 1; round * SERVERS_MAX < SLOTS_MAX; round += 1) {
    last = many(SERVERS_MAX, `r${round}-`);
    slotsOf(...last);
  }
  return last;
}

test('a slot that was given to another forgets its former server and what the operator has set on it', () => {
  const { shared, registry, slotsOf } = fixture();
  slotsOf('a');
  const generation = shared.control.generation(0);
  registry.change('shop', 'a', 0, { mode: 'drain' });
  useAll(slotsOf, 'a');
  expect(registry.changes.size).toBe(1);
  expect(slotsOf('b')).toEqual([0]);
  expect(shared.control.generation(0)).toBe(generation + 2);
  expect([registry.changes.size, shared.control.mode(0)]).toEqual([0, Mode.ready]);
  // who had it is a newcomer now
  expect(slotsOf('a', 'b')).toEqual([1, 0]);
});

test('whoever comes back finds its slot, before a newcomer that needs one', () => {
  const { slotsOf } = fixture();
  useAll(slotsOf, 'a', 'b');
  expect(slotsOf('new', 'b', 'a', 'newer')).toEqual([2, 1, 0, 3]);
});

test('a change may replace every server, one after another, as often as it likes', () => {
  const { slotsOf } = fixture();
  let before: readonly number[] = [];
  for (let round = 0; round < 6; round += 1) {
    const slots = slotsOf(...many(SERVERS_MAX, `r${round}-`));
    expect(new Set(slots).size).toBe(SERVERS_MAX);
    // none of those that the same change releases
    expect(slots.filter((slot) => before.includes(slot))).toEqual([]);
    before = slots;
  }
});

test('when every slot has been used the one released longest ago is next, unless it is still busy', () => {
  const { shared, slotsOf, registry } = fixture();
  useAll(slotsOf, 'a', 'b');
  expect(registry.free()).toBe(SLOTS_MAX - SERVERS_MAX);
  shared.own.addGauge(0, Gauge.inFlight, 1);
  shared.own.count(1, Counter.failures, 7);
  shared.control.publishSweep(1, 5, 3, 0);
  shared.control.setReport(1, Report.drain);
  const generation = shared.control.generation(1);
  expect(slotsOf('new')).toEqual([1]);
  expect(shared.sumCounter(1, Counter.failures)).toBe(0);
  expect([shared.control.sessions(1), shared.control.tentative(1)]).toEqual([0, 0]);
  expect(shared.control.report(1)).toBe(Report.ready);
  expect(shared.control.generation(1)).toBe(generation + 1);
  expect(slotsOf('new', 'newer')).toEqual([1, 2]);
  shared.own.addGauge(0, Gauge.inFlight, -1);
  expect(slotsOf('new', 'newer', 'newest')).toEqual([1, 2, 0]);
});

test('servers that everybody still uses leave no room, and the refused configuration leaves no trace', () => {
  const { shared, registry, slotsOf } = fixture();
  for (let round = 0; round * SERVERS_MAX < SLOTS_MAX; round += 1)
    slotsOf(...many(SERVERS_MAX, `r${round}-`));
  for (let slot = 0; slot < SLOTS_MAX; slot += 1) shared.own.addGauge(slot, Gauge.inFlight, 1);
  const [one, two] = [configOf(['one']), configOf(['one', 'two'])];
  shared.own.addGauge(7, Gauge.inFlight, -1);
  expect(registry.refusal(two)).toBe(
    '2 more servers: there is room for 1, removed ones still have requests in flight',
  );
  expect(() => registry.revise(two, SECRET)).toThrow(CapacityError);
  expect(registry.revise(one, SECRET)).toMatchObject({ number: 5, pools: [{ slots: [7] }] });
});

test('names of pools and addresses come and go without end; a name keeps its number', () => {
  const { registry } = fixture();
  const pools = (from: number) =>
    Array.from({ length: POOLS_MAX - 1 }, (_, index) => ({ ...pool('shop'), name: `p${from + index}` }));
  const [written] = configOf(['b']).pools;
  const pool = (name: string) => ({ ...written, name }) as HoldfastConfig['pools'][number];
  const revise = (from: number, port: number) => {
    const config = configOf(['a'], `127.0.0.1:${port}`);
    return registry.revise({ ...config, pools: [...config.pools, ...pools(from)] }, SECRET);
  };
  const first = revise(0, 1);
  for (let round = 1; round < 6; round += 1) {
    const next = revise(round * POOLS_MAX, round + 1);
    const ids = next.pools.map(({ id }) => id);
    expect([new Set(ids).size, Math.max(...ids) < POOL_IDS_MAX, ids[0]]).toEqual([POOLS_MAX, true, 0]);
  }
  for (let port = 10; port < 300; port += 1) {
    const [id = -1] = revise(0, port).listenerIds ?? [];
    expect(id).toBeLessThan(LISTENER_IDS_MAX);
  }
  expect(revise(0, 1).pools[0]?.id).toBe(first.pools[0]?.id);
});

test('the number of a pool that still has requests in flight, or of an address with connections, is given to nobody', () => {
  const { registry, shared } = fixture();
  const revise = (pool: string, port: number) => {
    const config = configOf(['a'], `127.0.0.1:${port}`);
    const pools = config.pools.map((written) => ({ ...written, name: pool }));
    return registry.revise({ ...config, pools }, SECRET);
  };
  const [busy] = revise('busy', 1).pools;
  shared.own.addGauge(busy?.slots[0] ?? 0, Gauge.upstreamActive, 1);
  shared.own.countPool(busy?.id ?? 0, PoolCounter.requests, 3);
  shared.own.addClientConnections(0, 1);
  const [quiet] = revise('quiet', 2).pools;
  shared.own.countPool(quiet?.id ?? 0, PoolCounter.requests, 4);
  const later = Array.from({ length: POOL_IDS_MAX + 9 }, (_, index) => revise(`p${index}`, index + 3));
  expect(later.map(({ pools }) => pools[0]?.id)).not.toContain(busy?.id);
  expect(later.map(({ listenerIds }) => listenerIds?.[0])).not.toContain(0);
  const heir = later.find(({ pools }) => pools[0]?.id === quiet?.id);
  expect(heir).toBeDefined();
  expect(shared.sumPoolCounter(quiet?.id ?? 0, PoolCounter.requests)).toBe(0);
  expect(shared.sumPoolCounter(busy?.id ?? 0, PoolCounter.requests)).toBe(3);
});

test("what a server reports does not go above the operator's weight", () => {
  const { shared, registry, slotsOf } = fixture();
  const [slot = -1] = slotsOf('a');
  registry.change('shop', 'a', slot, { weight: 3 });
  expect(registry.report(slot, Report.ready, 7, 0)).toBe(true);
  expect(shared.control.weight(slot)).toBe(3 * WEIGHT_SCALE);
});

test('what the operator has set is kept of so many servers, and of those that are in use in any case', () => {
  const { registry, slotsOf } = fixture();
  const [slot = -1] = slotsOf('first');
  registry.change('shop', 'first', slot, { weight: 7 });
  const former = new Map(
    Array.from({ length: CHANGES_MAX + 10 }, (_, at) => [`shop/pod-${at}`, { mode: 'drain' } as const]),
  );
  registry.restoreChanges(former);
  expect(registry.changes.size).toBe(CHANGES_MAX);
  expect(registry.changes.get('shop/first')).toEqual({ weight: 7 });
  expect([registry.changes.has('shop/pod-10'), registry.changes.has('shop/pod-11')]).toEqual([false, true]);
  registry.change('shop', 'first', slot, { mode: 'drain' });
  expect(registry.changes.get('shop/first')).toEqual({ weight: 7, mode: 'drain' });
});
