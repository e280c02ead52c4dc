// Servers that are found while the balancer runs: by IPv6 as by IPv4, and each begins as slowly as the pool says.

import { expect, test } from 'vitest';
import { httpBackend } from '../support/backend.ts';
import { dnsServer } from '../support/dns-server.ts';
import { eventually } from '../support/eventually.ts';
import { runInside } from '../support/holdfast.ts';
import { sessionServers } from '../support/session-servers.ts';

const HEAD = 'threads: 2\nlisten: 127.0.0.1:0\nadmin: { address: 127.0.0.1:0 }\n';

/** A server on ::1; null where this machine has no IPv6. */
async function ipv6Port(): Promise<number | null> {
  const backend = await httpBackend('six');
  const { server } = backend;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return new Promise((resolve) => {
    server.once('error', () => resolve(null));
    server.listen(0, '::1', () => {
      const address = server.address();
      resolve(typeof address === 'object' ? (address?.port ?? null) : null);
    });
  });
}

test('AAAA: requests go to servers found by IPv6', async ({ skip }) => {
  const port = await ipv6Port();
  if (port === null) return skip('this machine has no IPv6');
  const dns = await dnsServer();
  dns.records.set('shop.test', [{ type: 'AAAA', address: '0:0:0:0:0:0:0:1' }]);
  const holdfast = await runInside(`${HEAD}
resolver: ["${dns.address}"]
pools:
  shop:
    health: { path: /healthz, interval: 100ms }
    servers: [{ dns: { name: shop.test, type: AAAA, port: ${port}, refresh: 100ms } }]
`);
  expect(await (await fetch(`${holdfast.url}/x`)).json()).toMatchObject({ server: 'six', target: '/x' });
  expect((await holdfast.status()).pools[0]?.servers[0]).toMatchObject({
    url: `http://[::1]:${port}`,
    state: 'up',
  });
});

test('slowStart: a server that is found later gets a tenth of its share at first', async () => {
  const dns = await dnsServer();
  const [a, b] = await sessionServers(2);
  if (a === undefined || b === undefined) throw new Error('two servers');
  const srv = (port: number) =>
    ({ type: 'SRV', priority: 1, weight: 10, port, target: 'localhost.test' }) as const;
  dns.records.set('localhost.test', [{ type: 'A', address: '127.0.0.1' }]);
  dns.records.set('_shop._tcp.test', [srv(a.port)]);
  const holdfast = await runInside(`${HEAD}
resolver: ["${dns.address}"]
pools:
  shop:
    slowStart: 1h
    health: { interval: 100ms, rise: 1 }
    servers: [{ dns: { name: _shop._tcp.test, type: SRV, refresh: 100ms } }]
`);
  dns.records.set('_shop._tcp.test', [srv(a.port), srv(b.port)]);
  await eventually(async () => (await holdfast.status()).pools[0]?.servers[1]?.state === 'up');
  const before = [a.requests, b.requests];
  for (let count = 0; count < 220; count += 1) await fetch(`${holdfast.url}/login`, { method: 'POST' });
  const [ofA, ofB] = [a.requests - (before[0] ?? 0), b.requests - (before[1] ?? 0)];
  expect(ofA + ofB).toBe(220);
  // one of eleven, by each of two threads' own round robin; a half without the ramp
  expect(ofB).toBeGreaterThanOrEqual(16);
  expect(ofB).toBeLessThanOrEqual(24);
});
