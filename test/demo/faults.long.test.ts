// What each architecture does when a part of it dies.
import { afterEach, describe, expect, test } from 'vitest';
import { type Demo, type DemoOptions, startDemo } from '../../demo/launch.ts';
import { redisMissing } from '../../demo/redis-servers.ts';
import { type Body, eventually, Visitor } from './visitor.ts';

const demos: Demo[] = [];
afterEach(async () => {
  await Promise.all(demos.splice(0).map((demo) => demo.stop()));
});

async function start(options: DemoOptions): Promise<Demo> {
  const demo = await startDemo(options);
  demos.push(demo);
  return demo;
}

async function stats(demo: Demo, index: number): Promise<Body> {
  return (await new Visitor().get(`${demo.backends[index]!.statsUrl}/lab/stats`)).body;
}

async function whoami(visitor: Visitor, demo: Demo, index: number): Promise<number> {
  return (await visitor.get(`${demo.backends[index]!.url}/whoami`)).status;
}

describe('replicated', () => {
  test('a joiner has every session before it is ready, and a restarted server gets them back', async () => {
    const demo = await start({ architecture: 'replicated', servers: 2, replication: 'sync' });
    const visitors = Array.from({ length: 20 }, () => new Visitor());
    for (const [index, visitor] of visitors.entries())
      await visitor.login(demo.backends[0]!.url, `user${index + 1}`);
    await visitors[0]!.post(`${demo.backends[0]!.url}/logout`);
    await demo.add();
    expect(await stats(demo, 2)).toMatchObject({ server: 'c', sessions: 19 });
    await demo.backends[0]!.kill();
    expect(await whoami(visitors[5]!, demo, 1)).toBe(200);
    await demo.backends[0]!.restart();
    expect(await stats(demo, 0)).toMatchObject({ server: 'a', sessions: 19 });
    expect(await whoami(visitors[5]!, demo, 0)).toBe(200);
    // The mesh is whole again: what the restarted server is told reaches the others.
    await visitors[5]!.post(`${demo.backends[0]!.url}/inc`);
    for (const index of [1, 2]) {
      expect((await visitors[5]!.get(`${demo.backends[index]!.url}/whoami`)).body.counter).toBe(1);
    }
  });

  test('one change costs one message to each peer; a read costs none', async () => {
    const demo = await start({ architecture: 'replicated', servers: 3 });
    const visitor = new Visitor();
    await visitor.login(demo.backends[0]!.url, 'alice');
    const before = Number((await stats(demo, 0)).messagesSent);
    for (let count = 0; count < 5; count += 1) await visitor.post(`${demo.backends[0]!.url}/inc`);
    for (let count = 0; count < 5; count += 1) await visitor.get(`${demo.backends[0]!.url}/whoami`);
    expect(Number((await stats(demo, 0)).messagesSent) - before).toBe(5 * 2);
  });

  test('a peer that hangs delays a synchronous change once, then is cut off and catches up by itself', async () => {
    const demo = await start({ architecture: 'replicated', servers: 2, replication: 'sync' });
    const visitor = new Visitor();
    await visitor.login(demo.backends[0]!.url, 'alice');
    demo.backends[1]!.signal('SIGSTOP');
    expect((await visitor.post(`${demo.backends[0]!.url}/inc`)).status).toBe(200);
    const beganMs = performance.now();
    expect((await visitor.post(`${demo.backends[0]!.url}/inc`)).body.counter).toBe(2);
    expect(performance.now() - beganMs).toBeLessThan(500);
    demo.backends[1]!.signal('SIGCONT');
    await eventually('the peer to catch up', async () =>
      (await visitor.get(`${demo.backends[1]!.url}/whoami`)).body.counter === 2 ? true : null,
    );
  });
});

