// The composition root: one running balancer, from a checked configuration to threads, health, sweeps and metrics.

import { availableParallelism } from 'node:os';
import { systemClock } from '../base/clock.ts';
import type { PassedSocket } from '../base/pass-sockets.ts';
import { SeededRandom, unpredictableSeed } from '../base/random.ts';
import { systemScheduler } from '../base/scheduler.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { AccessLogWriter } from '../control/access-log-writer.ts';
import { Discovery } from '../control/discovery.ts';
import { createLookup } from '../control/lookup.ts';
import { passiveTotals } from '../control/passive-totals.ts';
import type { ChangeEvent, ReloadResult } from '../control/results.ts';
import { Revising } from '../control/revising.ts';
import { newSettings, operatorSettings, secretFor, settingsByServer } from '../control/saved-state.ts';
import { SessionControl } from '../control/session-control.ts';
import { SessionKeeper } from '../control/session-keeper.ts';
import { type OperatorChange, SlotRegistry } from '../control/slots.ts';
import { HealthMonitor } from '../health/monitor.ts';
import type { SelfReport } from '../health/self-report.ts';
import type { Metrics } from '../metrics/registry.ts';
import { SessionChanges } from '../sessions/changes.ts';
import { endUnreadable } from '../sessions/dropped-secrets.ts';
import type { SessionRecords } from '../sessions/records.ts';
import {
  decodeSessions,
  keysOf,
  restoreSessions,
  restoreStored,
  type SaveResult,
  saveSessions,
} from '../sessions/store.ts';
import { Sweeper } from '../sessions/sweep.ts';
import { Report, Verdict } from '../shared/control.ts';
import { WORKERS_MAX } from '../shared/limits.ts';
import type { Revision } from '../shared/revision.ts';
import { SharedState } from '../shared/shared-state.ts';
import { balancerMetrics } from './balancer-metrics.ts';
import { Certificates } from './certificates.ts';
import { type DescriptorBudget, planDescriptors } from './descriptors.ts';
import { Fleet } from './fleet.ts';
import type { Logger } from './logger.ts';
import { assertListenerFree, assertNewPortsFree, supportsReusePort } from './ports.ts';
import { Inherited } from './takeover/inherited.ts';
import type { Takeover } from './takeover/successor.ts';

/** How long a process that takes over waits for the first health checks before it listens. */
const FIRST_CHECKS_MS = 3000;
const LOOK_EVERY_MS = 20;

export interface BalancerOptions {
  readonly config: HoldfastConfig;
  readonly log: Logger;
  readonly version: string;
  /** Wins over the configuration. */
  readonly threads?: number | null;
  /** Where a reload reads the configuration anew; null: there is no file, a reload is refused. */
  readonly configFile?: string | null;
  /** Taking over from another process: its ports, secret and sessions count, not those of the configuration. */
  readonly takeover?: Takeover | null;
}

export class Balancer {
  readonly options: BalancerOptions;
  readonly shared: SharedState;
  readonly slots: SlotRegistry;
  readonly fleet: Fleet;
  readonly health: HealthMonitor;
  readonly sweeper: Sweeper;
  readonly sessionControl: SessionControl;
  readonly metrics: Metrics;
  readonly accessLog: AccessLogWriter;
  readonly discovery: Discovery;
  readonly certificates: Certificates;
  readonly threads: number;
  /** Null where the system does not say how many descriptors there are. */
  readonly descriptors: DescriptorBudget | null;
  readonly startedMs: number;
  readonly revising: Revising;
  /** Null without `sessions.file`. */
  readonly #keeper: SessionKeeper | null;
  isStopping = false;
  readonly #unwatchClock: () => void = systemClock.watch();
  /** From when on this process serves: sessions seen since are its own. */
  #servesFromMs = Number.POSITIVE_INFINITY;
  readonly #inherited: Inherited;
  /** Null until another process takes over. */
  #tell: ((keys: readonly number[]) => Promise<void>) | null = null;
  revision: Revision;
  ports: readonly number[] = [];
  /** Keys cookies and hashes of pools that configure no secret. */
  readonly secret: string;
  readonly #listeners = new Set<(event: ChangeEvent) => void>();

