// What runs a balancer beside its requests, the same in main of the program and inside an application: slots, discovery, health,
// sweeps, moves of sessions, saved state, reloads, events. What listens and handles requests hears of revisions by `onRevision`.
//   create: file owned, servers looked for once, state restored, first revision
//   watch ── servers are checked ── sweep ── sessions are counted ── keep ── and saved ── end

import { systemClock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { SeededRandom, unpredictableSeed } from '../base/random.ts';
import { systemScheduler } from '../base/scheduler.ts';
import { packageVersion } from '../base/version.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { HealthMonitor, type HealthTransition } from '../health/monitor.ts';
import type { SelfReport } from '../health/self-report.ts';
import { lateMetrics } from '../metrics/late.ts';
import type { Metrics } from '../metrics/registry.ts';
import type { MetricsSource } from '../metrics/source.ts';
import { DroppedSecrets } from '../sessions/dropped-secrets.ts';
import { sessionSkew } from '../sessions/load.ts';
import { restoreStored, type StoredSessions } from '../sessions/store.ts';
import { RENEWALS, Sweeper } from '../sessions/sweep.ts';
import { Report } from '../shared/control.ts';
import type { Revision } from '../shared/revision.ts';
import { SharedState } from '../shared/shared-state.ts';
import { AccessLogWriter } from './access-log-writer.ts';
import { Discovery } from './discovery.ts';
import { EventLog } from './event-log.ts';
import { History } from './history.ts';
import { createLookup } from './lookup.ts';
import type { OperatorChange } from './operator-changes.ts';
import { passiveTotals } from './passive-totals.ts';
import type { ChangeEvent } from './results.ts';
import { type Revisable, Revising } from './revising.ts';
import { operatorSettings, sayRestored, secretFor, settingsByServer } from './saved-state.ts';
import { SessionControl } from './session-control.ts';
import { type FormerProcess, SessionKeeper } from './session-keeper.ts';
import { SlotRegistry } from './slots.ts';

export interface ControlOptions {
  readonly config: HoldfastConfig;
  readonly log: Log;
  /** How many handle requests: each writes its own stripe. */
  readonly threads: number;
  readonly predecessor?: FormerProcess | null;
  /** What only a program with threads can tell. */
  readonly meters?: Partial<
    Pick<MetricsSource, 'workerRestarts' | 'descriptors' | 'certificates' | 'orders'>
  >;
  /** What listeners need that is no configuration: certificates, and answers to who gives them. */
  readonly besides?: (config: HoldfastConfig) => Pick<Revision, 'secrets' | 'tokens'>;
  readonly onTransition?: (transition: HealthTransition) => void;
}

/** With what the process before has left. */
type BeginOptions = ControlOptions & { readonly stored: StoredSessions | null };

export class ControlPlane implements Revisable {
  readonly log: Log;
  readonly threads: number;
  readonly shared: SharedState;
  readonly slots: SlotRegistry;
  readonly discovery: Discovery;
  readonly health: HealthMonitor;
  readonly sweeper: Sweeper;
  readonly sessionControl: SessionControl;
  readonly metrics: Metrics;
  readonly accessLog: AccessLogWriter;
  readonly revising: Revising;
  readonly events: EventLog = new EventLog();
  readonly history: History;
  /** Keys cookies and hashes of pools that configure no secret. */
  readonly secret: string;
  readonly startedMs: number = systemClock.nowMs();
  revision: Revision;
  isStopping = false;
  /** What handles requests swaps to the revision; the swap is over when this resolves. */
  onRevision: (revision: Revision) => Promise<void> | void = () => undefined;
  prepareListeners: Revisable['prepareListeners'] = () => () => undefined; // none, but in the program
  readonly #droppedSecrets = new DroppedSecrets();
  readonly keeper: SessionKeeper | null; // null: without `sessions.file`
  readonly #besides: ControlOptions['besides'];
  readonly #listeners = new Set<(event: ChangeEvent) => void>();
  readonly #unwatchClock: () => void;

  private constructor(options: BeginOptions, discovery: Discovery, keeper: SessionKeeper | null) {
    const { config, log, threads, predecessor = null, stored } = options;
    this.#besides = options.besides;
    this.log = log;
    this.threads = threads;
    this.discovery = discovery;
    this.keeper = keeper;
    this.revising = new Revising(this, config);
    const shared = SharedState.create(threads, config.sessions.max, systemClock.nowMs());
    this.shared = shared;
    this.slots = new SlotRegistry(shared);
    this.history = new History(shared, (pool) => sessionSkew(pool, shared));
    this.secret = predecessor?.secret ?? secretFor(config, log);
    this.revision = this.#firstRevision(config, stored);
    this.accessLog = new AccessLogWriter(log);
    if (config.accessLog !== null) this.accessLog.open(config.accessLog);
    this.health = new HealthMonitor({
      shared,
      clock: systemClock,
      log,
      onTransition: (transition) => {
        options.onTransition?.(transition);
        this.publish({ type: 'verdict', ...transition });
      },
      passiveTotals: (slot) => passiveTotals(shared, slot),
      onReport: (slot, report) => this.#onReport(slot, report),
    });
    this.sessionControl = new SessionControl({
      shared,
      operatorWeight: (slot) => this.slots.overridingWeight(slot),
      onPhase: (change) => {
        log.info(change, `rebalancing of pool ${change.pool} is ${change.to}: ${change.why}`);
        this.publish({ type: 'rebalance', ...change });
      },
    });
    this.sweeper = new Sweeper({
      shared,
      clock: systemClock,
      onPass: () => {
        this.sessionControl.afterSweep();
        this.history.sample(this.revision, systemClock.nowMs(), systemClock.wallMs());
      },
      onRenewals: (pool, values) => log.warn({ pool, values }, `pool ${pool}: ${RENEWALS}`),
    });
    this.metrics = this.#createMetrics(options.meters);
    this.#unwatchClock = systemClock.watch(); // last: nobody ends what could not be made
  }

  /**
   * The first look for servers to be discovered is over when this resolves. Rejects with StartError when there is no room
   * for so many servers, or the sessions cannot be kept where they shall be.
   */
  static async create(options: ControlOptions): Promise<ControlPlane> {
    const keeper = await SessionKeeper.of(options.config, options.log, options.predecessor ?? null);
    try {
      return await ControlPlane.#create(options, keeper);
    } catch (error) {
      await keeper?.handOver();
      throw error;
    }
  }

  static async #create(options: ControlOptions, keeper: SessionKeeper | null): Promise<ControlPlane> {
    const { config, log } = options;
    const { max } = config.sessions;
    const stored = options.predecessor?.readSessions(max) ?? keeper?.read(max) ?? null;
    let control: ControlPlane | null = null;
    const discovery = new Discovery({
      clock: systemClock,
      scheduler: systemScheduler,
      random: new SeededRandom(unpredictableSeed()),
      createLookup,
      log,
      onChange: () => void control?.revising.rediscover(),
      isEmpty: (pool, server) => control?.isEmpty(pool, server) ?? false,
      kept: stored?.kind === 'read' ? stored.found : [],
    });
    await discovery.prepare(config);
    discovery.apply(config);
    control = discovery.stopUnless(() => new ControlPlane({ ...options, stored }, discovery, keeper));
    return control;
  }

  /** With what a former process had saved put back. */
  #firstRevision(config: HoldfastConfig, stored: StoredSessions | null): Revision {
    if (stored?.kind === 'read') this.slots.restoreChanges(settingsByServer(stored.operator));
    const revision = this.#revise(this.discovery.expand(config, this.slots));
    if (stored?.kind !== 'read') return revision;
    const report = restoreStored(stored, this.shared.table, revision, systemClock);
    sayRestored(report, config.sessions.file, this.log);
    return revision;
  }

  #createMetrics(meters: ControlOptions['meters'] = {}): Metrics {
    return lateMetrics({
      version: packageVersion(),
      shared: this.shared,
      revision: () => this.revision,
      threads: () => this.threads,
      reloads: () => this.revising.results,
      workerRestarts: () => 0,
      ...meters,
      accessLogDropped: () => this.accessLog.dropped,
      discovery: () => this.discovery.reports(),
      health: this.health,
      sweep: this.sweeper,
      rebalance: this.sessionControl.rebalancer,
    });
  }

  /** Servers are checked from now on. */
  watch(): void {
    this.sessionControl.apply(this.revision);
    this.health.apply(this.revision);
  }

  /** Sessions are counted, expired and moved from now on. Those that are there are counted when this returns. */
  sweep(): void {
    this.sweeper.apply(this.revision);
    this.sweeper.start();
  }

  /** Sessions are saved from now on, where a file is configured. */
  async keep(): Promise<void> {
    await this.keeper?.begin({
      table: this.shared.table,
      revision: () => this.revision,
      operator: () => operatorSettings(this.slots),
      found: () => this.discovery.kept(),
    });
  }

  /** What has changed in the sessions until now is on the disk when this resolves. */
  async save(): Promise<void> {
    await this.keeper?.save();
  }

  /** Another process keeps the sessions file: it is written no more once this has resolved. */
  async handOver(): Promise<void> {
    await this.keeper?.handOver();
  }

  #revise(config: HoldfastConfig): Revision {
    const besides = this.#besides?.(config); // first: where it throws no server has been removed
    return { ...this.slots.revise(config, this.secret), ...besides };
  }

  /** For Revising, which says whether there is room: the next revision, swapped to everywhere. */
  async swap(config: HoldfastConfig): Promise<readonly string[]> {
    const [old, beginMs] = [this.revision, systemClock.nowMs()];
    const next = this.#revise(config);
    this.revision = next;
    this.sessionControl.apply(next);
    this.accessLog.open(config.accessLog);
    await this.onRevision(next);
    this.slots.settle();
    this.health.apply(next);
    this.sweeper.apply(next);
    return this.#droppedSecrets.end(this.shared, old, next, beginMs, systemClock.nowMs());
  }

  /** Slot of a server, null when there is no such pool or server. */
  slotOf(pool: string, server: string): number | null {
    const found = this.revision.pools.find(({ config }) => config.name === pool);
    const index = found?.config.servers.findIndex(({ name }) => name === server) ?? -1;
    return found?.slots[index] ?? null;
  }

  /** No sessions by a sweep, nor any that only a first request knows, and nothing in flight. Before the first it is not known. */
  isEmpty(pool: string, server: string): boolean {
    const [slot, { control }] = [this.slotOf(pool, server), this.shared];
    if (slot === null || this.sweeper.report.passes === 0) return slot === null;
    return control.sessions(slot) + control.tentative(slot) + this.shared.inFlight(slot) === 0;
  }

  /** The operator's change, at once. False when there is no such server. `by`: who made it. */
  changeServer(pool: string, server: string, change: OperatorChange, by: string): boolean {
    const slot = this.slotOf(pool, server);
    if (slot === null) return false;
    this.slots.change(pool, server, slot, change);
    this.log.info({ pool, server, ...change, by }, 'server changed by the operator');
    this.publish({ type: 'server', pool, server, ...change, by });
    this.health.modeChanged(slot);
    return true;
  }

  #onReport(slot: number, report: SelfReport): void {
    if (!this.slots.report(slot, Report[report.mode], report.weight, report.unbacked)) return;
    const { pool, server } = this.slots.nameOf(slot);
    const alone = report.unbacked > 0 ? `, and ${report.unbacked} sessions without a backup` : '';
    const said = `${report.mode}${alone}`;
    this.log.info({ pool, server, ...report }, `server ${pool}/${server} reports itself ${said}`);
    this.publish({ type: 'report', pool, server, ...report });
  }

  /** Hears of every change while it runs; returns how to stop hearing. */
  subscribe(listener: (event: ChangeEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  publish(event: ChangeEvent): void {
    const kept = this.events.add(event, systemClock.wallMs());
    for (const listener of this.#listeners) listener(kept);
  }

  /** Ends all timers and checks. The sessions are saved a last time, unless they were handed over. */
  async end(): Promise<void> {
    this.isStopping = true;
    this.discovery.stop();
    this.sweeper.stop();
    this.sessionControl.stop();
    await Promise.all([this.keeper?.end(), this.health.stop()]);
    await this.accessLog.close();
    this.#unwatchClock();
  }
}
