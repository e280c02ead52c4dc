// Absolute expiry: sessions that are used all the time end when they are too old, for the balancer and for the
// application within a sweep of each other, and log-in begins a new one.

import { expect, onTestFinished, test } from 'vitest';
import { startDemo } from '../../demo/launch.ts';
import { Visitor } from '../demo/visitor.ts';
import { eventually } from '../support/eventually.ts';
import { runInside } from '../support/holdfast.ts';
import { countedSessions, heldSessions } from '../support/truth.ts';

const USERS = 24;
const LIFE_MS = 5_000;

test('sessions in use end when they are too old, and count no more', async () => {
  const demo = await startDemo({ servers: 2, flags: ['--life', '5s', '--scrypt-cost', '2'] });
  onTestFinished(() => demo.stop());
  const servers = demo.backends.map(({ name, url }) => `      - { name: ${name}, url: "${url}" }`);
  const holdfast = await runInside(
    `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    sticky: { mode: learn, cookie: connect.sid, idle: 5s, life: 5s }
    servers:
${servers.join('\n')}
`,
    { threads: 2 },
  );
  const visitors = Array.from({ length: USERS }, () => new Visitor());
  const begunMs = performance.now();
  await Promise.all(visitors.map((visitor, index) => visitor.login(holdfast.url, `user${index + 1}`)));
  const isEqual = async (count: number): Promise<boolean> => {
    const held = await heldSessions(demo);
    const sum = Object.values(held).reduce((total, each) => total + each, 0);
    return (
      sum === count &&
      JSON.stringify(held) === JSON.stringify(countedSessions(demo, await holdfast.metrics()))
    );
  };
  await eventually(() => isEqual(USERS));
  let answers: number[] = [];
  await eventually(
    async () => {
      const asked = await Promise.all(visitors.map((visitor) => visitor.get(`${holdfast.url}/whoami`)));
      answers = asked.map(({ status }) => status);
      return answers.every((status) => status === 401);
    },
    { deadlineMs: 10_000 },
  );
  expect(performance.now() - begunMs).toBeGreaterThan(LIFE_MS - 200);
  await eventually(() => isEqual(0));
  expect(await holdfast.metric('holdfast_sessions_ended_total', { reason: 'life' })).toBe(USERS);
  expect(await holdfast.metric('holdfast_sessions_ended_total', { reason: 'idle' })).toBe(0);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);

  await Promise.all(visitors.map((visitor, index) => visitor.login(holdfast.url, `user${index + 1}`)));
  await eventually(() => isEqual(USERS));
  expect(await holdfast.metric('holdfast_sessions_created_total')).toBe(2 * USERS);
});
