// The balancer as a program: configuration file in, two lines on standard output, signals, exit code out.

import { packageVersion } from '../base/version.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { formatProblem } from '../config/problem.ts';
import { readConfigFile } from '../config/read-config-file.ts';
import { type AdminHandle, startAdminServer } from './admin-source.ts';
import { Balancer } from './balancer.ts';
import { ListenError } from './fleet.ts';
import { createLogger, type Logger } from './logger.ts';
import { CapacityError } from './slots.ts';

export interface ForegroundOptions {
  readonly configFile: string;
  /** null: as configured. */
  readonly threads: number | null;
  readonly logLevel: string;
}

/** What `holdfast run` runs and `holdfast demo` embeds. */
export interface RunningBalancer {
  readonly balancer: Balancer;
  readonly listenUrls: readonly string[];
  /** null: admin is off. */
  readonly adminUrl: string | null;
  /** Graceful; true when no request had to be cut. */
  stop(): Promise<boolean>;
}

/** Starts balancer and admin server and announces both on standard output. Rejects with ListenError. */
export async function startBalancer(
  config: HoldfastConfig,
  log: Logger,
  threads: number | null,
  announce: (line: string) => unknown,
  configFile: string | null = null,
): Promise<RunningBalancer> {
  const balancer = await Balancer.start({ config, log, threads, configFile, version: packageVersion() });
  let admin: AdminHandle | null = null;
  try {
    admin = config.admin === null ? null : await startAdminServer(balancer, config.admin);
  } catch (error) {
    await balancer.stop(0);
    throw error;
  }
  const listenUrls = urlsOf(balancer);
  for (const url of listenUrls) announce(`listening on ${url}`);
  announceNewListeners(balancer, listenUrls, announce);
  if (admin !== null) announce(`admin on ${admin.url}`);
  const stop = async (): Promise<boolean> => {
    const isClean = await balancer.stop();
    await admin?.close();
    return isClean;
  };
  return { balancer, listenUrls, adminUrl: admin?.url ?? null, stop };
}

/** After a reload the ports of new listeners are printed too: the kernel may have chosen them. */
function announceNewListeners(
  balancer: Balancer,
  announced: readonly string[],
  announce: (line: string) => unknown,
): void {
  let known = announced;
  balancer.subscribe(({ type, ok }) => {
    if (type !== 'reload' || ok !== true) return;
    const urls = urlsOf(balancer);
    for (const url of urls) if (!known.includes(url)) announce(`listening on ${url}`);
    known = urls;
  });
}

function urlsOf({ revision, ports }: Balancer): readonly string[] {
  return revision.config.listen.map(({ host }, index) => {
    return `http://${host.includes(':') ? `[${host}]` : host}:${ports[index] ?? 0}`;
  });
}

/** Resolves with the exit code once the balancer has stopped. */
export async function runForeground(options: ForegroundOptions): Promise<number> {
  const { config, problems, warnings } = await readConfigFile(options.configFile);
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`);
  for (const warning of warnings) process.stderr.write(`${formatProblem(warning)} (warning)\n`);
  if (config === null) return 1;
  const log = await createLogger(options.logLevel);
  try {
    const announce = (line: string): boolean => process.stdout.write(`${line}\n`);
    const running = await startBalancer(config, log, options.threads, announce, options.configFile);
    process.on('SIGHUP', () => void running.balancer.reload());
    await stopSignal();
    log.info('stopping: finishing requests in flight; a second signal ends at once');
    const onSecond = (): void => process.exit(1);
    process.once('SIGTERM', onSecond);
    process.once('SIGINT', onSecond);
    const isClean = await running.stop();
    log.info({ clean: isClean }, 'stopped');
    return 0;
  } catch (error) {
    if (!(error instanceof ListenError || error instanceof CapacityError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
}

/** Resolves at the first SIGTERM or SIGINT. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = (): void => {
      process.off('SIGTERM', onSignal);
      process.off('SIGINT', onSignal);
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
