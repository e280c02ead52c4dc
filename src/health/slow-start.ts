// Slow start: a server that comes back, or is added while the balancer runs, gets its share of new work little by little.
// Main scales the effective weight; every policy and the rebalancer reckon with it without knowing why.
//
// Servers that come up first after the balancer's own start are as cold as the balancer itself: no ramp.

import type { Clock } from '../base/clock.ts';
import { type Scheduled, type Scheduler, systemScheduler } from '../base/scheduler.ts';
import { Verdict, WEIGHT_SCALE } from '../shared/control.ts';
import type { Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';

const TICK_MS = 250;
/** Share of its weight that a server begins with. */
const FIRST_SHARE = 0.1;
const ALWAYS = Number.NEGATIVE_INFINITY;

/** Effective weight in thousandths, `elapsedMs` after the server came up: from a tenth to all, in a straight line. */
export function rampedWeight(weight: number, elapsedMs: number, slowStartMs: number): number {
  const share =
    slowStartMs <= 0 ? 1 : Math.min(1, FIRST_SHARE + ((1 - FIRST_SHARE) * elapsedMs) / slowStartMs);
  const thousandths = Math.round(weight * WEIGHT_SCALE * share);
  return weight > 0 ? Math.max(1, thousandths) : 0;
}

interface Ramp {
  readonly slot: number;
  readonly generation: number;
  weight: number;
  slowStartMs: number;
  /** It will be up at full weight at once. */
  isWarm: boolean;
  /** null: not up. */
  upSinceMs: number | null;
}

export interface SlowStartOptions {
  readonly shared: SharedState;
  readonly clock: Clock;
  /** Weight the operator has set on the slot, null for none. */
  readonly operatorWeight: (slot: number) => number | null;
  readonly scheduler?: Scheduler;
}

export class SlowStart {
  readonly #options: SlowStartOptions;
  readonly #scheduler: Scheduler;
  #ramps: readonly Ramp[] = [];
  #isFirst = true;
  #timer: Scheduled | null = null;

  constructor(options: SlowStartOptions) {
    this.#options = options;
    this.#scheduler = options.scheduler ?? systemScheduler;
  }

  /** Call right after the revision's weights were written; begins to look four times a second. */
  apply(revision: Revision): void {
    const known = this.#ramps;
    this.#ramps = revision.pools.flatMap(({ config, slots, generations }) =>
      config.servers.map((server, index) => {
        const slot = slots[index] ?? 0;
        const generation = generations[index] ?? 0;
        const old = known.find((ramp) => ramp.slot === slot && ramp.generation === generation);
        const { isWarm, upSinceMs } = old ?? { isWarm: this.#isFirst, upSinceMs: null };
        return {
          slot,
          generation,
          weight: server.weight,
          slowStartMs: config.slowStartMs,
          isWarm,
          upSinceMs,
        };
      }),
    );
    this.#isFirst = false;
    this.#poll();
    this.#timer ??= this.#scheduler.after(TICK_MS, () => this.#tick());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #tick(): void {
    this.#timer = this.#scheduler.after(TICK_MS, () => this.#tick());
    this.#poll();
  }

  #poll(): void {
    const nowMs = this.#options.clock.nowMs();
    for (const ramp of this.#ramps) this.#follow(ramp, nowMs);
  }

  #follow(ramp: Ramp, nowMs: number): void {
    const { control } = this.#options.shared;
    const isUp = control.verdict(ramp.slot) === Verdict.up;
    if (!isUp && ramp.upSinceMs !== null) {
      ramp.upSinceMs = null;
      ramp.isWarm = false;
    }
    if (isUp) ramp.upSinceMs ??= ramp.isWarm ? ALWAYS : nowMs;
    if (ramp.slowStartMs <= 0) return;
    const elapsedMs = ramp.upSinceMs === null ? (ramp.isWarm ? ramp.slowStartMs : 0) : nowMs - ramp.upSinceMs;
    const weight = this.#options.operatorWeight(ramp.slot) ?? ramp.weight;
    const wanted = rampedWeight(weight, elapsedMs, ramp.slowStartMs);
    if (control.weight(ramp.slot) !== wanted) control.setWeight(ramp.slot, wanted);
  }
}
