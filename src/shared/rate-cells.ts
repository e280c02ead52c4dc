// Request rate limits of all threads together: the generic cell rate algorithm (GCRA; ITU-T I.371) over cells in
// shared memory. Shared and not a share per thread, because the kernel gives a client's one kept connection to one
// thread: with a share each it would get a fraction of its rate.
//
//   limit l:  row 0 [ CELLS × Int32 ] | row 1 [ CELLS × Int32 ]
//
// A cell holds the time up to which its clients have used what they are due, in ticks of the limit, modulo 2^32. No
// client is stored: its key picks a cell in each row and the lesser of the two counts (Estan and Varghese, "New
// Directions in Traffic Measurement", 2002), so that memory is bounded whoever comes, and with 1000 clients over
// their limit at once another one shares both of its cells with some of them once in a thousand times. The second named
// exception to "one writer per cell": compare-exchange.

import { RATE_LIMITS_MAX } from '../config/rate.ts';

const CELL_BITS = 15;
const CELLS = 1 << CELL_BITS;
const ROWS = 2;
/** Other threads' writes in between before we give up and let the request pass. */
const SPINS_MAX = 16;
/** A limit's whole burst in ticks, at most: a value so old that it wrapped is taken for a new one once in 250 times. */
const BURST_TICKS_MAX = 1 << 24;
const TICK_MS_MIN = 0.01;

/** A rate in ticks of its own length. */
export interface RatePace {
  readonly tickMs: number;
  /** What one request uses up. */
  readonly requestTicks: number;
  /** How far ahead of time a client may be and still be served. */
  readonly aheadTicks: number;
}

export function paceOf(perSecond: number, burst: number): RatePace {
  const requestMs = 1000 / perSecond;
  const tickMs = Math.max(TICK_MS_MIN, (requestMs * burst) / BURST_TICKS_MAX);
  const requestTicks = Math.max(1, Math.round(requestMs / tickMs));
  return { tickMs, requestTicks, aheadTicks: requestTicks * (burst - 1) };
}

export class RateCells {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(RATE_LIMITS_MAX * ROWS * CELLS * 4);
    this.#cells = new Int32Array(this.buffer);
  }

  /**
   * One request of the client with this key under limit `index`. 0: it may pass, and is counted. Otherwise the
   * milliseconds after which one will.
   */
  take(index: number, keyLow: number, keyHigh: number, pace: RatePace, nowMs: number): number {
    const base = index * ROWS * CELLS;
    const first = base + (keyLow & (CELLS - 1));
    const second = base + CELLS + (keyHigh & (CELLS - 1));
    const now = Math.floor(nowMs / pace.tickMs) | 0;
    for (let spin = 0; spin < SPINS_MAX; spin += 1) {
      const firstValue = Atomics.load(this.#cells, first);
      const secondValue = Atomics.load(this.#cells, second);
      const firstAhead = aheadOf(firstValue, now, pace);
      const secondAhead = aheadOf(secondValue, now, pace);
      const ahead = Math.min(firstAhead, secondAhead);
      if (ahead > pace.aheadTicks) return (ahead - pace.aheadTicks) * pace.tickMs;
      const used = ahead + pace.requestTicks;
      const isFirstSet = firstAhead >= used || this.#set(first, firstValue, now + used);
      if (isFirstSet && (secondAhead >= used || this.#set(second, secondValue, now + used))) return 0;
    }
    return 0;
  }

  #set(cell: number, from: number, to: number): boolean {
    return Atomics.compareExchange(this.#cells, cell, from, to | 0) === from;
  }
}

/** Ticks from now to the cell's time; 0 when that has passed or was never meant for this pace. */
function aheadOf(value: number, now: number, pace: RatePace): number {
  const ahead = (value - now) | 0;
  return ahead < 0 || ahead > pace.aheadTicks + pace.requestTicks ? 0 : ahead;
}
