// Servers that are found while running: looks again and again, and says when a configuration with what was found would
// be another one. A server that appears is new like one of a reload; one that disappears drains; a look that fails
// keeps the last answer. What there is no room for waits until there is.

import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/message-of.ts';
import type { Random } from '../base/random.ts';
import type { Scheduled, Scheduler } from '../base/scheduler.ts';
import { SERVERS_MAX } from '../config/limits.ts';
import type { DiscoveryConfig, HoldfastConfig, PoolConfig, ServerConfig } from '../config/model.ts';
import type { KeptServer } from '../sessions/records.ts';
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
  /** What the process before had found. */
  readonly kept?: readonly KeptServer[];
}

/** Who knows for how many servers there is room; the slots fit. */
export interface Room {
  /** Whether the server is in use already. */
  has(pool: string, server: Pick<ServerConfig, 'name' | 'url'>): boolean;
  /** How many more there is room for. */
  free(): number;
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
  lookup: Lookup;
  /** Settles with the first look; null: it has not begun. */
  first: Promise<void> | null;
  failures: number;
  /** The last look failed: said once. */
  isFailing: boolean;
  timer: Scheduled | null;
  isEnded: boolean;
}

export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #watched = new Map<string, Watched>();
  #release: Scheduled | null = null;
  #isStopped = false;
  /** Where `expand` last found no room; null: it did. */
  #shortOf: Room | null = null;
  /** Servers left out, as it was said last. */
  #leftOut = 0;
  /** Until the first configuration is in force. */
  #keptBefore: readonly KeptServer[];

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#keptBefore = options.kept ?? [];
  }

  /**
   * Looks once for what this configuration asks for and no other has; resolves when all have answered or failed. Until
   * `apply` says which configuration is in force, `expand` knows the one before and this one.
   */
  async prepare(config: HoldfastConfig): Promise<void> {
    const lookup = this.#options.createLookup(config.resolver);
    const looks: Promise<void>[] = [];
    for (const [key, pool, discovery] of sourcesOf(config)) {
      const watched = this.#watched.get(key) ?? this.#watch(pool, discovery, lookup);
      this.#watched.set(key, watched);
      watched.first ??= this.#resolve(watched, false);
      looks.push(watched.first);
    }
    await Promise.all(looks);
  }

  /** What the same source had, before a restart or with other settings, stands until it answers. */
  #watch(pool: string, config: DiscoveryConfig, lookup: Lookup): Watched {
    const members = new Membership(config);
    const source = placeOf(config);
    const known = [...this.#keptBefore, ...this.kept()];
    const mine = known.filter((server) => server.pool === pool && server.source === source);
    members.remember(mine, this.#options.clock.nowMs());
    const begun = { first: null, failures: 0, isFailing: false, timer: null, isEnded: false };
    return { pool, config, members, lookup, ...begun };
  }

  /** What is found now, for the process that comes after this one. */
  kept(): readonly KeptServer[] {
    return [...this.#watched.values()].flatMap(({ pool, config, members }) =>
      members.remembered().map((server) => ({ pool, source: placeOf(config), ...server })),
    );
  }

  /** This configuration is in force: what it does not ask for is looked for no more. */
  apply(config: HoldfastConfig): void {
    this.#keptBefore = [];
    const lookup = this.#options.createLookup(config.resolver);
    const wanted = new Set(sourcesOf(config).map(([key]) => key));
    for (const [key, watched] of this.#watched) {
      watched.lookup = lookup;
      if (wanted.has(key)) continue;
      watched.isEnded = true;
      watched.timer?.cancel();
      this.#watched.delete(key);
    }
    if (this.#watched.size > 0) this.#release ??= this.#scheduleRelease();
  }

  async #resolve(watched: Watched, tells: boolean): Promise<void> {
    const { log, clock } = this.#options;
    const { pool, config, lookup } = watched;
    try {
      const { servers, unknownTargets } = await lookup(config, watched.members);
      if (watched.isEnded || this.#isStopped) return;
      if (watched.isFailing) log.info({ pool, source: config.source }, `${config.source}: answers again`);
      watched.isFailing = false;
      const isChanged = watched.members.apply(servers, unknownTargets, clock.nowMs());
      if (isChanged && tells) this.#options.onChange();
    } catch (error) {
      if (watched.isEnded || this.#isStopped) return;
      watched.failures += 1;
      const reason = messageOf(error);
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
    watched.timer = scheduler.after(
      watched.config.refreshMs * jitter,
      () => void this.#resolve(watched, true),
    );
  }

  #scheduleRelease(): Scheduled {
    return this.#options.scheduler.after(RELEASE_EVERY_MS, () => {
      this.#release = this.#scheduleRelease();
      const { clock, isEmpty, onChange } = this.#options;
      let isChanged = this.#shortOf !== null && this.#shortOf.free() > 0;
      for (const { pool, members } of this.#watched.values()) {
        if (members.release(clock.nowMs(), (server) => isEmpty(pool, server))) isChanged = true;
      }
      if (isChanged) onChange();
    });
  }

  /**
   * The configuration with the servers that were found, after those that are written. Newcomers beyond the limit, or
   * without room, are left out, which is said. Those without room come in as soon as there is some.
   */
  expand(config: HoldfastConfig, room: Room): HoldfastConfig {
    if (this.#watched.size === 0) return config;
    const found = config.pools.map((pool) => this.#foundIn(pool));
    const used = this.#fitting(config, found, room);
    const pools = config.pools.map((pool, index) => {
      const servers = (found[index] ?? []).filter((server) => used.has(server));
      return servers.length === 0 ? pool : { ...pool, servers: [...pool.servers, ...servers] };
    });
    return { ...config, pools };
  }

  /** One of each name. What is written stands; a server that one source still has is not leaving. */
  #foundIn(pool: PoolConfig): readonly ServerConfig[] {
    const written = new Set(pool.servers.map(({ name }) => name));
    const found = new Map<string, ServerConfig>();
    for (const discovery of pool.discovery) {
      for (const server of this.#watched.get(keyOf(pool.name, discovery))?.members.servers() ?? []) {
        if (written.has(server.name) || found.get(server.name)?.mode === 'ready') continue;
        found.set(server.name, server);
      }
    }
    return [...found.values()];
  }

  /** Why what is written leaves no room for servers that were found and are in use; null: it does. */
  refusal(config: HoldfastConfig, room: Room): string | null {
    const written = config.pools.reduce((sum, { servers }) => sum + servers.length, 0);
    let inUse = 0;
    for (const pool of config.pools)
      for (const server of this.#foundIn(pool))
        if (server.mode === 'ready' && room.has(pool.name, server)) inUse += 1;
    if (inUse === 0 || written + inUse <= SERVERS_MAX) return null;
    return `${written} servers beside ${inUse} that were found and are in use: there may be ${SERVERS_MAX} in all`;
  }

  /** Servers in use stay, so that an answer that is cut is cut to the same ones again; newcomers come in by their names. */
  #fitting(
    config: HoldfastConfig,
    found: readonly (readonly ServerConfig[])[],
    room: Room,
  ): ReadonlySet<ServerConfig> {
    let allowed = SERVERS_MAX;
    let free = room.free();
    for (const { name, servers } of config.pools) {
      allowed -= servers.length;
      free -= servers.filter((server) => !room.has(name, server)).length;
    }
    const isIn = new Map(
      found.flatMap((servers, index) =>
        servers.map((server) => [server, room.has(config.pools[index]?.name ?? '', server)] as const),
      ),
    );
    const all = [...isIn.keys()];
    const known = all.filter((server) => isIn.get(server) === true);
    const present = known.filter(({ mode }) => mode === 'ready').length;
    const newcomers = all.filter((server) => isIn.get(server) === false && server.mode === 'ready');
    const byName = newcomers.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    const wanted = byName.slice(0, Math.max(0, allowed - present));
    const fitting = wanted.slice(0, Math.max(0, free));
    this.#shortOf = fitting.length < wanted.length ? room : null;
    this.#sayLeftOut(newcomers.length - fitting.length);
    // those that were leaving when the process before ended
    const leaving = all.filter((server) => isIn.get(server) === false && server.mode !== 'ready');
    return new Set([...known, ...fitting, ...leaving.slice(0, Math.max(0, free - fitting.length))]);
  }

  #sayLeftOut(count: number): void {
    if (count === this.#leftOut) return;
    this.#leftOut = count;
    const { log } = this.#options;
    if (count === 0) log.info({}, 'all servers that were found are used');
    else if (this.#shortOf === null)
      log.warn(
        { count },
        `${count} servers that were found are not used: there may be ${SERVERS_MAX} in all`,
      );
    else
      log.warn({ count }, `${count} servers that were found are not used yet: removed ones are still busy`);
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

function keyOf(pool: string, discovery: DiscoveryConfig): string {
  return JSON.stringify([pool, discovery]);
}

/** What is looked for, however it is looked for. */
function placeOf(config: DiscoveryConfig): string {
  return config.kind === 'dns' ? `${config.source} ${config.port}` : config.source;
}

function sourcesOf({ pools }: HoldfastConfig): readonly (readonly [string, string, DiscoveryConfig])[] {
  return pools.flatMap(({ name, discovery }) =>
    discovery.map((source) => [keyOf(name, source), name, source] as const),
  );
}
