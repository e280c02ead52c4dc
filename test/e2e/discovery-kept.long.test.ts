// What was found outlives what finds it: over a restart, a takeover and a reload at which nothing is found, and servers that
// are leaving keep their sessions over all of them.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { type RunningHoldfast, runHoldfast } from '../support/holdfast.ts';
import { type SessionServer, sessionServers } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

test('servers found, and those that are leaving, are known when nothing can be found', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-found-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'servers');
  const list = (servers: readonly SessionServer[]): void =>
    writeFileSync(path, servers.map(({ url }) => `${url}\n`).join(''));
  const yaml = (refresh: string): string => `
threads: 1
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
sessions: { file: ${directory}/sessions }
pools:
  shop:
    sticky: { mode: learn, cookie: connect.sid }
    servers: [{ file: { path: ${path}, refresh: ${refresh} } }]
`;
  const modes = async (holdfast: RunningHoldfast): Promise<string> =>
    ((await holdfast.status()).pools[0]?.servers ?? [])
      .map(({ url, mode }) => `${url} ${mode}`)
      .toSorted()
      .join();
  const servers = await sessionServers(3);
  list(servers);
  const first = await runHoldfast(yaml('100ms'), { directory });
  const jars: Map<string, string>[] = [];
  const homes = new Set<string>();
  while (homes.size < servers.length) {
    const user = new User(first.port, jars.length);
    await user.login();
    homes.add(user.home);
    jars.push(user.jar);
    user.close();
  }
  const gone = servers.at(-1) as SessionServer;
  list(servers.slice(0, -1));
  const found = servers
    .map((server) => `${server.url} ${server === gone ? 'drain' : 'ready'}`)
    .toSorted()
    .join();
  await eventually(async () => (await modes(first)) === found);

  const allAreHome = async (holdfast: RunningHoldfast): Promise<void> => {
    expect(await modes(holdfast)).toBe(found);
    for (const [number, jar] of jars.entries()) {
      const user = new User(holdfast.port, number);
      for (const [name, value] of jar) user.jar.set(name, value);
      expect((await user.get()).status, holdfast.log()).toBe(200);
      user.close();
    }
  };
  rmSync(path);
  const second = await runHoldfast(yaml('100ms'), { directory, args: ['--takeover', first.adminUrl] });
  expect(await first.exited()).toBe(0);
  await allAreHome(second);

  await second.stop();
  const third = await runHoldfast(yaml('100ms'), { directory });
  await allAreHome(third);

  writeFileSync(third.configFile, yaml('200ms'));
  expect((await fetch(`${third.adminUrl}/api/reload`, { method: 'POST' })).status).toBe(200);
  await allAreHome(third);
  expect(await third.metric('holdfast_sessions_lost_total')).toBe(0);
});
