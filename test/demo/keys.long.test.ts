// What happens to sessions when the key of cookies and tokens is changed, and when Redis is full.
import { expect, onTestFinished, test } from 'vitest';
import { type Demo, type DemoOptions, startDemo } from '../../demo/launch.ts';
import { redisMissing } from '../../demo/redis-servers.ts';
import { Visitor } from './visitor.ts';

async function start(options: DemoOptions): Promise<Demo> {
  const demo = await startDemo({ ...options, servers: 1 });
  onTestFinished(() => demo.stop());
  return demo;
}

test.each(['cookie', 'jwt'] as const)('%s: a new key with the old one kept logs nobody out', async (name) => {
  const demo = await start({ architecture: name });
  const url = demo.backends[0]!.url;
  const visitor = new Visitor();
  await visitor.login(url, 'alice');
  await visitor.post(`${url}/inc`);
  await demo.rotateSecret(true);
  // A read does not renew what is fresh, a write seals it under the new key; both are understood.
  expect((await visitor.get(`${url}/whoami`)).body).toMatchObject({ user: 'alice', counter: 1 });
  expect((await visitor.post(`${url}/inc`)).body).toMatchObject({ counter: 2 });
  expect((await visitor.get(`${url}/whoami`)).body).toMatchObject({ user: 'alice', counter: 2 });
});

test.each(['cookie', 'jwt'] as const)('%s: a new key alone logs everybody out', async (name) => {
  const demo = await start({ architecture: name });
  const url = demo.backends[0]!.url;
  const visitor = new Visitor();
  await visitor.login(url, 'alice');
  await demo.rotateSecret(false);
  expect((await visitor.get(`${url}/whoami`)).status).toBe(401);
  expect((await visitor.login(url, 'alice')).status).toBe(200);
  expect((await visitor.get(`${url}/whoami`)).status).toBe(200);
});

test.skipIf(redisMissing() !== null)(
  'redis, full: who is logged in can read, nobody can write, log in or be forgotten',
  async () => {
    const demo = await start({ architecture: 'redis' });
    const url = demo.backends[0]!.url;
    const visitor = new Visitor();
    await visitor.login(url, 'alice');
    await demo.store.fill();
    expect((await visitor.get(`${url}/whoami`)).body).toMatchObject({ user: 'alice', counter: 0 });
    expect((await visitor.post(`${url}/inc`)).status).toBe(503);
    expect((await new Visitor().login(url, 'bob')).status).toBe(503);
    expect((await visitor.get(`${url}/whoami`)).body).toMatchObject({ user: 'alice', counter: 0 });
    expect((await visitor.post(`${url}/logout`)).status).toBe(200);
  },
);

test('stores that cannot be filled say so', async () => {
  const demo = await start({ architecture: 'memory' });
  await expect(demo.store.fill()).rejects.toThrow('no store to fill');
});
