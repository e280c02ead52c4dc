// A server that stands still while the session store is away: nobody else can load its sessions, and they are not taken from
// it by the attempt. When it goes on they are served at once, although the store is away still.

import { expect, onTestFinished, test } from 'vitest';
import { startDemo } from '../../demo/launch.ts';
import { Visitor } from '../demo/visitor.ts';
import { eventually } from '../support/eventually.ts';
import { runHoldfast } from '../support/holdfast.ts';
import { needs } from '../support/needs.ts';

const USERS = 8;

test('sessions are where they were when their home goes on, store or no store', async ({ skip }) => {
  needs('redis', skip);
  const demo = await startDemo({ architecture: 'home', servers: 2, scryptCost: 2 });
  onTestFinished(() => {
    for (const backend of demo.backends) backend.signal('SIGCONT');
    return demo.stop();
  });
  const servers = demo.backends.map(({ name, url }) => `{ name: ${name}, url: "${url}" }`);
  const holdfast = await runHoldfast(`
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
pools:
  shop:
    policy: least-sessions
    sticky: { mode: cookie-hash }
    state: shared
    health: { path: /healthz, interval: 500ms, rise: 1, fall: 3 }
    servers: [${servers.join(', ')}]
`);
  const users = Array.from({ length: USERS }, () => new Visitor());
  for (const [index, user] of users.entries()) await user.login(holdfast.url, `user${index + 1}`);
  const raiseAll = async (): Promise<readonly (readonly unknown[])[]> => {
    const answers = await Promise.all(users.map((user) => user.post(`${holdfast.url}/inc`)));
    return answers.map(({ status, body }) => [status, body.counter, (body as { server?: string }).server]);
  };
  const isState = (state: string): Promise<unknown> =>
    eventually(async () => (await holdfast.status()).pools[0]?.servers[0]?.state === state);
  const homes = (await raiseAll()).map(([, , server]) => server);
  expect(new Set(homes)).toEqual(new Set(['a', 'b']));
  await demo.store.kill();
  demo.backends[0]?.signal('SIGSTOP');
  await isState('down');
  for (const counter of [2, 3])
    expect(await raiseAll()).toEqual(
      homes.map((home) => (home === 'a' ? [503, undefined, undefined] : [200, counter, 'b'])),
    );
  demo.backends[0]?.signal('SIGCONT');
  await isState('up');
  expect(await raiseAll()).toEqual(homes.map((home) => (home === 'a' ? [200, 2, 'a'] : [200, 4, 'b'])));
  // a pass over the table that was under way may have met them on their way
  await eventually(async () => (await holdfast.metric('holdfast_sessions', { server: 'a' })) === USERS / 2);
});
