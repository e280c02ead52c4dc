// The only place that reads time. Tests pass a ManualClock instead.
//
// What ages here (sessions, limits, deadlines) ages by the time in which this process ran: while it stood still (stopped,
// its laptop shut, starved), nobody could reach it, and it noticed nothing. Cookies and files go by the wall clock.
//
//   real      ──┬──┬──┬──┬···stopped···┬──┬──┬─
//               ticks of all threads   the first to run again adds to `stoodStill` what is missing since the last tick
//   running   ──┴──┴──┴──┴┬──┬──┬─

export interface Clock {
  /** Monotonic milliseconds in which the process ran, fractional; comparable within one process, all threads included. */
  nowMs(): number;
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
  /**
   * For how long this thread has stood still so far, as of the last `nowMs`, where it is watched: whoever has timed
   * something sees by a change that the time was not the other side's.
   */
  readonly stoodStillMs: number;
}

// Read once: it is a getter that checks its receiver on every call.
const { timeOrigin } = performance;

/** How often a thread says that it runs. */
const TICK_MS = 100;
/** A thread that is as late as this is asked by events for the time, and its timer waits for them: that is a tick as well. */
const LATE_MS = 150;
/** A thread whose tick is as late as this has stood still. */
const STILL_MS = 250;
/** Shared cells count in these: good for 248 days. */
const UNIT_MS = 10;

const Cell = { tick: 0, stoodStill: 1 } as const;

/** The real time, less what the whole process stood still. One per thread, all on the same cells. */
class RunningClock implements Clock {
  /** Cell.tick: running time of the last tick of any thread. Cell.stoodStill: of the process. Both in UNIT_MS. */
  #cells = new Int32Array(new SharedArrayBuffer(8));
  /** Real time of the last tick of this thread; for ever while nobody watches. */
  #tickedMs = Number.POSITIVE_INFINITY;
  #watchers = 0;
  #timer: NodeJS.Timeout | null = null;
  stoodStillMs = 0;

  nowMs(): number {
    // performance.timeOrigin is per thread, so it is added to make threads comparable
    const realMs = timeOrigin + performance.now();
    if (realMs - this.#tickedMs > LATE_MS) this.#isLate(realMs);
    return realMs - (this.#cells[Cell.stoodStill] as number) * UNIT_MS;
  }

  wallMs(): number {
    return Date.now();
  }

  /** For `join` in the other threads. */
  get cells(): SharedArrayBuffer {
    return this.#cells.buffer as SharedArrayBuffer;
  }

  /** Goes by the same time as the thread that the cells are from. */
  join(cells: SharedArrayBuffer): void {
    this.#cells = new Int32Array(cells);
  }

  /** Looks from now on whether this thread stands still; returns how to stop looking. */
  watch(): () => void {
    this.#watchers += 1;
    if (this.#watchers === 1) {
      this.#tick();
      this.#timer = setInterval(() => this.#tick(), TICK_MS).unref();
    }
    let isWatching = true;
    return () => {
      if (isWatching) this.#watchers -= 1;
      isWatching = false;
      if (this.#watchers > 0 || this.#timer === null) return;
      clearInterval(this.#timer);
      this.#timer = null;
      this.#tickedMs = Number.POSITIVE_INFINITY;
    };
  }

  #tick(): void {
    this.nowMs();
    this.#tickAt(timeOrigin + performance.now());
  }

  #tickAt(realMs: number): void {
    this.#tickedMs = realMs;
    Atomics.store(this.#cells, Cell.tick, units(realMs) - (this.#cells[Cell.stoodStill] as number));
  }

  #isLate(realMs: number): void {
    if (realMs - this.#tickedMs > STILL_MS) this.#standsStill(realMs);
    else this.#tickAt(realMs);
  }

  /** Where no other thread has run meanwhile either, that was the process: it goes on where its last tick was, and one more. */
  #standsStill(realMs: number): void {
    this.stoodStillMs += realMs - this.#tickedMs - TICK_MS;
    this.#tickedMs = realMs;
    const stoodStill = Atomics.load(this.#cells, Cell.stoodStill);
    const missing = (units(realMs) - stoodStill - Atomics.load(this.#cells, Cell.tick)) | 0;
    if (missing <= STILL_MS / UNIT_MS) return;
    // of several threads that wake up together one adds it, the others find it added
    const added = missing - TICK_MS / UNIT_MS;
    Atomics.compareExchange(this.#cells, Cell.stoodStill, stoodStill, stoodStill + added);
  }
}

function units(ms: number): number {
  return Math.floor(ms / UNIT_MS) | 0;
}

/** The time of this process. It stands still with it where it is watched (`watch`), and is the real time elsewhere. */
export const systemClock: RunningClock = new RunningClock();

/** How often events call for what timers would do, at most. */
const STEP_MS = 10;

/**
 * Time read once per event: `turn` at the begin of each socket event and timer, the same value from then on. A proxied
 * request asks for the time about ten times; reading it costs 40 ns each.
 */
export class TurnClock implements Clock {
  readonly #clock: Clock;
  #nowMs: number;
  #wallMinusNowMs: number;
  stoodStillMs: number;
  #stepMs = Number.POSITIVE_INFINITY;
  #onStep: (nowMs: number) => void = () => undefined;
  readonly #step = (): void => this.#onStep(this.#nowMs);

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#nowMs = clock.nowMs();
    this.#wallMinusNowMs = clock.wallMs() - this.#nowMs;
    this.stoodStillMs = clock.stoodStillMs;
  }

  /** Reads the time again. */
  turn(): number {
    this.#nowMs = this.#clock.nowMs();
    const { stoodStillMs } = this.#clock;
    // the wall clock went on meanwhile
    if (stoodStillMs !== this.stoodStillMs) this.#wallMinusNowMs = this.#clock.wallMs() - this.#nowMs;
    this.stoodStillMs = stoodStillMs;
    if (this.#nowMs >= this.#stepMs) this.#callForStep();
    return this.#nowMs;
  }

  /**
   * Calls `step` for as long as events come, between two of them and every STEP_MS at most. Timers and immediates do not do
   * for what has to happen even then: libuv polls up to 48 times, 1024 events each, before their turn comes, and with more
   * than a thousand busy connections that is seconds.
   */
  onStep(step: (nowMs: number) => void): void {
    this.#onStep = step;
    this.#stepMs = this.#nowMs;
  }

  #callForStep(): void {
    this.#stepMs = this.#nowMs + STEP_MS;
    queueMicrotask(this.#step);
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
  stoodStillMs = 0;

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
