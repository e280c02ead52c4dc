// Passive health of all pools: turns running totals from shared memory into differences for each pool's detector.

import type { PoolRevision } from '../shared/revision.ts';
import { type EjectionChange, OutlierDetector, type PassiveSignals } from './outlier.ts';

/** As PassiveSignals, but counted since the slot's generation began, `clients` excepted; of all workers. */
export type PassiveTotals = PassiveSignals;

const NONE: PassiveTotals = {
  connectFailures: 0,
  responseFailures: 0,
  badStatuses: 0,
  successes: 0,
  clients: 0,
};

interface PassivePool {
  readonly detector: OutlierDetector;
  slots: readonly number[];
  generations: readonly number[];
}

export class PassiveHealth {
  readonly #totals: (slot: number) => PassiveTotals;
  readonly #pools = new Map<string, PassivePool>();
  readonly #last = new Map<number, PassiveTotals>();
  /** Ejected servers of pools that went away or switched passive health off: to be taken back. */
  #released: number[] = [];

  constructor(totals: (slot: number) => PassiveTotals) {
    this.#totals = totals;
  }

  /** The pool's rules and servers are now these. */
  applyPool(pool: PoolRevision, nowMs: number): void {
    const { name, passive } = pool.config;
    if (passive === null) {
      this.#dropPool(name);
      return;
    }
    const known = this.#pools.get(name) ?? {
      detector: new OutlierDetector(passive),
      slots: [],
      generations: [],
    };
    known.detector.apply(passive, pool.slots, nowMs);
    pool.slots.forEach((slot, index) => {
      const before = known.slots.indexOf(slot);
      if (before >= 0 && known.generations[before] === pool.generations[index]) return;
      known.detector.forget(slot, nowMs);
      this.#last.set(slot, this.#totals(slot));
    });
    known.slots = pool.slots;
    known.generations = pool.generations;
    this.#pools.set(name, known);
  }

  /** Forgets pools that are not among `names`. */
  keepPools(names: ReadonlySet<string>): void {
    for (const name of [...this.#pools.keys()]) if (!names.has(name)) this.#dropPool(name);
  }

  /** What has happened on the server so far counts no more. */
  forget(slot: number, nowMs: number): void {
    for (const { detector, slots } of this.#pools.values())
      if (slots.includes(slot)) detector.forget(slot, nowMs);
    if (this.#last.has(slot)) this.#last.set(slot, this.#totals(slot));
  }

  /** Reads what has happened since the last look and says who goes and who comes back. */
  poll(nowMs: number, isInService: (slot: number) => boolean): readonly EjectionChange[] {
    const changes: EjectionChange[] = this.#released.map((slot) => ({
      slot,
      isEjected: false,
      reason: 'passive health was switched off',
    }));
    this.#released = [];
    for (const { detector, slots } of this.#pools.values()) {
      for (const slot of slots) detector.observe(slot, this.#since(slot), nowMs);
      changes.push(...detector.decide(nowMs, isInService));
    }
    return changes;
  }

  #dropPool(name: string): void {
    const pool = this.#pools.get(name);
    if (pool === undefined) return;
    this.#released.push(...pool.slots);
    for (const slot of pool.slots) this.#last.delete(slot);
    this.#pools.delete(name);
  }

  #since(slot: number): PassiveSignals {
    const totals = this.#totals(slot);
    const last = this.#last.get(slot) ?? NONE;
    this.#last.set(slot, totals);
    // A slot cleared for another server counts from zero again: never let that look like negative failures.
    return {
      connectFailures: Math.max(0, totals.connectFailures - last.connectFailures),
      responseFailures: Math.max(0, totals.responseFailures - last.responseFailures),
      badStatuses: Math.max(0, totals.badStatuses - last.badStatuses),
      successes: Math.max(0, totals.successes - last.successes),
      clients: totals.clients,
    };
  }
}
