// Passive health: servers that fail real traffic are ejected for a while. Pure: fed with counts, asked for changes.
//
// A server is an outlier when, within the window, at least `failures` attempts on it failed and they are a
// considerable share of all its attempts (so that a server failing one reply in two goes, and one failing one in a
// thousand stays), and at least `clients` different clients have met them (so that one client, or one broken page,
// ejects nobody). It stays out for ejectMs times the number of its recent ejections, at most ten times.
//
// Out means: no new sessions. Those it has with `state: local` stay.

import type { PassiveConfig } from '../config/model.ts';

/** What happened on one server since the last time; the three failure kinds are told apart for the log. */
export interface PassiveSignals {
  /** Connections refused, reset while connecting or not accepted in time. */
  readonly connectFailures: number;
  /** Responses that did not come in time, connections that ended before or within a response. */
  readonly responseFailures: number;
  /** Answers with a status that the pool counts (`passive.status`). */
  readonly badStatuses: number;
  readonly successes: number;
  /** A bit for each client that met a failure; several may have one in common, so that they are at least so many. */
  readonly clients: number;
}

export interface EjectionChange {
  readonly slot: number;
  readonly isEjected: boolean;
  /** As text, for log and event. */
  readonly reason: string;
}

/** Fewer of all attempts than this failing is noise. */
export const FAILURE_SHARE_MIN = 0.3;
/** An ejection lasts at most this many times the configured time. */
export const EJECT_FACTOR_MAX = 10;
const WINDOW_PARTS = 10;

class Outlier {
  readonly slot: number;
  readonly failed = new Float64Array(WINDOW_PARTS);
  readonly succeeded = new Float64Array(WINDOW_PARTS);
  readonly clients = new Int32Array(WINDOW_PARTS);
  part = 0;
  /** 0 = not ejected. */
  ejectedUntilMs = 0;
  /** Recent ejections; one is forgotten for each ejectMs in service. */
  ejections = 0;
  decayedAtMs = 0;
  lastReason = '';

  constructor(slot: number, nowMs: number) {
    this.slot = slot;
    this.decayedAtMs = nowMs;
  }
}

/** The outliers of one pool. Every method is O(servers) or better. */
export class OutlierDetector {
  readonly #outliers = new Map<number, Outlier>();
  #rules: PassiveConfig;
  #isPanicking = false;

  constructor(rules: PassiveConfig) {
    this.#rules = rules;
  }

  /** True while ejections are ignored because too few servers would be left. */
  get isPanicking(): boolean {
    return this.#isPanicking;
  }

