// The part of an embedded balancer that touches no request: slots, health, sweeps, session moves, metrics, status.
// The counterpart of run/balancer.ts without threads, listeners and admin server.

import type { ServerChange } from '../admin/source.ts';
import { buildStatus, type StatusDocument } from '../admin/status.ts';
import { systemClock } from '../base/clock.ts';
import { packageVersion } from '../base/version.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { HealthMonitor } from '../health/monitor.ts';
import { createMetrics, type Metrics } from '../metrics/registry.ts';
import { passiveTotals } from '../run/passive-totals.ts';
import { SessionControl } from '../run/session-control.ts';
import { SlotRegistry } from '../run/slots.ts';
import { Sweeper } from '../sessions/sweep.ts';
import type { Revision } from '../shared/revision.ts';
import { SharedState } from '../shared/shared-state.ts';
import { type BalancerOptions, type EmbedLog, SILENT } from './options.ts';
import { fallbackSecret, firstRevision, keepSessions } from './saved-sessions.ts';

/** The one thread there is. */
const THREADS = 1;

export class ControlPlane {
  readonly shared: SharedState;
  readonly log: EmbedLog;
  readonly metrics: Metrics;
  readonly reloads = { success: 0, failure: 0 };
  revision: Revision;
  readonly #slots: SlotRegistry;
  readonly #secret: string;
  readonly #health: HealthMonitor;
  readonly #sweeper: Sweeper;
  readonly #sessionControl: SessionControl;
  readonly #startedMs = systemClock.nowMs();

  constructor(config: HoldfastConfig, options: BalancerOptions) {
    const { log = SILENT, onTransition = () => undefined } = options;
    this.log = log;
    const shared = SharedState.create(THREADS, config.sessions.max, systemClock.nowMs());
    this.shared = shared;
    this.#slots = new SlotRegistry(shared);
    this.#secret = fallbackSecret(config, log);
    this.revision = firstRevision(config, this.#secret, this.#slots, shared, log);
    this.#health = new HealthMonitor({
      shared,
      clock: systemClock,
      log,
      onTransition,
      passiveTotals: (slot) => passiveTotals(shared, slot),
    });
    this.#sessionControl = new SessionControl({
      shared,
      operatorWeight: (slot) => this.#slots.operatorWeight(slot),
      onPhase: (change) =>
        log.info(change, `rebalancing of pool ${change.pool} is ${change.to}: ${change.why}`),
    });
    const sessionControl = this.#sessionControl;
    this.#sweeper = new Sweeper({ shared, clock: systemClock, onPass: () => sessionControl.afterSweep() });
    this.metrics = createMetrics({
      version: packageVersion(),
      shared,
      revision: () => this.revision,
      threads: () => THREADS,
      reloads: () => this.reloads,
      workerRestarts: () => 0,
      accessLogDropped: () => 0,
      health: this.#health,
      sweep: this.#sweeper,
      rebalance: sessionControl.rebalancer,
    });
  }

  /** Begins to watch and to sweep. */
  start(): void {
    this.#apply();
    this.#sweeper.start();
  }

  /**
   * Swaps to the configuration; whoever handles requests swaps to `revision` then. Null, or why there is no room for
   * it: then nothing has changed.
   */
  revise(config: HoldfastConfig): string | null {
    const noRoom = this.#slots.refusal(config);
    if (noRoom !== null) return noRoom;
    this.revision = this.#slots.revise(config, this.#secret);
    this.#apply();
    return null;
  }

  #apply(): void {
    this.#sessionControl.apply(this.revision);
    this.#health.apply(this.revision);
    this.#sweeper.apply(this.revision);
  }

  /** Sets mode and weight at once. False when there is no such server. */
  setServer(pool: string, server: string, { mode, weight }: ServerChange): boolean {
    const found = this.revision.pools.find(({ config }) => config.name === pool);
    const index = found?.config.servers.findIndex(({ name }) => name === server) ?? -1;
    const slot = found?.slots[index];
    if (slot === undefined) return false;
    this.#slots.change(pool, server, slot, {
      ...(mode === undefined ? {} : { mode }),
      ...(weight === undefined ? {} : { weight }),
    });
    return true;
  }

  status(): StatusDocument {
    return buildStatus(this.revision, this.shared, {
      version: packageVersion(),
      threads: THREADS,
      uptimeSeconds: (systemClock.nowMs() - this.#startedMs) / 1000,
      health: this.#health,
      sweep: this.#sweeper,
      rebalance: this.#sessionControl.rebalancer,
      operatorWeight: (slot) => this.#slots.operatorWeight(slot),
    });
  }

  /** Ends all timers and checks, and saves the sessions. */
  async stop(): Promise<void> {
    this.#sweeper.stop();
    this.#sessionControl.stop();
    keepSessions(this.revision, this.#slots, this.shared, this.log);
    await this.#health.stop();
  }
}
