// A rolling restart of servers whose sessions are at home with a backup, as docs/session-store.md has it: drain --wait,
// restart, ready. Nobody logs in again, and no counter goes back.

import { expect, onTestFinished, test } from 'vitest';
import { startDemo } from '../../demo/launch.ts';
import { Visitor } from '../demo/visitor.ts';
import { command } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';

const USERS = 20;

test('a rolling restart logs nobody out', async ({ skip }) => {
  needs('redis', skip);
  const demo = await startDemo({ architecture: 'home', servers: 2, scryptCost: 2 });
  onTestFinished(() => demo.stop());
  const servers = demo.backends.map(({ name, url }) => `{ name: ${name}, url: "${url}" }`);
  const holdfast = await runHoldfast(`
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    sticky: { mode: cookie-hash, cookie: connect.sid }
    state: shared
    health: { path: /healthz, interval: 100ms, rise: 1 }
    rebalance: { mode: off, every: 1s, budget: 100% }
    servers: [${servers.join(', ')}]
`);
  const admin = ['--admin', holdfast.adminUrl];
  const users = Array.from({ length: USERS }, () => new Visitor());
  for (const [index, user] of users.entries()) await user.login(holdfast.url, `user${index + 1}`);
  let raised = 0;
  const raiseAll = async (): Promise<readonly unknown[]> => {
    raised += 1;
    const answers = await Promise.all(users.map((user) => user.post(`${holdfast.url}/inc`)));
    expect(answers.map(({ status, body }) => [status, body.counter])).toEqual(
      Array.from({ length: USERS }, () => [200, raised]),
    );
    return answers.map(({ body }) => (body as { readonly server?: unknown }).server);
  };
  expect(new Set(await raiseAll())).toEqual(new Set(['a', 'b']));
  for (const backend of demo.backends) {
    expect(await command(['drain', `shop/${backend.name}`, '--wait', ...admin])).toMatchObject({ status: 0 });
    await backend.restart();
    expect(new Set(await raiseAll())).toEqual(new Set(['a', 'b'].filter((name) => name !== backend.name)));
    expect(await command(['ready', `shop/${backend.name}`, ...admin])).toMatchObject({ status: 0 });
    await eventually(
      async () =>
        (await holdfast.status()).pools[0]?.servers.every(
          ({ state, mode }) => state === 'up' && mode === 'ready',
        ) === true,
    );
    await raiseAll();
  }
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);
}, 120_000);
