// Reloading while traffic flows: no request fails, nobody loses their home, health and counters go on; an invalid
// file changes nothing.

import { writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { type SessionServer, serversYaml, sessionServers } from '../support/session-servers.ts';
import { steadyLoad } from '../support/steady-load.ts';
import { User } from '../support/user.ts';

const USERS = 60;

interface Settings {
  readonly policy?: string;
  readonly more?: Readonly<Record<string, string>>;
}

function yamlFor(
  servers: readonly SessionServer[],
  { policy = 'least-sessions', more = {} }: Settings = {},
): string {
  return `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: ${policy}
    sticky: { mode: cookie-hash }
    health: { path: /healthz, interval: 100ms, timeout: 1s, rise: 2, fall: 2 }
    servers:
${serversYaml(servers, more)}`;
}

async function reload(holdfast: RunningHoldfast, yaml: string): Promise<{ status: number; body: unknown }> {
  writeFileSync(holdfast.configFile, yaml);
  const response = await fetch(`${holdfast.adminUrl}/api/reload`, { method: 'POST' });
  return { status: response.status, body: await response.json() };
}

async function stateOf(holdfast: RunningHoldfast, server: string): Promise<string | undefined> {
  return (await holdfast.status()).pools[0]!.servers.find(({ name }) => name === server)?.state;
}

test('reloads under 200 requests a second: no failure, every session at home, health and counters kept', async () => {
  const servers = await sessionServers(5);
  const [a, b, c, d, spare] = servers as [
    SessionServer,
    SessionServer,
    SessionServer,
    SessionServer,
    SessionServer,
  ];
  const four = [a, b, c, d];
  const holdfast = await runHoldfast(yamlFor(four), { threads: 2 });
  const users = Array.from({ length: USERS }, (_, number) => new User(holdfast.port, number));
  d.health = 503;
  await eventually(async () => (await stateOf(holdfast, 'd')) === 'down');
  for (const user of users) {
    user.home = await user.where();
    await user.get();
  }
  await eventually(async () => (await holdfast.status()).pools[0]!.sessions === USERS);
  const created = await holdfast.metric('holdfast_sessions_created_total');

  const load = steadyLoad(users, 200);
  const variants = [
    yamlFor([...four, spare]),
    yamlFor([...four, spare], { policy: 'least-connections' }),
    yamlFor([spare, d, c, b, a], { policy: 'random-two', more: { a: 'weight: 3' } }),
    yamlFor(four, { policy: 'least-time', more: { b: 'maxConnections: 200' } }),
    yamlFor(four),
  ];
  let requests = 0;
  for (const [index, yaml] of [...variants, ...variants].entries()) {
    const { status, body } = await reload(holdfast, yaml);
    expect([status, (body as { revision: number }).revision]).toEqual([200, index + 2]);
    expect(await stateOf(holdfast, 'd')).toBe('down');
    const now = await holdfast.metric('holdfast_requests_total');
    expect(now).toBeGreaterThanOrEqual(requests);
    requests = now;
    const before = load.outcomes.length;
    await eventually(() => load.outcomes.length >= before + 30);
  }
  const refused = await reload(holdfast, yamlFor(four).replace('least-sessions', 'least-effort'));
  expect([refused.status, (refused.body as { error: { code: string } }).error.code]).toEqual([
    409,
    'conflict',
  ]);
  const before = load.outcomes.length;
  await eventually(() => load.outcomes.length >= before + USERS);
  await load.stop();

  expect(load.failures()).toEqual([]);
  const strayed = load.outcomes.filter(({ user, reply }) => reply?.header('x-served-by') !== user.home);
  expect(strayed.map(({ user, reply }) => `${reply?.header('x-served-by')} for ${user.home}`)).toEqual([]);
  expect(await holdfast.metric('holdfast_session_moves_total')).toBe(0);
  expect(await holdfast.metric('holdfast_sessions_created_total')).toBe(created);
  expect(await holdfast.metric('holdfast_config_revision')).toBe(variants.length * 2 + 1);
  expect(await holdfast.metric('holdfast_reloads_total', { result: 'success' })).toBe(variants.length * 2);
  expect(await holdfast.metric('holdfast_reloads_total', { result: 'failure' })).toBe(1);
  expect(await holdfast.metric('holdfast_worker_restarts_total')).toBe(0);
});

test('SIGHUP reloads; a file that is invalid or gone changes nothing and the log says why', async () => {
  const servers = await sessionServers(2);
  const holdfast = await runHoldfast(yamlFor(servers.slice(0, 1)));
  writeFileSync(holdfast.configFile, yamlFor(servers));
  holdfast.child.kill('SIGHUP');
  await eventually(async () => (await holdfast.status()).pools[0]!.servers.length === 2);
  writeFileSync(holdfast.configFile, 'pools: {}\n');
  holdfast.child.kill('SIGHUP');
  await eventually(() => holdfast.log().includes('reload refused, nothing has changed'));
  const { revision, pools } = await holdfast.status();
  expect([revision, pools[0]!.servers.map(({ name }) => name)]).toEqual([2, ['a', 'b']]);
  const user = new User(holdfast.port, 1);
  expect(['a', 'b']).toContain(await user.where());
  user.close();
});

test('a server that is removed and comes back is the same: who asked meanwhile stays away, the others are at home', async () => {
  const servers = await sessionServers(4);
  const [a, b, c, other] = servers as [SessionServer, SessionServer, SessionServer, SessionServer];
  const holdfast = await runHoldfast(yamlFor([a, b, c]), { threads: 2 });
  const users = Array.from({ length: 30 }, (_, number) => new User(holdfast.port, number));
  for (const user of users) {
    user.home = await user.where();
    await user.get();
  }
  await eventually(async () => (await holdfast.status()).pools[0]!.sessions === 30);
  const orphans = users.filter(({ home }) => home === 'c');
  expect(orphans.length).toBe(10);

  // a request that c holds while c is removed is answered by c all the same
  let release: () => void = () => undefined;
  c.hold = () => new Promise((resolve) => (release = resolve));
  const held = orphans[0]!.get('/held');
  await eventually(async () => (await holdfast.metric('holdfast_requests_in_flight', { server: 'c' })) === 1);
  expect((await reload(holdfast, yamlFor([a, b, other]))).status).toBe(200);
  release();
  expect((await held).header('x-served-by')).toBe('c');
  c.hold = null;

  const fresh = (await holdfast.status()).pools[0]!.servers[2]!;
  expect([fresh.name, fresh.sessions, fresh.requests, fresh.inFlight]).toEqual(['d', 0, 0, 0]);
  const half = orphans.slice(0, 5);
  for (const user of half) {
    user.home = await user.where();
    expect(['a', 'b', 'd']).toContain(user.home);
    expect(await user.where()).toBe(user.home);
  }
  expect((await reload(holdfast, yamlFor([a, b, other, c]))).status).toBe(200);
  await eventually(async () => (await stateOf(holdfast, 'c')) === 'up');
  for (const user of half) expect(await user.where()).toBe(user.home);
  for (const user of users) {
    if (orphans.includes(user)) continue;
    expect(await user.where()).toBe(user.home);
  }
  expect(await holdfast.metric('holdfast_session_moves_total', { reason: 'removed' })).toBe(5);
  for (const user of orphans.slice(5)) expect(await user.where()).toBe('c');
  expect(await holdfast.metric('holdfast_session_moves_total', { reason: 'removed' })).toBe(5);
  const wanted = new Map<string, number>();
  for (const { home } of users) wanted.set(home, (wanted.get(home) ?? 0) + 1);
  // the sweep that counts comes about once a second
  await eventually(async () =>
    (await holdfast.status()).pools[0]!.servers.every(
      ({ name, sessions }) => sessions === (wanted.get(name) ?? 0),
    ),
  );
});
