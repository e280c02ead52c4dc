// The type of a configuration: what is wrong does not compile. `npm run check` compiles this file, and an expected error that
// does not come is an error.

import { expect, test } from 'vitest';
import { type BalancerConfig, ConfigError, createBalancer } from '../../src/index.ts';

const servers = ['http://127.0.0.1:1'];

const RIGHT = [
  { pools: { web: { servers } } },
  { sessions: { max: 1_000, file: undefined }, pools: { web: { sticky: 'none', health: 'off', servers } } },
  { pools: { web: { policy: 'least-time', sticky: { mode: 'cookie-hash', idle: '30m' }, servers } } },
  { pools: { web: { servers: [{ url: 'http://127.0.0.1:1', weight: 2 }, 'http://127.0.0.1:2'] } } },
  { pools: { web: { queue: { size: '${SIZE:-10}' }, policy: '${POLICY:-round-robin}', servers } } },
  { routes: [{ path: '/api', pool: 'web', rateLimit: { rate: '10/s' } }], pools: { web: { servers } } },
] as const satisfies readonly BalancerConfig[];

const WRONG: readonly BalancerConfig[] = [
  // @ts-expect-error there is no such policy
  { pools: { web: { policy: 'leastconn', servers } } },
  // @ts-expect-error there is no such key
  { pools: { web: { polcy: 'round-robin', servers } } },
  // @ts-expect-error nor at the top
  { pool: {}, pools: { web: { servers } } },
  // @ts-expect-error nor in a server
  { pools: { web: { servers: [{ url: 'http://127.0.0.1:1', wieght: 2 }] } } },
  // @ts-expect-error there is no such mode
  { pools: { web: { sticky: { mode: 'cookie' }, servers } } },
  // @ts-expect-error a number in quotes is text
  { sessions: { max: 'many' }, pools: { web: { servers } } },
  // @ts-expect-error a pool has servers
  { pools: { web: {} } },
  // @ts-expect-error and a configuration pools
  { sessions: { max: 1_000 } },
];

test('what the type takes is taken, and what it refuses is refused for those who do not compile', async () => {
  for (const config of RIGHT) {
    const balancer = await createBalancer(config);
    await balancer.close(0);
  }
  for (const config of WRONG)
    expect(await createBalancer(config).catch((reason: unknown) => reason)).toBeInstanceOf(ConfigError);
});
