// The queue is fair over threads: a thread whose requests hold all places does not keep them from the others.

import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { runInside } from '../support/holdfast.ts';
import { plainClient } from '../support/plain-client.ts';

const CLIENTS = 8;
const REQUESTS = 500;

test('clients of all threads get their turn, long before the queue would give them up', async () => {
  const backend = await httpBackend('a', (_request, response) => {
    setTimeout(() => response.end('ok'), 5);
  });
  const holdfast = await runInside(`
threads: 2
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  web:
    health: off
    passive: off
    queue: { timeout: 1s }
    servers: [{ url: "${backend.url}", maxConnections: 2 }]
`);
  let asked = 0;
  const statuses = new Set<number>();
  const served = await Promise.all(
    Array.from({ length: CLIENTS }, async () => {
      const client = plainClient(holdfast.port);
      let count = 0;
      for (; asked < REQUESTS; count += 1) {
        asked += 1;
        statuses.add((await client.ask('GET', '/')).status);
      }
      return count;
    }),
  );
  expect([...statuses]).toEqual([200]);
  expect(Math.min(...served)).toBeGreaterThan(REQUESTS / CLIENTS / 4);
  expect(await holdfast.metric('holdfast_queued_requests_total')).toBeGreaterThan(REQUESTS / 4);
});
