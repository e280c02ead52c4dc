// What operators have of an embedded balancer: admin server, plan and explain; rebalancing and slow start at work.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { BalancerConfig } from '../../src/config/balancer-config.ts';
import { httpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { cookieOf, embed, SMALL } from './embedded.ts';

const ADMIN = { address: '127.0.0.1:0' };

test('admin: the API, the page, metrics and events of the program, on an address of their own', async () => {
  const [a, b] = [await httpBackend('a'), await httpBackend('b')];
  const servers = [
    { name: 'a', url: a.url },
    { name: 'b', url: b.url },
  ];
  const pools = { web: { sticky: { mode: 'cookie-hash' }, servers } };
  const { balancer, url } = await embed({ admin: { ...ADMIN, token: 'a-secret-token' }, pools });
  const { adminUrl } = balancer;
  const api = (path: string, init?: RequestInit): Promise<Response> => fetch(`${adminUrl}${path}`, init);
  expect(adminUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(await (await api('/api/status')).json()).toMatchObject({ threads: 1, pools: [{ name: 'web' }] });
  expect((await api('/')).headers.get('content-type')).toContain('text/html');
  expect((await api('/readyz')).status).toBe(200);
  expect(await (await api('/metrics')).text()).toContain('holdfast_retry_budget_remaining{pool="web"} 10');

  const events = await api('/api/events');
  const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader();
  const drain = {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: '{"mode":"drain"}',
  };
  expect((await api('/api/pools/web/servers/a', drain)).status).toBe(401);
  const authorization = 'Bearer a-secret-token';
  const headers = { ...drain.headers, authorization };
  expect((await api('/api/pools/web/servers/a', { ...drain, headers })).status).toBe(200);
  for (let user = 0; user < 4; user += 1)
    expect(await (await fetch(url)).json()).toMatchObject({ server: 'b' });
  let text = '';
  await eventually(async () => {
    text += (await reader?.read())?.value ?? '';
    return text.includes('"type":"server"');
  });
  await reader?.cancel();
  expect((await api('/api/reload', { method: 'POST', headers: { authorization } })).status).toBe(409);

  const session = cookieOf(await fetch(url));
  const cookie = encodeURIComponent(session.slice('holdfast='.length));
  const explained = await api(`/api/pools/web/explain?cookie=${cookie}`);
  expect(await explained.json()).toMatchObject({ server: 'b', outcome: 'home' });
  const plan = await api('/api/pools/web/plan?action=remove&server=b');
  expect(await plan.json()).toEqual((balancer.plan('web', 'remove', 'b') as { plan: unknown }).plan);
  await balancer.close(0);
  await expect(api('/healthz')).rejects.toThrow();
});

test('no admin in the configuration: no admin server; a taken address is said, and nothing stays behind', async () => {
  const backend = await httpBackend('a');
  const { balancer } = await embed({ pools: { web: { servers: [backend.url] } } });
  expect(balancer.adminUrl).toBeNull();
  const taken = {
    ...SMALL,
    admin: { address: `127.0.0.1:${backend.port}` },
    pools: { web: { servers: [backend.url] } },
  };
  // a program of its own: it ends by itself as soon as nothing keeps it alive
  const program = `
    import { createBalancer } from ${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)};
    await createBalancer(${JSON.stringify(taken)}).catch((error) => console.log(error.message));
  `;
  const run = promisify(execFile);
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', program], {
    timeout: 50_000,
  });
  expect(stdout).toBe(
    `admin cannot listen on 127.0.0.1:${backend.port}: another program listens there; choose another port\n`,
  );
}, 60_000);

