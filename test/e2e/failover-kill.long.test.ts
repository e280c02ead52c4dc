// A server is killed with SIGKILL under 200 requests a second: nobody is told an error, its sessions get new homes
// spread over the survivors, each counted as lost once, and the server takes part again when it is back.

import { expect, onTestFinished, test } from 'vitest';
import { type Demo, startDemo } from '../../demo/launch.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast, type StatusServer } from '../support/holdfast.ts';
import { serversYaml } from '../support/session-servers.ts';
import { steadyLoad } from '../support/steady-load.ts';
import { User } from '../support/user.ts';

const USERS = 120;
const PER_SECOND = 200;

async function start(threads: number): Promise<{ demo: Demo; holdfast: RunningHoldfast }> {
  const demo = await startDemo({ servers: 4 });
  onTestFinished(() => demo.stop());
  const holdfast = await runHoldfast(
    `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    sticky: { mode: cookie-hash }
    health: { path: /healthz, interval: 500ms, timeout: 500ms, rise: 2, fall: 3 }
    servers:
${serversYaml(demo.backends)}`,
    { threads },
  );
  return { demo, holdfast };
}

async function serverNamed(holdfast: RunningHoldfast, name: string): Promise<StatusServer> {
  const { pools } = await holdfast.status();
  return pools[0]!.servers.find((server) => server.name === name)!;
}

test.each([1, 2])('a killed server costs its sessions and nothing else, on %i threads', async (threads) => {
  const { demo, holdfast } = await start(threads);
  const users = Array.from({ length: USERS }, (_, number) => new User(holdfast.port, number));
  // One after another: threads that choose at once do not see each other's choice, and the count below is exact.
  for (const user of users) {
    user.home = await user.where('/whoami');
    await user.get('/whoami');
  }
  const held = await eventually(async () => {
    const { pools } = await holdfast.status();
    const server = pools[0]!.servers.find(({ name }) => name === 'b');
    return pools[0]!.sessions === USERS ? server!.sessions : null;
  });
  expect(held).toBe(USERS / 4);
  const victims = users.filter(({ home }) => home === 'b');
  expect(victims.length).toBe(held);

  const load = steadyLoad(users, PER_SECOND, '/whoami');
  await eventually(() => load.outcomes.length >= 100);
  await demo.backends[1]!.kill('SIGKILL');
  await eventually(async () => (await serverNamed(holdfast, 'b')).state === 'down');
  const after = load.outcomes.length;
  await eventually(() => load.outcomes.length >= after + 2 * USERS);
  expect(load.failures()).toEqual([]);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(held);
  expect(await holdfast.metric('holdfast_sessions_lost_total', { server: 'b' })).toBe(held);
  expect(await holdfast.metric('holdfast_session_moves_total', { reason: 'failure' })).toBe(held);

  const homes = lastHomes(load.outcomes);
  const refuges = victims.map((user) => homes.get(user) ?? '');
  for (const name of ['a', 'c', 'd']) {
    expect(refuges.filter((home) => home === name).length).toBeGreaterThanOrEqual(2);
  }
  expect(refuges).not.toContain('b');
  const strayed = users.filter((user) => user.home !== 'b' && homes.get(user) !== user.home);
  expect(strayed).toEqual([]);

  await demo.backends[1]!.restart();
  const back = await eventually(async () => {
    const server = await serverNamed(holdfast, 'b');
    return server.state === 'up' ? server : null;
  });
  const newcomer = new User(holdfast.port, USERS);
  expect(await newcomer.where('/whoami')).toBe('b');
  newcomer.close();
  await eventually(async () => (await serverNamed(holdfast, 'b')).requests > back.requests);
  await load.stop();
  expect(load.failures()).toEqual([]);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(held);
  for (const user of users) user.close();
});

/** The server that answered each user's latest request. */
function lastHomes(outcomes: ReturnType<typeof steadyLoad>['outcomes']): Map<User, string> {
  const homes = new Map<User, string>();
  for (const { user, reply } of outcomes) homes.set(user, reply?.header('x-served-by') ?? '');
  return homes;
}
