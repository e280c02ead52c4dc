// drain, maintenance, weight 0 and backup: who takes new sessions, where those that exist go, what counts as lost.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { changeServer, type Holdfast, reload, runInside } from '../support/holdfast.ts';
import {
  type SessionServer,
  serversYaml,
  sessionServer,
  sessionServers,
} from '../support/session-servers.ts';
import { User } from '../support/user.ts';

interface Fixture {
  readonly holdfast: Holdfast;
  readonly servers: SessionServer[];
  /** Twelve users, four on each of three primaries. */
  readonly users: readonly User[];
}

const REFUSE = 'mode: cookie-hash, whenDown: refuse';

async function start(
  more: Record<string, string> = {},
  count = 3,
  sticky = 'mode: cookie-hash',
  queue = '{}',
): Promise<Fixture> {
  const servers = await sessionServers(count);
  const holdfast = await runInside(
    `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    sticky: { ${sticky} }
    queue: ${queue}
    health: { path: /healthz, interval: 100ms, timeout: 1s, rise: 2, fall: 2 }
    servers:
${serversYaml(servers, more)}`,
    { threads: 2 },
  );
  const users = await newUsers(holdfast, 12);
  return { holdfast, servers, users };
}

async function newUsers(holdfast: Holdfast, count: number): Promise<User[]> {
  const users: User[] = [];
  for (let number = 0; number < count; number += 1) {
    const user = new User(holdfast.port, number);
    user.home = await user.where();
    expect(await user.where()).toBe(user.home);
    users.push(user);
  }
  return users;
}

function homesOf(users: readonly User[]): string[] {
  return [...new Set(users.map(({ home }) => home))].sort();
}

async function expectAtHome(users: readonly User[]): Promise<void> {
  const strayed: string[] = [];
  for (const user of users) {
    const where = await user.where();
    if (where !== user.home) strayed.push(`${where} for ${user.home}`);
  }
  expect(strayed).toEqual([]);
}

function untilState(holdfast: Holdfast, server: string, state: string): Promise<unknown> {
  return eventually(async () => {
    const { pools } = await holdfast.status();
    return pools[0]!.servers.find(({ name }) => name === server)?.state === state;
  });
}

test('drain: no new sessions, those that exist go home, also after it is undone', async () => {
  const { holdfast, users } = await start();
  expect(homesOf(users)).toEqual(['a', 'b', 'c']);
  await changeServer(holdfast, 'shop/a', { mode: 'drain' });
  expect(homesOf(await newUsers(holdfast, 10))).toEqual(['b', 'c']);
  await expectAtHome(users);
  await changeServer(holdfast, 'shop/a', { mode: 'ready' });
  expect(homesOf(await newUsers(holdfast, 5))).toContain('a');
  await expectAtHome(users);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);
  expect(await holdfast.metric('holdfast_session_moves_total')).toBe(0);
});

test('a draining server that is down does not keep its sessions from moving', async () => {
  const { holdfast, servers, users } = await start();
  await changeServer(holdfast, 'shop/a', { mode: 'drain' });
  await servers[0]!.close();
  await untilState(holdfast, 'a', 'down');
  for (const user of users) {
    const where = await user.where();
    expect([user.home === 'a', where]).toEqual([where !== user.home, expect.stringMatching(/[bc]/)]);
  }
  const held = users.filter(({ home }) => home === 'a').length;
  expect(await holdfast.metric('holdfast_sessions_lost_total', { server: 'a', reason: 'failure' })).toBe(
    held,
  );
});

test('maintenance: like a dead server, without health checks; its sessions move and stay where they went', async () => {
  const { holdfast, servers, users } = await start();
  const held = users.filter(({ home }) => home === 'a');
  expect(held.length).toBe(4);
  await changeServer(holdfast, 'shop/a', { mode: 'maintenance' });
  for (const user of users) {
    const where = await user.where();
    if (user.home === 'a') user.home = where;
  }
  expect(homesOf(users)).toEqual(['b', 'c']);
  expect(homesOf(await newUsers(holdfast, 6))).toEqual(['b', 'c']);
  expect(await holdfast.metric('holdfast_session_moves_total', { reason: 'operator' })).toBe(held.length);
  expect(await holdfast.metric('holdfast_sessions_lost_total', { server: 'a' })).toBe(held.length);
  // b is checked every 100 ms; in the time of ten checks of b none comes to a, but for one that was under way
  const [checksA, checksB] = [servers[0]!.checks, servers[1]!.checks];
  await eventually(() => servers[1]!.checks >= checksB + 10);
  expect(servers[0]!.checks).toBeLessThanOrEqual(checksA + 1);
  await changeServer(holdfast, 'shop/a', { mode: 'ready' });
  await expectAtHome(users);
  await eventually(() => servers[0]!.checks > checksA + 2);
  expect(homesOf(await newUsers(holdfast, 6))).toContain('a');
});