  private constructor(
    options: BalancerOptions,
    threads: number,
    reusePort: boolean,
    discovery: Discovery,
    keeper: SessionKeeper | null,
  ) {
    const { config, log } = options;
    this.options = options;
    this.discovery = discovery;
    this.revising = new Revising(this, config);
    this.threads = threads;
    this.startedMs = systemClock.nowMs();
    this.shared = SharedState.create(threads, config.sessions.max, systemClock.nowMs());
    this.slots = new SlotRegistry(this.shared);
    this.#inherited = new Inherited(this.shared.table, systemClock);
    const { takeover = null } = options;
    this.secret = takeover?.handover.secret ?? secretFor(config, log);
    this.#keeper = keeper;
    const { max } = config.sessions;
    const stored = takeover === null ? keeper?.read(max) : takeover.readSessions(max, log);
    if (stored?.kind === 'read') this.slots.restoreChanges(settingsByServer(stored.operator));
    this.certificates = Certificates.open(config, takeover?.handover.ticketKey ?? null, log);
    this.revision = this.#revise(discovery.expand(config, this.slots));
    if (stored?.kind === 'read') {
      const report = restoreStored(stored, this.shared.table, this.revision, systemClock);
      log.info({ ...report }, 'sessions restored');
    }
    this.accessLog = new AccessLogWriter(log);
    if (config.accessLog !== null) this.accessLog.open(config.accessLog);
    const onAccessLines = (lines: string): void => this.accessLog.add(lines);
    this.descriptors = planDescriptors(this.revision, threads, log);
    const clientsMax = this.descriptors?.clients ?? null;
    this.fleet = new Fleet({ shared: this.shared, threads, reusePort, clientsMax, log, onAccessLines });
    this.health = new HealthMonitor({
      shared: this.shared,
      clock: systemClock,
      log,
      onTransition: (transition) => this.publish({ type: 'verdict', ...transition }),
      passiveTotals: (slot) => passiveTotals(this.shared, slot),
      onReport: (slot, report) => this.#onReport(slot, report),
    });
    this.sessionControl = new SessionControl({
      shared: this.shared,
      operatorWeight: (slot) => this.slots.overridingWeight(slot),
      onPhase: (change) => {
        log.info(change, `rebalancing of pool ${change.pool} is ${change.to}: ${change.why}`);
        this.publish({ type: 'rebalance', ...change });
      },
    });
    this.sweeper = new Sweeper({
      shared: this.shared,
      clock: systemClock,
      onPass: () => this.sessionControl.afterSweep(),
    });
    this.metrics = balancerMetrics(this);
  }

