// Affinity of an embedded balancer: cookies, learning, retries, modes. The same rules as the standalone program's.

import { expect, test } from 'vitest';
import { type Backend, echo, httpBackend, tcpBackend } from '../support/backend.ts';
import { eventually } from '../support/eventually.ts';
import { cookieOf, embed, NOBODY } from './embedded.ts';

const SECRET = 'a-secret-that-both-balancers-share';

async function serverOf(response: Response): Promise<string> {
  return ((await response.json()) as { server: string }).server;
}

/** Backends named a, b, c whose handler may be replaced. */
function backends(handler = echo): Promise<Backend[]> {
  return Promise.all(['a', 'b', 'c'].map((name) => httpBackend(name, handler(name))));
}

test.each(['cookie-hash', 'cookie-pin'] as const)('%s: a session stays with its server', async (mode) => {
  const servers = (await backends()).map(({ url }) => url);
  const { url, balancer } = await embed({ pools: { web: { sticky: { mode }, servers } } });
  const homes = new Set<string>();
  for (let user = 0; user < 12; user += 1) {
    const first = await fetch(url);
    const cookie = cookieOf(first);
    expect(first.headers.getSetCookie()).toHaveLength(1);
    const home = await serverOf(first);
    homes.add(home);
    for (let count = 0; count < 5; count += 1) {
      const next = await fetch(url, { headers: { cookie } });
      expect(next.headers.getSetCookie()).toEqual([]);
      expect(await serverOf(next)).toBe(home);
    }
  }
  expect(homes.size).toBe(3);
  await eventually(() => balancer.status().pools[0]?.sessions === 12);
});

test('two balancers of one secret agree on every home', async () => {
  const servers = (await backends()).map(({ url }) => url);
  const config = { pools: { web: { sticky: { mode: 'cookie-hash', secret: SECRET }, servers } } };
  const [first, second] = [await embed(config), await embed(config)];
  for (let user = 0; user < 20; user += 1) {
    const response = await fetch(first.url);
    const again = await fetch(second.url, { headers: { cookie: cookieOf(response) } });
    expect(await serverOf(again)).toBe(await serverOf(response));
  }
});

test("the application's own cookie is learned from the server that set it", async () => {
  const servers = await backends((name) => (request, response) => {
    if (request.url === '/login')
      response.setHeader('set-cookie', [`sid=${name}-${Math.random()}; Path=/`, 'theme=dark']);
    if (request.url === '/logout') response.setHeader('set-cookie', 'sid=; Max-Age=0');
    echo(name)(request, response);
  });
  const { url, balancer } = await embed({
    pools: {
      web: { sticky: { mode: 'cookie-hash', cookie: 'sid' }, servers: servers.map((server) => server.url) },
    },
  });
  for (let user = 0; user < 9; user += 1) {
    const login = await fetch(`${url}/login`);
    expect(login.headers.getSetCookie()).toHaveLength(2);
    const cookie = login.headers.getSetCookie()[0]?.split(';')[0] ?? '';
    const home = await serverOf(login);
    for (let count = 0; count < 3; count += 1) {
      expect(await serverOf(await fetch(url, { headers: { cookie } }))).toBe(home);
    }
    if (user === 0) await fetch(`${url}/logout`, { headers: { cookie } });
  }
  await eventually(() => balancer.status().pools[0]?.sessions === 8);
});

test('sessions.perAddress: one address gets so many new sessions a minute, the rest is served without', async () => {
  const [a] = await backends();
  const { url } = await embed({
    trusted: [],
    sessions: { max: 1000, perAddress: 3 },
    pools: { web: { sticky: { mode: 'cookie-hash' }, servers: [a?.url ?? ''] } },
  });
  const cookies: string[] = [];
  for (let user = 0; user < 5; user += 1) cookies.push(cookieOf(await fetch(url)));
  expect(cookies.map((cookie) => cookie !== '')).toEqual([true, true, true, false, false]);
});

test('header-hash: the header names the session', async () => {
  const servers = (await backends()).map(({ url }) => url);
  const { url } = await embed({
    pools: { web: { sticky: { mode: 'header-hash', header: 'x-user' }, servers } },
  });
  for (const user of ['ann', 'ben', 'cat']) {
    const homes = new Set<string>();
    for (let count = 0; count < 6; count += 1) {
      homes.add(await serverOf(await fetch(url, { headers: { 'x-user': user } })));
    }
    expect(homes.size).toBe(1);
  }
});

