// Slots: kept by a server over reloads, never handed on while anything of their former server is under way.

import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import type { HoldfastConfig } from '../../src/config/model.ts';
import { CapacityError, SlotRegistry } from '../../src/run/slots.ts';
import { Verdict } from '../../src/shared/control.ts';
import { SLOTS_MAX } from '../../src/shared/limits.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Counter, Gauge } from '../../src/shared/stripe.ts';

const SECRET = 'a secret of the test';

function configOf(names: readonly string[], address = '127.0.0.1:0'): HoldfastConfig {
  const servers = names.map((name) => `{ name: ${name}, url: "http://127.0.0.1:80" }`);
  const text = `{ listen: "${address}", pools: { shop: { servers: [${servers.join(', ')}] } } }`;
  const { config, problems } = loadConfig(text, { file: 'test.yaml', env: {} });
  if (config === null) throw new Error(JSON.stringify(problems));
  return config;
}

function fixture(): { shared: SharedState; slotsOf: (...names: string[]) => readonly number[] } {
  const shared = SharedState.create(1, 1_000, 0);
  const registry = new SlotRegistry(shared);
  return { shared, slotsOf: (...names) => registry.revise(configOf(names), SECRET).pools[0]?.slots ?? [] };
}

test('a server keeps its slot; a new one gets one that nobody had, also under an old name', () => {
  const { shared, slotsOf } = fixture();
  expect(slotsOf('a', 'b', 'c')).toEqual([0, 1, 2]);
  const before = shared.control.generation(1);
  expect(slotsOf('c', 'd', 'a')).toEqual([2, 3, 0]);
  expect(shared.control.generation(1)).toBe(before + 1);
  expect(shared.control.verdict(1)).toBe(Verdict.down);
  expect(slotsOf('a', 'b')).toEqual([0, 4]);
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
