// The balancer of a cell as a process of its own: `holdfast run` on a file, restarted and reconfigured like in life.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { request } from 'undici';
import { demoBalancerConfig } from '../demo/balancer-config.ts';
import { type Child, ChildFailure, startChild } from '../demo/child.ts';
import { freePort } from '../demo/free-port.ts';
import type { Architecture } from './architectures.ts';

/** A backend as the configuration names it. */
export interface Listed {
  readonly name: string;
  readonly url: string;
}

/** The part of /api/status that the lab reads. */
interface Status {
  readonly pools: readonly {
    readonly servers: readonly { readonly name: string; readonly state: string }[];
  }[];
}

export interface LabBalancer {
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
  /** Ends the process (SIGTERM) and starts it again on the same ports; resolves when it is ready. */
  restart(): Promise<void>;
  /** Writes the configuration with these servers and has it read again. */
  reconfigure(servers: readonly Listed[]): Promise<void>;
  setMode(server: string, mode: 'ready' | 'drain' | 'maintenance'): Promise<void>;
  /** True when the server takes requests. */
  isUp(server: string): Promise<boolean>;
  /** Sum over all samples of a metric. */
  metric(name: string): Promise<number>;
  stop(): Promise<void>;
}

const LAUNCHER = fileURLToPath(new URL('../src/holdfast.mjs', import.meta.url));
const READY_MS_MAX = 10_000;
const POLL_MS = 40;

/** Starts `holdfast run` with one thread in front of `servers`; resolves when all of them are up. */
export async function startLabBalancer(
  architecture: Architecture,
  servers: readonly Listed[],
  secret: string,
): Promise<LabBalancer> {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-lab-'));
  const file = join(folder, 'holdfast.yaml');
  // Both have to stay the same over a restart, so the kernel cannot choose at the start. Another program may take one
  // between the look and the start: then it is tried once more.
  let [port, adminPort] = [await freePort(), await freePort()];
  const write = (listed: readonly Listed[]): Promise<void> =>
    writeFile(file, configOf(architecture, listed, secret, port, adminPort), { mode: 0o600 });
  const start = (): Promise<Child> =>
    startChild({
      title: 'the balancer',
      command: process.execPath,
      args: [LAUNCHER, 'run', '--config', file, '--threads', '1', '--log-level', 'error'],
      folder,
      ours: false,
      isReady: (output) => output.includes('admin on '),
    });
  let child: Child;
  try {
    await write(servers);
    child = await start().catch(async () => {
      [port, adminPort] = [await freePort(), await freePort()];
      await write(servers);
      return start();
    });
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  const admin = new AdminClient(adminUrl);
  const balancer: LabBalancer = {
    url: `http://127.0.0.1:${port}`,
    adminUrl,
    get pid() {
      return child.pid;
    },
    async restart() {
      await child.end('SIGTERM');
      // Its guard removes the folder only when this process dies, so the file is still there.
      child = await start();
      await admin.untilUp(1);
    },
    async reconfigure(listed) {
      await write(listed);
      await admin.send('POST', '/api/reload', {});
    },
    setMode: (server, mode) => admin.send('PATCH', `/api/pools/demo/servers/${server}`, { mode }),
    isUp: async (server) => (await admin.up()).includes(server),
    metric: (name) => admin.metric(name),
    async stop() {
      await child.end('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await admin.untilUp(servers.length);
  } catch (error) {
    await balancer.stop();
    throw error;
  }
  return balancer;
}

class AdminClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  async send(method: 'POST' | 'PATCH', path: string, body: object): Promise<void> {
    const response = await request(this.#url + path, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.body.text();
    if (response.statusCode >= 300) {
      throw new ChildFailure(`the balancer refused ${method} ${path} with ${response.statusCode}: ${text}`);
    }
  }

  /** Names of the servers that take requests. */
  async up(): Promise<readonly string[]> {
    const response = await request(`${this.#url}/api/status`);
    const status = (await response.body.json()) as Status;
    return status.pools.flatMap(({ servers }) =>
      servers.filter(({ state }) => state === 'up').map(({ name }) => name),
    );
  }

  /** Polls until so many servers are up. */
  async untilUp(count: number): Promise<void> {
    const endsAtMs = performance.now() + READY_MS_MAX;
    for (;;) {
      const names = await this.up().catch(() => []);
      if (names.length >= count) return;
      if (performance.now() > endsAtMs) {
        throw new ChildFailure(`the balancer sees ${names.length} of ${count} servers up`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async metric(name: string): Promise<number> {
    const response = await request(`${this.#url}/metrics`);
    return sumOfSamples(await response.body.text(), name);
  }
}

/** Sum of all samples of a metric in Prometheus text. */
export function sumOfSamples(text: string, name: string): number {
  let total = 0;
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{[^}]*\})? (\S+)/.exec(line);
    if (match?.[1] === name) total += Number(match[2]);
  }
  return total;
}

function configOf(
  { demo, sticky, policy }: Architecture,
  servers: readonly Listed[],
  secret: string,
  port: number,
  adminPort: number,
): string {
  return demoBalancerConfig(servers, {
    architecture: demo.architecture ?? 'memory',
    listen: `127.0.0.1:${port}`,
    admin: `127.0.0.1:${adminPort}`,
    threads: 1,
    secret,
    ...(sticky === null ? {} : { sticky }),
    ...(policy === null ? {} : { policy }),
  });
}
