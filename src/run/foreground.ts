// The balancer as a program: configuration file in, two lines on standard output, signals, exit code out.

import { printable } from '../base/printable.ts';
import { unsafeNode } from '../base/safe-node.ts';
import { standardError, standardOutput } from '../base/standard-stream.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { formatProblem, warningLines } from '../config/problem.ts';
import { readConfigFile } from '../config/read-config-file.ts';
import { StartError } from '../control/start-error.ts';
import type { AdminHandle } from './admin-source.ts';
import { Balancer } from './balancer.ts';
import { createLogger, type Logger } from './logger.ts';
import { Owner } from './owner.ts';
import { assertPortFree } from './ports.ts';
import { Predecessor } from './takeover/predecessor.ts';
import { Successor } from './takeover/successor.ts';

/** How long a process that takes over waits for the admin port. */
const ADMIN_WAIT_MS = 5000;
const ADMIN_RETRY_MS = 25;
/** All has ended and is written: the process has so long to end by itself. */
const LEAVE_MS = 100;

export interface ForegroundOptions {
  readonly configFile: string;
  /** null: as configured. */
  readonly threads: number | null;
  readonly logLevel: string;
  /** Admin address of the process to take over from, '' for the configured one; null: start again. */
  readonly takeover?: string | null;
}

/** What `holdfast run` runs and `holdfast demo` embeds. */
export interface RunningBalancer {
  readonly balancer: Balancer;
  readonly listenUrls: readonly string[];
  /** null: admin is off. */
  readonly adminUrl: string | null;
  /** Resolves when another process has taken over; `stop` then leaves it what it needs. */
  readonly replaced: Promise<void>;
  /** Graceful; true when no request had to be cut. */
  stop(): Promise<boolean>;
}

/** Starts balancer and admin server and announces both on standard output. `onServing`: before the latter. Rejects with StartError. */
export async function startBalancer(
  config: HoldfastConfig,
  log: Logger,
  threads: number | null,
  announce: (line: string) => unknown,
  configFile: string | null = null,
  takeover: Successor | null = null,
  onServing: () => void = () => undefined,
): Promise<RunningBalancer> {
  if (takeover !== null) {
    await assertAdminFree(config, takeover);
    await loadAdmin();
  }
  const balancer = await Balancer.start({ config, log, threads, configFile, takeover });
  onServing();
  const predecessor = new Predecessor(balancer);
  let admin: AdminHandle | null = null;
  try {
    if (config.admin !== null) admin = await openAdmin(balancer, config.admin, predecessor, takeover);
  } catch (error) {
    if (takeover === null) {
      await balancer.stop(0);
      throw error;
    }
    // nobody else serves the clients any more
    log.error(`${(error as Error).message}; until the next start there is no admin server`);
  }
  const listenUrls = urlsOf(balancer);
  for (const url of listenUrls) announce(`listening on ${url}`);
  announceNewListeners(balancer, listenUrls, announce);
  if (admin !== null) announce(`admin on ${admin.url}`);
  let isReplaced = false;
  const replaced = predecessor.replaced.then(async () => {
    isReplaced = true;
    // the successor waits for this port
    await admin?.close();
  });
  const stop = async (): Promise<boolean> => {
    if (isReplaced) return predecessor.finish();
    predecessor.forget();
    const isClean = await balancer.stop();
    await admin?.close();
    return isClean;
  };
  return { balancer, listenUrls, adminUrl: admin?.url ?? null, replaced, stop };
}

/** While the old process still has everything: an admin port that is neither its own nor free stops the takeover. */
async function assertAdminFree({ admin }: HoldfastConfig, { offer }: Successor): Promise<void> {
  if (admin === null || admin.port === 0 || Number(new URL(offer.adminUrl).port) === admin.port) return;
  await assertPortFree(`${admin.host}:${admin.port}`, admin.host, admin.port);
}

/** A quarter of all that a start loads: clients are answered before, unless they have somebody who answers them. */
const loadAdmin = (): Promise<typeof import('./admin-source.ts')> => import('./admin-source.ts');

/** After a takeover the old process closes its admin server a moment later: tried again until then. */
async function openAdmin(
  balancer: Balancer,
  admin: NonNullable<HoldfastConfig['admin']>,
  predecessor: Predecessor,
  takeover: Successor | null,
): Promise<AdminHandle> {
  const { startAdminServer } = await loadAdmin();
  if (takeover === null) return startAdminServer(balancer, admin, predecessor);
  const port = admin.port === 0 ? Number(new URL(takeover.offer.adminUrl).port) : admin.port;
  const endMs = performance.now() + ADMIN_WAIT_MS;
  for (;;) {
    try {
      return await startAdminServer(balancer, { ...admin, port }, predecessor);
    } catch (error) {
      if (!(error instanceof StartError) || performance.now() > endMs) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, ADMIN_RETRY_MS));
  }
}

/** After a reload the ports of new listeners are printed too: the kernel may have chosen them. */
function announceNewListeners(
  balancer: Balancer,
  announced: readonly string[],
  announce: (line: string) => unknown,
): void {
  let known = announced;
  balancer.control.subscribe(({ type, ok }) => {
    if (type !== 'reload' || ok !== true) return;
    const urls = urlsOf(balancer);
    for (const url of urls) if (!known.includes(url)) announce(`listening on ${url}`);
    known = urls;
  });
}

function urlsOf({ revision, ports }: Balancer): readonly string[] {
  return revision.config.listen.map(({ host, socket, tls }, index) => {
    if (socket !== null) return `unix:${socket.path}`;
    return `${tls === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${ports[index] ?? 0}`;
  });
}

/** Resolves with the exit code once the balancer has stopped. */
export async function runForeground(options: ForegroundOptions): Promise<number> {
  const owner = new Owner();
  const { config, problems, warnings } = await readConfigFile(options.configFile);
  const say = (line: string): void => standardError().write(`${line}\n`);
  // not the line itself, as `check` does: it may hold a secret, and this ends up in journals
  for (const problem of problems) say(printable(formatProblem(problem)));
  for (const line of warnings.flatMap(warningLines)) say(line);
  if (config === null) return 1;
  const log = createLogger(options.logLevel);
  const unsafe = unsafeNode(process.versions.node);
  if (unsafe !== null) log.warn(unsafe);
  let takeover: Successor | null = null;
  try {
    const announce = (line: string): void => standardOutput().write(`${line}\n`);
    const { takeover: from = null, threads, configFile } = options;
    takeover = from === null ? null : await Successor.ask(config, from, log);
    const onServing = (): void => owner.serves();
    const running = await startBalancer(config, log, threads, announce, configFile, takeover, onServing);
    owner.begin(() => running.balancer.reload('SIGHUP'));
    const status = await Promise.race([owner.stop, running.replaced.then(() => 0)]);
    log.info('stopping: finishing requests in flight; a second signal ends at once');
    const onSecond = (): void => process.exit(1);
    process.once('SIGTERM', onSecond);
    process.once('SIGINT', onSecond);
    const isClean = await running.stop();
    log.info({ clean: isClean }, 'stopped');
    // a question that a name server leaves unanswered keeps nobody: nobody waits for it any more
    setTimeout(() => process.exit(status), LEAVE_MS).unref();
    return status;
  } catch (error) {
    // or the line to the old process would keep this one
    takeover?.end();
    if (!(error instanceof StartError)) throw error;
    say(error.message);
    return 1;
  }
}
