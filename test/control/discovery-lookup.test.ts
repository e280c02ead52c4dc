// What one look finds, asked of a real DNS server over UDP.

import { spawnSync } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { DiscoveryConfig } from '../../src/config/model.ts';
import { askedFor, createLookup, parseServerList } from '../../src/control/lookup.ts';
import { Membership } from '../../src/control/membership.ts';
import { completions } from '../../src/control/search-list.ts';
import { type DnsServer, dnsServer } from '../support/dns-server.ts';

const NOTHING = new Membership({ maxConnections: 0, maxSessions: 0 });

function look(dns: DnsServer | null, type: 'A' | 'AAAA' | 'SRV', name: string) {
  const config: DiscoveryConfig = {
    kind: 'dns',
    source: `dns ${type} ${name}`,
    name,
    port: type === 'SRV' ? null : 8080,
    type,
    refreshMs: 1000,
    maxConnections: 0,
    maxSessions: 0,
  };
  return createLookup(dns === null ? [] : [dns.address])(config, NOTHING);
}

const shown = (found: Awaited<ReturnType<typeof look>>): readonly string[] =>
  found.servers.map(({ url, weight, backup }) => `${url} ${weight}${backup ? ' backup' : ''}`).toSorted();

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
  const [server] = (await look(dns, 'AAAA', 'shop.test')).servers;
  expect(server).toEqual({
    name: '[2001:db8::7]:8080',
    url: 'http://[2001:db8::7]:8080',
    host: '2001:db8::7',
    port: 8080,
    basePath: '',
    isTls: false,
    socketPath: null,
    weight: 1,
    backup: false,
    target: null,
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

test('SRV: a target that is wrong, gone or not to be asked for spoils none of the others', async () => {
  const dns = await dnsServer();
  dns.records.set('a.test', [{ type: 'A', address: '192.0.2.1' }]);
  dns.records.set('slow.test', [{ type: 'A', address: '192.0.2.9' }]);
  dns.brokenNames.add('slow.test');
  dns.records.set('_shop._tcp.test', [
    srv('a.test', 1001, 10, 5),
    srv('a.test', 0, 10, 5),
    srv('gone.test', 1002, 10, 5),
    srv('slow.test', 1003, 10, 5),
    srv('slow.test', 1004, 10, 5),
    srv('', 1005, 1, 5),
  ]);
  const found = await look(dns, 'SRV', '_shop._tcp.test');
  expect(shown(found)).toEqual(['http://192.0.2.1:1001 5']);
  expect(found.unknownTargets).toEqual(['slow.test']);
  dns.records.set('_shop._tcp.test', [srv('', 0, 1, 5)]);
  await expect(look(dns, 'SRV', '_shop._tcp.test')).rejects.toThrow('no servers found');
});

test('an answer of more servers than anybody can use is cut in whatever order it comes, and never to newcomers', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-lookup-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'servers');
  const file: DiscoveryConfig = {
    kind: 'file',
    source: 'file',
    path,
    refreshMs: 1000,
    maxConnections: 0,
    maxSessions: 0,
  };
  const urls = Array.from({ length: 5000 }, (_, index) => `http://10.0.${index >> 8}.${index & 255}`);
  writeFileSync(path, urls.join('\n'));
  const first = await createLookup([])(file, NOTHING);
  writeFileSync(path, urls.toReversed().join('\n'));
  expect(first.servers.length).toBe(4096);
  expect(await createLookup([])(file, NOTHING)).toEqual(first);
  const members = new Membership(file);
  members.apply(first.servers, [], 0);
  const before = Array.from({ length: 5000 }, (_, index) => `http://10.${index >> 8}.0.${index & 255}:1`);
  writeFileSync(path, [...before, ...urls].join('\n'));
  const second = await createLookup([])(file, members);
  expect(second.servers.length).toBe(4096);
  expect(members.apply(second.servers, second.unknownTargets, 1)).toBe(false);
});

test('SRV: of more names than are asked for, those of servers in use are', () => {
  const members = new Membership({ maxConnections: 0, maxSessions: 0 });
  const [of] = parseServerList('http://192.0.2.1').map((server) => ({ ...server, target: 'zz.test' }));
  members.apply([of!], [], 0);
  const many = Array.from({ length: 2000 }, (_, index) => `s${index}.test`);
  const asked = askedFor([...many, ...many, 'zz.test'], members);
  expect([asked.length, asked[0], new Set(asked).size]).toEqual([1024, 'zz.test', 1024]);
  expect(askedFor(many.toReversed(), NOTHING)).toEqual(askedFor(many, NOTHING));
  members.apply(parseServerList('http://192.0.2.2'), [], 1);
  expect(askedFor([...many, 'zz.test'], members)).not.toContain('zz.test');
});

test('what is no file, or too large a one, is refused at once and not read', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-lookup-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const pipe = join(directory, 'pipe');
  spawnSync('mkfifo', [pipe]);
  const large = join(directory, 'large');
  writeFileSync(large, '#'.repeat(1024 * 1024 + 1));
  const inFile = (path: string) =>
    createLookup([])(
      { kind: 'file', source: 'file', path, refreshMs: 1000, maxConnections: 0, maxSessions: 0 },
      NOTHING,
    );
  await expect(inFile(pipe)).rejects.toThrow('not a file');
  await expect(inFile('/dev/zero')).rejects.toThrow('not a file');
  await expect(inFile(directory)).rejects.toThrow('not a file');
  await expect(inFile(large)).rejects.toThrow('the file is larger than 1048576 bytes');
});

test('without name servers of its own a look finds what the system finds, in the hosts file too', async () => {
  expect(shown(await look(null, 'A', 'localhost'))).toEqual(['http://127.0.0.1:8080 1']);
  const name = hostname();
  const wanted = await lookup(name, { all: true, family: 4 });
  const found = await look(null, 'A', name);
  expect(found.servers.map(({ host }) => host).toSorted()).toEqual(
    wanted.map(({ address }) => address).toSorted(),
  );
});

test('names are completed by the search list as resolv.conf(5) says', () => {
  const conf =
    'nameserver 10.0.0.1\ndomain old.test\nsearch a.test b.test. # and no more\noptions timeout:1 ndots:3\n';
  expect(completions('_shop._tcp.web', conf)).toEqual([
    '_shop._tcp.web.a.test',
    '_shop._tcp.web.b.test',
    '_shop._tcp.web',
  ]);
  expect(completions('_shop._tcp.web.test', conf)[0]).toBe('_shop._tcp.web.test');
  expect(completions('_shop._tcp.web.', conf)).toEqual(['_shop._tcp.web.']);
  expect(completions('_shop._tcp', 'domain a.test')).toEqual(['_shop._tcp', '_shop._tcp.a.test']);
  expect(completions('shop', 'search a.test', 'c.test d.test')).toEqual([
    'shop.c.test',
    'shop.d.test',
    'shop',
  ]);
  expect(completions('shop', 'search .')).toEqual(['shop']);
  expect(completions('shop', '')).toEqual(['shop']);
});
