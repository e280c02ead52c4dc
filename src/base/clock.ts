// The only place that reads time. Tests pass a ManualClock instead.

export interface Clock {
  /** Monotonic milliseconds, fractional; comparable within one process, all threads included. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
}

/** The real time. `performance.timeOrigin` is per thread, so it is added to make threads comparable. */
export const systemClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
  wallMs: () => Date.now(),
};

/** A clock that stands still until told to move. */
export class ManualClock implements Clock {
  #nowMs: number;

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}
