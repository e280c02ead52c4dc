// A server that a reload removes takes its sessions' state along (state local): as many users find themselves logged
// out as holdfast_sessions_lost_total says, each counted once, when they come back.

import { writeFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
import { type Demo, startDemo } from '../../demo/launch.ts';
import { Visitor } from '../demo/visitor.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { countedSessions, heldSessions } from '../support/truth.ts';

const USERS = 60;

function yaml(demo: Demo, sticky: string, state: string, without: string | null): string {
  const servers = demo.backends
    .filter(({ name }) => name !== without)
    .map(({ name, url }) => `      - { name: ${name}, url: "${url}" }`);
  return `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    sticky: ${sticky}
    state: ${state}
    health: { path: /healthz, interval: 3s, timeout: 3s, rise: 1, fall: 2 }
    servers:
${servers.join('\n')}
`;
}

test.each([
  ['learn', '{ mode: learn, cookie: connect.sid }'],
  ['a hash of the application’s cookie', '{ mode: cookie-hash, cookie: connect.sid }'],
  ['the balancer’s own cookie', '{ mode: cookie-hash }'],
])('users logged out are sessions lost: %s', async (_name, sticky) => {
  const demo = await startDemo({ servers: 3, flags: ['--scrypt-cost', '2'] });
  onTestFinished(() => demo.stop());
  const [removed] = demo.backends as [Demo['backends'][number]];
  const holdfast = await runHoldfast(yaml(demo, sticky, 'local', null), { threads: 2 });
  const visitors = Array.from({ length: USERS }, () => new Visitor());
  await Promise.all(visitors.map((visitor, index) => visitor.login(holdfast.url, `user${index + 1}`)));
  await Promise.all(visitors.map((visitor) => visitor.get(`${holdfast.url}/whoami`)));
  const held = (await heldSessions(demo))[removed.name]!;
  expect(held).toBeGreaterThan(0);
  await eventually(async () => countedSessions(demo, await holdfast.metrics())[removed.name] === held);

  writeFileSync(holdfast.configFile, yaml(demo, sticky, 'local', removed.name));
  const reload = await fetch(`${holdfast.adminUrl}/api/reload`, { method: 'POST' });
  expect(reload.status).toBe(200);
  // nobody has lost anything before they come back; twice, for a loss is counted once
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);
  const first = await Promise.all(visitors.map((visitor) => visitor.get(`${holdfast.url}/whoami`)));
  await Promise.all(visitors.map((visitor) => visitor.get(`${holdfast.url}/whoami`)));

  const loggedOut = first.filter(({ status }) => status === 401).length;
  const stayed = first.filter(({ status }) => status === 200).length;
  expect([loggedOut, stayed]).toEqual([held, USERS - held]);
  const labels = { pool: 'shop', server: '(removed)', reason: 'removed' };
  expect(await holdfast.metric('holdfast_sessions_lost_total', labels)).toBe(loggedOut);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(loggedOut);
  expect(await holdfast.metric('holdfast_session_moves_total')).toBe(loggedOut);
  const { pools } = (await holdfast.status()) as unknown as { pools: { lost: Record<string, number> }[] };
  expect(pools[0]!.lost).toEqual({ failure: 0, drain: 0, operator: 0, removed: loggedOut });
});
