// What a control plane that could not be made leaves behind.

import { expect, test, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ControlPlane } from '../../src/control/control-plane.ts';
import { StartError } from '../../src/control/start-error.ts';
import { createLogger } from '../../src/run/logger.ts';

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
