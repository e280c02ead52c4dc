// What `holdfast demo` does: the demo's processes, then a balancer in this process in front of them.

import { EXIT_FAILED, EXIT_OK } from '../src/cli/exit.ts';
import { loadConfig } from '../src/config/load.ts';
import { formatProblem } from '../src/config/problem.ts';
import { StartError } from '../src/control/start-error.ts';
import { type RunningBalancer, startBalancer } from '../src/run/foreground.ts';
import { createLogger } from '../src/run/logger.ts';
import { onceMore, stopSignal } from '../src/run/owner.ts';
import { demoBalancerConfig } from './balancer-config.ts';
import { ChildFailure } from './child.ts';
import { type Demo, startDemo } from './launch.ts';
import type { RedisKind } from './redis-servers.ts';
import type { Architecture } from './session-layer.ts';
import { printWelcome, serverLine } from './welcome.ts';

const LOOPBACK = '127.0.0.1';

export interface DemoRunOptions {
  readonly architecture: Architecture;
  readonly servers: number;
  readonly sticky?: string;
  readonly port: number;
  readonly adminPort: number;
  readonly backendPort: number;
  readonly threads?: number;
  readonly redis: RedisKind;
  readonly tls?: boolean;
  readonly synchronous?: boolean;
  readonly denyList?: boolean;
}

/** Runs until SIGINT or SIGTERM; returns the exit status. Everything started is stopped, whatever happens. */
export async function runDemo(options: DemoRunOptions): Promise<number> {
  let demo: Demo | null = null;
  let running: RunningBalancer | null = null;
  try {
    demo = await startDemo({
      architecture: options.architecture,
      servers: options.servers,
      port: options.backendPort,
      redis: options.redis,
      replication: options.synchronous === true ? 'sync' : 'async',
      denyList: options.denyList === true,
    });
    running = await startInFront(demo, options);
    const started = demo;
    process.on(
      'SIGUSR2',
      onceMore(() => revive(started)),
    );
    printWelcome({
      architecture: demo.architecture,
      backends: demo.backends,
      storePid: demo.store.pid,
      balancerUrl: running.listenUrls[0] ?? '',
      adminUrl: running.adminUrl ?? '',
      pid: process.pid,
    });
    await stopSignal();
    return EXIT_OK;
  } catch (error) {
    if (!(error instanceof ChildFailure || error instanceof StartError)) throw error;
    process.stderr.write(`${error.message}${hintFor(error)}\n`);
    return EXIT_FAILED;
  } finally {
    await running?.stop();
    await demo?.stop();
  }
}

/** Starts what is dead again and says so; does not reject. */
async function revive(demo: Demo): Promise<void> {
  try {
    const { store, backends } = await demo.revive();
    if (store !== null) process.stdout.write(`  the store   pid ${store.pid}   is back\n`);
    for (const backend of backends) process.stdout.write(`${serverLine(backend)}   is back\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  }
}

async function startInFront(demo: Demo, options: DemoRunOptions): Promise<RunningBalancer> {
  const yaml = demoBalancerConfig(demo.backends, {
    architecture: demo.architecture,
    listen: `${LOOPBACK}:${options.port}`,
    tls: options.tls === true,
    admin: `${LOOPBACK}:${options.adminPort}`,
    ...(options.sticky === undefined ? {} : { sticky: options.sticky }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
  });
  const { config, problems } = loadConfig(yaml, { file: 'demo.yaml', env: {} });
  if (config === null) throw new ChildFailure(problems.map(formatProblem).join('\n'));
  const log = createLogger('warn');
  return startBalancer(config, log, null, (line) => process.stdout.write(`${line}\n`));
}

function hintFor(error: Error): string {
  return error instanceof StartError ? ' (--port, --admin-port)' : '';
}
