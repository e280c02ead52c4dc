// What every demo backend promises, whatever its session architecture. Real processes, kernel-chosen ports.
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Demo } from '../../demo/launch.ts';
import { startDemo } from '../../demo/launch.ts';
import type { Variant } from './variants.ts';
import { eventually, Visitor } from './visitor.ts';

const FAILURES_MAX = 5;

/** Registers the suite for one variant. */
export function contractSuite(variant: Variant): void {
  describe(variant.title, () => {
    let demo: Demo;
    let a = '';
    let b = '';
    beforeAll(async () => {
      const flags = ['--login-failures', String(FAILURES_MAX)];
      demo = await startDemo({ ...variant.options, servers: 2, flags });
      [a, b] = demo.backends.map(({ url }) => url) as [string, string];
    });
    afterAll(() => demo?.stop());

    accessCases(variant, () => a);
    endingCases(variant, () => demo);
    test(`a session from one server is ${variant.shared ? 'known' : 'unknown'} to another`, async () => {
      const visitor = new Visitor();
      await visitor.login(a, 'heidi');
      await visitor.post(`${a}/inc`);
      const answer = await eventually('the other server', async () => {
        const found = await visitor.get(`${b}/whoami`);
        return variant.shared && found.status !== 200 ? null : found;
      });
      expect(answer.status).toBe(variant.shared ? 200 : 401);
      expect(answer.body).toMatchObject(
        variant.shared ? { user: 'heidi', server: 'b', counter: 1 } : { server: 'b' },
      );
    });

    test('SIGTERM finishes the request under way, takes no new one, exits 0', async () => {
      const url = new URL(a);
      const body = 'user=alice&password=holdfast';
      const socket = connect(Number(url.port), url.hostname);
      let received = '';
      socket.on('data', (chunk) => {
        received += String(chunk);
      });
      const closed = new Promise((resolve) => socket.once('close', resolve));
      await new Promise((resolve) => socket.once('connect', resolve));
      const head = `POST /login HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n`;
      socket.write(
        `${head}content-type: application/x-www-form-urlencoded\r\ncontent-length: ${body.length}\r\n\r\n`,
      );
      await eventually('100 Continue', async () => (received.includes('100 Continue') ? true : null));
      const exit = demo.backends[0]!.kill('SIGTERM');
      await eventually('refusal of new connections', () => refusal(url));
      socket.write(body);
      await closed;
      expect(received).toContain('HTTP/1.1 200 OK');
      expect(received).toContain('"user":"alice"');
      expect(await exit).toBe(0);
    });
  });
}

function accessCases(variant: Variant, a: () => string): void {
  test('answers health checks and shows a page', async () => {
    expect(await new Visitor().get(`${a()}/healthz`)).toMatchObject({
      status: 200,
      body: { status: 'ready' },
    });
    const page = await new Visitor().get(`${a()}/`);
    expect(page.status).toBe(200);
    expect(String(page.body.text)).toContain(variant.options.architecture ?? 'memory');
    expect(page.setCookie).toEqual([]);
  });

  test('log-in, counter and log-out', async () => {
    const visitor = new Visitor();
    const before = await visitor.get(`${a()}/whoami`);
    expect(before).toMatchObject({
      status: 401,
      setCookie: [],
      body: { error: 'not-logged-in', server: 'a' },
    });
    const login = await visitor.login(a(), 'alice');
    expect(login).toMatchObject({ status: 200, body: { user: 'alice', counter: 0 } });
    expect(login.setCookie).toHaveLength(1);
    expect(login.setCookie[0]).toMatch(/; HttpOnly/);
    expect(login.setCookie[0]).toMatch(/; SameSite=Lax/i);
    expect(login.setCookie[0]).not.toMatch(/; Secure/);
    expect((await visitor.post(`${a()}/inc`)).body.counter).toBe(1);
    expect((await visitor.post(`${a()}/inc`)).body.counter).toBe(2);
    const who = await visitor.get(`${a()}/whoami`);
    expect(who).toMatchObject({
      status: 200,
      body: { user: 'alice', server: 'a', counter: 2, architecture: variant.options.architecture },
    });
    const logout = await visitor.post(`${a()}/logout`);
    expect(logout.status).toBe(200);
    expect(visitor.jar.size).toBe(0);
    expect((await visitor.get(`${a()}/whoami`)).status).toBe(401);
    expect((await visitor.post(`${a()}/inc`)).status).toBe(401);
  });

  test('a form works as well, and the cookie is Secure behind TLS', async () => {
    const visitor = new Visitor();
    const login = await visitor.post(
      `${a()}/login`,
      { user: 'bob', password: 'holdfast' },
      { 'x-forwarded-proto': 'https' },
    );
    expect(login.setCookie[0]).toMatch(/; Secure/);
    const form = await fetch(`${a()}/login`, {
      method: 'POST',
      headers: { accept: 'text/html' },
      body: new URLSearchParams({ user: 'bob', password: 'holdfast' }),
      redirect: 'manual',
    });
    expect([form.status, form.headers.get('location')]).toEqual([303, '/']);
  });

  test('a log-in always gives a new cookie, whatever the client brought', async () => {
    const visitor = new Visitor();
    await visitor.login(a(), 'carol');
    const [[name, first] = ['', '']] = [...visitor.jar];
    await visitor.login(a(), 'carol');
    expect(visitor.jar.get(name)).not.toBe(first);
    const fixed = new Visitor([[name, 's%3Achosen-by-an-attacker.AAAA']]);
    expect((await fixed.get(`${a()}/whoami`)).status).toBe(401);
    await fixed.login(a(), 'carol');
    expect(fixed.jar.get(name)).not.toContain('chosen-by-an-attacker');
    const old = await new Visitor([[name, first]]).get(`${a()}/whoami`);
    expect(old.status).toBe(variant.revocable ? 401 : 200);
  });

  test('wrong passwords are refused alike for known and unknown users, then throttled', async () => {
    const refused = await new Visitor().login(a(), 'dave', 'wrong');
    const unknown = await new Visitor().login(a(), 'nobody', 'wrong');
    expect(refused).toMatchObject({ status: 401, setCookie: [], body: { error: 'wrong-password' } });
    expect(unknown).toEqual(refused);
    for (let attempt = 1; attempt < FAILURES_MAX; attempt += 1) {
      expect((await new Visitor().login(a(), 'dave', 'wrong')).status).toBe(401);
    }
    const throttled = await new Visitor().login(a(), 'dave');
    expect(throttled.status).toBe(429);
    expect(Number(throttled.retryAfter)).toBeGreaterThan(0);
    expect((await new Visitor().login(a(), 'erin')).status).toBe(200);
  });

  test('POST /set stores a value of the size asked for, and says no to nonsense', async () => {
    const visitor = new Visitor();
    await visitor.login(a(), 'user1');
    expect((await visitor.post(`${a()}/set`, { key: 'cart', size: 600 })).status).toBe(200);
    expect((await visitor.post(`${a()}/set`, { key: '__proto__', size: 1 })).status).toBe(400);
    expect((await visitor.post(`${a()}/set`, { key: 'x', size: -1 })).status).toBe(400);
    const grown = await visitor.post(`${a()}/set`, { key: 'cart', size: 8192 });
    expect(grown.status).toBe(
      variant.options.architecture === 'cookie' || variant.options.architecture === 'jwt' ? 413 : 200,
    );
    expect((await visitor.get(`${a()}/whoami`)).status).toBe(200);
  });
}

