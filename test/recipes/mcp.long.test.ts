// MCP over streamable HTTP behind Holdfast, as docs/recipes/mcp.md has it: the official SDK on three servers that keep
// their sessions in memory.

import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { command } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { McpClient, type McpServer, mcpServer } from '../support/mcp.ts';
import { recipe } from '../support/recipe.ts';

const CLIENTS = 12;

interface Scene {
  readonly servers: readonly McpServer[];
  readonly holdfast: RunningHoldfast;
  readonly clients: readonly McpClient[];
  /** Server of each client. */
  readonly homes: readonly string[];
}

async function scene(): Promise<Scene> {
  const servers = await Promise.all(['a', 'b', 'c'].map((name) => mcpServer(name)));
  const config = recipe(readFileSync('docs/recipes/mcp.md', 'utf8'), servers);
  const holdfast = await runHoldfast(config);
  const clients = Array.from({ length: CLIENTS }, () => new McpClient(holdfast.url));
  for (const client of clients) await client.initialise();
  const first = await Promise.all(clients.map((client) => client.call()));
  const homes = first.map((answer) => answer.split(' ')[0] ?? '');
  expect(first).toEqual(homes.map((home) => `${home} 1`));
  expect(new Set(homes)).toEqual(new Set(['a', 'b', 'c']));
  return { servers, holdfast, clients, homes };
}

/** What the balancer counts is what the applications have. */
async function countsAgree({ holdfast, servers }: Scene): Promise<void> {
  await eventually(async () => {
    const counts = servers.map(({ name }) => holdfast.metric('holdfast_sessions', { server: name }));
    return (await Promise.all(counts)).join() === servers.map(({ sessions }) => sessions.size).join();
  });
}

test('every call goes where its session is, and the count is the applications own', async () => {
  const it = await scene();
  const { clients, homes, servers } = it;
  for (const count of [2, 3, 4])
    expect(await Promise.all(clients.map((client) => client.call()))).toEqual(
      homes.map((home) => `${home} ${count}`),
    );
  await countsAgree(it);
  for (const client of clients.slice(0, 5)) await client.end();
  await countsAgree(it);
  expect(servers.reduce((sum, { sessions }) => sum + sessions.size, 0)).toBe(CLIENTS - 5);
});

test('steps of a call arrive as they are sent', async () => {
  const { clients, homes } = await scene();
  const [client] = clients as [McpClient];
  const seen: number[] = [];
  const goes: Promise<string>[] = [];
  // the server sends the next step only when it has heard that the one before has arrived
  const answer = await client.call('steps', (progress) => {
    seen.push(progress);
    goes.push(client.call('go'));
  });
  expect([answer, seen]).toEqual([`${homes[0]} 1`, [1, 2, 3]]);
  await Promise.all(goes);
});

test('a killed server: its clients are told 404 and initialise again, the others notice nothing', async () => {
  const it = await scene();
  const { clients, homes, servers, holdfast } = it;
  const calls = (): number => servers.reduce((sum, server) => sum + server.calls, 0);
  const before = calls();
  await servers[1]?.kill();
  await eventually(async () => (await holdfast.status()).pools[0]?.servers[1]?.state === 'down');
  const outcomes = await Promise.all(
    clients.map(async (client) => {
      try {
        return await client.call();
      } catch (error) {
        expect(error).toMatchObject({ code: 404 });
        await client.initialise();
        return client.call();
      }
    }),
  );
  const expected = homes.map((home) => (home === 'b' ? / [12]$/ : new RegExp(`^${home} 2$`)));
  for (const [index, outcome] of outcomes.entries()) expect(outcome).toMatch(expected[index] as RegExp);
  expect(outcomes.filter((outcome) => outcome.startsWith('b'))).toEqual([]);
  // each ran once: nothing was sent a second time
  expect(calls() - before).toBe(CLIENTS);
  await countsAgree(it);
});

test('a drained server keeps its sessions until they end, and gets no new ones', async () => {
  const it = await scene();
  const { clients, homes, holdfast } = it;
  const admin = ['--admin', holdfast.adminUrl];
  const drained = command(['drain', 'mcp/a', '--wait', ...admin]);
  await eventually(async () => (await holdfast.status()).pools[0]?.servers[0]?.mode === 'drain');
  expect(await Promise.all(clients.map((client) => client.call()))).toEqual(homes.map((home) => `${home} 2`));
  const newcomers = Array.from({ length: 4 }, () => new McpClient(holdfast.url));
  for (const client of newcomers) {
    await client.initialise();
    expect(await client.call()).not.toMatch(/^a/);
  }
  await Promise.all(clients.filter((_, index) => homes[index] === 'a').map((client) => client.end()));
  expect(await drained).toMatchObject({ status: 0 });
  await countsAgree(it);
});
