// A rate limit of a listener counts what comes there, by all routes together that have none of their own.

import { expect, test } from 'vitest';
import { cannedBackend } from '../support/backend.ts';
import { runInside } from '../support/holdfast.ts';
import { plainClient } from '../support/plain-client.ts';

test("a listener's rate limit is that of its routes that have none, and of no other listener", async () => {
  const backend = await cannedBackend('HTTP/1.1 204 No Content\r\n\r\n');
  const holdfast = await runInside(`
threads: 2
listen:
  - { address: "127.0.0.1:0", rateLimit: { key: header X-Api-Key, rate: 1/h, burst: 4 } }
  - { address: "127.0.0.2:0" }
admin: { address: 127.0.0.1:0 }
routes:
  - { path: /own, pool: shop, rateLimit: { key: header X-Api-Key, rate: 1/h, burst: 2 } }
  - { path: /one, pool: shop }
  - { pool: shop }
pools: { shop: { servers: ["${backend.url}"] } }
`);
  const ask = async (url: string, path: string, key = 'one'): Promise<number> =>
    (await fetch(`${url}${path}`, { headers: { 'x-api-key': key } })).status;
  const statuses: number[] = [];
  for (const path of ['/one', '/two', '/one', '/', '/one', '/two'])
    statuses.push(await ask(holdfast.url, path));
  expect(statuses).toEqual([204, 204, 204, 204, 429, 429]);
  for (const expected of [204, 204, 429]) expect(await ask(holdfast.url, '/own')).toBe(expected);
  expect(await ask(holdfast.url, '/one', 'another')).toBe(204);
  const open = `http://127.0.0.2:${holdfast.ports[1]}`;
  for (let count = 0; count < 6; count += 1) expect(await ask(open, '/one')).toBe(204);
  const refused = await plainClient(holdfast.port).ask('GET', '/one', { 'x-api-key': 'one' });
  expect([refused.header('x-holdfast-error'), Number(refused.header('retry-after')) > 3000]).toEqual([
    'too-many-requests',
    true,
  ]);
});
