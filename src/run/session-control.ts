// What main does about sessions beside counting them: moves them (rebalancer) and paces what new servers get (slow start).

import { systemClock } from '../base/clock.ts';
import { SlowStart } from '../health/slow-start.ts';
import { type PhaseChange, Rebalancer } from '../sessions/rebalancer.ts';
import type { Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';

export interface SessionControlOptions {
  readonly shared: SharedState;
  readonly operatorWeight: (slot: number) => number | null;
  readonly onPhase: (change: PhaseChange) => void;
}

export class SessionControl {
  readonly rebalancer: Rebalancer;
  readonly #slowStart: SlowStart;

  constructor({ shared, operatorWeight, onPhase }: SessionControlOptions) {
    this.rebalancer = new Rebalancer({ shared, clock: systemClock, onPhase });
    this.#slowStart = new SlowStart({ shared, clock: systemClock, operatorWeight });
  }

  /** Right after the slots' weights were written, before any worker hears of the revision. */
  apply(revision: Revision): void {
    this.#slowStart.apply(revision);
    this.rebalancer.apply(revision);
  }

  stop(): void {
    this.#slowStart.stop();
    this.rebalancer.stop();
  }
}
