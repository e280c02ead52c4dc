// Since when a server has been up without a failed attempt: only then do sessions go back to it. A verdict alone is not
// enough, a server that has just died is still called up until a check has found out.

import type { HealthConfig } from '../config/model.ts';
import { Verdict } from '../shared/control.ts';
import type { PoolRevision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Counter } from '../shared/stripe.ts';

const UNCHECKED_MS = 30_000;
const SETTLE_MIN_MS = 2_000;

interface Quiet {
  readonly generation: number;
  failures: number;
  sinceMs: number;
}

/** How long a server must have been quiet: as long as its checks may take to find it dead. */
export function settleMs(health: HealthConfig | null): number {
  if (health === null) return UNCHECKED_MS;
  return Math.max(SETTLE_MIN_MS, health.intervalMs * (health.fall + 1) + health.timeoutMs);
}

export class Stability {
  readonly #shared: SharedState;
  readonly #quiet = new Map<number, Quiet>();

  constructor(shared: SharedState) {
    this.#shared = shared;
  }

  /** Looks at the pool's servers: about once a second. */
  poll(pool: PoolRevision, nowMs: number): void {
    const { control } = this.#shared;
    pool.slots.forEach((slot, index) => {
      const generation = pool.generations[index] ?? 0;
      const failures = this.#shared.sumCounter(slot, Counter.failures);
      const known = this.#quiet.get(slot);
      const isQuiet = control.verdict(slot) === Verdict.up && known?.failures === failures;
      if (known?.generation !== generation) this.#quiet.set(slot, { generation, failures, sinceMs: nowMs });
      else if (!isQuiet) Object.assign(known, { failures, sinceMs: nowMs });
    });
  }

  isSettled(slot: number, forMs: number, nowMs: number): boolean {
    const known = this.#quiet.get(slot);
    return known !== undefined && nowMs - known.sinceMs >= forMs;
  }
}
