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
import { LISTENER_IDS_MAX, POOL_IDS_MAX, SLOTS_MAX } from '../shared/limits.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Gauge } from '../shared/stripe.ts';
import type { Room } from './discovery.ts';
import { Numbers } from './numbers.ts';
import { type OperatorChange, OperatorChanges } from './operator-changes.ts';
import { StartError } from './start-error.ts';

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

/** More servers, pools or addresses than shared memory has room for. The message is for the user. */
export class CapacityError extends StartError {}

export class SlotRegistry implements Room {
  readonly #shared: SharedState;
  /** Of each slot that was ever used, who has or had it last. */
  readonly #owners: SlotOwner[] = [];
  /** By `POOL/SERVER`. */
  readonly #slotByName = new Map<string, number>();
  /** Slots of removed servers, the one released longest ago first. */
  readonly #released: number[] = [];
  readonly #poolIds: Numbers;
  readonly #listenerIds: Numbers;
  /** Pools that have had no secret of their own since the start. */
  readonly #withoutSecret = new Set<string>();
  readonly #changes = new OperatorChanges(
    (name) => this.#owners[this.#slotByName.get(name) ?? -1]?.isRemoved === false,
  );
  #revisionNumber = 0;

  constructor(shared: SharedState) {
    this.#shared = shared;
    this.#poolIds = new Numbers(POOL_IDS_MAX, (_id, name) =>
      this.#owners.every(({ pool }, slot) => pool !== name || this.#isQuiet(slot)),
    );
    this.#listenerIds = new Numbers(LISTENER_IDS_MAX, (id) => shared.sumClientConnections(id) === 0);
  }

  /** Makes the next revision. `fallbackSecret` keys pools that configure none. Throws CapacityError, nothing changed. */
  revise(config: HoldfastConfig, fallbackSecret: string): Revision {
    const refusal = this.refusal(config);
    if (refusal !== null) throw new CapacityError(refusal);
    this.#revisionNumber += 1;
    this.#releaseRemoved(config);
    this.#takeBackKnown(config);
    const poolIds = this.#poolIds.use(namesOf(config), (id) => this.#shared.clearPool(id));
    const pools = config.pools.map((pool, index) =>
      this.#poolRevision(pool, poolIds[index] ?? 0, fallbackSecret),
    );
    const listenerIds = this.#listenerIds.use(addressesOf(config), () => undefined);
    return { number: this.#revisionNumber, config, pools, listenerIds };
  }

  /** Why there is no room for this configuration; null when there is. */
  refusal(config: HoldfastConfig): string | null {
    const known = this.#slotsOf(config);
    const count = config.pools.reduce((sum, { servers }) => sum + servers.length, 0);
    const newServers = count - known.size;
    const room = this.#freeBeside(known);
    if (newServers > room)
      return `${newServers} more servers: there is room for ${room}, removed ones still have requests in flight`;
    if (!this.#poolIds.hasRoomFor(namesOf(config)))
      return 'too many new pools: removed ones still have requests in flight';
    if (!this.#listenerIds.hasRoomFor(addressesOf(config)))
      return 'too many new addresses to listen on: removed ones still have connections';
    return null;
  }

  /** Whether the server is in use. */
  has(pool: string, { name }: Pick<ServerConfig, 'name'>): boolean {
    const slot = this.#find(pool, name);
    return slot !== null && this.#owners[slot]?.isRemoved === false;
  }

  /** Slots for servers that are not in use. What a change releases counts from the next change on. */
  free(): number {
    return this.#freeBeside(new Set());
  }

  #freeBeside(known: ReadonlySet<number>): number {
    const released = this.#released.filter((slot) => !known.has(slot) && this.#isQuiet(slot));
    return SLOTS_MAX - this.#owners.length + released.length;
  }

  /** Slots that servers of the configuration have, or had when they were last in use. */
  #slotsOf({ pools }: HoldfastConfig): ReadonlySet<number> {
    const slots = pools.flatMap((pool) => pool.servers.map(({ name }) => this.#find(pool.name, name)));
    return new Set(slots.filter((slot) => slot !== null));
  }

  #poolRevision(pool: PoolConfig, id: number, fallbackSecret: string): PoolRevision {
    const slots = pool.servers.map((server) => this.#slotOf(pool, server));
    return {
      id,
      config: pool,
      slots,
      generations: slots.map((slot) => this.#shared.control.generation(slot)),
      keys: this.#secretsOf(pool, fallbackSecret).map((secret) => keyOf(pool.name, secret)),
    };
  }

  /**
   * The configured ones. Nobody can write down the one that was made here, so a pool that has had it goes on reading it
   * when it gets one of its own.
   */
  #secretsOf(pool: PoolConfig, fallbackSecret: string): readonly string[] {
    const { secrets } = pool.sticky;
    if (secrets.length === 0) this.#withoutSecret.add(pool.name);
    return this.#withoutSecret.has(pool.name) ? [...secrets, fallbackSecret] : secrets;
  }

  #slotOf(pool: PoolConfig, server: ServerConfig): number {
    const { control } = this.#shared;
    const change = this.#changes.get(`${pool.name}/${server.name}`);
    const slot = this.#find(pool.name, server.name) ?? this.#allocate(pool.name, server);
    const owner = this.#owners[slot] as SlotOwner;
    // A new address has yet to be checked: what was found at the old one says nothing.
    if (owner.url !== server.url) control.setVerdict(slot, Verdict.starting);
    owner.url = server.url;
    owner.weight = server.weight;
    control.setWeight(slot, (change?.weight ?? owner.reportedWeight ?? server.weight) * WEIGHT_SCALE);
    control.setMode(slot, MODES[change?.mode ?? server.mode]);
    return slot;
  }

  /**
   * Servers that come back, before a newcomer takes the slot: sessions that did not ask meanwhile find them as they
   * were. Health makes them up once every thread knows them: until then a thread on the old plan would take one for
   * removed.
   */
  #takeBackKnown(config: HoldfastConfig): void {
    const { control } = this.#shared;
    for (const slot of this.#slotsOf(config)) {
      const owner = this.#owners[slot];
      if (owner === undefined || !owner.isRemoved) continue;
      owner.isRemoved = false;
      this.#released.splice(this.#released.indexOf(slot), 1);
      control.setGeneration(slot, control.generation(slot) - 1);
      control.setVerdict(slot, Verdict.starting);
    }
  }

  #find(pool: string, server: string): number | null {
    return this.#slotByName.get(`${pool}/${server}`) ?? null;
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
    control.setUnbacked(slot, 0);
    control.setVerdict(slot, Verdict.starting);
    this.#slotByName.set(`${pool}/${name}`, slot);
    this.#owners[slot] = { pool, server: name, url, weight, isRemoved: false, reportedWeight: null };
    return slot;
  }

  #takeReleased(): number {
    const index = this.#released.findIndex((slot) => this.#isQuiet(slot));
    const [slot] = index < 0 ? [] : this.#released.splice(index, 1);
    const owner = this.#owners[slot ?? -1];
    if (slot === undefined || owner === undefined) throw new CapacityError(`more than ${SLOTS_MAX} servers`);
    const name = `${owner.pool}/${owner.server}`;
    this.#changes.delete(name);
    this.#slotByName.delete(name);
    return slot;
  }

  /** Nothing is in flight to the server that had it, no connection is open, and nobody holds a place for a session on it. */
  #isQuiet(slot: number): boolean {
    return [Gauge.inFlight, Gauge.upstreamActive, Gauge.upstreamIdle, Gauge.sessionsReserved].every(
      (gauge) => this.#shared.sumGauge(slot, gauge) === 0,
    );
  }

  #releaseRemoved(config: HoldfastConfig): void {
    const kept = this.#slotsOf(config);
    for (const [slot, owner] of this.#owners.entries()) {
      if (owner.isRemoved || kept.has(slot)) continue;
      owner.isRemoved = true;
      this.#released.push(slot);
      // From now on no entry's home matches: its sessions are "removed" at their next request.
      const { control } = this.#shared;
      control.setGeneration(slot, control.generation(slot) + 1);
    }
  }

  /** Every living thread has swapped to the revision: what it has removed goes down, now that nobody checks it. */
  settle(): void {
    for (const [slot, owner] of this.#owners.entries())
      if (owner.isRemoved) this.#shared.control.setVerdict(slot, Verdict.down);
  }

  /** Applies the operator's wish at once and remembers it. */
  change(pool: string, server: string, slot: number, change: OperatorChange): void {
    const { control } = this.#shared;
    const key = `${pool}/${server}`;
    this.#changes.add(key, change);
    if (change.weight !== undefined) control.setWeight(slot, change.weight * WEIGHT_SCALE);
    if (change.mode !== undefined) control.setMode(slot, MODES[change.mode]);
  }

  /** What the slot's server says of itself; true when something is new. The operator's weight and mode stand above it. */
  report(slot: number, mode: Report, weight: number | null, unbacked: number): boolean {
    const owner = this.#owners[slot];
    const { control } = this.#shared;
    if (owner === undefined || owner.isRemoved) return false;
    // how many sessions have no backup changes all the time: whether any is news
    const isSame = control.unbacked(slot) > 0 === unbacked > 0 && control.report(slot) === mode;
    control.setUnbacked(slot, unbacked);
    if (isSame && owner.reportedWeight === weight) return false;
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
    return this.#changes.all;
  }

  /** Puts back what a former process had set. */
  restoreChanges(changes: ReadonlyMap<string, OperatorChange>): void {
    for (const [key, change] of changes) this.#changes.add(key, change);
  }
}

function keyOf(pool: string, secret: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`${pool}\n${secret}`).digest());
}

function namesOf({ pools }: HoldfastConfig): readonly string[] {
  return pools.map(({ name }) => name);
}

function addressesOf({ listen }: HoldfastConfig): readonly string[] {
  return listen.map(({ address }) => address);
}

/** A secret for pools that configure none; lost with the process unless kept in a file. */
export function makeSecret(): string {
  return randomBytes(32).toString('hex');
}
