// Servers that are found while running: looks again and again, and says when a configuration with what was found would
// be another one. A server that appears is new like one of a reload; one that disappears drains; a look that fails
// keeps the last answer.

import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Scheduled, Scheduler } from '../base/scheduler.ts';
import type { DiscoveryConfig, HoldfastConfig, PoolConfig } from '../config/model.ts';
import type { Lookup } from './lookup.ts';
import { Membership } from './membership.ts';

/** Looks vary by this share, so that many balancers do not ask in step. */
const JITTER_SHARE = 0.1;
const RELEASE_EVERY_MS = 1000;

export interface DiscoveryOptions {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  /** Looks with the configured name servers. */
  readonly createLookup: (nameServers: readonly string[]) => Lookup;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
  /** What `expand` gives is different now. */
  readonly onChange: () => void;
  /** Nobody needs the server any more: no sessions, nothing in flight. */
  readonly isEmpty: (pool: string, server: string) => boolean;
}

/** For the metrics. */
export interface DiscoveryReport {
  readonly pool: string;
  readonly source: string;
  readonly servers: number;
  readonly failures: number;
}

interface Watched {
  readonly pool: string;
  readonly config: DiscoveryConfig;
  readonly members: Membership;
  failures: number;
  /** The last look failed: said once. */
  isFailing: boolean;
  timer: Scheduled | null;
  isEnded: boolean;
}

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #watched = new Map<string, Watched>();
  #lookup: Lookup;
  #release: Scheduled | null = null;
  #isStopped = false;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#lookup = options.createLookup([]);
  }

  /**
   * Watches what this configuration asks for beside what is watched already: until `apply` says which of the two it shall
   * be, nothing that is known is let go of.
   */
  add(config: HoldfastConfig): ReadonlySet<string> {
    this.#lookup = this.#options.createLookup(config.resolver);
    const wanted = new Set<string>();
    for (const pool of config.pools) {
      for (const discovery of pool.discovery) {
        const key = JSON.stringify([pool.name, discovery]);
        wanted.add(key);
        if (!this.#watched.has(key)) this.#begin(key, pool.name, discovery);
      }
    }
    return wanted;
  }

  /** Watches what this configuration asks for and nothing else; what is known of sources that stay is kept. */
  apply(config: HoldfastConfig): void {
    const wanted = this.add(config);
    for (const [key, watched] of this.#watched) {
      if (wanted.has(key)) continue;
      watched.isEnded = true;
      watched.timer?.cancel();
      this.#watched.delete(key);
    }
    if (this.#watched.size > 0) this.#release ??= this.#scheduleRelease();
  }

  #begin(key: string, pool: string, config: DiscoveryConfig): void {
    const members = new Membership(config.maxConnections);
    const watched = { pool, config, members, failures: 0, isFailing: false, timer: null, isEnded: false };
    this.#watched.set(key, watched);
  }

  /** Looks for everything once that was not looked for yet; resolves when all have answered or failed. */
  async firstLooks(): Promise<void> {
    const fresh = [...this.#watched.values()].filter(({ timer }) => timer === null);
    await Promise.all(fresh.map((watched) => this.#look(watched, false)));
  }

  async #look(watched: Watched, tells: boolean): Promise<void> {
    const { log, clock } = this.#options;
    const { pool, config } = watched;
    try {
      const found = await this.#lookup(config);
      if (watched.isEnded || this.#isStopped) return;
      if (watched.isFailing) log.info({ pool, source: config.source }, `${config.source}: answers again`);
      watched.isFailing = false;
      if (watched.members.apply(found, clock.nowMs()) && tells) this.#options.onChange();
    } catch (error) {
      watched.failures += 1;
      const reason = error instanceof Error ? error.message : String(error);
      if (!watched.isFailing)
        log.warn(
          { pool, source: config.source, reason },
          `${config.source}: ${reason}; the last answer stands`,
        );
      watched.isFailing = true;
    }
    this.#schedule(watched);
  }

  #schedule(watched: Watched): void {
    if (watched.isEnded || this.#isStopped) return;
    const { scheduler, random } = this.#options;
    const jitter = 1 + JITTER_SHARE * (2 * random.next() - 1);
    watched.timer = scheduler.after(watched.config.refreshMs * jitter, () => void this.#look(watched, true));
  }

  #scheduleRelease(): Scheduled {
    return this.#options.scheduler.after(RELEASE_EVERY_MS, () => {
      this.#release = this.#scheduleRelease();
      const { clock, isEmpty, onChange } = this.#options;
      let isChanged = false;
      for (const { pool, members } of this.#watched.values()) {
        if (members.release(clock.nowMs(), (server) => isEmpty(pool, server))) isChanged = true;
      }
      if (isChanged) onChange();
    });
  }

  /** The configuration with the servers that were found, after those that are written. */
  expand(config: HoldfastConfig): HoldfastConfig {
    if (this.#watched.size === 0) return config;
    return { ...config, pools: config.pools.map((pool) => this.#expandPool(pool)) };
  }

  #expandPool(pool: PoolConfig): PoolConfig {
    if (pool.discovery.length === 0) return pool;
    const servers = new Map(pool.servers.map((server) => [server.name, server]));
    for (const discovery of pool.discovery) {
      const watched = this.#watched.get(JSON.stringify([pool.name, discovery]));
      for (const server of watched?.members.servers() ?? [])
        if (!servers.has(server.name)) servers.set(server.name, server);
    }
    return { ...pool, servers: [...servers.values()] };
  }

  reports(): readonly DiscoveryReport[] {
    return [...this.#watched.values()].map(({ pool, config, members, failures }) => ({
      pool,
      source: config.source,
      servers: members.size,
      failures,
    }));
  }

  /** What `make` makes. When it throws there is nobody to look for, and the looking stops. */
  stopUnless<T>(make: () => T): T {
    try {
      return make();
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#release?.cancel();
    for (const { timer } of this.#watched.values()) timer?.cancel();
  }
}
