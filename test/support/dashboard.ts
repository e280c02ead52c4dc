// A balancer with sessions on it and its dashboard in a real browser.

import { onTestFinished } from 'vitest';
import { type BrowserOptions, type BrowserPage, openPage } from './browser.ts';
import { eventually } from './eventually.ts';
import { type RunningHoldfast, runHoldfast } from './holdfast.ts';
import { inParallel } from './plain-client.ts';
import { type SessionServer, serversYaml, sessionServers } from './session-servers.ts';
import { type SteadyLoad, steadyLoad } from './steady-load.ts';
import { User } from './user.ts';

export interface Setup {
  readonly holdfast: RunningHoldfast;
  readonly servers: readonly SessionServer[];
  readonly users: readonly User[];
}

export interface SetupOptions {
  readonly users?: number;
  readonly token?: string;
  /** Address of the admin server; default: the kernel chooses the port. */
  readonly admin?: string;
  readonly state?: 'local' | 'shared';
  /** A further line of the pool. */
  readonly more?: string;
}

/** Three servers in a pool `shop`, with as many users logged in as wanted. */
export async function dashboardSetup(options: SetupOptions = {}): Promise<Setup> {
  const servers = await sessionServers(3);
  const holdfast = await runHoldfast(poolYaml(servers, options), { threads: 1 });
  const users = Array.from({ length: options.users ?? 30 }, (_, number) => new User(holdfast.port, number));
  onTestFinished(() => {
    for (const user of users) user.close();
  });
  await inParallel(users.length, 8, async (index) => {
    await users[index]?.login();
    await users[index]?.get();
  });
  await eventually(async () => (await holdfast.status()).pools[0]?.sessions === users.length, {
    what: () => `${users.length} sessions`,
  });
  return { holdfast, servers, users };
}

export function poolYaml(servers: readonly SessionServer[], options: SetupOptions = {}): string {
  const { token = '', admin = '127.0.0.1:0', state = 'local', more = '' } = options;
  return `
listen: [{ address: 127.0.0.1:0 }]
admin: { address: "${admin}", token: "${token}" }
pools:
  shop:
    policy: least-sessions
    sticky: { mode: learn, cookie: connect.sid }
    state: ${state}
    ${more}
    health: { path: /healthz, interval: 200ms, timeout: 1s, rise: 1, fall: 2 }
    servers:
${serversYaml(servers)}
`;
}

/** The page, once it shows figures. */
export async function openDashboard(
  url: string,
  skip: (reason: string) => never,
  options: BrowserOptions = {},
): Promise<BrowserPage> {
  const opened = await openPage(`${url}/`, skip, options);
  await opened.page.locator('#link[data-state=live]').waitFor();
  await opened.page.locator('section.pool tbody tr').first().waitFor();
  return opened;
}

/** A load that ends with the test. */
export function loadWhileTesting(users: readonly User[], perSecond: number): SteadyLoad {
  const load = steadyLoad(users, perSecond);
  onTestFinished(async () => {
    await load.stop();
  });
  return load;
}