test('plan and explain answer without an admin server; what does not exist is said', async () => {
  const backend = await httpBackend('a');
  const pool = {
    sticky: { mode: 'header-hash', header: 'x-user' },
    servers: [{ name: 'a', url: backend.url }],
  };
  const { balancer } = await embed({ pools: { web: pool } });
  expect(balancer.explain('web', { headers: [['x-user', 'ann']] })).toMatchObject({
    ok: true,
    explanation: { server: 'a', outcome: 'new' },
  });
  expect(balancer.plan('web', 'add', 'b', 2)).toMatchObject({ ok: true });
  // as an application has it of a request, the fields of its message and connection included
  const fields = {
    host: 'shop.test',
    connection: 'keep-alive',
    'content-length': '3',
    'x-user': 'ann',
    via: undefined,
  };
  expect(balancer.explain('web', { headers: fields })).toEqual(
    balancer.explain('web', { headers: [['x-user', 'ann']] }),
  );
  expect(balancer.explain('nowhere')).toMatchObject({ ok: false, code: 'not-found' });
  expect(balancer.plan('web', 'drain', 'z')).toMatchObject({ ok: false, code: 'not-found' });
});

test('rebalance: sessions move to a server that was added, and their cookies keep working', async () => {
  const [a, b] = [await httpBackend('a'), await httpBackend('b')];
  const config = (servers: readonly string[]): BalancerConfig => ({
    ...SMALL,
    pools: {
      web: {
        sticky: { mode: 'cookie-pin' },
        state: 'shared',
        rebalance: { mode: 'on', every: '1s', budget: '100%' },
        servers,
      },
    },
  });
  const { balancer, url } = await embed(config([a.url]));
  const cookies: string[] = [];
  for (let user = 0; user < 40; user += 1) {
    const cookie = cookieOf(await fetch(url));
    await fetch(url, { headers: { cookie } });
    cookies.push(cookie);
  }
  await balancer.reload(config([a.url, b.url]));
  const sessions = (): readonly number[] =>
    balancer.status().pools[0]?.servers.map((server) => server.sessions) ?? [];
  await eventually(() => Math.abs((sessions()[0] ?? 0) - 20) <= 2 && (sessions()[1] ?? 0) >= 18, {
    deadlineMs: 15_000,
    what: () => sessions().join(', '),
  });
  const homes: string[] = [];
  for (const cookie of cookies)
    homes.push(((await (await fetch(url, { headers: { cookie } })).json()) as { server: string }).server);
  expect(homes.filter((home) => home === 'b').length).toBeGreaterThanOrEqual(18);
  expect((await balancer.metrics()).body).toMatch(
    /holdfast_session_moves_total\{pool="web",reason="rebalance"\} (1[89]|2\d)/,
  );
});

test('slowStart: a server that was added gets a tenth at first; what it reports of its weight stands', async () => {
  const a = await httpBackend('a');
  const b = await httpBackend('b', (request, response) => {
    if (request.url === '/healthz') response.setHeader('x-holdfast-server', 'weight=4');
    response.end('{"server":"b"}');
  });
  const config = (servers: readonly string[], slowStart: string) => ({
    ...SMALL,
    pools: {
      web: {
        slowStart,
        health: { path: '/healthz', interval: '100ms', rise: 1 },
        servers: servers.map((url) => ({ url, weight: 10 })),
      },
    },
  });
  const { balancer, url } = await embed(config([a.url], '1h'));
  await balancer.reload(config([a.url, b.url], '1h'));
  await eventually(() => balancer.status().pools[0]?.servers[1]?.state === 'up');
  const shareOfB = async (requests: number): Promise<number> => {
    let count = 0;
    for (let request = 0; request < requests; request += 1) {
      const { server } = (await (await fetch(url)).json()) as { server: string };
      if (server === 'b') count += 1;
    }
    return count;
  };
  // round robin by weight: 0.4 of 10.4 with the ramp, 4 of 14 without
  await eventually(async () => (await shareOfB(26)) === 1);
  // counted from one of b's on: its turns are 26 apart and come a little sooner as the ramp rises
  while ((await shareOfB(1)) === 0);
  expect(await shareOfB(52)).toBe(2);
  await balancer.reload(config([a.url, b.url], '250ms'));
  await eventually(async () => (await shareOfB(28)) === 8);
});
