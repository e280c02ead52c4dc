// Configuration in, reload, status, metrics, saved sessions, close.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import type { BalancerConfig } from '../../src/config/balancer-config.ts';
import { ConfigError, createBalancer } from '../../src/index.ts';
import { httpBackend } from '../support/backend.ts';
import { dnsServer } from '../support/dns-server.ts';
import { eventually } from '../support/eventually.ts';
import { cookieOf, embed } from './embedded.ts';

function directory(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-embed-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Of the configuration, not of JavaScript. */
const PLACEHOLDER = ['$', '{SERVER}'].join('');

const yaml = (server: string): string =>
  `sessions: { max: 1000 }\npools:\n  web:\n    servers: ["${server}"]\n`;

test('the configuration is an object, YAML text, a file by path or by URL', async () => {
  const backend = await httpBackend('a');
  const file = join(directory(), 'holdfast.yaml');
  writeFileSync(file, yaml(PLACEHOLDER));
  const env = { SERVER: backend.url };
  const inputs = [
    { pools: { web: { servers: [PLACEHOLDER] } } },
    yaml(PLACEHOLDER),
    file,
    pathToFileURL(file),
  ];
  for (const input of inputs) {
    const balancer = await createBalancer(input, { env });
    expect(balancer.status().pools[0]?.servers[0]?.url).toBe(backend.url);
    await balancer.close();
  }
});

test('an invalid configuration is refused with every problem at once', async () => {
  const wrong = { pools: { web: { polcy: 'random-two', servers: ['http://127.0.0.1:1', 'ftp://x'] } } };
  const error = await createBalancer(wrong).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConfigError);
  expect((error as ConfigError).problems).toHaveLength(2);
  expect((error as ConfigError).message).toContain('"polcy"');
  await expect(createBalancer('nowhere.yaml')).rejects.toThrow('nowhere.yaml: the file does not exist');
  await expect(createBalancer('pools:\n  a: 1\n')).rejects.toThrow('config:2:6: ');
});

test('a reload keeps sessions and counters; a bad one changes nothing and says why', async () => {
  const [a, b] = [await httpBackend('a'), await httpBackend('b')];
  const pool = (servers: readonly string[]): BalancerConfig => ({
    sessions: { max: 1000 },
    pools: { web: { sticky: { mode: 'cookie-hash' }, servers } },
  });
  const { balancer, url } = await embed(pool([a.url]));
  const first = await fetch(url);
  const cookie = cookieOf(first);
  expect(await balancer.reload({ pools: {} })).toMatchObject({ ok: false, code: 'conflict' });
  expect(await balancer.reload()).toMatchObject({ ok: false });
  expect(balancer.status().revision).toBe(1);
  const result = await balancer.reload(pool([a.url, b.url]));
  expect(result).toEqual({
    ok: true,
    revision: 2,
    changes: [`pool web: server ${new URL(b.url).host} added`],
  });
  await eventually(() => balancer.status().pools[0]?.servers.every(({ state }) => state === 'up') === true);
  const again = await fetch(url, { headers: { cookie } });
  expect(await again.json()).toMatchObject({ server: 'a' });
  expect(again.headers.getSetCookie()).toEqual([]);
  expect(balancer.status().pools[0]?.servers[0]?.requests).toBe(2);
  await balancer.reload(pool([b.url]));
  await eventually(() => balancer.ready().ok);
  const moved = await fetch(url, { headers: { cookie } });
  expect(await moved.json()).toMatchObject({ server: 'b' });
  expect(cookieOf(moved)).not.toBe('');
  const { body } = await balancer.metrics();
  expect(body).toContain('holdfast_reloads_total{result="success"} 2');
  expect(body).toContain('holdfast_reloads_total{result="failure"} 2');
});

test('sessions and modes survive a restart when they have a file', async () => {
  const servers = await Promise.all(['a', 'b', 'c'].map((name) => httpBackend(name)));
  const config = {
    sessions: { max: 1000, file: join(directory(), 'holdfast.sessions') },
    pools: {
      web: {
        sticky: { mode: 'header-hash', header: 'x-user' },
        servers: servers.map(({ url }, index) => ({ url, name: 'abc'[index] })),
      },
    },
  };
  const before = await embed(config);
  await Promise.all(['ann', 'ben', 'cat'].map((user) => fetch(before.url, { headers: { 'x-user': user } })));
  before.balancer.setServer('web', 'b', { mode: 'drain' });
  await before.balancer.close();
  const after = await embed(config);
  await eventually(() => after.balancer.status().pools[0]?.sessions === 3);
  expect(after.balancer.status().pools[0]?.servers[1]?.mode).toBe('drain');
});

test('sessions are saved every sessions.saveEvery, while the application runs', async () => {
  const backend = await httpBackend('a');
  const file = join(directory(), 'holdfast.sessions');
  const sticky = { mode: 'header-hash', header: 'x-user' };
  const { balancer, url } = await embed({
    sessions: { max: 1000, file, saveEvery: '1s' },
    pools: { web: { sticky, servers: [backend.url] } },
  });
  const size = (): number => (existsSync(file) ? statSync(file).size : 0);
  await fetch(url, { headers: { 'x-user': 'ann' } });
  await eventually(() => size() > 0);
  const before = size();
  await fetch(url, { headers: { 'x-user': 'ben' } });
  await eventually(() => size() > before);
  expect(balancer.ready().ok).toBe(true);
});

