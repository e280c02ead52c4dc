// Sessions at home in the tests: closed when the test ends, on a store that is not new.

import { onTestFinished } from 'vitest';
import { HomeSessions } from '../../src/session-store/home-sessions.ts';
import type { SessionsOptions } from '../../src/session-store/options.ts';
import type { TestRedis } from './redis.ts';

export interface Counter {
  count: number;
  readonly padding?: string;
}

/** What a store that is new does not have is not called unknown for a while; this one is not. */
export async function beginSet(redis: TestRedis): Promise<void> {
  await redis.command('HSET', 'holdfast:set', 'id', 'of the test', 'since', '1', 'ready', '1');
}

export function homeSessions(
  redis: TestRedis,
  options: Partial<SessionsOptions> = {},
): HomeSessions<Counter> {
  const sessions = new HomeSessions<Counter>({
    client: redis.client(),
    // A machine under load may take this long for what is well.
    ackTimeout: 5000,
    loadTimeout: 10_000,
    onTrouble: () => {},
    ...options,
  });
  onTestFinished(() => sessions.close(0));
  return sessions;
}
