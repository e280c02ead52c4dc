// Idle and absolute timeout of every architecture, side by side because they mostly wait.
import { expect, test } from 'vitest';
import { type Demo, startDemo } from '../../demo/launch.ts';
import { redisMissing } from '../../demo/redis-servers.ts';
import { CLIENT_KEPT, DATABASE, REDIS, SERVER_KEPT, type Variant } from './variants.ts';
import { eventually, Visitor } from './visitor.ts';

// Long enough that a busy machine does not keep bob from asking for as long.
const IDLE_MS = 2500;
const LIFE_MS = 6000;

const missing = redisMissing();
if (missing !== null) test.skip(`redis: ${missing}`, () => {});
const variants = [...SERVER_KEPT, DATABASE, ...(missing === null ? [REDIS] : []), ...CLIENT_KEPT];

test.concurrent.for(variants)(
  '$title: an idle session ends, an active one at the absolute timeout',
  async (variant) => {
    const flags = ['--idle', `${IDLE_MS}ms`, '--life', `${LIFE_MS}ms`];
    const demo = await startDemo({ ...variant.options, servers: 1, flags });
    try {
      const { aliceMs, bobMs } = await watchTimeouts(variant, demo);
      expect(aliceMs).toBeGreaterThan(IDLE_MS - 100);
      expect(bobMs - aliceMs).toBeGreaterThan(100);
      expect(bobMs).toBeGreaterThan(LIFE_MS - 100);
    } finally {
      await demo.stop();
    }
  },
);

/** Alice logs in and goes away, bob keeps asking; when does each of their sessions end? */
async function watchTimeouts(variant: Variant, demo: Demo): Promise<{ aliceMs: number; bobMs: number }> {
  const { url, statsUrl } = demo.backends[0]!;
  const [alice, bob] = [new Visitor(), new Visitor()];
  const beganMs = performance.now();
  await Promise.all([alice.login(url, 'alice'), bob.login(url, 'bob')]);
  let aliceMs = 0;
  const isAliceGone = async (): Promise<boolean> => {
    // Asking would renew a session that a server keeps, but not a cookie that nobody updates.
    if (!variant.counted) return (await alice.copy().get(`${url}/whoami`)).status === 401;
    return Number((await new Visitor().get(`${statsUrl}/lab/stats`)).body.sessions) < 2;
  };
  await eventually('the absolute timeout', async () => {
    if (aliceMs === 0 && (await isAliceGone())) aliceMs = performance.now() - beganMs;
    return (await bob.get(`${url}/whoami`)).status === 401 ? true : null;
  });
  const bobMs = performance.now() - beganMs;
  expect((await alice.get(`${url}/whoami`)).status).toBe(401);
  return { aliceMs, bobMs };
}
