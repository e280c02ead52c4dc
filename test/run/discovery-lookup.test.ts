// What one look finds, asked of a real DNS server over UDP.

import { expect, test } from 'vitest';
import type { DiscoveryConfig } from '../../src/config/model.ts';
import { createLookup } from '../../src/run/lookup.ts';
import { type DnsServer, dnsServer } from '../support/dns-server.ts';

function look(dns: DnsServer, type: 'A' | 'AAAA' | 'SRV', name: string) {
  const config: DiscoveryConfig = {
    kind: 'dns',
    source: `dns ${type} ${name}`,
    name,
    port: type === 'SRV' ? null : 8080,
    type,
    refreshMs: 1000,
    maxConnections: 0,
  };
  return createLookup([dns.address])(config);
}

const shown = (found: Awaited<ReturnType<typeof look>>): readonly string[] =>
  found.map(({ url, weight, backup }) => `${url} ${weight}${backup ? ' backup' : ''}`).toSorted();

const srv = (target: string, port: number, priority: number, weight: number) =>
  ({ type: 'SRV', target, port, priority, weight }) as const;

test('A and AAAA: a server for each address, at the configured port, of the type that was asked for', async () => {
  const dns = await dnsServer();
  dns.records.set('shop.test', [
    { type: 'A', address: '192.0.2.1' },
    { type: 'A', address: '192.0.2.2' },
    { type: 'AAAA', address: '2001:db8:0:0:0:0:0:7' },
  ]);
  expect(shown(await look(dns, 'A', 'shop.test'))).toEqual([
    'http://192.0.2.1:8080 1',
    'http://192.0.2.2:8080 1',
  ]);
  const [server] = await look(dns, 'AAAA', 'shop.test');
  expect(server).toEqual({
    name: '[2001:db8::7]:8080',
    url: 'http://[2001:db8::7]:8080',
    host: '2001:db8::7',
    port: 8080,
    weight: 1,
    backup: false,
  });
});

test('SRV: the lowest priority serves, others are backups; weights are kept within bounds', async () => {
  const dns = await dnsServer();
  dns.records.set('a.test', [{ type: 'A', address: '192.0.2.1' }]);
  dns.records.set('two.test', [
    { type: 'A', address: '192.0.2.2' },
    { type: 'A', address: '192.0.2.3' },
  ]);
  dns.records.set('_shop._tcp.test', [
    srv('a.test', 1001, 10, 5),
    srv('a.test', 1002, 10, 0),
    srv('two.test', 1003, 20, 60_000),
  ]);
  expect(shown(await look(dns, 'SRV', '_shop._tcp.test'))).toEqual([
    'http://192.0.2.1:1001 5',
    'http://192.0.2.1:1002 1',
    'http://192.0.2.2:1003 1000 backup',
    'http://192.0.2.3:1003 1000 backup',
  ]);
});

test('SRV: a record that another repeats is one server, always the same one', async () => {
  const dns = await dnsServer();
  dns.records.set('a.test', [{ type: 'A', address: '192.0.2.1' }]);
  const records = [srv('a.test', 80, 20, 9), srv('a.test', 80, 10, 2), srv('a.test', 80, 10, 3)];
  for (const order of [records, records.toReversed()]) {
    dns.records.set('_shop._tcp.test', order);
    expect(shown(await look(dns, 'SRV', '_shop._tcp.test'))).toEqual(['http://192.0.2.1:80 3']);
  }
});

test('SRV: a target with IPv6 only is found; one whose IPv4 cannot be asked for is no reason to change to IPv6', async () => {
  const dns = await dnsServer();
  dns.records.set('six.test', [{ type: 'AAAA', address: '2001:db8:0:0:0:0:0:6' }]);
  dns.records.set('_six._tcp.test', [srv('six.test', 80, 1, 1)]);
  expect(shown(await look(dns, 'SRV', '_six._tcp.test'))).toEqual(['http://[2001:db8::6]:80 1']);
  dns.records.set('six.test', [
    { type: 'A', address: '192.0.2.6' },
    { type: 'AAAA', address: '2001:db8:0:0:0:0:0:6' },
  ]);
  dns.brokenType = 'A';
  await expect(look(dns, 'SRV', '_six._tcp.test')).rejects.toThrow('queryA ESERVFAIL six.test');
});

test('no such name, a name without addresses, a broken server: each rejects, none is an empty answer', async () => {
  const dns = await dnsServer();
  dns.records.set('empty.test', []);
  await expect(look(dns, 'A', 'nowhere.test')).rejects.toThrow('queryA ENOTFOUND nowhere.test');
  await expect(look(dns, 'AAAA', 'empty.test')).rejects.toThrow('queryAaaa ENODATA empty.test');
  dns.records.set('_shop._tcp.test', [srv('nowhere.test', 80, 1, 1)]);
  await expect(look(dns, 'SRV', '_shop._tcp.test')).rejects.toThrow('ENOTFOUND nowhere.test');
  dns.isBroken = true;
  await expect(look(dns, 'A', 'empty.test')).rejects.toThrow('ESERVFAIL');
});
