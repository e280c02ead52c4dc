// A server says of itself that it drains, is full or has another weight; and ends a session of its own.

import { expect, test } from 'vitest';
import { type Backend, httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { changeServer, type Holdfast, runInside } from '../support/holdfast.ts';
import { User } from '../support/user.ts';

interface Reporting extends Backend {
  report: string;
}

async function reporting(name: string): Promise<Reporting> {
  const said = { report: '' };
  const backend = await httpBackend(name, (request, response) => {
    if (request.url === '/healthz' && said.report !== '')
      response.setHeader('x-holdfast-server', said.report);
    if (request.url === '/bye') response.setHeader('X-Holdfast-Session', 'end');
    response.setHeader('x-served-by', name);
    response.setHeader('content-length', 0);
    response.end();
  });
  return Object.assign(said, backend);
}

async function start(sticky: string): Promise<{ holdfast: Holdfast; a: Reporting; b: Reporting }> {
  const [a, b] = [await reporting('a'), await reporting('b')];
  const holdfast = await runInside(`
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    sticky: ${sticky}
    health: { path: /healthz, interval: 100ms, timeout: 100ms }
    servers: [{ name: a, url: "${a.url}", weight: 1 }, { name: b, url: "${b.url}", weight: 1 }]
`);
  return { holdfast, a, b };
}

/** Servers that `count` new users come to. */
async function newcomers(port: number, count: number): Promise<string> {
  const found: string[] = [];
  for (let number = 0; number < count; number += 1) {
    const user = new User(port, number);
    found.push(await user.where());
    user.close();
  }
  return found.sort().join('');
}

test.each(['drain', 'full'])(
  '%s: no new sessions, the old ones stay, the mode of the operator is untouched',
  async (report) => {
    const { holdfast, a } = await start('{ mode: cookie-hash }');
    const user = new User(holdfast.port, 1);
    while ((await user.where()) !== 'a') user.jar.clear();
    a.report = report;
    await eventually(
      async () => (await holdfast.metric('holdfast_server_report', { server: 'a', report })) === 1,
    );
    expect(await newcomers(holdfast.port, 10)).toBe('bbbbbbbbbb');
    expect(await user.where()).toBe('a');
    user.close();
    const server = (await holdfast.status()).pools[0]?.servers[0];
    expect([server?.mode, server?.state]).toEqual(['ready', 'up']);
    a.report = '';
    await eventually(
      async () => (await holdfast.metric('holdfast_server_report', { server: 'a', report: 'ready' })) === 1,
    );
    expect(await newcomers(holdfast.port, 10)).toBe('aaaaabbbbb');
    expect(holdfast.log()).toContain(`server shop/a reports itself ${report}`);
  },
);

test('a weight counts instead of the configured one, until the operator sets one', async () => {
  const { holdfast, a } = await start('none');
  a.report = 'weight=4';
  const weight = (): Promise<number> => holdfast.metric('holdfast_server_weight', { server: 'a' });
  await eventually(async () => (await weight()) === 4);
  expect(await newcomers(holdfast.port, 50)).toBe(`${'a'.repeat(40)}${'b'.repeat(10)}`);
  await changeServer(holdfast, 'shop/a', { weight: 2 });
  expect(await weight()).toBe(2);
  a.report = 'weight=9';
  await new User(holdfast.port, 1).get();
  expect(await weight()).toBe(2);
});

test.each([
  ['{ mode: cookie-hash }', 'holdfast'],
  ['{ mode: cookie-pin, cookie: pin }', 'pin'],
])('x-holdfast-session: end takes the session and its cookie away: %s', async (sticky, cookie) => {
  const { holdfast } = await start(sticky);
  const user = new User(holdfast.port, 1);
  await user.get();
  await user.get();
  expect(user.jar.has(cookie)).toBe(true);
  const reply = await user.get('/bye');
  expect(reply.setCookies).toHaveLength(1);
  expect(reply.setCookies[0]).toMatch(new RegExp(`^${cookie}=; Max-Age=0; Path=/; HttpOnly`));
  expect(reply.header('x-holdfast-session')).toBeNull();
  await eventually(
    async () => (await holdfast.metric('holdfast_sessions_ended_total', { reason: 'logout' })) === 1,
  );
  user.close();
});

test('sessions without a backup are in metrics, status and log', async () => {
  const a = await httpBackend('a', (_request, response) => {
    response.setHeader('x-holdfast-unbacked', unbacked);
    response.end();
  });
  let unbacked = '12';
  const holdfast = await runInside(`
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  shop: { state: shared, sticky: { mode: cookie-hash }, health: { path: /, interval: 100ms }, servers: ["${a.url}"] }
`);
  const metric = (): Promise<number> => holdfast.metric('holdfast_sessions_unbacked');
  await eventually(async () => (await metric()) === 12);
  expect((await holdfast.status()).pools[0]?.servers[0]?.unbacked).toBe(12);
  expect(holdfast.log()).toContain('12 sessions without a backup');
  unbacked = '0';
  await eventually(async () => (await metric()) === 0);
});