  /** Opens the listeners and begins. Rejects with StartError, everything closed again. */
  static async start(options: BalancerOptions): Promise<Balancer> {
    const reusePort = await supportsReusePort();
    const wanted = options.threads ?? options.config.threads ?? availableParallelism();
    const threads = reusePort ? Math.min(WORKERS_MAX, Math.max(1, wanted)) : 1;
    if (!reusePort && wanted > 1)
      options.log.warn('this platform cannot share a port between threads: running one');
    const { takeover = null } = options;
    for (const listen of options.config.listen) {
      const isTakenOver = takeover?.portOf(listen.address) != null;
      // without SO_REUSEPORT binding itself says so
      if (!isTakenOver && (reusePort || listen.socket !== null)) await assertListenerFree(listen);
    }
    const keeper = await openKeeper(options);
    let onChange = (): void => undefined;
    let isEmpty = (_pool: string, _server: string): boolean => false;
    const discovery = new Discovery({
      clock: systemClock,
      scheduler: systemScheduler,
      random: new SeededRandom(unpredictableSeed()),
      createLookup,
      log: options.log,
      onChange: () => onChange(),
      isEmpty: (pool, server) => isEmpty(pool, server),
    });
    await discovery.prepare(options.config);
    discovery.apply(options.config);
    const balancer = discovery.stopUnless(() => new Balancer(options, threads, reusePort, discovery, keeper));
    onChange = () => void balancer.revising.rediscover();
    isEmpty = (pool, server) => balancer.#isEmpty(pool, server);
    balancer.sessionControl.apply(balancer.revision);
    balancer.health.apply(balancer.revision);
    if (takeover !== null) await balancer.#firstChecks();
    const ports = options.config.listen.map(({ address, port }) => takeover?.portOf(address) ?? port);
    let isListening = false;
    try {
      await balancer.fleet.start(balancer.revision);
      const sockets = (await takeover?.stepIn(options.config, balancer, options.log)) ?? [];
      balancer.#servesFromMs = systemClock.nowMs();
      void options.takeover?.over.then(() => balancer.#inherited.end());
      balancer.ports = await balancer.fleet.listen(ports, sockets);
      isListening = true;
      await takeover?.serves(options.log);
    } catch (error) {
      // the old process has taken everything back: who came here meanwhile is answered
      if (isListening) await balancer.fleet.stop(options.config.shutdown.graceMs);
      await balancer.#end();
      throw error;
    }
    balancer.certificates.watch(balancer.revising);
    balancer.sweeper.apply(balancer.revision);
    balancer.sweeper.start();
    await balancer.#keep();
    return balancer;
  }

  /** Waits until every server has been checked once, so that none of the first requests meets a dead one. */
  async #firstChecks(): Promise<void> {
    const endMs = systemClock.nowMs() + FIRST_CHECKS_MS;
    const isUnknown = (slot: number): boolean => this.shared.control.verdict(slot) === Verdict.starting;
    while (this.revision.pools.some(({ slots }) => slots.some(isUnknown)) && systemClock.nowMs() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
  }

  /** Hears of every change while it runs; returns how to stop hearing. */
  subscribe(listener: (event: ChangeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(event: ChangeEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** Reads the configuration file again and swaps to it. A second call while one is under way waits its turn. */
  reload(): Promise<ReloadResult> {
    return this.revising.reload();
  }

  /** No sessions as of the last sweep, and nothing in flight. */
  #isEmpty(pool: string, server: string): boolean {
    const slot = this.slotOf(pool, server);
    return slot === null || (this.shared.control.sessions(slot) === 0 && this.shared.inFlight(slot) === 0);
  }

  /** For Revising. */
  async assertListenable(old: HoldfastConfig, next: HoldfastConfig): Promise<void> {
    await assertNewPortsFree(old, next);
    this.certificates.assertRight(next);
  }

  #revise(config: HoldfastConfig): Revision {
    const secrets = this.certificates.secretsOf(config);
    return { ...this.slots.revise(config, this.secret), secrets };
  }

  /** For Revising: the next revision, on all threads. */
  async swap(config: HoldfastConfig): Promise<readonly string[]> {
    const [old, beginMs] = [this.revision, systemClock.nowMs()];
    this.revision = this.#revise(config);
    this.sessionControl.apply(this.revision);
    this.accessLog.open(config.accessLog);
    this.ports = await this.fleet.apply(this.revision);
    this.slots.settle();
    this.health.apply(this.revision);
    this.sweeper.apply(this.revision);
    return endUnreadable(this.shared, old, this.revision, beginMs);
  }

  /** Slot of a server, null when there is no such pool or server. */
  slotOf(pool: string, server: string): number | null {
    const found = this.revision.pools.find((candidate) => candidate.config.name === pool);
    const index = found?.config.servers.findIndex((candidate) => candidate.name === server) ?? -1;
    return found?.slots[index] ?? null;
  }

  /** The operator's change, at once. False when there is no such server. */
  changeServer(pool: string, server: string, change: OperatorChange): boolean {
    const slot = this.slotOf(pool, server);
    if (slot === null) return false;
    this.slots.change(pool, server, slot, change);
    this.options.log.info({ pool, server, ...change }, 'server changed by the operator');
    this.publish({ type: 'server', pool, server, ...change });
    return true;
  }

  #onReport(slot: number, report: SelfReport): void {
    if (!this.slots.report(slot, Report[report.mode], report.weight)) return;
    const { pool, server } = this.slots.nameOf(slot);
    this.options.log.info(
      { pool, server, ...report },
      `server ${pool}/${server} reports itself ${report.mode}`,
    );
    this.publish({ type: 'report', pool, server, ...report });
  }

  /** Finishes what is in flight, saves the sessions, closes. True when no request had to be cut. */
  async stop(graceMs: number = this.revision.config.shutdown.graceMs): Promise<boolean> {
    this.isStopping = true;
    const stopping = this.fleet.stop(graceMs);
    // at once, and again until the last tunnel has ended: who waits for us may not wait so long
    await this.#keeper?.save();
    const isClean = await stopping;
    await this.#keeper?.end();
    await this.#end();
    return isClean;
  }

  /** Saves the sessions from now on. */
  async #keep(): Promise<void> {
    await this.#keeper?.begin({
      table: this.shared.table,
      revision: () => this.revision,
      operator: () => operatorSettings(this.slots),
    });
  }

  /**
   * Another process is about to take over: accepts nothing new, and responses wait until `tell` has told it what they did to
   * sessions. `resume` or `retire` is next.
   */
  async pause(tell: (keys: readonly number[]) => Promise<void>): Promise<void> {
    this.#tell = tell;
    await this.fleet.pause(tell);
  }

  /** It does not take over: all is as before. */
  async resume(sockets: readonly PassedSocket[]): Promise<void> {
    this.#tell = null;
    await this.fleet.resume(sockets);
  }

  /** It serves. Connections stay for what is in flight; the sessions file is its own when this resolves. */
  async retire(): Promise<void> {
    this.isStopping = true;
    this.certificates.stop();
    this.fleet.retire();
    await this.#keeper?.handOver();
  }

  /** After `retire`: as `stop`, but no sessions are saved, since the configured file is the successor's. */
  async finish(): Promise<boolean> {
    const isClean = await this.fleet.drain(this.revision.config.shutdown.graceMs);
    // what the process before this one still learns goes through here
    await this.options.takeover?.over;
    await this.#end();
    return isClean;
  }

  /** Notes how the sessions are now, for what `encode` says later. */
  watchSessions(): SessionChanges {
    return new SessionChanges(this.shared.table, systemClock);
  }

  /** For another process's `takeIn`, with what the operator has set. */
  encode(records: SessionRecords): Buffer {
    return records.encode(operatorSettings(this.slots));
  }

  /** What the process that is being replaced has told. Sessions that this one has served already are left alone. */
  async takeIn(bytes: Buffer): Promise<void> {
    const stored = decodeSessions(bytes);
    if (stored.kind === 'damaged') {
      this.options.log.error(`what the old process tells is not understood: ${stored.message}`);
      return;
    }
    if (this.#servesFromMs === Number.POSITIVE_INFINITY) {
      for (const { pool, server, ...change } of newSettings(stored.operator, this.slots))
        this.changeServer(pool, server, change);
    }
    this.#inherited.heard();
    restoreSessions(stored.contents, this.shared.table, this.revision, systemClock, this.#servesFromMs);
    // being replaced as well, we pass it on
    await this.#tell?.(keysOf(stored.contents));
  }

  saveTo(file: string): SaveResult {
    const operator = operatorSettings(this.slots);
    const result = saveSessions(file, this.shared.table, this.revision, operator, systemClock);
    if (result.kind === 'saved')
      this.options.log.debug({ file, sessions: result.sessions }, 'sessions saved');
    else this.options.log.error({ file }, `sessions not saved: ${result.message}`);
    return result;
  }

  async #end(): Promise<void> {
    this.#inherited.end();
    this.options.takeover?.end();
    this.discovery.stop();
    this.certificates.stop();
    this.sweeper.stop();
    this.sessionControl.stop();
    await Promise.all([this.health.stop(), this.fleet.end()]);
    await this.accessLog.close();
    this.#unwatchClock();
  }
}

function openKeeper({ config, log, takeover = null }: BalancerOptions): Promise<SessionKeeper | null> {
  const { file, saveEveryMs: everyMs } = config.sessions;
  return file === null
    ? Promise.resolve(null)
    : SessionKeeper.open({ file, everyMs, log }, takeover !== null);
}
