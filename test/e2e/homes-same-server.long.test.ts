// A server is its name: under a new address, or removed and back again, it has the sessions that it had.

import { expect, test } from 'vitest';
import { type Backend, httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { changeServer, type Holdfast, reload, runInside } from '../support/holdfast.ts';

const USERS = 12;

function yaml(sticky: string, health: string, servers: Readonly<Record<string, Backend>>): string {
  const lines = Object.entries(servers).map(([name, { url }]) => `      - { name: ${name}, url: "${url}" }`);
  return `
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    sticky: { mode: ${sticky}, secret: abcdefghijklmnopqrstuvwxyz012345 }
    health: ${health}
    servers:
${lines.join('\n')}
`;
}

/** Answers with its name; sets the cookie that `learn` reads. */
function server(name: string): Promise<Backend> {
  return httpBackend(name, (request, response) => {
    if (!/\bid=/.test(request.headers.cookie ?? ''))
      response.setHeader('set-cookie', `id=${Math.random().toString(36)}`);
    response.end(name);
  });
}

async function ask(holdfast: Holdfast, cookie: string): Promise<{ home: string; cookie: string }> {
  const response = await fetch(holdfast.url, { headers: { cookie } });
  const set = response.headers.getSetCookie().map((line) => line.split(';')[0]);
  return { home: await response.text(), cookie: [cookie, ...set].filter((part) => part !== '').join('; ') };
}

async function users(holdfast: Holdfast): Promise<readonly Awaited<ReturnType<typeof ask>>[]> {
  const out = [];
  for (let user = 0; user < USERS; user += 1) out.push(await ask(holdfast, (await ask(holdfast, '')).cookie));
  expect(new Set(out.map(({ home }) => home)).size).toBe(2);
  return out;
}

test.each([
  ['cookie-pin', '{ interval: 500ms }'],
  ['cookie-hash', '{ interval: 500ms }'],
  ['learn, cookie: id', '{ interval: 500ms }'],
  ['cookie-pin', 'off'],
])('at a new address a server keeps its sessions and counters: %s, health %s', async (sticky, health) => {
  const [old, other, next] = await Promise.all([server('a'), server('b'), server('a')]);
  const holdfast = await runInside(yaml(sticky, health, { a: old, b: other }), { threads: 2 });
  const before = await users(holdfast);
  const created = await holdfast.metric('holdfast_sessions_created_total', { server: 'a' });
  await old.close();
  await reload(holdfast, yaml(sticky, health, { a: next, b: other }));

  const after = await Promise.all(before.map(({ cookie }) => ask(holdfast, cookie)));
  expect(after.map(({ home }) => home)).toEqual(before.map(({ home }) => home));
  expect(next.connections()).toBeGreaterThan(0);
  expect(await holdfast.metric('holdfast_session_moves_total')).toBe(0);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);
  expect(await holdfast.metric('holdfast_sessions_created_total', { server: 'a' })).toBe(created);
});

test('a server that was removed and comes back has the sessions that did not ask meanwhile, its mode and its counters', async () => {
  const [a, b] = await Promise.all([server('a'), server('b')]);
  const both = yaml('cookie-pin', '{ interval: 500ms }', { a, b });
  const holdfast = await runInside(both, { threads: 2 });
  const before = await users(holdfast);
  await changeServer(holdfast, 'shop/a', { mode: 'drain' });
  const checks = await holdfast.metric('holdfast_health_checks_total', { server: 'a' });
  await reload(holdfast, yaml('cookie-pin', '{ interval: 500ms }', { b }));
  const [asking] = before.filter(({ home }) => home === 'a');
  const moved = await ask(holdfast, asking!.cookie);
  expect(moved.home).toBe('b');
  await reload(holdfast, both);

  const rest = before.filter((user) => user !== asking);
  const after = await Promise.all(rest.map(({ cookie }) => ask(holdfast, cookie)));
  expect(after.map(({ home }) => home)).toEqual(rest.map(({ home }) => home));
  expect((await ask(holdfast, moved.cookie)).home).toBe('b');
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(1);
  expect(await holdfast.metric('holdfast_server_mode', { server: 'a', mode: 'drain' })).toBe(1);
  await eventually(
    async () => (await holdfast.metric('holdfast_health_checks_total', { server: 'a' })) > checks,
  );
  // a connection to the server that came back is kept again
  await eventually(
    async () => (await holdfast.metric('holdfast_upstream_connections', { server: 'a', state: 'idle' })) > 0,
  );
});
