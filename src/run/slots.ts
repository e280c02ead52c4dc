// Which slot and generation each server has, and which number each pool has: kept over reloads, so that health,
// counters and sessions stay with the server they belong to.
//
// A server is its name. Under a new address it is the same server, and so it is when it was removed and comes back:
//
//   new ── generation g ──┬── removed: g + 1, its sessions match nobody ──┬── the slot is another's: g + 2
//                         └────────────── same name: g again ─────────────┘

import { createHash, randomBytes } from 'node:crypto';
import type { HoldfastConfig, PoolConfig, ServerConfig } from '../config/model.ts';
import { Mode, Report, Verdict, WEIGHT_SCALE } from '../shared/control.ts';
import { LISTENERS_MAX, POOLS_MAX, SLOTS_MAX } from '../shared/limits.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Gauge } from '../shared/stripe.ts';

interface SlotOwner {
  readonly pool: string;
  readonly server: string;
  url: string;
  /** Not configured any more; what it had is kept until the slot is given to another. */
  isRemoved: boolean;
  /** As configured. */
  weight: number;
  /** What the server says of itself; null: nothing. */
  reportedWeight: number | null;
}

const MODES = { ready: Mode.ready, drain: Mode.drain, maintenance: Mode.maintenance } as const;

/** What the operator has set at run time; wins over the configuration, also when the server goes and comes back. */
export interface OperatorChange {
  mode?: keyof typeof MODES;
  weight?: number;
}

/** More servers, pools or addresses than shared memory has room for. The message is for the user. */
export class CapacityError extends Error {}

export class SlotRegistry {
  readonly #shared: SharedState;
  /** Of each slot that was ever used, who has or had it last. */
  readonly #owners: SlotOwner[] = [];
  /** Slots of removed servers, the one released longest ago first. */
  readonly #released: number[] = [];
  readonly #poolIds = new Map<string, number>();
  readonly #listenerIds = new Map<string, number>();
  readonly #keys = new Map<string, Uint8Array>();
  readonly #changes = new Map<string, OperatorChange>();
  #revisionNumber = 0;

  constructor(shared: SharedState) {
    this.#shared = shared;
  }

  /** Makes the next revision. `fallbackSecret` keys pools that configure none. Throws CapacityError, nothing changed. */
  revise(config: HoldfastConfig, fallbackSecret: string): Revision {
    const refusal = this.refusal(config);
    if (refusal !== null) throw new CapacityError(refusal);
    this.#revisionNumber += 1;
    this.#releaseRemoved(config);
    const pools = config.pools.map((pool) => this.#poolRevision(pool, fallbackSecret));
    const listenerIds = config.listen.map(({ address }) => this.#listenerIdOf(address));
    return { number: this.#revisionNumber, config, pools, listenerIds };
  }

  /** Why there is no room for this configuration; null when there is. */
  refusal(config: HoldfastConfig): string | null {
    const known = config.pools.flatMap((pool) => pool.servers.map(({ name }) => this.#find(pool.name, name)));
    const newServers = known.filter((slot) => slot === null).length;
    const free = this.#released.filter((slot) => this.#isQuiet(slot) && !known.includes(slot)).length;
    const room = SLOTS_MAX - this.#owners.length + free;
    if (newServers > room)
      return `${newServers} more servers: there is room for ${room} (${SLOTS_MAX} in all)`;
    const newPools = config.pools.filter(({ name }) => !this.#poolIds.has(name)).length;
    if (this.#poolIds.size + newPools > POOLS_MAX) return `more than ${POOLS_MAX} pool names since the start`;
    const newAddresses = config.listen.filter(({ address }) => !this.#listenerIds.has(address)).length;
    if (this.#listenerIds.size + newAddresses > LISTENERS_MAX) {
      return `more than ${LISTENERS_MAX} addresses to listen on since the start`;
    }
    return null;
  }

  #listenerIdOf(address: string): number {
    const known = this.#listenerIds.get(address);
    if (known !== undefined) return known;
    const id = this.#listenerIds.size;
    this.#listenerIds.set(address, id);
    return id;
  }

  #poolRevision(pool: PoolConfig, fallbackSecret: string): PoolRevision {
    const slots = pool.servers.map((server) => this.#slotOf(pool, server));
    const secret = pool.sticky.secret === '' ? fallbackSecret : pool.sticky.secret;
    return {
      id: this.#poolIdOf(pool.name),
      config: pool,
      slots,
      generations: slots.map((slot) => this.#shared.control.generation(slot)),
      key: this.#keyOf(pool.name, secret),
    };
  }

  #keyOf(pool: string, secret: string): Uint8Array {
    const cacheKey = `${pool}\n${secret}`;
    const key = this.#keys.get(cacheKey) ?? new Uint8Array(createHash('sha256').update(cacheKey).digest());
    this.#keys.set(cacheKey, key);
    return key;
  }

  #poolIdOf(name: string): number {
    const known = this.#poolIds.get(name);
    if (known !== undefined) return known;
    const id = this.#poolIds.size;
    this.#poolIds.set(name, id);
    return id;
  }

  #slotOf(pool: PoolConfig, server: ServerConfig): number {
    const { control } = this.#shared;
    const change = this.#changes.get(`${pool.name}/${server.name}`);
    const slot = this.#find(pool.name, server.name) ?? this.#allocate(pool.name, server);
    const owner = this.#owners[slot] as SlotOwner;
    if (owner.isRemoved) this.#takeBack(slot, owner);
    // Health makes it up once every thread knows it: until then a thread on the old plan would take it for removed. A
    // new address has yet to be checked: what was found at the old one says nothing.
    else if (owner.url !== server.url) control.setVerdict(slot, Verdict.starting);
    owner.url = server.url;
    owner.weight = server.weight;
    control.setWeight(slot, (change?.weight ?? owner.reportedWeight ?? server.weight) * WEIGHT_SCALE);
    control.setMode(slot, MODES[change?.mode ?? server.mode]);
    return slot;
  }

  /** The server comes back: sessions that did not ask meanwhile find it as it was. */
  #takeBack(slot: number, owner: SlotOwner): void {
    const { control } = this.#shared;
    owner.isRemoved = false;
    this.#released.splice(this.#released.indexOf(slot), 1);
    control.setGeneration(slot, control.generation(slot) - 1);
    control.setVerdict(slot, Verdict.starting);
  }

  #find(pool: string, server: string): number | null {
    const slot = this.#owners.findIndex((owner) => owner.pool === pool && owner.server === server);
    return slot < 0 ? null : slot;
  }

  /**
   * A slot never used before, as long as there is one: exchanges in flight keep the revision they began with, and
   * what they still have to count, give back or try again must not meet another server in the slot.
   */
  #allocate(pool: string, { name, url, weight }: ServerConfig): number {
    const slot = this.#owners.length < SLOTS_MAX ? this.#owners.length : this.#takeReleased();
    const { control, stripes } = this.#shared;
    for (const stripe of stripes) stripe.clearSlot(slot);
    control.publishSweep(slot, 0, 0, 0);
    control.setGeneration(slot, control.generation(slot) + 1);
    control.setReport(slot, Report.ready);
    control.setVerdict(slot, Verdict.starting);
    this.#owners[slot] = { pool, server: name, url, weight, isRemoved: false, reportedWeight: null };
    return slot;
  }

  #takeReleased(): number {
    const index = this.#released.findIndex((slot) => this.#isQuiet(slot));
    const [slot] = index < 0 ? [] : this.#released.splice(index, 1);
    const owner = this.#owners[slot ?? -1];
    if (slot === undefined || owner === undefined) throw new CapacityError(`more than ${SLOTS_MAX} servers`);
    this.#changes.delete(`${owner.pool}/${owner.server}`);
    return slot;
  }

  /** Nothing is in flight to the server that had it, and no connection is open. */
  #isQuiet(slot: number): boolean {
    return [Gauge.inFlight, Gauge.upstreamActive, Gauge.upstreamIdle].every(
      (gauge) => this.#shared.sumGauge(slot, gauge) === 0,
    );
  }