describe('database', () => {
  test('sessiond killed: 503 at once, nobody can log in; restarted: every session is still there', async () => {
    const demo = await start({ architecture: 'database', servers: 1 });
    const { url } = demo.backends[0]!;
    const visitor = new Visitor();
    await visitor.login(url, 'alice');
    await visitor.post(`${url}/inc`);
    await demo.store.kill();
    const beganMs = performance.now();
    expect(await visitor.get(`${url}/whoami`)).toMatchObject({
      status: 503,
      body: { error: 'store-unavailable' },
    });
    expect((await visitor.post(`${url}/inc`)).status).toBe(503);
    expect((await new Visitor().login(url, 'bob')).status).toBe(503);
    expect(performance.now() - beganMs).toBeLessThan(1000);
    expect((await new Visitor().get(`${url}/healthz`)).status).toBe(200);
    expect(await stats(demo, 0)).toMatchObject({ sessions: null });
    await demo.store.restart();
    expect((await visitor.get(`${url}/whoami`)).body).toMatchObject({ user: 'alice', counter: 1 });
  });

  test('a slow store shows once per store operation', async () => {
    const demo = await start({ architecture: 'database', servers: 1 });
    const { url, statsUrl } = demo.backends[0]!;
    const visitor = new Visitor();
    await visitor.login(url, 'alice');
    const before = await stats(demo, 0);
    await new Visitor().post(`${statsUrl}/lab/store-delay`, { ms: 60 });
    const beganMs = performance.now();
    expect((await visitor.get(`${url}/whoami`)).status).toBe(200);
    expect(performance.now() - beganMs).toBeGreaterThan(115);
    const after = await stats(demo, 0);
    expect(Number(after.storeReads) - Number(before.storeReads)).toBe(1);
    expect(Number(after.storeWrites) - Number(before.storeWrites)).toBe(1);
  });
});

describe('jwt with deny list', () => {
  test('fails closed while the list is down', async () => {
    const demo = await start({ architecture: 'jwt', denyList: true, servers: 1 });
    const visitor = new Visitor();
    await visitor.login(demo.backends[0]!.url, 'alice');
    await demo.store.kill();
    expect(await whoami(visitor, demo, 0)).toBe(503);
    await demo.store.restart();
    expect(await whoami(visitor, demo, 0)).toBe(200);
  });
});

const missing = redisMissing();
describe.skipIf(missing !== null)(`redis${missing === null ? '' : ` (${missing})`}`, () => {
  test('killed: 503 at once; back without persistence: everybody is logged out', async () => {
    const demo = await start({ architecture: 'redis', servers: 1 });
    const visitor = new Visitor();
    await visitor.login(demo.backends[0]!.url, 'alice');
    await demo.store.kill();
    const beganMs = performance.now();
    expect(await whoami(visitor, demo, 0)).toBe(503);
    expect(performance.now() - beganMs).toBeLessThan(1000);
    await demo.store.restart();
    await eventually('the client to reconnect', async () =>
      (await whoami(visitor, demo, 0)) === 401 ? true : null,
    );
  });

  test('hanging: 503 after the command timeout', async () => {
    const demo = await start({ architecture: 'redis', servers: 1 });
    const visitor = new Visitor();
    await visitor.login(demo.backends[0]!.url, 'alice');
    demo.store.signal('SIGSTOP');
    const beganMs = performance.now();
    expect(await whoami(visitor, demo, 0)).toBe(503);
    expect(performance.now() - beganMs).toBeLessThan(4000);
    demo.store.signal('SIGCONT');
    await eventually('the store to answer', async () =>
      (await whoami(visitor, demo, 0)) === 200 ? true : null,
    );
  });

  test('with an append-only file sessions survive a restart', async () => {
    const demo = await start({ architecture: 'redis', redis: 'aof', servers: 1 });
    const visitor = new Visitor();
    await visitor.login(demo.backends[0]!.url, 'alice');
    await demo.store.restart();
    await eventually('the client to reconnect', async () =>
      (await whoami(visitor, demo, 0)) === 200 ? true : null,
    );
  });

  test('with Sentinel the replica takes over and sessions survive', async () => {
    const demo = await start({ architecture: 'redis', redis: 'sentinel', servers: 1 });
    const visitor = new Visitor();
    await visitor.login(demo.backends[0]!.url, 'alice');
    expect(await stats(demo, 0)).toMatchObject({ sessions: 1 });
    await demo.store.kill();
    await eventually(
      'the failover',
      async () => ((await whoami(visitor, demo, 0)) === 200 ? true : null),
      15_000,
    );
    expect((await visitor.post(`${demo.backends[0]!.url}/inc`)).body.counter).toBe(1);
  });
});
