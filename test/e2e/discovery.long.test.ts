// Servers found by DNS and in a file: they come, drain when they go, and a failing look changes nothing.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startCommand } from '../support/command.ts';
import { dnsServer } from '../support/dns-server.ts';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { type SessionServer, sessionServers } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

const HEAD = 'threads: 2\nlisten: 127.0.0.1:0\nadmin: { address: 127.0.0.1:0 }\n';

async function modes(holdfast: Holdfast): Promise<string> {
  const servers = (await holdfast.status()).pools[0]?.servers ?? [];
  return servers.map(({ url, mode, state }) => `${new URL(url).port} ${mode} ${state}`).join(', ');
}

function srv(server: SessionServer, priority = 1, weight = 1) {
  return { type: 'SRV', priority, weight, port: server.port, target: 'localhost.test' } as const;
}

test('SRV: sessions stay while their server drains, then it goes; a broken name server changes nothing', async () => {
  const dns = await dnsServer();
  const [a, b, c] = (await sessionServers(3)) as [SessionServer, SessionServer, SessionServer];
  dns.records.set('localhost.test', [{ type: 'A', address: '127.0.0.1' }]);
  dns.records.set('_shop._tcp.test', [srv(a), srv(b)]);
  const holdfast = await runInside(`${HEAD}
resolver: ["${dns.address}"]
pools:
  shop:
    sticky: { mode: cookie-hash, idle: 2s }
    servers: [{ dns: { name: _shop._tcp.test, type: SRV, refresh: 100ms } }]
`);
  const user = new User(holdfast.port, 1);
  while ((await user.where()) !== 'b') user.jar.clear();
  await user.where();
  expect(await holdfast.metric('holdfast_discovery_servers', { pool: 'shop' })).toBe(2);

  dns.records.set('_shop._tcp.test', [srv(a), srv(c)]);
  const expected = `${a.port} ready up, ${b.port} drain up, ${c.port} ready up`;
  await eventually(async () => (await modes(holdfast)) === expected, { what: () => holdfast.log() });
  const newcomers = new Set<string>();
  for (let number = 0; number < 20; number += 1) {
    newcomers.add(await new User(holdfast.port, number).where());
    expect(await user.where()).toBe('b');
  }
  expect([...newcomers].sort()).toEqual(['a', 'c']);

  dns.isBroken = true;
  await eventually(async () => (await holdfast.metric('holdfast_discovery_failures_total')) >= 3);
  expect(await modes(holdfast)).toBe(expected);
  dns.isBroken = false;
  user.close();
  await eventually(async () => (await modes(holdfast)) === `${a.port} ready up, ${c.port} ready up`, {
    deadlineMs: 15_000,
  });
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);
});

test('A records without the name at first: the pool is empty until it is there', async () => {
  const dns = await dnsServer();
  const [a] = (await sessionServers(1)) as [SessionServer];
  const holdfast = await runInside(
    `${HEAD}
resolver: ["${dns.address}"]
pools:
  shop:
    queue: { whenDown: 0s }
    servers: [{ dns: { name: shop.test, port: ${a.port}, refresh: 100ms } }]
`,
    { unready: true },
  );
  expect((await fetch(holdfast.url)).status).toBe(503);
  expect((await fetch(`${holdfast.adminUrl}/readyz`)).status).toBe(503);
  dns.records.set('shop.test', [{ type: 'A', address: '127.0.0.1' }]);
  await eventually(async () => (await fetch(`${holdfast.url}/login`, { method: 'POST' })).status === 200);
});

test('a file of servers is followed, and a wrong line changes nothing', async () => {
  const servers = (await sessionServers(2)) as [SessionServer, SessionServer];
  const [a, b] = servers;
  const path = join(mkdtempSync(join(tmpdir(), 'holdfast-test-')), 'servers');
  writeFileSync(path, `${a.url} # the first\n`);
  const holdfast = await runInside(`${HEAD}
pools:
  shop:
    sticky: none
    servers: [{ file: { path: ${path}, refresh: 100ms } }]
`);
  expect(await modes(holdfast)).toBe(`${a.port} ready up`);
  writeFileSync(path, `- ${a.url}\n- "${b.url}"\n`);
  await eventually(async () => (await modes(holdfast)) === `${a.port} ready up, ${b.port} ready up`);
  writeFileSync(path, 'not a url\n');
  await eventually(async () => (await holdfast.metric('holdfast_discovery_failures_total')) >= 2);
  expect(await modes(holdfast)).toBe(`${a.port} ready up, ${b.port} ready up`);
  expect(holdfast.log()).toContain('line 1: ');
});

test('more servers than there may be: what is written is used, what is found beyond the limit is not', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-room-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'servers');
  writeFileSync(path, 'http://127.0.0.1:1\nhttp://127.0.0.1:2\n');
  const written = Array.from({ length: 1023 }, (_, index) => `"http://127.0.0.1:${index + 3}"`);
  const pools = (more: string): string => `${HEAD}
routes: [{ path: /more, pool: more }, { path: /, pool: shop }]
pools:
  shop: { health: off, servers: [${written.join(', ')}] }
  more: { health: off, servers: [${more}] }
`;
  const holdfast = await runInside(pools(`{ file: { path: ${path} } }`));
  expect((await holdfast.status()).pools.map(({ servers }) => servers.length)).toEqual([1023, 1]);
  expect(holdfast.log()).toContain('1 servers that were found are not used: there may be 1024 in all');

  const file = join(directory, 'holdfast.yaml');
  writeFileSync(file, pools('"http://127.0.0.1:1", "http://127.0.0.1:2"'));
  const problem = 'the pools up to this one have 1025 servers, there may be at most 1024 in all\n';
  for (const command of ['check', 'run']) {
    const { status, err } = await startCommand([command, '--config', file]).ended;
    expect([command, status, err]).toEqual([command, 1, `${file}:8:24: ${problem}`]);
  }
});

test('600 servers that replace 600 are all used, without another answer', async () => {
  const [a, b] = (await sessionServers(2)) as [SessionServer, SessionServer];
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-room-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'servers');
  const list = (port: number, net: number): string =>
    Array.from({ length: 600 }, (_, index) => `http://127.${net}.${index >> 8}.${index & 255}:${port}`).join(
      '\n',
    );
  writeFileSync(path, list(a.port, 1));
  const holdfast = await runInside(`${HEAD}
pools: { shop: { health: off, sticky: none, servers: [{ file: { path: ${path}, refresh: 100ms } }] } }
`);
  writeFileSync(path, list(b.port, 2));
  await eventually(
    async () => {
      const servers = (await holdfast.status()).pools[0]?.servers ?? [];
      return servers.filter(({ name, mode }) => name.startsWith('127.2.') && mode === 'ready').length === 600;
    },
    { what: () => holdfast.log() },
  );
  expect(holdfast.log()).not.toContain('not used');
});