test('close lets requests finish, refuses new ones and frees everything', async () => {
  const held: (() => void)[] = [];
  const backend = await httpBackend('a', (_request, response) => held.push(() => response.end('done')));
  const { balancer, url } = await embed({ pools: { web: { servers: [backend.url] } } });
  const under = fetch(url);
  await eventually(() => held.length === 1);
  const closing = balancer.close();
  expect((await fetch(url)).headers.get('x-holdfast-error')).toBe('no-server');
  expect(balancer.ready()).toEqual({ ok: false, reasons: ['stopping'] });
  held[0]?.();
  expect(await (await under).text()).toBe('done');
  await closing;
  await eventually(() => backend.sockets.size === 0);
});

test('shutdown.grace is how long close waits, unless it is told otherwise', async () => {
  let isUnderWay = false;
  // checks come too
  const backend = await httpBackend('a', ({ url: path }) => {
    isUnderWay ||= path === '/slow';
  });
  const { balancer, url } = await embed({
    shutdown: { grace: '50ms' },
    pools: { web: { servers: [backend.url] } },
  });
  const under = fetch(new URL('/slow', url)).then(
    ({ headers }) => headers.get('x-holdfast-error'),
    () => 'cut',
  );
  await eventually(() => isUnderWay);
  await balancer.close();
  expect(await under).toBe('stopping');
});

test('servers are found by DNS, through the name servers of resolver', async () => {
  const backend = await httpBackend('a');
  const dns = await dnsServer();
  dns.records.set('shop.test', [{ type: 'A', address: '127.0.0.1' }]);
  const { balancer, url } = await embed({
    resolver: [dns.address],
    pools: { web: { servers: [{ dns: { name: 'shop.test', port: backend.port } }] } },
  });
  expect(balancer.status().pools[0]?.servers.map((server) => server.url)).toEqual([backend.url]);
  expect(await (await fetch(url)).json()).toMatchObject({ server: 'a' });
});

test('servers are found in a file while it runs', async () => {
  const [a, b] = [await httpBackend('a'), await httpBackend('b')];
  const file = join(directory(), 'servers.yaml');
  writeFileSync(file, `${a.url}\n`);
  const { balancer } = await embed({
    pools: { web: { servers: [{ file: { path: file, refresh: '1s' } }] } },
  });
  const found = (): number | undefined => balancer.status().pools[0]?.servers.length;
  expect(found()).toBe(1);
  writeFileSync(file, `${a.url}\n${b.url}\n`);
  await eventually(() => found() === 2);
  expect((await balancer.metrics()).body).toMatch(
    /holdfast_discovery_servers\{pool="web",source="[^"]*"\} 2/,
  );
});

test('a server says in the reply to its check that it is draining', async () => {
  const backend = await httpBackend('a', (_request, response) => {
    response.setHeader('x-holdfast-server', 'drain');
    response.end();
  });
  const other = await httpBackend('b');
  const health = { path: '/healthz', interval: '100ms' };
  const { balancer, url } = await embed({ pools: { web: { health, servers: [backend.url, other.url] } } });
  await eventually(() => balancer.status().pools[0]?.servers.every(({ state }) => state === 'up') === true);
  for (let count = 0; count < 4; count += 1)
    expect(await (await fetch(url)).json()).toMatchObject({ server: 'b' });
});

test('a reload of what was given last reads that, also when it is asked for at once', async () => {
  const backend = await httpBackend('a');
  const text = (pool: string): string => `pools: { ${pool}: { servers: ["${backend.url}"] } }\n`;
  const file = join(directory(), 'holdfast.yaml');
  writeFileSync(file, text('web'));
  const { balancer } = await embed({ pools: { first: { servers: [backend.url] } } });
  const both = await Promise.all([balancer.reload(file), balancer.reload()]);
  expect(both).toMatchObject([
    { ok: true, revision: 2 },
    { ok: true, revision: 3, changes: [] },
  ]);
  expect(balancer.status().pools.map(({ name }) => name)).toEqual(['web']);
});

test('a balancer that is closed, or closes meanwhile, is not reloaded: its health checks stay ended', async () => {
  let checks = 0;
  const backend = await httpBackend('a', (_request, response) => {
    checks += 1;
    response.end();
  });
  const config = {
    sessions: { max: 1000 },
    pools: { web: { health: { path: '/', interval: '1s' }, servers: [backend.url] } },
  };
  const { balancer } = await embed(config);
  const reloading = balancer.reload(config);
  await balancer.close(0);
  const known = checks;
  const late = await balancer.reload(config);
  for (const result of [await reloading, late])
    expect(result).toMatchObject({ ok: false, message: 'this balancer is stopping' });
  await balancer.close();
  expect(balancer.status().revision).toBe(1);
  expect(checks).toBe(known);
});

test('a balancer that cannot be made keeps no process alive', async () => {
  const file = join(directory(), 'servers.yaml');
  writeFileSync(file, 'http://127.0.0.1:1\n');
  const taken = await httpBackend('taken');
  const config = {
    sessions: { max: 1000 },
    admin: { address: `127.0.0.1:${taken.port}` },
    pools: { web: { servers: [{ file: { path: file } }] } },
  };
  const index = new URL('../../src/index.ts', import.meta.url).href;
  const code = `import { createBalancer } from '${index}';
    await createBalancer(${JSON.stringify(config)}).catch((error) => console.log(error.message));`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  const [status] = await once(child, 'close');
  expect([status, out]).toEqual([0, expect.stringContaining('choose another port')]);
});
