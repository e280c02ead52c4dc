// A spin lock per bucket of the session table. Its value is the holder's thread number + 1, so that main can release
// the locks of a worker that died.

/** The usual holder is done within these; then it has been put aside by the scheduler, and the core is left to it. */
const SPINS_MAX = 2_000;
/**
 * A holder that has not come back after so many milliseconds is dead, and main, which frees a dead thread's locks
 * within milliseconds, is too: a living one is put aside for some ten, a crowded machine may make it hundreds.
 */
const WAITS_MAX = 1_000;
const WAIT_MS = 1;

export class BucketLocks {
  readonly #locks: Int32Array;
  readonly #own: number;

  /** `locks`: one shared word per bucket. */
  constructor(locks: Int32Array, thread: number) {
    this.#locks = locks;
    this.#own = thread + 1;
  }

  /** Held for well under a microsecond by others; the bound is for a holder that died and is not yet reaped. */
  take(bucket: number): void {
    for (let spins = 0; spins < SPINS_MAX; spins += 1) {
      if (Atomics.compareExchange(this.#locks, bucket, 0, this.#own) === 0) return;
    }
    this.#await(bucket);
  }

  /** Nobody notifies, so that giving stays one instruction: the wait is a sleep that ends early by chance only. */
  #await(bucket: number): void {
    for (let waits = 0; waits < WAITS_MAX; waits += 1) {
      const holder = Atomics.compareExchange(this.#locks, bucket, 0, this.#own);
      if (holder === 0) return;
      Atomics.wait(this.#locks, bucket, holder, WAIT_MS);
    }
    Atomics.store(this.#locks, bucket, this.#own);
  }

  give(bucket: number): void {
    Atomics.compareExchange(this.#locks, bucket, this.#own, 0);
  }

  /** Takes both in ascending order, so that two threads never wait for each other. */
  takePair(first: number, second: number): void {
    this.take(Math.min(first, second));
    if (first !== second) this.take(Math.max(first, second));
  }

  givePair(first: number, second: number): void {
    this.give(first);
    if (first !== second) this.give(second);
  }

  /** Main, after a thread died. O(buckets). */
  releaseAllOf(thread: number): void {
    for (let bucket = 0; bucket < this.#locks.length; bucket += 1) {
      Atomics.compareExchange(this.#locks, bucket, thread + 1, 0);
    }
  }
}
