// The part of an embedded balancer that touches no request: slots, health, discovery, sweeps, session moves, metrics,
// status, events. The counterpart of run/balancer.ts without threads and listeners.

import { buildStatus, type StatusDocument } from '../admin/status.ts';
import { systemClock } from '../base/clock.ts';
import { SeededRandom, unpredictableSeed } from '../base/random.ts';
import { systemScheduler } from '../base/scheduler.ts';
import { packageVersion } from '../base/version.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { AccessLogWriter } from '../control/access-log-writer.ts';
import { describeChanges } from '../control/config-changes.ts';
import { Discovery } from '../control/discovery.ts';
import { createLookup } from '../control/lookup.ts';
import { passiveTotals } from '../control/passive-totals.ts';
import type { ChangeEvent, ServerChange } from '../control/results.ts';
import { operatorSettings } from '../control/saved-state.ts';
import { SessionControl } from '../control/session-control.ts';
import type { SessionKeeper } from '../control/session-keeper.ts';
import { SlotRegistry } from '../control/slots.ts';
import { HealthMonitor } from '../health/monitor.ts';
import type { SelfReport } from '../health/self-report.ts';
import { createMetrics, type Metrics } from '../metrics/registry.ts';
import { Sweeper } from '../sessions/sweep.ts';
import { Report } from '../shared/control.ts';
import type { Revision } from '../shared/revision.ts';
import { SharedState } from '../shared/shared-state.ts';
import { type BalancerOptions, type EmbedLog, SILENT } from './options.ts';
import { fallbackSecret, firstRevision, openKeeper } from './saved-sessions.ts';

/** The one thread there is. */
const THREADS = 1;
const CLOSED = 'the balancer has been closed';

export class ControlPlane {
  readonly shared: SharedState;
  readonly log: EmbedLog;
  readonly metrics: Metrics;
  readonly reloads = { success: 0, failure: 0 };
  revision: Revision;
  /** Whoever handles requests swaps to `revision` then. */
  onRevision: () => void = () => undefined;
  readonly accessLog: AccessLogWriter;
  readonly sessionControl: SessionControl;
  readonly #listeners = new Set<(event: ChangeEvent) => void>();
  readonly #slots: SlotRegistry;
  readonly #secret: string;
  readonly #health: HealthMonitor;
  readonly #sweeper: Sweeper;
  readonly #discovery: Discovery;
  readonly #startedMs = systemClock.nowMs();
  readonly #unwatchClock: () => void = systemClock.watch();
  #isStopped = false;
  readonly #keeper: SessionKeeper | null;
  /** The configuration as written, without the servers that were found. */
  #written: HoldfastConfig;

