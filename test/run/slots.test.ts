// Slots: kept by a server over reloads, never handed on while anything of their former server is under way.

import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { HoldfastConfig } from '../../src/config/model.ts';
import { CapacityError, SlotRegistry } from '../../src/run/slots.ts';
import { Mode, Report, Verdict, WEIGHT_SCALE } from '../../src/shared/control.ts';
import { SLOTS_MAX } from '../../src/shared/limits.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Counter, Gauge } from '../../src/shared/stripe.ts';

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
  const { shared, slotsOf } = fixture();
  expect(slotsOf('a', 'b', 'c')).toEqual([0, 1, 2]);
  const before = shared.control.generation(1);
  expect(slotsOf('c', 'd', 'a')).toEqual([2, 3, 0]);
  expect(shared.control.generation(1)).toBe(before + 1);
  expect(shared.control.verdict(1)).toBe(Verdict.down);
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
  expect(registry.report(1, Report.full, null)).toBe(false);
  expect(slotsOf('b', 'a', 'c')).toEqual([1, 0, 2]);
  expect(shared.control.generation(1)).toBe(generation);
  expect(shared.control.verdict(1)).toBe(Verdict.starting);
  expect(shared.sumCounter(1, Counter.created)).toBe(3);
  expect([shared.control.mode(1), shared.control.weight(1)]).toEqual([Mode.drain, 7 * WEIGHT_SCALE]);
  // its slot is not given away any more
  expect(slotsOf('b', 'a', 'c', 'd')).toEqual([1, 0, 2, 3]);
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

test('a slot that was given to another forgets its former server and what the operator has set on it', () => {
  const { shared, registry, slotsOf } = fixture();
  const many = Array.from({ length: SLOTS_MAX - 1 }, (_, index) => `s${index}`);
  slotsOf('a', ...many);
  const generation = shared.control.generation(0);
  registry.change('shop', 'a', 0, { mode: 'drain' });
  slotsOf(...many);
  expect(registry.changes.size).toBe(1);
  expect(slotsOf('b', ...many)[0]).toBe(0);
  expect(shared.control.generation(0)).toBe(generation + 2);
  expect([registry.changes.size, shared.control.mode(0)]).toEqual([0, Mode.ready]);
});

test('whoever comes back finds room even when all slots are known to be taken', () => {
  const { slotsOf } = fixture();
  const many = Array.from({ length: SLOTS_MAX - 1 }, (_, index) => `s${index}`);
  slotsOf('a', ...many);
  slotsOf(...many);
  expect(slotsOf('a', ...many)[0]).toBe(0);
});

test('when every slot has been used the one released longest ago is next, unless it is still busy', () => {
  const { shared, slotsOf } = fixture();
  const many = (count: number, from = 0): string[] =>
    Array.from({ length: count }, (_, index) => `s${from + index}`);
  slotsOf(...many(SLOTS_MAX));
  slotsOf(...many(SLOTS_MAX - 3, 3));
  shared.own.addGauge(0, Gauge.inFlight, 1);
  shared.own.count(1, Counter.failures, 7);
  const generation = shared.control.generation(1);
  expect(slotsOf('new', ...many(SLOTS_MAX - 3, 3))[0]).toBe(1);
  expect(shared.sumCounter(1, Counter.failures)).toBe(0);
  expect(shared.control.generation(1)).toBe(generation + 1);
  expect(slotsOf('new', 'newer', ...many(SLOTS_MAX - 3, 3))[1]).toBe(2);
  expect(() => slotsOf('new', 'newer', 'newest', ...many(SLOTS_MAX - 3, 3))).toThrow(
    new CapacityError(`1 more servers: there is room for 0 (${SLOTS_MAX} in all)`),
  );
  shared.own.addGauge(0, Gauge.inFlight, -1);
  expect(slotsOf('new', 'newer', 'newest', ...many(SLOTS_MAX - 3, 3))[2]).toBe(0);
});

test('too many addresses since the start are refused, and the refused configuration leaves no trace', () => {
  const registry = new SlotRegistry(SharedState.create(1, 1_000, 0));
  for (let port = 1; port <= 64; port += 1) registry.revise(configOf(['a'], `127.0.0.1:${port}`), SECRET);
  const refused = configOf(['a', 'b'], '127.0.0.1:65');
  expect(registry.refusal(refused)).toBe('more than 64 addresses to listen on since the start');
  expect(() => registry.revise(refused, SECRET)).toThrow(CapacityError);
  expect(registry.revise(configOf(['a', 'c'], '127.0.0.1:1'), SECRET).pools[0]?.slots).toEqual([0, 1]);
});