  #releaseRemoved(config: HoldfastConfig): void {
    for (const [slot, owner] of this.#owners.entries()) {
      if (owner.isRemoved) continue;
      const pool = config.pools.find((candidate) => candidate.name === owner.pool);
      if (pool?.servers.some((server) => server.name === owner.server) === true) continue;
      owner.isRemoved = true;
      this.#released.push(slot);
      // From now on no entry's home matches: its sessions are "removed" at their next request.
      const { control } = this.#shared;
      control.setGeneration(slot, control.generation(slot) + 1);
      // Threads on the old plan choose it no more, now that nobody checks it.
      control.setVerdict(slot, Verdict.down);
    }
  }

  /** Applies the operator's wish at once and remembers it. */
  change(pool: string, server: string, slot: number, change: OperatorChange): void {
    const { control } = this.#shared;
    const key = `${pool}/${server}`;
    this.#changes.set(key, { ...this.#changes.get(key), ...change });
    if (change.weight !== undefined) control.setWeight(slot, change.weight * WEIGHT_SCALE);
    if (change.mode !== undefined) control.setMode(slot, MODES[change.mode]);
  }

  /** What the slot's server says of itself. True when something is new. The operator's weight and mode stand above it. */
  report(slot: number, mode: Report, weight: number | null): boolean {
    const owner = this.#owners[slot];
    const { control } = this.#shared;
    if (
      owner === undefined ||
      owner.isRemoved ||
      (control.report(slot) === mode && owner.reportedWeight === weight)
    )
      return false;
    control.setReport(slot, mode);
    if (owner.reportedWeight !== weight) {
      owner.reportedWeight = weight;
      control.setWeight(slot, (this.operatorWeight(slot) ?? weight ?? owner.weight) * WEIGHT_SCALE);
    }
    return true;
  }

  nameOf(slot: number): { readonly pool: string; readonly server: string } {
    const owner = this.#owners[slot];
    return { pool: owner?.pool ?? '', server: owner?.server ?? '' };
  }

  /** Weight that stands above the configured one: the operator's, or what the server reports. */
  overridingWeight(slot: number): number | null {
    return this.operatorWeight(slot) ?? this.#owners[slot]?.reportedWeight ?? null;
  }

  /** Weight the operator has set on the slot's server, null when the configured one stands. */
  operatorWeight(slot: number): number | null {
    const owner = this.#owners[slot];
    return owner === undefined ? null : (this.#changes.get(`${owner.pool}/${owner.server}`)?.weight ?? null);
  }

  get changes(): ReadonlyMap<string, OperatorChange> {
    return this.#changes;
  }

  /** Puts back what a former process had set. */
  restoreChanges(changes: ReadonlyMap<string, OperatorChange>): void {
    for (const [key, change] of changes) this.#changes.set(key, change);
  }
}

/** A secret for pools that configure none; lost with the process unless kept in a file. */
export function makeSecret(): string {
  return randomBytes(32).toString('base64url');
}
