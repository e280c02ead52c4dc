// Which threads have requests that wait for a server of a pool, so that a place that one thread's request leaves is
// offered to the others. Without it a thread that has the places would keep them, and the requests of the others starve.
//
//   waiting  Int32 [ pool × WORDS ]   a bit for each worker, which sets and clears its own; main clears a dead worker's
//   offers   Int32 [ pool ]           slot of the last offer in the low bits, above them a count; who waits, waits on it
//
// The third named exception to "one writer per cell": anybody may offer. A hint, no lock: an offer that comes while
// nobody listens yet is lost, and every thread looks by itself ten times a second. So asking, which every request does
// at its end, is two plain loads.

import { POOL_IDS_MAX, SLOTS_MAX, WORKERS_MAX } from './limits.ts';

const BITS = 32;
const WORDS = WORKERS_MAX / BITS;
const OFFERS = POOL_IDS_MAX * WORDS;

export class WaitingThreads {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array;
  /** Of each word, the bits of other workers. */
  readonly #others: Int32Array;
  readonly #word: number;
  readonly #bit: number;

  /** `own`: index of the worker; null for main, which never waits. */
  constructor(buffer: SharedArrayBuffer | null, own: number | null) {
    this.buffer = buffer ?? new SharedArrayBuffer((OFFERS + POOL_IDS_MAX) * 4);
    this.#cells = new Int32Array(this.buffer);
    this.#word = Math.floor((own ?? 0) / BITS);
    this.#bit = own === null ? 0 : 1 << (own % BITS);
    this.#others = new Int32Array(WORDS).fill(-1);
    this.#others[this.#word] = ~this.#bit;
  }

  /** Whether requests of this thread wait for a server of the pool. */
  set(pool: number, isWaiting: boolean): void {
    const cell = pool * WORDS + this.#word;
    if (isWaiting) Atomics.or(this.#cells, cell, this.#bit);
    else Atomics.and(this.#cells, cell, ~this.#bit);
  }

  othersWait(pool: number): boolean {
    const first = pool * WORDS;
    for (let word = 0; word < WORDS; word += 1) {
      const waiting = this.#cells[first + word] as number;
      if ((waiting & (this.#others[word] as number)) !== 0) return true;
    }
    return false;
  }

  /** A place on the slot is free: wakes the threads that listen. */
  offer(pool: number, slot: number): void {
    const cell = OFFERS + pool;
    const next = (Math.floor(Atomics.load(this.#cells, cell) / SLOTS_MAX) + 1) * SLOTS_MAX + slot;
    Atomics.store(this.#cells, cell, next | 0);
    Atomics.notify(this.#cells, cell);
  }

  /** Calls `listener` once, with the slot of the next offer of another thread. Does not keep the thread alive. */
  onOffer(pool: number, listener: (slot: number) => void): void {
    const cell = OFFERS + pool;
    const result = Atomics.waitAsync(this.#cells, cell, Atomics.load(this.#cells, cell));
    const heard = (): void => listener(Atomics.load(this.#cells, cell) & (SLOTS_MAX - 1));
    if (result.async) void result.value.then(heard);
    else queueMicrotask(heard);
  }

  /** Main, after a worker has died. */
  clear(worker: number): void {
    const bit = 1 << (worker % BITS);
    const word = Math.floor(worker / BITS);
    for (let pool = 0; pool < POOL_IDS_MAX; pool += 1) Atomics.and(this.#cells, pool * WORDS + word, ~bit);
  }
}
