// What a control plane, or a revision of it, that could not be made leaves behind.

import { expect, test, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ControlPlane } from '../../src/control/control-plane.ts';
import { StartError } from '../../src/control/start-error.ts';
import { createLogger } from '../../src/run/logger.ts';
import { packHome } from '../../src/shared/session-table.ts';

test('one that cannot be made watches no clock', async () => {
  let watching = 0;
  const { watch } = systemClock;
  const spy = vi.spyOn(systemClock, 'watch').mockImplementation(() => {
    watching += 1;
    const end = watch.call(systemClock);
    return () => {
      watching -= 1;
      end();
    };
  });
  const { config } = loadConfig('{ pools: { shop: { servers: ["http://127.0.0.1:1"] } } }', {
    file: 'test.yaml',
    env: {},
  });
  const options = { config: config!, log: createLogger('silent'), threads: 1 };
  const besides = (): never => {
    throw new StartError('a fault made by a test');
  };
  await expect(ControlPlane.create({ ...options, besides })).rejects.toThrow('a fault made by a test');
  expect(watching).toBe(0);
  const control = await ControlPlane.create(options);
  expect(watching).toBe(1);
  await control.end();
  expect(watching).toBe(0);
  spy.mockRestore();
});

test('a revision that cannot be made removes no server and moves no session', async () => {
  const configOf = (...servers: readonly string[]) => {
    const yaml = `{ pools: { shop: { health: off, servers: [${servers.join(', ')}] } } }`;
    return loadConfig(yaml, { file: 'test.yaml', env: {} }).config!;
  };
  const [first, second] = ['"http://127.0.0.1:1"', '"http://127.0.0.1:2"'];
  const config = configOf(first!, second!);
  let fault: Error | null = null;
  const besides = (): Record<string, never> => {
    if (fault !== null) throw fault;
    return {};
  };
  const control = await ControlPlane.create({ config, log: createLogger('silent'), threads: 1, besides });
  const { revision, shared, slots } = control;
  const before = revision.pools[0]!.generations;
  let isPrepared = false;
  control.prepareListeners = () => {
    isPrepared = true;
    return () => {
      isPrepared = false;
    };
  };
  fault = new StartError('a fault made by a test');
  const reload = (next = configOf(first!)) =>
    control.revising.reload(async () => ({ config: next }), 'a test');
  expect(await reload()).toMatchObject({ ok: false, message: 'a fault made by a test' });
  expect([control.revision, control.revising.written, isPrepared]).toEqual([revision, config, false]);
  expect(revision.pools[0]!.slots.map((slot) => shared.control.generation(slot))).toEqual(before);
  expect(slots.has('shop', { name: '127.0.0.1:2' })).toBe(true);
  fault = null;
  expect(await reload()).toMatchObject({ ok: true, revision: 2 });
  expect([isPrepared, slots.has('shop', { name: '127.0.0.1:2' })]).toEqual([true, false]);
  await control.end();
});

test('a server is not empty while one session is there, also one that only a first request knows', async () => {
  const { config } = loadConfig('{ pools: { shop: { health: off, servers: ["http://127.0.0.1:1"] } } }', {
    file: 'test.yaml',
    env: {},
  });
  const control = await ControlPlane.create({ config: config!, log: createLogger('silent'), threads: 1 });
  const { revision, shared, sweeper } = control;
  const [pool] = revision.pools;
  const home = packHome(pool!.slots[0]!, pool!.generations[0]!);
  const isEmpty = (): boolean => {
    sweeper.sweepNow();
    return control.isEmpty('shop', '127.0.0.1:1');
  };
  sweeper.apply(revision);
  // a file or a process before may have brought some, and a takeover may take longer than a server stays that has left
  expect(control.isEmpty('shop', '127.0.0.1:1')).toBe(false);
  expect(isEmpty()).toBe(true);
  const entry = shared.table.insert(1, 1, home, systemClock.nowMs(), 0, true);
  expect(isEmpty()).toBe(false);
  shared.table.confirm(entry);
  expect(isEmpty()).toBe(false);
  shared.table.remove(entry, 1, 1);
  expect(isEmpty()).toBe(true);
  await control.end();
});
