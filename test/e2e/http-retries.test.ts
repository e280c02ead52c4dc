// Another attempt where it cannot do harm, never where it could, and not more of them than the budget allows.

import { describe, expect, test } from 'vitest';
import { type Holdfast, runInside } from '../support/holdfast.ts';
import { forFile } from '../support/lifetime.ts';
import { answer, type ScriptedBackend, scriptedBackend } from '../support/scripted-backend.ts';
import { get, type Reply, talkTo } from '../support/talker.ts';

let holdfast: Holdfast;
/** Take a request and hang up; `good` answers everything with its name. */
let bad: ScriptedBackend[];
let good: ScriptedBackend;
let stale: ScriptedBackend;

const UNAVAILABLE =
  'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nset-cookie: app=bad\r\n\r\nbusy';

forFile(async () => {
  const hangsUp = () =>
    scriptedBackend({
      '/status': (heard) => heard.finish(UNAVAILABLE),
      '*': (heard) => heard.socket.destroy(),
    });
  bad = [await hangsUp(), await hangsUp()];
  good = await scriptedBackend({
    '*': (heard) => {
      const length = Number(/content-length: (\d+)/i.exec(heard.head)?.[1] ?? 0);
      heard.onBody(() => {
        if (heard.body().length >= length) answer(`good ${heard.method} ${heard.body().length}`)(heard);
      });
    },
  });
  // Dies on the second request of each connection.
  const used = new WeakSet<object>();
  stale = await scriptedBackend({
    '*': (heard) => {
      if (used.has(heard.socket)) heard.socket.destroy();
      else {
        used.add(heard.socket);
        answer('fresh')(heard);
      }
    },
  });
  const closed = await scriptedBackend({});
  await closed.close();
  const dead = (name: string, host: number): string =>
    `{ url: "http://127.0.0.${host}:${closed.port}", name: ${name} }`;
  const servers = (list: readonly ScriptedBackend[]): string =>
    list.map(({ url }, index) => `{ url: ${url}, name: s${index} }`).join(', ');
  const off = 'health: off, passive: { failures: 100000 }';
  holdfast = await runInside(`
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
threads: 1
routes:
  - { path: /refused, pool: refused }
  - { path: /hangs, pool: hangs }
  - { path: /status, pool: status }
  - { path: /stale, pool: stale }
  - { path: /storm, pool: storm }
  - { path: /cookie, pool: cookie }
pools:
  refused: { ${off}, retry: { attempts: 3, budget: 100% }, servers: [${dead('x', 1)}, ${dead('y', 2)}, { url: ${good.url}, name: good }] }
  hangs: { ${off}, retry: { attempts: 3, budget: 100% }, servers: [${servers([...bad, good])}] }
  status: { ${off}, retry: { attempts: 3, budget: 100%, status: [503] }, servers: [${servers([...bad, good])}] }
  stale: { ${off}, retry: { attempts: 0 }, servers: [{ url: ${stale.url}, name: only }] }
  storm: { ${off}, retry: { attempts: 5, budget: 20% }, servers: [${servers(bad)}] }
  cookie:
    health: off
    passive: { failures: 100000 }
    retry: { attempts: 3, budget: 100% }
    sticky: { mode: cookie-hash, secret: 0123456789abcdef0123456789abcdef }
    servers: [${dead('x', 3)}, { url: ${good.url}, name: good }]
`);
});

async function send(method: string, path: string, body = ''): Promise<Reply> {
  const talker = await talkTo(holdfast.port);
  const length = body === '' ? '' : `Content-Length: ${body.length}\r\n`;
  talker.send(`${method} ${path} HTTP/1.1\r\nHost: a\r\n${length}\r\n${body}`);
  return talker.reply();
}

/** How often that path was asked for over these servers. */
const asked = (path: string, servers: readonly ScriptedBackend[]): number[] =>
  servers.map(({ heard }) => heard.filter(({ target }) => target === path).length);

describe('a refused connection', () => {
  test('sends the request to another server, whatever its method', async () => {
    for (const method of ['GET', 'POST', 'DELETE', 'PATCH']) {
      for (let index = 0; index < 6; index += 1) {
        expect((await send(method, '/refused/1', 'x'.repeat(index * 7))).body).toBe(
          `good ${method} ${index * 7}`,
        );
      }
    }
  });

  test('keeps a large body whole that was still being uploaded', async () => {
    for (let index = 0; index < 6; index += 1) {
      const body = 'abcdefgh'.repeat(50_000);
      expect((await send('POST', '/refused/large', body)).body).toBe(`good POST ${body.length}`);
    }
  });

  test('is counted', async () => {
    // how many meet one depends on the time: a server that refuses is left alone for a moment
    expect(
      await holdfast.metric('holdfast_retries_total', { pool: 'refused', reason: 'connect-failed' }),
    ).toBeGreaterThan(0);
  });
});

