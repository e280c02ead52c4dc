// The composition root: one running balancer, from a checked configuration to a control plane and threads that listen.

import { availableParallelism } from 'node:os';
import { systemClock } from '../base/clock.ts';
import type { PassedSocket } from '../base/pass-sockets.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { formatProblem } from '../config/problem.ts';
import { readConfigFile } from '../config/read-config-file.ts';
import { ControlPlane } from '../control/control-plane.ts';
import type { ReloadResult } from '../control/results.ts';
import type { ReadConfig } from '../control/revising.ts';
import { Verdict } from '../shared/control.ts';
import { WORKERS_MAX } from '../shared/limits.ts';
import type { Revision } from '../shared/revision.ts';
import { Certificates } from './certificates.ts';
import { type DescriptorBudget, openDescriptors, planDescriptors } from './descriptors.ts';
import { Fleet } from './fleet.ts';
import type { Logger } from './logger.ts';
import { assertListenerFree, assertNewPortsFree, supportsReusePort } from './ports.ts';
import { SessionTransfer } from './takeover/session-transfer.ts';
import type { Successor } from './takeover/successor.ts';

/** How long a process that takes over waits for the first health checks before it listens. */
const FIRST_CHECKS_MS = 3000;
const CHECKED_EVERY_MS = 20;

export interface BalancerOptions {
  readonly config: HoldfastConfig;
  readonly log: Logger;
  /** Wins over the configuration. */
  readonly threads?: number | null;
  /** Where a reload reads the configuration again; null: there is no file, a reload is refused. */
  readonly configFile?: string | null;
  /** Taking over from another process: its ports, secret and sessions count, not those of the configuration. */
  readonly takeover?: Successor | null;
}

export class Balancer {
  readonly options: BalancerOptions;
  readonly control: ControlPlane;
  readonly fleet: Fleet;
  readonly transfer: SessionTransfer;
  readonly certificates: Certificates;
  /** Null where the system does not say how many descriptors there are. */
  readonly descriptors: DescriptorBudget | null;
  ports: readonly number[] = [];

  private constructor(
    options: BalancerOptions,
    control: ControlPlane,
    certificates: Certificates,
    reusePort: boolean,
  ) {
    const { log } = options;
    const { shared, threads, accessLog } = control;
    this.options = options;
    this.control = control;
    this.certificates = certificates;
    this.transfer = new SessionTransfer(control);
    this.descriptors = planDescriptors(control.revision, threads, log);
    const clientsMax = this.descriptors?.clients ?? null;
    const onAccessLines = (lines: string): void => accessLog.add(lines);
    this.fleet = new Fleet({ shared, threads, reusePort, clientsMax, log, onAccessLines });
    control.prepareListeners = async (old, next) => {
      await assertNewPortsFree(old, next);
      certificates.assertRight(next);
      return () => certificates.letGo();
    };
    control.onRevision = async (revision) => {
      this.ports = await this.fleet.apply(revision);
    };
  }

  /** Opens the listeners and begins. Rejects with StartError, everything closed again. */
  static async start(options: BalancerOptions): Promise<Balancer> {
    const { config, log, takeover = null } = options;
    const reusePort = await supportsReusePort();
    const threads = threadsOf(options, reusePort);
    await assertListenersFree(config, takeover, reusePort);
    const certificates = Certificates.open(config, takeover?.offer.ticketKey ?? null, log);
    let balancer: Balancer | null = null;
    const control = await ControlPlane.create({
      config,
      log,
      threads,
      predecessor: takeover,
      besides: (listening) => certificates.besides(listening),
      meters: {
        certificates: () => certificates.expiries(),
        orders: () => certificates.orders,
        workerRestarts: () => balancer?.fleet.restarts ?? 0,
        descriptors: () => ({
          open: openDescriptors(),
          limit: balancer?.descriptors?.limit ?? null,
        }),
      },
    });
    balancer = new Balancer(options, control, certificates, reusePort);
    await balancer.#start();
    return balancer;
  }

