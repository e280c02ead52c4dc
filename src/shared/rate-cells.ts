// Request rate limits of all threads together: the generic cell rate algorithm (GCRA; ITU-T I.371) over cells in
// shared memory. Shared and not a share per thread, because the kernel gives a client's one kept connection to one
// thread: with a share each it would get a fraction of its rate.
//
//   limit l:  BUCKETS x [ WAYS x tag | WAYS x time ]        Int32 each
//
// A client's key leads to a bucket, and one of its ways is the client's: the tag is the rest of the keyed hash, the time
// that up to which the client has used what it is due, in ticks of the limit, modulo 2^32. A client that is not there
// takes the way whose client has used least, so that memory is bounded whoever comes, those far over their limit are
// forgotten last, and nobody ever answers for another: one client with made-up keys makes the limit forget, not
// refuse. (Cells shared by several clients did refuse: 60 000 made-up keys closed the door to all new ones.) The second
// named exception to "one writer per cell": compare-exchange.

import { RATE_LIMITS_MAX } from '../config/rate.ts';

const BUCKET_BITS = 12;
const BUCKETS = 1 << BUCKET_BITS;
const WAYS = 8;
const BUCKET_CELLS = 2 * WAYS;
const NO_WAY = -1;
/** Tag of a way that is being given to a new client; clients' are odd. */
const SETTLING = 2;
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
    this.buffer = buffer ?? new SharedArrayBuffer(RATE_LIMITS_MAX * BUCKETS * BUCKET_CELLS * 4);
    this.#cells = new Int32Array(this.buffer);
  }

  /**
   * One request of the client with this key under limit `index`. 0: it may pass, and is counted. Otherwise the
   * milliseconds after which one will.
   */
  take(index: number, keyLow: number, keyHigh: number, pace: RatePace, nowMs: number): number {
    const bucket = (index * BUCKETS + (keyLow & (BUCKETS - 1))) * BUCKET_CELLS;
    const tag = keyHigh | 1; // 0 is nobody's
    const now = Math.floor(nowMs / pace.tickMs) | 0;
    for (let spin = 0; spin < SPINS_MAX; spin += 1) {
      const way = this.#wayOf(bucket, tag, NO_WAY);
      const time = bucket + WAYS + way;
      if (way >= 0) {
        const value = Atomics.load(this.#cells, time);
        const ahead = aheadOf(value, now, pace);
        if (ahead > pace.aheadTicks) return (ahead - pace.aheadTicks) * pace.tickMs;
        if (this.#set(time, value, now + ahead + pace.requestTicks)) return 0;
      } else if (this.#settle(bucket, tag, now, pace)) return 0;
    }
    return 0;
  }

  /** The client's way, or one beside `but`; NO_WAY when there is none. */
  #wayOf(bucket: number, tag: number, but: number): number {
    for (let way = 0; way < WAYS; way += 1)
      if (way !== but && Atomics.load(this.#cells, bucket + way) === tag) return way;
    return NO_WAY;
  }

  /**
   * Gives a new client the way whose client has used least, and counts its request; false when others were faster. The way
   * is nobody's until its time is the new client's. Who finds after that the client with a second way, from a thread that
   * met it at the same time, gives its own back: each looks after it has written, so that one of them sees the other.
   */
  #settle(bucket: number, tag: number, now: number, pace: RatePace): boolean {
    let chosen = 0;
    let least = Number.POSITIVE_INFINITY;
    for (let way = 0; way < WAYS && least > 0; way += 1) {
      const held = Atomics.load(this.#cells, bucket + way);
      if (held === SETTLING) continue;
      const ahead = held === 0 ? 0 : aheadOf(Atomics.load(this.#cells, bucket + WAYS + way), now, pace);
      if (ahead < least) [chosen, least] = [way, ahead];
    }
    const own = bucket + chosen;
    const other = Atomics.load(this.#cells, own);
    if (other === tag || other === SETTLING || !this.#set(own, other, SETTLING)) return false;
    Atomics.store(this.#cells, own + WAYS, (now + pace.requestTicks) | 0);
    Atomics.store(this.#cells, own, tag);
    if (this.#wayOf(bucket, tag, chosen) === NO_WAY) return true;
    this.#set(own, tag, 0);
    return false;
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
