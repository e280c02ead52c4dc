// New sessions are spread as evenly as the policy can: 1 000 of them over four servers, 250 on each give or take 3.

import { describe, expect, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { runInside } from '../support/holdfast.ts';
import { inParallel } from '../support/plain-client.ts';
import { serversYaml, sessionServers } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

const SESSIONS = 1000;
const AT_ONCE = 32;

describe.each([1, 2])('on %i threads', (threads) => {
  test.each(['cookie-hash', 'cookie-pin'])(
    '1 000 new sessions by %s and least-sessions: 250 ± 3',
    async (mode) => {
      const servers = await sessionServers(4);
      const holdfast = await runInside(
        `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    sticky: { mode: ${mode} }
    servers:
${serversYaml(servers)}`,
        { threads },
      );
      const homes: Record<string, number> = {};
      let strayed = 0;
      await inParallel(SESSIONS, AT_ONCE, async (number) => {
        const user = new User(holdfast.port, number);
        const first = await user.where();
        const second = await user.where();
        user.close();
        if (second !== first) strayed += 1;
        homes[second] = (homes[second] ?? 0) + 1;
      });
      expect(strayed).toBe(0);
      expect(Object.keys(homes).sort()).toEqual(['a', 'b', 'c', 'd']);
      for (const count of Object.values(homes)) expect(Math.abs(count - SESSIONS / 4)).toBeLessThanOrEqual(3);
      const pool = await eventually(
        async () => {
          const found = (await holdfast.status()).pools[0]!;
          return found.sessions === SESSIONS ? found : null;
        },
        { what: () => 'the sweep to count 1 000 sessions' },
      );
      expect(Object.fromEntries(pool.servers.map(({ name, sessions }) => [name, sessions]))).toEqual(homes);
      const { ratio = 0 } = pool.skew;
      expect(ratio).toBeLessThanOrEqual(1.02);
      expect(await holdfast.metric('holdfast_sessions_created_total')).toBe(SESSIONS);
      expect(await holdfast.metric('holdfast_session_moves_total')).toBe(0);
    },
  );
});