  async #start(): Promise<void> {
    const { config, takeover = null } = this.options;
    const { control, fleet } = this;
    if (takeover !== null) await this.#firstChecks();
    const ports = config.listen.map(({ address, port }) => takeover?.portOf(address) ?? port);
    let isListening = false;
    try {
      const started = fleet.start(control.revision);
      // while threads load: who takes over has done it already
      if (takeover === null) control.watch();
      await started;
      const sockets = (await takeover?.activate(config, (bytes) => this.transfer.apply(bytes))) ?? [];
      this.transfer.beginToServe();
      if (takeover !== null) this.transfer.inherit();
      void takeover?.over.then(() => this.transfer.end());
      // before the first client: who is full (maxSessions) is full already
      control.sweep();
      this.ports = await fleet.listen(ports, sockets);
      isListening = true;
      await takeover?.serves();
    } catch (error) {
      // the old process has taken everything back: who came here meanwhile is answered
      if (isListening) await fleet.stop(config.shutdown.graceMs);
      await this.#end();
      throw error;
    }
    this.certificates.watch(control);
    await control.keep();
  }

  /** Checks every server once and waits for it, so that none of the first requests meets a dead one. */
  async #firstChecks(): Promise<void> {
    this.control.watch();
    const endMs = systemClock.nowMs() + FIRST_CHECKS_MS;
    const { shared, revision } = this.control;
    const isUnknown = (slot: number): boolean => shared.control.verdict(slot) === Verdict.starting;
    while (revision.pools.some(({ slots }) => slots.some(isUnknown)) && systemClock.nowMs() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, CHECKED_EVERY_MS));
    }
  }

  get revision(): Revision {
    return this.control.revision;
  }

  get isStopping(): boolean {
    return this.control.isStopping;
  }

  /** Reads the configuration file again and swaps to it. A second call while one is under way waits its turn. `by`: who wants it. */
  reload(by: string): Promise<ReloadResult> {
    return this.control.revising.reload(() => this.#readConfig(), by);
  }

  async #readConfig(): ReturnType<ReadConfig> {
    const { configFile } = this.options;
    if (configFile == null) return 'there is no configuration file to read again';
    const { config, problems } = await readConfigFile(configFile);
    return config === null ? problems.map(formatProblem).join('\n') : { config };
  }

  /** Finishes what is in flight, saves the sessions, closes. True when no request had to be cut. */
  async stop(graceMs: number = this.revision.config.shutdown.graceMs): Promise<boolean> {
    this.control.isStopping = true;
    const stopping = this.fleet.stop(graceMs);
    const ordering = this.certificates.stop();
    // at once, and again until the last tunnel has ended: who waits for us may not wait so long
    await this.control.save();
    await ordering;
    const isClean = await stopping;
    await this.#end();
    return isClean;
  }

  /**
   * Another process is about to take over: accepts nothing new, and responses wait until `send` has told it what they did to
   * sessions. `resume` or `retire` is next.
   */
  async pause(send: (keys: readonly number[]) => Promise<void>): Promise<void> {
    this.transfer.onApplied = send;
    await this.fleet.pause(send);
  }

  /** It does not take over: all is as before. */
  async resume(sockets: readonly PassedSocket[]): Promise<void> {
    this.transfer.onApplied = null;
    await this.fleet.resume(sockets);
  }

  /** It serves. Connections stay for what is in flight; the sessions file is its own when this resolves. */
  async retire(): Promise<void> {
    this.control.isStopping = true;
    await this.certificates.stop();
    this.fleet.retire();
    await this.control.handOver();
  }

  /** After `retire`: as `stop`, but no sessions are saved, since the configured file is the successor's. */
  async finish(): Promise<boolean> {
    const isClean = await this.fleet.drain(this.revision.config.shutdown.graceMs);
    // what the process before this one still learns goes through here, as long as it says anything
    const { takeover } = this.options;
    if (takeover != null) await Promise.race([takeover.over, this.transfer.isOver]);
    await this.#end();
    return isClean;
  }

  async #end(): Promise<void> {
    this.transfer.end();
    this.options.takeover?.end();
    await this.certificates.stop();
    await this.fleet.end();
    await this.control.end();
  }
}

function threadsOf({ config, log, threads }: BalancerOptions, reusePort: boolean): number {
  const wanted = threads ?? config.threads ?? availableParallelism();
  if (reusePort) return Math.min(WORKERS_MAX, Math.max(1, wanted));
  if (wanted > 1) log.warn('this platform cannot share a port between threads: running one');
  return 1;
}

/** But for those that are taken over, and where binding itself says so: without SO_REUSEPORT. */
async function assertListenersFree(
  config: HoldfastConfig,
  takeover: Successor | null,
  reusePort: boolean,
): Promise<void> {
  for (const listen of config.listen) {
    const isTakenOver = takeover?.portOf(listen.address) != null;
    if (!isTakenOver && (reusePort || listen.socket !== null)) await assertListenerFree(listen);
  }
}