  private constructor(
    config: HoldfastConfig,
    options: BalancerOptions,
    discovery: Discovery,
    keeper: SessionKeeper | null,
  ) {
    const { log = SILENT, onTransition = () => undefined } = options;
    this.log = log;
    this.accessLog = new AccessLogWriter({ warn: log.warn.bind(log), error: log.warn.bind(log) });
    if (config.accessLog !== null) this.accessLog.open(config.accessLog);
    this.#written = config;
    this.#discovery = discovery;
    const shared = SharedState.create(THREADS, config.sessions.max, systemClock.nowMs());
    this.shared = shared;
    this.#slots = new SlotRegistry(shared);
    this.#secret = fallbackSecret(config, log);
    this.revision = firstRevision(
      discovery.expand(config, this.#slots),
      this.#secret,
      this.#slots,
      shared,
      log,
      keeper,
    );
    this.#keeper = keeper;
    this.#health = new HealthMonitor({
      shared,
      clock: systemClock,
      log,
      onTransition: (transition) => {
        onTransition(transition);
        this.publish({ type: 'verdict', ...transition });
      },
      passiveTotals: (slot) => passiveTotals(shared, slot),
      onReport: (slot, report) => this.#onReport(slot, report),
    });
    const sessionControl = new SessionControl({
      shared,
      operatorWeight: (slot) => this.#slots.overridingWeight(slot),
      onPhase: (change) => {
        log.info(change, `rebalancing of pool ${change.pool} is ${change.to}: ${change.why}`);
        this.publish({ type: 'rebalance', ...change });
      },
    });
    this.sessionControl = sessionControl;
    this.#sweeper = new Sweeper({ shared, clock: systemClock, onPass: () => sessionControl.afterSweep() });
    this.metrics = this.#createMetrics();
  }

  /** Rejects when there is no room for so many servers. The first look for servers to be discovered is over then. */
  static async create(config: HoldfastConfig, options: BalancerOptions): Promise<ControlPlane> {
    const keeper = await openKeeper(config, options.log ?? SILENT);
    try {
      return await ControlPlane.#create(config, options, keeper);
    } catch (error) {
      await keeper?.handOver();
      throw error;
    }
  }

  static async #create(
    config: HoldfastConfig,
    options: BalancerOptions,
    keeper: SessionKeeper | null,
  ): Promise<ControlPlane> {
    let onChange = (): void => undefined;
    let isEmpty = (_pool: string, _server: string): boolean => false;
    const discovery = new Discovery({
      clock: systemClock,
      scheduler: systemScheduler,
      random: new SeededRandom(unpredictableSeed()),
      createLookup,
      log: options.log ?? SILENT,
      onChange: () => onChange(),
      isEmpty: (pool, server) => isEmpty(pool, server),
    });
    await discovery.prepare(config);
    discovery.apply(config);
    const control = discovery.stopUnless(() => new ControlPlane(config, options, discovery, keeper));
    onChange = () => control.#rediscovered();
    isEmpty = (pool, server) => control.#isEmpty(pool, server);
    return control;
  }

  #createMetrics(): Metrics {
    return createMetrics({
      version: packageVersion(),
      shared: this.shared,
      revision: () => this.revision,
      threads: () => THREADS,
      reloads: () => this.reloads,
      workerRestarts: () => 0,
      accessLogDropped: () => this.accessLog.dropped,
      discovery: () => this.#discovery.reports(),
      health: this.#health,
      sweep: this.#sweeper,
      rebalance: this.sessionControl.rebalancer,
    });
  }

  /** Begins to watch and to sweep. */
  start(): void {
    this.#apply();
    this.#sweeper.start();
    void this.#keeper?.begin({
      table: this.shared.table,
      revision: () => this.revision,
      operator: () => operatorSettings(this.#slots),
    });
  }

  /** Swaps to the configuration. What has changed, in words; or, in a string, why it cannot be: then nothing has. */
  async revise(config: HoldfastConfig): Promise<readonly string[] | string> {
    if (this.#isStopped) return CLOSED;
    const noRoom = this.#slots.refusal(config);
    if (noRoom !== null) return noRoom;
    const changes = describeChanges(this.#written, config, this.#slots.changes);
    await this.#discovery.prepare(config);
    if (this.#isStopped) return CLOSED;
    this.#written = config;
    this.accessLog.open(config.accessLog);
    this.#discovery.apply(config);
    this.#swap(this.#discovery.expand(config, this.#slots));
    return changes;
  }

  #rediscovered(): void {
    const next = this.#discovery.expand(this.#written, this.#slots);
    const noRoom = this.#slots.refusal(next);
    if (noRoom !== null) {
      this.log.warn({}, `servers that were found are not used: ${noRoom}`);
      return;
    }
    const changes = describeChanges(this.revision.config, next, this.#slots.changes);
    this.#swap(next);
    const { number } = this.revision;
    this.log.info({ revision: number, changes }, 'servers found have changed');
    this.publish({ type: 'discovery', ok: true, revision: number, changes });
  }

  #swap(config: HoldfastConfig): void {
    this.revision = this.#slots.revise(config, this.#secret);
    this.onRevision();
    this.#apply();
  }

  #apply(): void {
    this.sessionControl.apply(this.revision);
    this.#health.apply(this.revision);
    this.#sweeper.apply(this.revision);
  }

  #slotOf(pool: string, server: string): number | null {
    const found = this.revision.pools.find(({ config }) => config.name === pool);
    const index = found?.config.servers.findIndex(({ name }) => name === server) ?? -1;
    return found?.slots[index] ?? null;
  }

  #isEmpty(pool: string, server: string): boolean {
    const slot = this.#slotOf(pool, server);
    return slot === null || (this.shared.control.sessions(slot) === 0 && this.shared.inFlight(slot) === 0);
  }

  #onReport(slot: number, report: SelfReport): void {
    if (!this.#slots.report(slot, Report[report.mode], report.weight)) return;
    const { pool, server } = this.#slots.nameOf(slot);
    this.log.info({ pool, server, ...report }, `server ${pool}/${server} reports itself ${report.mode}`);
    this.publish({ type: 'report', pool, server, ...report });
  }

  /** Sets mode and weight at once. False when there is no such server. */
  setServer(pool: string, server: string, { mode, weight }: ServerChange): boolean {
    const slot = this.#slotOf(pool, server);
    if (slot === null) return false;
    const change = { ...(mode === undefined ? {} : { mode }), ...(weight === undefined ? {} : { weight }) };
    this.#slots.change(pool, server, slot, change);
    this.log.info({ pool, server, ...change }, 'server changed by the operator');
    this.publish({ type: 'server', pool, server, ...change });
    return true;
  }

  /** Hears of every change from now on; returns how to stop hearing. */
  subscribe(listener: (event: ChangeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(event: ChangeEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  status(): StatusDocument {
    return buildStatus(this.revision, this.shared, {
      version: packageVersion(),
      threads: THREADS,
      uptimeSeconds: (systemClock.nowMs() - this.#startedMs) / 1000,
      health: this.#health,
      sweep: this.#sweeper,
      rebalance: this.sessionControl.rebalancer,
      operatorWeight: (slot) => this.#slots.operatorWeight(slot),
    });
  }

  /** What has changed in the sessions until now is on the disk when this resolves. */
  async save(): Promise<void> {
    await this.#keeper?.save();
  }

  /** Ends all timers and checks, and saves the sessions. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#discovery.stop();
    this.#sweeper.stop();
    this.sessionControl.stop();
    await this.#keeper?.end();
    await this.#health.stop();
    await this.accessLog.close();
    this.#unwatchClock();
  }
}
