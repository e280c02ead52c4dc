// Active checks: an HTTP check takes a server out after `fall` failures and back after `rise` successes; a TCP check
// asks only whether somebody listens. Counted and shown.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { rawClient } from '../support/raw-client.ts';
import {
  type SessionServer,
  serversYaml,
  sessionServer,
  sessionServers,
} from '../support/session-servers.ts';
import { User } from '../support/user.ts';

async function start(servers: readonly SessionServer[], health: string, unready = false): Promise<Holdfast> {
  return runInside(
    `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    health: ${health}
    servers:
${serversYaml(servers)}`,
    { threads: 1, unready },
  );
}

async function stateOf(holdfast: Holdfast, server: string): Promise<string> {
  const { pools } = await holdfast.status();
  return pools[0]!.servers.find(({ name }) => name === server)!.state;
}

const isState = (holdfast: Holdfast, server: string, state: string) => async (): Promise<boolean> =>
  (await stateOf(holdfast, server)) === state;

test('an HTTP check: down after `fall` bad answers, up again after `rise` good ones', async () => {
  const servers = await sessionServers(2);
  const [first] = servers as [SessionServer, SessionServer];
  const holdfast = await start(
    servers,
    '{ path: /healthz, interval: 100ms, timeout: 500ms, rise: 3, fall: 4 }',
  );
  first.health = 503;
  const before = first.checks;
  await eventually(isState(holdfast, 'a', 'down'));
  expect(first.checks - before).toBeGreaterThanOrEqual(4);
  const user = new User(holdfast.port, 1);
  for (let count = 0; count < 6; count += 1) expect(await user.where()).toBe('b');
  first.health = 204;
  const beforeRise = first.checks;
  await eventually(isState(holdfast, 'a', 'up'));
  expect(first.checks - beforeRise).toBeGreaterThanOrEqual(3);
  expect(new Set([await user.where(), await user.where()]).size).toBe(2);
  user.close();
  expect(await holdfast.metric('holdfast_server_transitions_total', { server: 'a', to: 'down' })).toBe(1);
  expect(
    await holdfast.metric('holdfast_health_checks_total', { server: 'a', result: 'failure' }),
  ).toBeGreaterThanOrEqual(4);
  expect(await holdfast.metric('holdfast_server_up', { server: 'a' })).toBe(1);
});

test('a check that gets no answer in time counts as a timeout', async () => {
  const servers = await sessionServers(2);
  const [first] = servers as [SessionServer, SessionServer];
  const holdfast = await start(
    servers,
    '{ path: /slow, interval: 100ms, timeout: 100ms, rise: 1, fall: 2, status: 200-499 }',
  );
  first.hold = () => new Promise(() => undefined);
  await eventually(isState(holdfast, 'a', 'down'));
  expect(
    await holdfast.metric('holdfast_health_checks_total', { server: 'a', result: 'timeout' }),
  ).toBeGreaterThanOrEqual(2);
  first.hold = null;
  await eventually(isState(holdfast, 'a', 'up'));
});

test('a TCP check: down when nobody listens, up when somebody does; nothing is sent', async () => {
  const servers = await sessionServers(2);
  const [first] = servers as [SessionServer, SessionServer];
  const holdfast = await start(servers, '{ interval: 100ms, timeout: 500ms, rise: 2, fall: 2 }');
  expect([first.checks, first.requests]).toEqual([0, 0]);
  await first.close();
  await eventually(isState(holdfast, 'a', 'down'));
  await sessionServer('a', first.port);
  await eventually(isState(holdfast, 'a', 'up'));
});

test('a server that is restarted takes part after `rise`, whatever failed on it while it went down', async () => {
  const servers = await sessionServers(3);
  const [first] = servers as [SessionServer];
  const holdfast = await start(servers, '{ interval: 300ms, timeout: 500ms, rise: 2, fall: 3 }');
  await first.close();
  const users = Array.from({ length: 40 }, (_, number) => new User(holdfast.port, number));
  const replies = await Promise.all(users.map((user) => user.get()));
  expect(replies.filter(({ status }) => status !== 401)).toEqual([]);
  await eventually(isState(holdfast, 'a', 'down'));
  await sessionServer('a', first.port);
  await eventually(isState(holdfast, 'a', 'up'), { deadlineMs: 5_000 });
  await eventually(async () => (await Promise.all(users.map((user) => user.where()))).includes('a'));
  expect(await stateOf(holdfast, 'a')).toBe('up');
  for (const user of users) user.close();
});

test('with no server left: 503 with Retry-After, /readyz says which pool; one that comes up ends it', async () => {
  const servers = await sessionServers(1);
  const [only] = servers as [SessionServer];
  const { port } = only;
  await only.close();
  const holdfast = await start(
    servers,
    '{ path: /healthz, interval: 100ms, timeout: 500ms, rise: 1, fall: 1 }\n    queue: { whenDown: 0s }',
    true,
  );
  await eventually(isState(holdfast, 'a', 'down'));
  const ready = await fetch(`${holdfast.adminUrl}/readyz`);
  expect([ready.status, await ready.text()]).toEqual([503, 'not ready\npool shop has no eligible server\n']);
  const client = await rawClient(holdfast.port);
  client.send('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  const { text } = await client.closed();
  expect(text).toMatch(/^HTTP\/1\.1 503 [\s\S]*retry-after: \d+\r\n/i);
  expect(text).toMatch(/x-holdfast-error: no-server\r\n/);
  await sessionServer('a', port);
  await eventually(isState(holdfast, 'a', 'up'));
  expect((await fetch(`${holdfast.adminUrl}/readyz`)).status).toBe(200);
  const user = new User(holdfast.port, 1);
  expect(await user.where()).toBe('a');
  user.close();
});
