// The only place that reads time. Tests pass a ManualClock instead.

export interface Clock {
  /** Monotonic milliseconds, fractional; comparable within one process, all threads included. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
}

// Read once: it is a getter that checks its receiver on every call.
const { timeOrigin } = performance;

/** The real time. `performance.timeOrigin` is per thread, so it is added to make threads comparable. */
export const systemClock: Clock = {
  nowMs: () => timeOrigin + performance.now(),
  wallMs: () => Date.now(),
};

/**
 * Time read once per event: `turn` at the begin of each socket event and timer, the same value from then on. A proxied
 * request asks for the time about ten times; reading it costs 40 ns each.
 */
export class TurnClock implements Clock {
  readonly #clock: Clock;
  #nowMs: number;
  #wallMinusNowMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#nowMs = clock.nowMs();
    this.#wallMinusNowMs = clock.wallMs() - this.#nowMs;
  }

  /** Reads the time anew. */
  turn(): number {
    this.#nowMs = this.#clock.nowMs();
    return this.#nowMs;
  }

  /** Also follows a wall clock that was set; call now and then. */
  tick(): number {
    const nowMs = this.turn();
    this.#wallMinusNowMs = this.#clock.wallMs() - nowMs;
    return nowMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs + this.#wallMinusNowMs;
  }
}

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
