// One of four servers holding about 500 sessions is killed: exactly what it held is lost, and it is spread over the
// survivors as evenly as chance allows. When it is back, failBack decides what returns.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { inParallel, type PlainClient, plainClient } from '../support/plain-client.ts';
import { serversYaml, sessionServer, sessionServers } from '../support/session-servers.ts';

const SESSIONS = 2_000;
const CLIENTS = 16;
/** How far the survivors' ratio may be above what random placement gives. */
const ABOVE_FLOOR = 0.05;

interface Crowd {
  /** Every user asks once. Statuses that are not 200. */
  ask(): Promise<string[]>;
}

function crowdOf(holdfast: RunningHoldfast, count: number): Crowd {
  const clients: PlainClient[] = Array.from({ length: CLIENTS }, () => plainClient(holdfast.port));
  const cookies = Array.from({ length: count }, () => '');
  const ask = async (): Promise<string[]> => {
    const failures: string[] = [];
    await inParallel(CLIENTS, CLIENTS, async (client) => {
      for (let user = client; user < count; user += CLIENTS) {
        const cookie = cookies[user]!;
        const reply = await clients[client]!.ask('GET', '/healthy', cookie === '' ? {} : { cookie });
        if (reply.status >= 500) failures.push(`${user}: ${reply.status}`);
        for (const line of reply.setCookies) cookies[user] = line.split(';')[0]!;
      }
    });
    return failures;
  };
  return { ask };
}

async function sessionsOf(holdfast: RunningHoldfast): Promise<{ readonly b?: number }> {
  const { pools } = await holdfast.status();
  return Object.fromEntries(pools[0]!.servers.map(({ name, sessions }) => [name, sessions]));
}

async function stateOf(holdfast: RunningHoldfast, name: string): Promise<string> {
  return (await holdfast.status()).pools[0]!.servers.find((server) => server.name === name)!.state;
}

function yaml(servers: Parameters<typeof serversYaml>[0], keys: string): string {
  return `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    ${keys}
    health: { interval: 200ms, timeout: 200ms, rise: 1, fall: 2 }
    servers:
${serversYaml(servers)}
`;
}

test('a dead server costs what it held, and the survivors stay near the floor', async () => {
  const servers = await sessionServers(4);
  const holdfast = await runHoldfast(yaml(servers, 'sticky: { mode: cookie-hash }'), { threads: 2 });
  const crowd = crowdOf(holdfast, SESSIONS);
  expect([...(await crowd.ask()), ...(await crowd.ask())]).toEqual([]);
  await eventually(async () => (await holdfast.status()).pools[0]!.sessions === SESSIONS);
  const held = await sessionsOf(holdfast);
  // each of those that were placed at once may not have seen the others
  expect(Math.abs((held.b ?? 0) - SESSIONS / 4)).toBeLessThanOrEqual(CLIENTS);

  await servers[1]!.close();
  expect(await crowd.ask()).toEqual([]);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(held.b);
  expect(await holdfast.metric('holdfast_session_moves_total', { reason: 'failure' })).toBe(held.b);
  await eventually(async () => (await sessionsOf(holdfast)).b === 0);
  const { skew, sessions } = (await holdfast.status()).pools[0]!;
  const { ratio = 9, floor = 0 } = skew;
  expect(sessions).toBe(SESSIONS);
  expect(floor).toBeGreaterThan(1);
  expect(ratio).toBeLessThan(floor + ABOVE_FLOOR);
});

test.each(['stay', 'home'])('failBack %s', async (failBack) => {
  const servers = await sessionServers(3);
  const keys = `sticky: { mode: cookie-hash, failBack: ${failBack} }
    state: shared
    rebalance: { budget: 20%, every: 1s }`;
  const holdfast = await runHoldfast(yaml(servers, keys), { threads: 2 });
  const crowd = crowdOf(holdfast, 150);
  expect([...(await crowd.ask()), ...(await crowd.ask())]).toEqual([]);
  await eventually(async () => (await holdfast.status()).pools[0]!.sessions === 150);
  await servers[1]!.close();
  // until the verdict they are served elsewhere this once and stay
  expect(await crowd.ask()).toEqual([]);
  await eventually(async () => (await stateOf(holdfast, 'b')) === 'down');
  expect(await crowd.ask()).toEqual([]);
  await eventually(async () => (await sessionsOf(holdfast)).b === 0);
  await sessionServer('b', servers[1]!.port); // with nothing in memory, as after a restart
  await eventually(async () => (await stateOf(holdfast, 'b')) === 'up');
  if (failBack === 'stay') await new Promise((resolve) => setTimeout(resolve, 3_000));
  else await eventually(async () => (await sessionsOf(holdfast)).b === 50);
  expect(await holdfast.metric('holdfast_session_moves_total', { reason: 'rebalance' })).toBe(
    failBack === 'stay' ? 0 : 50,
  );
  expect(await crowd.ask()).toEqual([]);
  expect((await sessionsOf(holdfast)).b).toBe(failBack === 'stay' ? 0 : 50);
});
