// A spin lock per bucket of the session table. Its value is the holder's thread number + 1, so that main can release
// the locks of a worker that died.
//
//   free ── take ──> held ── give, by its holder ──> free
//                     │
//                     └── its thread has ended: main ──> free
//
// Nobody else frees a lock: a holder that has not come back may still be alive, however long it has been put aside, and
// would go on writing into an entry that another has begun to use. Who waits in vain goes without instead.

/** The usual holder is done within these; then it has been put aside by the scheduler, and the core is left to it. */
const SPINS_MAX = 2_000;
/** A living holder is put aside for some ten milliseconds, a crowded machine may make it hundreds. */
const WAITS_MAX = 1_000;
/** After a wait in vain, until one has not been: main ends threads that hang, and cannot while it waits for them itself. */
const WAITS_AFTER = 5;
const WAIT_MS = 1;

export class BucketLocks {
  readonly #locks: Int32Array;
  readonly #own: number;
  #waitsMax = WAITS_MAX;

  /** `locks`: one shared word per bucket. */
  constructor(locks: Int32Array, thread: number) {
    this.#locks = locks;
    this.#own = thread + 1;
  }

  /**
   * Held for well under a microsecond by others. False after about a second, and nothing is held: its holder hangs, or
   * has died and is not reaped yet.
   */
  take(bucket: number): boolean {
    for (let spins = 0; spins < SPINS_MAX; spins += 1) {
      if (Atomics.compareExchange(this.#locks, bucket, 0, this.#own) === 0) return true;
    }
    return this.#await(bucket);
  }

  /** Nobody notifies, so that giving stays one instruction: the wait is a sleep that ends early by chance only. */
  #await(bucket: number): boolean {
    for (let waits = 0; waits < this.#waitsMax; waits += 1) {
      Atomics.wait(this.#locks, bucket, Atomics.load(this.#locks, bucket), WAIT_MS);
      if (Atomics.compareExchange(this.#locks, bucket, 0, this.#own) !== 0) continue;
      this.#waitsMax = WAITS_MAX;
      return true;
    }
    this.#waitsMax = WAITS_AFTER;
    return false;
  }

  give(bucket: number): void {
    Atomics.compareExchange(this.#locks, bucket, this.#own, 0);
  }

  /** Takes both in ascending order, so that two threads never wait for each other. False as `take`: neither is held. */
  takePair(first: number, second: number): boolean {
    const lower = Math.min(first, second);
    if (!this.take(lower)) return false;
    if (first === second || this.take(Math.max(first, second))) return true;
    this.give(lower);
    return false;
  }

  givePair(first: number, second: number): void {
    this.give(first);
    if (first !== second) this.give(second);
  }

  /** Main, after a thread died. O(buckets). */
  releaseAllOf(thread: number): void {
    for (let bucket = 0; bucket < this.#locks.length; bucket += 1) {
      // Nobody else gives back a lock of its own, and looking leaves the pages of a table that is hardly used untouched.
      if (Atomics.load(this.#locks, bucket) === thread + 1) Atomics.store(this.#locks, bucket, 0);
    }
  }
}
