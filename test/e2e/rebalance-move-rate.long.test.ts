// A server with a third of the sessions dies and `sticky.moveRate` paces what follows: no more sessions a second than
// that get another home, the others are told to come back, and in the end all have one.

import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { runInside } from '../support/holdfast.ts';
import { serversYaml, sessionServers } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

const USERS = 120;
const RATE = 20;

test('sessions of a dead server move at the rate that was asked for', async () => {
  const servers = await sessionServers(3);
  const holdfast = await runInside(
    `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    sticky: { mode: cookie-hash, moveRate: ${RATE}/s }
    health: { interval: 200ms, timeout: 200ms, rise: 1, fall: 2 }
    servers:
${serversYaml(servers)}
`,
    { threads: 1 },
  );
  const users = Array.from({ length: USERS }, (_, number) => new User(holdfast.port, number));
  for (const user of users) user.home = await user.where('/login');
  for (const user of users) expect(await user.where()).toBe(user.home);
  const victims = users.filter(({ home }) => home === 'b');
  expect(victims.length).toBe(USERS / 3);
  await servers[1]!.close();
  await eventually(async () => (await holdfast.status()).pools[0]!.servers[1]!.state === 'down');

  const begunMs = performance.now();
  let waiting: readonly User[] = users;
  let refused = 0;
  await eventually(
    async () => {
      const left: User[] = [];
      for (const user of waiting) {
        const reply = await user.get();
        const isRefused = reply.status === 503;
        if (!isRefused) continue;
        expect([user.home, reply.header('x-holdfast-error')]).toEqual(['b', 'home-down']);
        expect(Number(reply.header('retry-after'))).toBeGreaterThan(0);
        refused += 1;
        left.push(user);
      }
      waiting = left;
      const seconds = (performance.now() - begunMs) / 1_000;
      const moved = await holdfast.metric('holdfast_session_moves_total', { reason: 'failure' });
      // a second's worth may go at once
      expect(moved).toBeLessThanOrEqual(RATE + RATE * (seconds + 0.2));
      return left.length === 0;
    },
    { deadlineMs: 15_000 },
  );
  expect(refused).toBeGreaterThan(0);
  expect(performance.now() - begunMs).toBeGreaterThan(((victims.length - RATE - 1) / RATE) * 1_000);
  expect(await holdfast.metric('holdfast_session_moves_total')).toBe(victims.length);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(victims.length);
  expect(await holdfast.metric('holdfast_affinity_decisions_total', { verdict: 'refused' })).toBe(refused);
  for (const user of users) user.close();
});
