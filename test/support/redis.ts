// A Redis of the test's own, without persistence, that can be killed, stopped and started again on its port.

import { createClient } from 'redis';
import { afterAll, onTestFinished } from 'vitest';
import type { DemoStore } from '../../demo/demo-store.ts';
import { REDIS_PASSWORD_VARIABLE } from '../../demo/flags.ts';
import { startRedis } from '../../demo/redis-servers.ts';
import { needs } from './needs.ts';

export interface TestRedis {
  readonly store: DemoStore;
  readonly password: string;
  readonly url: string;
  /** Not connected; it waits for nothing and says nothing of errors. */
  client(): ReturnType<typeof clientOf>;
  /** One command over a connection of its own. */
  command(...args: string[]): Promise<unknown>;
}

/** Stopped when the test ends. */
export async function testRedis(skip: (reason: string) => never): Promise<TestRedis> {
  needs('redis', skip);
  const redis = await started();
  onTestFinished(() => {
    redis.store.signal('SIGCONT');
    return redis.store.stop();
  });
  return redis;
}

/** One for all tests of a file, empty for each: for those that do it no harm. */
export function sharedRedis(): (skip: (reason: string) => never) => Promise<TestRedis> {
  let shared: Promise<TestRedis> | null = null;
  afterAll(async () => (await shared)?.store.stop());
  return async (skip) => {
    needs('redis', skip);
    shared ??= started();
    const redis = await shared;
    await redis.command('FLUSHALL');
    return redis;
  };
}

async function started(): Promise<TestRedis> {
  const store = await startRedis('single');
  const url = store.backendFlags[1] ?? '';
  const password = store.backendEnvironment[REDIS_PASSWORD_VARIABLE] ?? '';
  const client = (): ReturnType<typeof clientOf> => clientOf(url, password);
  const command = async (...args: string[]): Promise<unknown> => {
    const one = client();
    await one.connect();
    try {
      return await one.sendCommand(args);
    } finally {
      one.destroy();
    }
  };
  return { store, password, url, client, command };
}

function clientOf(url: string, password: string) {
  const made = createClient({ url, password, disableOfflineQueue: true });
  made.on('error', () => {});
  return made;
}