function endingCases(variant: Variant, demo: () => Demo): void {
  test(`an old cookie ${variant.revocable ? 'is dead' : 'still works'} after log-out`, async () => {
    const { url } = demo().backends[0]!;
    const visitor = new Visitor();
    await visitor.login(url, 'frank');
    const thief = visitor.copy();
    await visitor.post(`${url}/logout`);
    expect((await thief.get(`${url}/whoami`)).status).toBe(variant.revocable ? 401 : 200);
    expect((await thief.post(`${url}/inc`)).status).toBe(variant.revocable ? 401 : 200);
  });

  test(`a ban ${variant.revocable ? 'ends all sessions of the user' : 'is not possible'}`, async () => {
    const { url, statsUrl } = demo().backends[0]!;
    const [victim, bystander] = [new Visitor(), new Visitor()];
    await victim.login(url, 'user7');
    await bystander.login(url, 'user8');
    const ban = await new Visitor().post(`${statsUrl}/admin/ban`, { user: 'user7' });
    expect(ban.status).toBe(variant.revocable ? 200 : 501);
    expect((await victim.get(`${url}/whoami`)).status).toBe(variant.revocable ? 401 : 200);
    expect((await bystander.get(`${url}/whoami`)).status).toBe(200);
    expect((await victim.login(url, 'user7')).status).toBe(200);
    expect((await victim.get(`${url}/whoami`)).status).toBe(200);
    expect((await new Visitor().post(`${url}/admin/ban`, { user: 'user8' })).status).toBe(404);
  });

  test(variant.counted ? 'counts logged-in sessions' : 'does not pretend to count sessions', async () => {
    const { url, statsUrl } = demo().backends[0]!;
    const stats = async () => (await new Visitor().get(`${statsUrl}/lab/stats`)).body;
    const before = await stats();
    expect(before).toMatchObject({ server: 'a', architecture: variant.options.architecture });
    const visitors = [1, 2, 3].map(() => new Visitor());
    for (const [index, visitor] of visitors.entries()) await visitor.login(url, `user${index + 20}`);
    await new Visitor().get(`${url}/whoami`);
    if (!variant.counted) {
      expect(await stats()).toMatchObject({ sessions: null, bytes: null });
      return;
    }
    const after = await stats();
    expect(after.sessions).toBe(Number(before.sessions) + 3);
    const perSession = (Number(after.bytes) - Number(before.bytes)) / 3;
    expect(perSession).toBeGreaterThanOrEqual(1024);
    expect(perSession).toBeLessThan(1300);
    await visitors[0]!.post(`${url}/logout`);
    expect((await stats()).sessions).toBe(Number(before.sessions) + 2);
  });
}

function refusal(url: URL): Promise<true | null> {
  return new Promise((resolve) => {
    const socket = connect(Number(url.port), url.hostname);
    socket.once('error', () => resolve(true));
    socket.once('connect', () => {
      socket.destroy();
      resolve(null);
    });
  });
}
