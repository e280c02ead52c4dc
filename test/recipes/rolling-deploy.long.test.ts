// The rolling deploy of docs/recipes.md, run as it stands there while users come and go: nobody gets an error, nobody who came
// is logged out.

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { runHoldfast } from '../support/holdfast.ts';
import { launcherFor } from '../support/launcher.ts';
import { whenDone } from '../support/lifetime.ts';
import { needs } from '../support/needs.ts';
import { type SessionServer, serversYaml, sessionServer } from '../support/session-servers.ts';
import { User } from '../support/user.ts';

/** A new user comes so often, and looks at so many pages. */
const ARRIVE_EVERY_MS = 40;
const PAGES = 6;
const PAGE_EVERY_MS = 60;
const DOWN_MS = 400;

/** The shell script of the document, by the name in its second line. */
function script(name: string): string {
  const markdown = readFileSync(new URL('../../docs/recipes.md', import.meta.url), 'utf8');
  const blocks = [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);
  const found = blocks.find((text) => text.includes(`# ${name}: `));
  if (found === undefined) throw new Error(`docs/recipes.md has no ${name}`);
  return found;
}

class Fleet {
  readonly servers = new Map<string, SessionServer>();
  readonly restarted: string[] = [];

  async begin(): Promise<void> {
    for (const name of ['a', 'b']) this.servers.set(name, await sessionServer(name));
  }

  /** As `systemctl restart`: the process ends with all that it knows, and another begins at the same address. */
  async restart(name: string): Promise<void> {
    const old = this.servers.get(name);
    if (old === undefined) throw new Error(`there is no server ${name}`);
    const { port } = old;
    await old.close();
    await pause(DOWN_MS);
    this.servers.set(name, await sessionServer(name, port));
    this.restarted.push(name);
  }

  /** What restart_server asks. */
  async control(): Promise<string> {
    const server = createServer((request, response) => {
      this.restart((request.url ?? '').slice(1)).then(
        () => response.end(),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    whenDone(() => server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
}

/** One visit; what went wrong in it. */
async function visit(port: number, number: number): Promise<string[]> {
  const user = new User(port, number);
  const wrong: string[] = [];
  try {
    const entered = await user.login();
    if (entered.status !== 200) wrong.push(`log-in: ${entered.status}`);
    for (let page = 0; page < PAGES; page += 1) {
      await pause(PAGE_EVERY_MS);
      const { status } = await user.get();
      if (status !== 200) wrong.push(`page ${page} of a user of ${user.home}: ${status}`);
    }
    const left = await user.ask('POST', '/logout');
    if (left.status !== 200) wrong.push(`log-out: ${left.status}`);
  } catch (error) {
    wrong.push(String(error));
  }
  user.close();
  return wrong;
}

test('deploy.sh under load: no failure, and nobody is logged out', { timeout: 120_000 }, async ({ skip }) => {
  const curl = needs('curl', skip);
  const fleet = new Fleet();
  await fleet.begin();
  const holdfast = await runHoldfast(`
listen: 127.0.0.1:0
admin: { address: 127.0.0.1:0 }
threads: 1
pools:
  shop:
    policy: least-sessions
    sticky: { mode: learn, cookie: connect.sid }
    health: { interval: 200ms, timeout: 2s }
    servers:
${serversYaml([...fleet.servers.values()])}`);
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-deploy-'));
  whenDone(() => rmSync(folder, { recursive: true, force: true }));
  const own = [
    `npx() { shift; "${process.execPath}" "${launcherFor('drain')}" "$@"; }`,
    `restart_server() { "${curl}" -sSf "${await fleet.control()}/$1"; }`,
  ].join('\n');
  writeFileSync(join(folder, 'deploy.sh'), `${own}\n${script('deploy.sh')}`);

  const visits: Promise<string[]>[] = [];
  let isOver = false;
  const arriving = (async () => {
    while (!isOver) {
      visits.push(visit(holdfast.port, visits.length));
      await pause(ARRIVE_EVERY_MS);
    }
  })();
  const deploy = promisify(execFile)('sh', [join(folder, 'deploy.sh')], {
    env: { ...process.env, HOLDFAST_ADMIN_URL: holdfast.adminUrl, DEADLINE: '60s' },
  });
  await deploy.finally(() => {
    isOver = true;
  });
  await arriving;
  expect((await Promise.all(visits)).flat()).toEqual([]);
  expect(fleet.restarted).toEqual(['a', 'b']);
  // it went on all the while, and both served afterwards
  expect(visits.length).toBeGreaterThan(50);
  const { servers } = (await holdfast.status()).pools[0] ?? { servers: [] };
  expect(servers.map(({ mode, state }) => [mode, state])).toEqual([
    ['ready', 'up'],
    ['ready', 'up'],
  ]);
  expect(await holdfast.metric('holdfast_sessions_lost_total')).toBe(0);
});