test('a refused connection: another server answers, with exactly one cookie, which names it', async () => {
  const alive = await httpBackend('alive');
  const { url, balancer } = await embed({
    pools: { web: { health: 'off', sticky: { mode: 'cookie-hash' }, servers: [NOBODY, alive.url] } },
  });
  for (let user = 0; user < 4; user += 1) {
    const response = await fetch(url, { method: 'POST', body: 'not idempotent' });
    expect(response.headers.getSetCookie()).toHaveLength(1);
    expect(await serverOf(response)).toBe('alive');
    const again = await fetch(url, { headers: { cookie: cookieOf(response) } });
    expect([await serverOf(again), again.headers.getSetCookie().length]).toEqual(['alive', 0]);
  }
  const { body } = await balancer.metrics();
  expect(body).toMatch(/holdfast_retries_total\{pool="web",reason="connect-failed"\} [1-9]/);
});

test('a server that dies: its sessions get a new home, and a cookie that says so', async () => {
  const servers = await backends();
  const { url, balancer } = await embed({
    pools: {
      web: {
        sticky: { mode: 'cookie-hash' },
        health: { interval: '100ms', fall: 1, rise: 1 },
        servers: servers.map((server) => server.url),
      },
    },
  });
  const first = await fetch(url);
  const home = await serverOf(first);
  await servers['abc'.indexOf(home)]?.close();
  const moved = await fetch(url, { headers: { cookie: cookieOf(first) } });
  const heir = await serverOf(moved);
  expect(heir).not.toBe(home);
  const cookie = cookieOf(moved);
  expect(cookie).not.toBe('');
  expect(await serverOf(await fetch(url, { headers: { cookie } }))).toBe(heir);
  const { body } = await balancer.metrics();
  expect(body).toMatch(/holdfast_session_moves_total\{pool="web",reason="failure"\} 1/);
});

test('an idle connection that the server closed is not an error to the client', async () => {
  let accepted = 0;
  const backend = await tcpBackend((socket) => {
    accepted += 1;
    socket.on('error', () => undefined);
    let count = 0;
    socket.on('data', () => {
      count += 1;
      // the second request on a connection finds it closed, as if the server's timeout had just passed
      if (count > 1) socket.destroy();
      else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
    });
  });
  const { url } = await embed({ pools: { web: { retry: { attempts: 0 }, servers: [backend.url] } } });
  for (let count = 0; count < 4; count += 1) expect((await fetch(url)).status).toBe(200);
  expect(accepted).toBeGreaterThanOrEqual(4);
});

test('a draining server keeps its sessions and gets no new ones; maintenance moves them', async () => {
  const servers = (await backends()).map(({ url }) => url);
  const { url, balancer } = await embed({
    pools: {
      web: {
        sticky: { mode: 'cookie-hash' },
        servers: servers.map((server, index) => ({ url: server, name: 'abc'[index] })),
      },
    },
  });
  const first = await fetch(url);
  const home = await serverOf(first);
  const cookie = cookieOf(first);
  expect(balancer.setServer('web', home, { mode: 'drain' })).toEqual({ ok: true });
  expect(await serverOf(await fetch(url, { headers: { cookie } }))).toBe(home);
  for (let user = 0; user < 6; user += 1) expect(await serverOf(await fetch(url))).not.toBe(home);
  balancer.setServer('web', home, { mode: 'maintenance' });
  expect(await serverOf(await fetch(url, { headers: { cookie } }))).not.toBe(home);
  expect(balancer.setServer('web', 'zzz', { mode: 'ready' })).toMatchObject({ ok: false, code: 'not-found' });
  // as the API takes it, and refuses it
  expect(balancer.setServer('web', 'a', { weight: 0.5 })).toEqual({ ok: true });
  for (const wrong of [{ weight: 1001 }, { weight: Number.NaN }, { mode: 'off' }, { wait: 1 }, {}])
    expect(balancer.setServer('web', 'a', wrong as object)).toMatchObject({ ok: false, code: 'bad-request' });
});
