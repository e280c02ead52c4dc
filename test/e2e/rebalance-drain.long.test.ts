// A server is drained. Where any server can serve a session its sessions move off within the budget, as `holdfast plan`
// said; where only it has their state they stay, and are lost when it is removed, as `holdfast plan` said too.
// `holdfast explain` tells where each of them goes and why.

import { expect, test } from 'vitest';
import { command } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, reload, runHoldfast } from '../support/holdfast.ts';
import { inParallel } from '../support/plain-client.ts';
import { type SessionServer, serversYaml, sessionServers } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

const USERS = 120;

interface Plan {
  readonly moves: number;
  readonly lost: number;
  readonly seconds: number | null;
  readonly skewAfter: { readonly ratio: number };
  readonly after: readonly { readonly server: string; readonly sessions: number }[];
}

interface Explained {
  readonly server: string | null;
  readonly outcome: string;
  readonly session: { readonly home: string; readonly requests: number } | null;
  readonly reasons: readonly string[];
}

function yaml(servers: readonly SessionServer[], state: string): string {
  return `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    sticky: { mode: cookie-pin }
    state: ${state}
    health: { interval: 200ms, timeout: 200ms, rise: 1 }
    rebalance: { budget: 10%, every: 1s }
    servers:
${serversYaml(servers)}
`;
}

async function start(state: 'local' | 'shared') {
  const servers = await sessionServers(4);
  const shared = new Set<string>();
  if (state === 'shared') for (const server of servers) Object.assign(server, { sessions: shared });
  const holdfast = await runHoldfast(yaml(servers, state), { threads: 2 });
  const users = Array.from({ length: USERS }, (_, number) => new User(holdfast.port, number));
  await inParallel(USERS, 16, async (index) => {
    await users[index]!.login();
    await users[index]!.get();
  });
  await eventually(async () => (await holdfast.status()).pools[0]!.sessions === USERS);
  return { servers, holdfast, users };
}

async function ask<T>(holdfast: RunningHoldfast, ...args: readonly string[]): Promise<T> {
  const { status, out, err } = await command([...args, '--json', '--admin', holdfast.adminUrl]);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  return JSON.parse(out) as T;
}

async function counts(holdfast: RunningHoldfast): Promise<{ server: string; sessions: number }[]> {
  const { pools } = await holdfast.status();
  return pools[0]!.servers.map(({ name, sessions }) => ({ server: name, sessions }));
}

test('with state shared a drain empties the server as planned, and nobody notices', async () => {
  const { holdfast, users } = await start('shared');
  const plan = await ask<Plan>(holdfast, 'plan', 'drain', 'shop/b');
  const moves = await homedAtB(holdfast);
  expect(plan).toMatchObject({ moves, lost: 0, seconds: Math.ceil(moves / (USERS / 10)) });

  const begunMs = performance.now();
  await ask(holdfast, 'drain', 'shop/b');
  await eventually(async () => (await counts(holdfast))[1]?.sessions === 0, { deadlineMs: 15_000 });
  expect((performance.now() - begunMs) / 1_000).toBeLessThan(3 + 3);
  const after = (await counts(holdfast)).map(({ sessions }) => sessions);
  expect(after.toSorted()).toEqual(plan.after.map(({ sessions }) => sessions).toSorted());
  expect(await holdfast.metric('holdfast_session_moves_total', { reason: 'drain' })).toBe(plan.moves);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);

  const movers = users.filter(({ home }) => home === 'b');
  for (const user of movers) {
    const reply = await user.get();
    expect(reply.status).toBe(200);
    expect(reply.header('x-served-by')).not.toBe('b');
    expect(reply.setCookies.length).toBe(1);
    expect((await user.get()).setCookies.length).toBe(0);
  }
});

test('with state local a removed server costs what was planned', async () => {
  const { servers, holdfast, users } = await start('local');
  expect(await ask<Plan>(holdfast, 'plan', 'drain', 'shop/b')).toMatchObject({ moves: 0, lost: 0 });
  const plan = await ask<Plan>(holdfast, 'plan', 'remove', 'shop/b');
  const moves = await homedAtB(holdfast);
  expect(plan).toMatchObject({ moves, lost: moves });
  const remaining = servers.filter(({ name }) => name !== 'b');
  await reload(holdfast, yaml(remaining, 'local'));
  for (const user of users) await user.get();
  expect(await holdfast.metric('holdfast_session_moves_total', { reason: 'removed' })).toBe(plan.moves);
  expect(await holdfast.metric('holdfast_sessions_lost_total', { reason: 'removed' })).toBe(plan.lost);
  await eventually(async () => (await holdfast.status()).pools[0]!.sessions === USERS);
  // spread by rank, which is even on average only
  for (const { server, sessions } of await counts(holdfast)) {
    const planned = plan.after.find((found) => found.server === server)!.sessions;
    expect(Math.abs(sessions - planned)).toBeLessThan(12);
  }
});

test('explain says where a request goes and why, and changes nothing', async () => {
  const { servers, holdfast, users } = await start('local');
  const user = users[0]!;
  const cookie = user.jar.get('holdfast')!;
  const home = await ask<Explained>(holdfast, 'explain', '--pool', 'shop', '--cookie', cookie);
  expect(home).toMatchObject({
    server: user.home,
    outcome: 'home',
    session: { home: user.home, requests: 2 },
  });
  expect(await ask<Explained>(holdfast, 'explain', '--pool', 'shop', '--cookie', cookie)).toMatchObject({
    session: { requests: 2 },
  });
  const forged = `${cookie.slice(0, -4)}AAAA`.replace(/^.{6}/, 'AgAAAA');
  expect(await ask<Explained>(holdfast, 'explain', '--pool', 'shop', '--cookie', forged)).toMatchObject({
    outcome: 'invalid',
    session: null,
  });
  const nobody = await ask<Explained>(holdfast, 'explain', '--pool', 'shop');
  expect(nobody.outcome).toBe('new');
  expect(nobody.reasons.join()).toContain('the policy least-sessions picks');
  await servers.find(({ name }) => name === user.home)!.close();
  await eventually(async () => (await counts(holdfast)) && (await stateOf(holdfast, user.home)) === 'down');
  const gone = await ask<Explained>(holdfast, 'explain', '--pool', 'shop', '--cookie', cookie);
  expect(gone.outcome).toBe('moved');
  expect((await user.get()).header('x-served-by')).toBe(gone.server);
  expect(await holdfast.metric('holdfast_affinity_decisions_total', { verdict: 'invalid' })).toBe(0);
});

/** How many sessions b has: 30 but for what two threads chose at once. */
async function homedAtB(holdfast: RunningHoldfast): Promise<number> {
  const { sessions } = (await counts(holdfast)).find(({ server }) => server === 'b')!;
  expect(Math.abs(sessions - USERS / 4)).toBeLessThanOrEqual(2);
  return sessions;
}

async function stateOf(holdfast: RunningHoldfast, name: string): Promise<string> {
  const { pools } = await holdfast.status();
  return pools[0]!.servers.find((server) => server.name === name)!.state;
}
