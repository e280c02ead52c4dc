// One process replaces another while requests come: none fails, no session moves, WebSockets end politely.

import { rmSync, statSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { rawClient } from '../support/raw-client.ts';
import { sessionServers } from '../support/session-servers.ts';
import { steadyLoad } from '../support/steady-load.ts';
import { User } from '../support/user.ts';

const RATE = 500;
const USERS = 120;
const COMING_AND_GOING = 40;

function replace(old: RunningHoldfast, yaml: string): Promise<RunningHoldfast> {
  return runHoldfast(yaml, { args: ['--takeover', old.adminUrl] });
}

function common(grace: string): string {
  return `
threads: 2
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0, token: a-token-for-tests }
shutdown: { grace: ${grace} }
`;
}

test.each([
  ['cookies of the balancer', 'sticky: { mode: cookie-hash }'],
  ["the application's cookie, learned", 'sticky: { mode: learn, cookie: connect.sid }'],
])(
  '500 requests a second through two replacements: %s',
  async (_name, sticky) => {
    const servers = await sessionServers(3);
    const list = servers.map(({ name, url }) => `{ name: ${name}, url: "${url}" }`);
    const yaml = `${common('5s')}
pools:
  shop:
    ${sticky}
    servers: [${list.join(', ')}]
`;
    const first = await runHoldfast(yaml);
    await setMode(first, 'c', 'drain');
    const users = Array.from({ length: USERS }, (_, number) => new User(first.port, number));
    onTestFinished(() => users.forEach((user) => void user.close()));
    for (const user of users) await user.login();
    const homes = new Map(users.map((user) => [user, user.home]));
    expect(new Set(homes.values()).size).toBe(2);
    // some users come back over a new connection for each request
    const guests = users.slice(0, COMING_AND_GOING);
    for (const { headers } of guests) Object.assign(headers, { connection: 'close' });

    const load = steadyLoad(users, RATE);
    const enough = (count: number): Promise<unknown> => {
      const from = load.outcomes.length;
      return eventually(() => load.outcomes.length - from >= count);
    };
    await enough(RATE);
    const second = await replace(first, yaml);
    expect(second.port).toBe(first.port);
    expect(second.adminUrl).toBe(first.adminUrl);
    await enough(RATE);
    const third = await replace(second, yaml);
    await enough(RATE);
    expect(await first.exited()).toBe(0);
    expect(await second.exited()).toBe(0);
    await enough(RATE / 2);
    await load.stop();

    expect(load.failures()).toEqual([]);
    const moved = load.outcomes.filter(
      ({ user, reply }) => reply !== null && reply.header('x-served-by') !== homes.get(user),
    );
    expect(moved.map(({ reply }) => reply?.head)).toEqual([]);
    const { pools } = await third.status();
    expect(pools[0]?.servers.map(({ mode }) => mode)).toEqual(['ready', 'ready', 'drain']);
    await eventually(async () => (await third.metric('holdfast_sessions', { pool: 'shop' })) === USERS);
    expect(await third.metric('holdfast_sessions_lost_total')).toBe(0);
    expect(await third.metric('holdfast_session_moves_total')).toBe(0);
  },
  60_000,
);

test('a WebSocket stays with the old process until the grace is over, and is then closed in order', async () => {
  const backend = await tcpBackend((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      socket.on('data', (data) => socket.write(data));
      socket.on('end', () => socket.end());
    });
  });
  const yaml = `${common('1s')}
pools: { shop: { health: off, servers: ["${backend.url}"] } }
`;
  const first = await runHoldfast(yaml);
  const client = await rawClient(first.port);
  client.send('GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  await client.until('101');
  await replace(first, yaml);
  client.send('still here');
  await client.until('still here');
  expect(first.child.exitCode).toBeNull();
  expect((await client.closed()).reset).toBe(false);
  expect(await first.exited()).toBe(0);
});

test('who has no token or no running process is told so; asking alone changes nothing', async () => {
  const backend = await tcpBackend((socket) => socket.destroy());
  const yaml = `${common('1s')}pools: { shop: { health: off, servers: ["${backend.url}"] } }\n`;
  const first = await runHoldfast(yaml);
  const post = (token: string): Promise<Response> =>
    fetch(`${first.adminUrl}/api/takeover`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
    });
  expect((await post('wrong')).status).toBe(401);
  for (let time = 0; time < 3; time += 1) {
    const begun = await post('a-token-for-tests');
    const { directory } = (await begun.json()) as { directory: string };
    expect([begun.status, statSync(directory).mode & 0o777]).toEqual([200, 0o700]);
    onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  }
  expect((await fetch(`${first.adminUrl}/healthz`)).status).toBe(200);
  expect((await rawClient(first.port)).socket.destroyed).toBe(false);
  await first.stop();
  await expect(replace(first, yaml)).rejects.toThrow(/cannot take over from .*ECONNREFUSED/);
});

async function setMode(holdfast: RunningHoldfast, server: string, mode: string): Promise<void> {
  const response = await fetch(`${holdfast.adminUrl}/api/pools/shop/servers/${server}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json', authorization: 'Bearer a-token-for-tests' },
    body: JSON.stringify({ mode }),
  });
  expect(response.status).toBe(200);
}