  /** New rules or servers; what is known of servers that stay is kept. */
  apply(rules: PassiveConfig, slots: readonly number[], nowMs: number): void {
    this.#rules = rules;
    const kept = new Set(slots);
    for (const slot of this.#outliers.keys()) if (!kept.has(slot)) this.#outliers.delete(slot);
    for (const slot of slots)
      if (!this.#outliers.has(slot)) this.#outliers.set(slot, new Outlier(slot, nowMs));
  }

  /** Forgets what is known of one server: its slot was given to another, or it was taken out of service. */
  forget(slot: number, nowMs: number): void {
    if (this.#outliers.has(slot)) this.#outliers.set(slot, new Outlier(slot, nowMs));
  }

  observe(slot: number, signals: PassiveSignals, nowMs: number): void {
    const outlier = this.#outliers.get(slot);
    if (outlier === undefined) return;
    this.#turn(outlier, nowMs);
    const part = outlier.part % WINDOW_PARTS;
    const { connectFailures, responseFailures, badStatuses, successes, clients } = signals;
    const failed = connectFailures + responseFailures + badStatuses;
    outlier.clients[part] = (outlier.clients[part] ?? 0) | clients;
    outlier.failed[part] = (outlier.failed[part] ?? 0) + failed;
    outlier.succeeded[part] = (outlier.succeeded[part] ?? 0) + successes;
    if (failed === 0) return;
    outlier.lastReason = `${connectFailures} connect, ${responseFailures} response, ${badStatuses} status failures`;
  }

  /**
   * Who is put aside and who comes back now. `isInService(slot)`: active checks and the operator would let it
   * serve; used for the share and the panic rule, so that ejection never adds to an outage.
   */
  decide(nowMs: number, isInService: (slot: number) => boolean): readonly EjectionChange[] {
    const changes: EjectionChange[] = [];
    let ejected = 0;
    for (const outlier of this.#outliers.values()) {
      if (outlier.ejectedUntilMs > 0 && nowMs >= outlier.ejectedUntilMs) {
        this.#readmit(outlier, nowMs);
        changes.push({ slot: outlier.slot, isEjected: false, reason: 'ejection time is over' });
      }
      if (outlier.ejectedUntilMs > 0) ejected += 1;
      else this.#decay(outlier, nowMs);
    }
    const ejectedMax = this.#ejectedMax();
    for (const outlier of this.#outliers.values()) {
      if (ejected >= ejectedMax || outlier.ejectedUntilMs > 0) continue;
      const reason = isInService(outlier.slot) ? this.#accusation(outlier, nowMs) : null;
      if (reason === null) continue;
      this.#eject(outlier, nowMs);
      ejected += 1;
      changes.push({ slot: outlier.slot, isEjected: true, reason });
    }
    return this.#withPanic(changes, isInService);
  }

  /** At least one server may go, and never the last of all. */
  #ejectedMax(): number {
    const servers = this.#outliers.size;
    return Math.min(servers - 1, Math.max(1, Math.floor(servers * this.#rules.maxEjected)));
  }

  #accusation(outlier: Outlier, nowMs: number): string | null {
    this.#turn(outlier, nowMs);
    const failed = sum(outlier.failed);
    const share = failed / (failed + sum(outlier.succeeded));
    if (failed < this.#rules.failures || share < FAILURE_SHARE_MIN) return null;
    if (bitsOf(outlier.clients) < this.#rules.clients) return null;
    const percent = Math.round(share * 100);
    return `${failed} of its last requests failed (${percent} %), most recently ${outlier.lastReason}`;
  }

  #eject(outlier: Outlier, nowMs: number): void {
    outlier.ejections = Math.min(EJECT_FACTOR_MAX, outlier.ejections + 1);
    outlier.ejectedUntilMs = nowMs + this.#rules.ejectMs * outlier.ejections;
  }

  #readmit(outlier: Outlier, nowMs: number): void {
    outlier.ejectedUntilMs = 0;
    outlier.decayedAtMs = nowMs;
    outlier.failed.fill(0);
    outlier.succeeded.fill(0);
    outlier.clients.fill(0);
  }

  #decay(outlier: Outlier, nowMs: number): void {
    const periods = Math.floor((nowMs - outlier.decayedAtMs) / Math.max(1, this.#rules.ejectMs));
    if (periods <= 0) return;
    outlier.ejections = Math.max(0, outlier.ejections - periods);
    outlier.decayedAtMs += periods * this.#rules.ejectMs;
  }

  /** Moves the window on to the part that `nowMs` belongs to, emptying the parts it passes. */
  #turn(outlier: Outlier, nowMs: number): void {
    const part = Math.floor((nowMs * WINDOW_PARTS) / Math.max(1, this.#rules.windowMs));
    const passed = Math.min(WINDOW_PARTS, part - outlier.part);
    for (let step = 0; step < passed; step += 1) {
      outlier.failed[(part - step) % WINDOW_PARTS] = 0;
      outlier.succeeded[(part - step) % WINDOW_PARTS] = 0;
      outlier.clients[(part - step) % WINDOW_PARTS] = 0;
    }
    outlier.part = Math.max(outlier.part, part);
  }

  /** In a panic everybody ejected is taken back for its length; the times run on. */
  #withPanic(changes: EjectionChange[], isInService: (slot: number) => boolean): readonly EjectionChange[] {
    let inService = 0;
    for (const outlier of this.#outliers.values()) {
      if (outlier.ejectedUntilMs === 0 && isInService(outlier.slot)) inService += 1;
    }
    const panics = inService < this.#outliers.size * this.#rules.panic;
    const wasPanicking = this.#isPanicking;
    this.#isPanicking = panics;
    if (!panics && !wasPanicking) return changes;
    const out = changes.filter((change) => !change.isEjected);
    for (const outlier of this.#outliers.values()) {
      if (outlier.ejectedUntilMs === 0 || (panics && wasPanicking)) continue;
      const reason = panics
        ? 'too few servers left: ejections ignored'
        : 'enough servers again: ejections count';
      out.push({ slot: outlier.slot, isEjected: !panics, reason });
    }
    return out;
  }
}

/** How many bits are set in any of the parts. */
function bitsOf(parts: Int32Array): number {
  let all = 0;
  for (const part of parts) all |= part;
  let count = 0;
  for (let left = all >>> 0; left !== 0; left >>>= 1) count += left & 1;
  return count;
}

function sum(parts: Float64Array): number {
  let total = 0;
  for (const part of parts) total += part;
  return total;
}
