// Which slot and generation each server has, and which number each pool has: kept over reloads, so that health,
// counters and sessions stay with the server they belong to.

import { createHash, randomBytes } from 'node:crypto';
import type { HoldfastConfig, PoolConfig, ServerConfig } from '../config/model.ts';
import { Mode, Verdict, WEIGHT_SCALE } from '../shared/control.ts';
import { LISTENERS_MAX, POOLS_MAX, SLOTS_MAX } from '../shared/limits.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';

interface SlotOwner {
  readonly pool: string;
  readonly server: string;
  readonly url: string;
}

const MODES = { ready: Mode.ready, drain: Mode.drain, maintenance: Mode.maintenance } as const;

/** What the operator has set at run time; wins over the configuration until the server is removed. */
export interface OperatorChange {
  mode?: keyof typeof MODES;
  weight?: number;
}

export class SlotRegistry {
  readonly #shared: SharedState;
  readonly #owners: (SlotOwner | null)[] = [];
  readonly #poolIds = new Map<string, number>();
  readonly #listenerIds = new Map<string, number>();
  readonly #keys = new Map<string, Uint8Array>();
  readonly #changes = new Map<string, OperatorChange>();
  #revisionNumber = 0;

  constructor(shared: SharedState) {
    this.#shared = shared;
  }

  /** Makes the next revision. `fallbackSecret` keys pools that configure none. */
  revise(config: HoldfastConfig, fallbackSecret: string): Revision {
    this.#revisionNumber += 1;
    this.#releaseRemoved(config);
    const pools = config.pools.map((pool) => this.#poolRevision(pool, fallbackSecret));
    const listenerIds = config.listen.map(({ address }) => this.#listenerIdOf(address));
    return { number: this.#revisionNumber, config, pools, listenerIds };
  }

  #listenerIdOf(address: string): number {
    const known = this.#listenerIds.get(address);
    if (known !== undefined) return known;
    if (this.#listenerIds.size >= LISTENERS_MAX)
      throw new Error(`more than ${LISTENERS_MAX} addresses since the start`);
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
    if (this.#poolIds.size >= POOLS_MAX) throw new Error(`more than ${POOLS_MAX} pool names since the start`);
    const id = this.#poolIds.size;
    this.#poolIds.set(name, id);
    return id;
  }

  #slotOf(pool: PoolConfig, server: ServerConfig): number {
    const { control } = this.#shared;
    const change = this.#changes.get(`${pool.name}/${server.name}`);
    const existing = this.#find(pool.name, server.name, server.url);
    const slot = existing ?? this.#allocate({ pool: pool.name, server: server.name, url: server.url });
    control.setWeight(slot, (change?.weight ?? server.weight) * WEIGHT_SCALE);
    control.setMode(slot, MODES[change?.mode ?? server.mode]);
    // Health makes it up once every thread knows it: until then a thread on the old plan would take it for removed.
    if (existing === null) control.setVerdict(slot, Verdict.starting);
    return slot;
  }

  #find(pool: string, server: string, url: string): number | null {
    const slot = this.#owners.findIndex(
      (owner) => owner?.pool === pool && owner.server === server && owner.url === url,
    );
    return slot < 0 ? null : slot;
  }

  #allocate(owner: SlotOwner): number {
    const free = this.#owners.indexOf(null);
    const slot = free < 0 ? this.#owners.length : free;
    if (slot >= SLOTS_MAX) throw new Error(`more than ${SLOTS_MAX} servers`);
    const { control, stripes } = this.#shared;
    for (const stripe of stripes) stripe.clearSlot(slot);
    control.publishSweep(slot, 0, 0, 0);
    control.setGeneration(slot, control.generation(slot) + 1);
    this.#owners[slot] = owner;
    return slot;
  }

  #releaseRemoved(config: HoldfastConfig): void {
    for (const [slot, owner] of this.#owners.entries()) {
      if (owner === null) continue;
      const pool = config.pools.find((candidate) => candidate.name === owner.pool);
      if (pool?.servers.some((server) => server.name === owner.server && server.url === owner.url) === true)
        continue;
      this.#owners[slot] = null;
      this.#changes.delete(`${owner.pool}/${owner.server}`);
      // From now on no entry's home matches: its sessions are "removed" at their next request.
      const { control } = this.#shared;
      control.setGeneration(slot, control.generation(slot) + 1);
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

  /** Weight the operator has set on the slot's server, null when the configured one stands. */
  operatorWeight(slot: number): number | null {
    const owner = this.#owners[slot];
    return owner == null ? null : (this.#changes.get(`${owner.pool}/${owner.server}`)?.weight ?? null);
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
