// The composition root: one running balancer, from a checked configuration to threads, health, sweeps and metrics.

import { availableParallelism } from 'node:os';
import { systemClock } from '../base/clock.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { HealthMonitor, type HealthTransition } from '../health/monitor.ts';
import { createMetrics, type Metrics } from '../metrics/registry.ts';
import { loadSecret, readSessions, restoreSessions, saveSessions } from '../sessions/store.ts';
import { Sweeper } from '../sessions/sweep.ts';
import { WORKERS_MAX } from '../shared/limits.ts';
import type { Revision } from '../shared/revision.ts';
import { SharedState } from '../shared/shared-state.ts';
import { assertPortFree, Fleet, supportsReusePort } from './fleet.ts';
import type { Logger } from './logger.ts';
import { makeSecret, type OperatorChange, SlotRegistry } from './slots.ts';

/** How long requests in flight may take when the balancer stops. */
const STOP_GRACE_MS = 30_000;

export interface BalancerOptions {
  readonly config: HoldfastConfig;
  readonly log: Logger;
  readonly version: string;
  /** Wins over the configuration. */
  readonly threads?: number | null;
}

export class Balancer {
  readonly options: BalancerOptions;
  readonly shared: SharedState;
  readonly slots: SlotRegistry;
  readonly fleet: Fleet;
  readonly health: HealthMonitor;
  readonly sweeper: Sweeper;
  readonly metrics: Metrics;
  readonly threads: number;
  readonly startedMs: number;
  isStopping = false;
  revision: Revision;
  ports: readonly number[] = [];
  readonly #secret: string;
  readonly #transitionListeners = new Set<(transition: HealthTransition) => void>();

  private constructor(options: BalancerOptions, threads: number, reusePort: boolean) {
    const { config, log } = options;
    this.options = options;
    this.threads = threads;
    this.startedMs = systemClock.nowMs();
    this.shared = SharedState.create(threads, config.sessions.max, systemClock.nowMs());
    this.slots = new SlotRegistry(this.shared);
    this.#secret = secretFor(config, log);
    const stored = config.sessions.file === null ? null : readSessions(config.sessions.file, config.sessions.max);
    if (stored?.kind === 'damaged') log.error({ file: config.sessions.file }, `saved sessions ignored: ${stored.message}`);
    if (stored?.kind === 'read') {
      this.slots.restoreChanges(
        new Map(stored.operator.map(({ pool, server, ...change }) => [`${pool}/${server}`, change])),
      );
    }
    this.revision = this.slots.revise(config, this.#secret);
    if (stored?.kind === 'read') {
      const report = restoreSessions(stored.contents, this.shared.table, this.revision, systemClock);
      log.info({ ...report, file: config.sessions.file }, 'sessions restored');
    }
    this.fleet = new Fleet({ shared: this.shared, threads, reusePort, log });
    this.health = new HealthMonitor({
      shared: this.shared,
      clock: systemClock,
      log,
      onTransition: (transition) => {
        for (const listener of this.#transitionListeners) listener(transition);
      },
    });
    this.sweeper = new Sweeper({ shared: this.shared, clock: systemClock });
    this.metrics = createMetrics({
      version: options.version,
      shared: this.shared,
      revision: () => this.revision,
      threads: () => threads,
      reloads: () => ({ success: 0, failure: 0 }),
      workerRestarts: () => this.fleet.restarts,
      health: this.health,
      sweep: this.sweeper,
    });
  }

  /** Opens the listeners and begins. Rejects with ListenError, everything closed again. */
  static async start(options: BalancerOptions): Promise<Balancer> {
    const reusePort = await supportsReusePort();
    const wanted = options.threads ?? options.config.threads ?? availableParallelism();
    const threads = reusePort ? Math.min(WORKERS_MAX, Math.max(1, wanted)) : 1;
    if (!reusePort && wanted > 1) options.log.warn('this platform cannot share a port between threads: running one');
    if (reusePort) {
      for (const { address, host, port } of options.config.listen) if (port !== 0) await assertPortFree(address, host, port);
    }
    const balancer = new Balancer(options, threads, reusePort);
    balancer.health.apply(balancer.revision);
    try {
      balancer.ports = await balancer.fleet.start(balancer.revision);
    } catch (error) {
      await balancer.#end();
      throw error;
    }
    balancer.sweeper.apply(balancer.revision);
    balancer.sweeper.start();
    return balancer;
  }

  /** Hears of every change of a server's verdict; returns how to stop hearing. */
  onTransition(listener: (transition: HealthTransition) => void): () => void {
    this.#transitionListeners.add(listener);
    return () => this.#transitionListeners.delete(listener);
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
    return true;
  }

  /** Finishes what is in flight, saves the sessions, closes. True when no request had to be cut. */
  async stop(graceMs: number = STOP_GRACE_MS): Promise<boolean> {
    this.isStopping = true;
    const isClean = await this.fleet.stop(graceMs);
    this.#save();
    await this.#end();
    return isClean;
  }

  #save(): void {
    const { file } = this.options.config.sessions;
    if (file === null) return;
    const operator = [...this.slots.changes].map(([key, change]) => {
      const [pool = '', server = ''] = key.split('/');
      return { pool, server, ...change };
    });
    const result = saveSessions(file, this.shared.table, this.revision, operator, systemClock);
    if (result.kind === 'saved') this.options.log.info({ file, sessions: result.sessions }, 'sessions saved');
    else this.options.log.error({ file }, `sessions not saved: ${result.message}`);
  }

  async #end(): Promise<void> {
    this.sweeper.stop();
    await Promise.all([this.health.stop(), this.fleet.end()]);
  }
}

/** What keys the cookies of pools that configure no secret: from the file beside the saved sessions, or made now. */
function secretFor(config: HoldfastConfig, log: Logger): string {
  if (config.sessions.file === null) return makeSecret();
  const result = loadSecret(config.sessions.file);
  if (result.kind !== 'failed') return Buffer.from(result.secret).toString('hex');
  log.error(`${result.message}; cookies will not survive a restart`);
  return makeSecret();
}