test('what the operator has set outlives a reload, and a removal when the server comes back by its name', async () => {
  const { holdfast, users } = await start();
  await changeServer(holdfast, 'shop/a', { mode: 'drain' });
  await changeServer(holdfast, 'shop/b', { weight: 7 });
  const yaml = readFileSync(holdfast.configFile, 'utf8');
  const facts = async (): Promise<unknown[]> =>
    (await holdfast.status()).pools[0]!.servers.map(({ name, mode, weight }) => [name, mode, weight]);
  const asSet = [
    ['a', 'drain', 1],
    ['b', 'ready', 7],
    ['c', 'ready', 1],
  ];
  await reload(holdfast, yaml.replace('least-sessions', 'round-robin'));
  expect(await facts()).toEqual(asSet);
  await expectAtHome(users);
  const withoutA = yaml.split('\n').filter((line) => !line.includes('name: a'));
  await reload(holdfast, withoutA.join('\n'));
  expect(await facts()).toEqual(asSet.slice(1));
  await reload(holdfast, yaml);
  expect(await facts()).toEqual(asSet);
});

test('weight 0: no new sessions, those that exist go home', async () => {
  const { holdfast, users } = await start();
  await changeServer(holdfast, 'shop/b', { weight: 0 });
  expect(homesOf(await newUsers(holdfast, 8))).toEqual(['a', 'c']);
  await expectAtHome(users);
  expect(await holdfast.metric('holdfast_session_moves_total')).toBe(0);
});

test('a backup server serves only when no primary can, and keeps the sessions it was given', async () => {
  const { holdfast, servers, users } = await start({ c: 'backup: true' });
  expect(homesOf(users)).toEqual(['a', 'b']);
  const ports = servers.map(({ port }) => port);
  await servers[0]!.close();
  await untilState(holdfast, 'a', 'down');
  expect(homesOf(await newUsers(holdfast, 4))).toEqual(['b']);
  await servers[1]!.close();
  await untilState(holdfast, 'b', 'down');
  const guests = await newUsers(holdfast, 4);
  expect(homesOf(guests)).toEqual(['c']);
  await sessionServer('a', ports[0]);
  await untilState(holdfast, 'a', 'up');
  expect(homesOf(await newUsers(holdfast, 4))).toEqual(['a']);
  await expectAtHome(guests);
});

test('whenDown: refuse answers 503 for a session whose home is down, and the session is still there afterwards', async () => {
  const { holdfast, servers, users } = await start({}, 3, REFUSE, '{ whenDown: 0s }');
  const { port } = servers[0]!;
  await servers[0]!.close();
  await untilState(holdfast, 'a', 'down');
  for (const user of users) {
    const reply = await user.get();
    const wanted = user.home === 'a' ? [503, 'home-down', '5'] : [401, null, null];
    const retryAfter = reply.header('retry-after') === null ? null : '5';
    expect([reply.status, reply.header('x-holdfast-error'), retryAfter]).toEqual(wanted);
  }
  expect(homesOf(await newUsers(holdfast, 4))).toEqual(['b', 'c']);
  expect(await holdfast.metric('holdfast_affinity_decisions_total', { verdict: 'refused' })).toBe(4);
  await sessionServer('a', port);
  await untilState(holdfast, 'a', 'up');
  await expectAtHome(users);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);
});

test('whenDown: refuse waits for a home that restarts, and no longer for one that stays away', async () => {
  const { holdfast, servers, users } = await start({}, 3, REFUSE, '{ whenDown: 2s }');
  const { port } = servers[0]!;
  const [user, ...others] = users.filter(({ home }) => home === 'a') as [User, ...User[]];
  await servers[0]!.close();
  await untilState(holdfast, 'a', 'down');
  const waiting = user.get();
  await eventually(() => holdfast.metric('holdfast_queued_requests_total').then((count) => count === 1));
  const again = await sessionServer('a', port);
  expect((await waiting).header('x-served-by')).toBe('a');
  await again.close();
  await untilState(holdfast, 'a', 'down');
  expect((await user.get()).header('x-holdfast-error')).toBe('home-down');
  const queued = await holdfast.metric('holdfast_queued_requests_total');
  for (const other of others) expect((await other.get()).header('x-holdfast-error')).toBe('home-down');
  await changeServer(holdfast, 'shop/a', { mode: 'maintenance' });
  expect((await user.get()).header('x-holdfast-error')).toBe('home-down');
  expect(await holdfast.metric('holdfast_queued_requests_total')).toBe(queued);
});
