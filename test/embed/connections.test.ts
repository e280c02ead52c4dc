// Idle connections to servers: as many as keepAlive.max, as long as keepAlive.idle, also after a reload.

import type { ServerResponse } from 'node:http';
import { test } from 'vitest';
import type { BalancerConfig, BalancerPool } from '../../src/config/balancer-config.ts';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { embed, SMALL } from './embedded.ts';

test('keepAlive: max and idle bound the idle connections, 0 keeps none, and a reload changes both', async () => {
  const held: ServerResponse[] = [];
  const backend = await httpBackend('a', (_request, response) => held.push(response));
  const config = (keepAlive: BalancerPool['keepAlive']): BalancerConfig => ({
    ...SMALL,
    pools: { web: { health: 'off', keepAlive, servers: [backend.url] } },
  });
  const { url, balancer } = await embed(config({ max: 2, idle: '1h' }));
  const three = async (): Promise<void> => {
    const asked = [1, 2, 3].map(async () => (await fetch(url)).text());
    await eventually(() => held.length === 3);
    for (const response of held.splice(0)) response.end('ok');
    await Promise.all(asked);
  };
  const idle = (): number | undefined => balancer.status().pools[0]?.servers[0]?.connections.idle;
  await three();
  await eventually(() => idle() === 2 && backend.sockets.size === 2);
  await balancer.reload(config({ max: 256, idle: '50ms' }));
  await three();
  await eventually(() => idle() === 0 && backend.sockets.size === 0);
  await balancer.reload(config({ max: 256, idle: 0 }));
  await three();
  await eventually(() => backend.sockets.size === 0);
});