describe('a server that hangs up before it answers', () => {
  test('is not asked twice: an idempotent request goes through the others, each once', async () => {
    const retries = (): Promise<number> => holdfast.metric('holdfast_retries_total', { pool: 'hangs' });
    const before = await retries();
    const hungUp = [0, 0];
    for (let index = 0; index < 9; index += 1) {
      const path = `/hangs/idempotent/${index}`;
      expect((await send(index % 2 === 0 ? 'GET' : 'PUT', path, index % 2 === 0 ? '' : 'put')).status).toBe(
        200,
      );
      const counts = asked(path, bad);
      for (const [server, count] of counts.entries()) {
        expect(count).toBeLessThanOrEqual(1);
        hungUp[server] = (hungUp[server] ?? 0) + count;
      }
      expect(asked(path, [good])).toEqual([1]);
    }
    // both were in the way of some, and each time it was one attempt more
    expect(Math.min(...hungUp)).toBeGreaterThan(0);
    expect((await retries()) - before).toBe(hungUp.reduce((sum, count) => sum + count));
  });

  test('may have acted on a POST: it is not repeated', async () => {
    const codes: number[] = [];
    for (let index = 0; index < 6; index += 1)
      codes.push((await send('POST', `/hangs/post/${index}`, 'x')).status);
    for (let index = 0; index < 6; index += 1) {
      const counts = asked(`/hangs/post/${index}`, [...bad, good]);
      expect(counts.reduce((sum, count) => sum + count)).toBe(1);
      expect(codes[index]).toBe(counts[2] === 1 ? 200 : 502);
    }
    expect(new Set(codes)).toEqual(new Set([200, 502]));
  });

  test('is asked again over a fresh connection when the old one was stale, though no retry is configured', async () => {
    for (let index = 0; index < 5; index += 1)
      expect((await get(holdfast.port, '/stale/1')).body).toBe('fresh');
    expect((await send('POST', '/stale/2', 'x')).status).toBe(502);
    expect((await send('POST', '/stale/3', 'x')).body).toBe('fresh');
  });
});

describe('a status to retry', () => {
  test('is kept from the client while another server may do better', async () => {
    for (let index = 0; index < 6; index += 1) {
      const reply = await get(holdfast.port, '/status');
      expect([reply.status, reply.all('set-cookie')]).toEqual([200, []]);
    }
    expect(
      await holdfast.metric('holdfast_retries_total', { pool: 'status', reason: 'status' }),
    ).toBeGreaterThan(3);
  });

  test('reaches the client when the request cannot be repeated', async () => {
    const seen = new Set<number>();
    for (let index = 0; index < 6; index += 1) seen.add((await send('POST', '/status', 'x')).status);
    expect(seen).toEqual(new Set([200, 503]));
  });
});

describe('the retry budget', () => {
  test('keeps a failing pool from being hit with many times the load of its clients', async () => {
    const requests = 300;
    const talker = await talkTo(holdfast.port);
    for (let index = 0; index < requests; index += 1) {
      talker.send('GET /storm HTTP/1.1\r\nHost: a\r\n\r\n');
      expect((await talker.reply()).status).toBe(502);
    }
    const attempts = asked('/storm', bad).reduce((sum, count) => sum + count);
    // 20 % of the requests, ten in reserve and three for each second this took.
    expect(attempts).toBeGreaterThan(requests);
    expect(attempts).toBeLessThan(requests * 1.2 + 10 + 3 * 10);
  });
});

describe('the session cookie', () => {
  test('is set once and names the server that answered, not the one that refused', async () => {
    for (let index = 0; index < 10; index += 1) {
      const reply = await get(holdfast.port, '/cookie');
      const [cookie, ...more] = reply.all('set-cookie');
      expect([reply.body, more]).toEqual(['good GET 0', []]);
      const value = cookie?.split(';')[0] ?? '';
      const again = await get(holdfast.port, '/cookie', `Cookie: ${value}\r\n`);
      expect([again.body, again.all('set-cookie')]).toEqual(['good GET 0', []]);
    }
    const { pools } = await holdfast.status();
    const cookiePool = pools.find(({ name }) => name === 'cookie');
    expect(
      await holdfast.metric('holdfast_affinity_decisions_total', { pool: 'cookie', verdict: 'home' }),
    ).toBe(10);
    expect(cookiePool?.servers.find(({ name }) => name === 'x')?.sessions ?? 0).toBe(0);
  });
});
