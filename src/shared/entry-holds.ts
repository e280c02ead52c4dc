// Who has a session in use: for each thread a count per entry of the session table, of requests and tunnels open now.
//
//   thread 0   entry × count     only thread 0 adds
//   thread 1   entry × count     only thread 1 adds
//
// No entry goes to another key while anybody has it in use, though its session has ended (bucket-choice.ts). So what a
// thread has added is its own until it takes it back, and a thread that dies takes nobody else's count with it: main clears
// its row, and the others stand. The last row is main's, which holds what the process before this one still has in use.

import { BUCKET_ENTRIES } from './entry-words.ts';

const BYTES = Int32Array.BYTES_PER_ELEMENT;

export class EntryHolds {
  readonly #rows: readonly Int32Array[];
  readonly #own: Int32Array;

  constructor(buffer: SharedArrayBuffer, entries: number, thread: number) {
    const threads = buffer.byteLength / (entries * BYTES);
    this.#rows = Array.from(
      { length: threads },
      (_, row) => new Int32Array(buffer, row * entries * BYTES, entries),
    );
    const own = this.#rows[thread];
    if (own === undefined) throw new Error(`thread ${thread} of ${threads} has no row of holds`);
    this.#own = own;
  }

  /** Room for `threads` rows. Pages that are never touched are never committed. */
  static buffer(entries: number, threads: number): SharedArrayBuffer {
    return new SharedArrayBuffer(entries * threads * BYTES);
  }

  add(entry: number): void {
    Atomics.add(this.#own, entry, 1);
  }

  /** Takes one of this thread's back; nothing when main has taken the thread for dead, and all of it. */
  drop(entry: number): void {
    const count = Atomics.load(this.#own, entry);
    if (count > 0) Atomics.compareExchange(this.#own, entry, count, count - 1);
  }

  /** All that this thread has of the entry. */
  set(entry: number, count: number): void {
    if (Atomics.load(this.#own, entry) !== count) Atomics.store(this.#own, entry, count);
  }

  /** Nothing is in use by this thread; `visit` is told what was. O(entries). */
  clearOwn(visit: (entry: number) => void): void {
    for (let entry = 0; entry < this.#own.length; entry += 1) {
      if (Atomics.load(this.#own, entry) === 0) continue;
      visit(entry);
      Atomics.store(this.#own, entry, 0);
    }
  }

  /** Over all threads: exact. O(threads). */
  sum(entry: number): number {
    let sum = 0;
    for (const row of this.#rows) sum += Atomics.load(row, entry);
    return sum;
  }

  /** Main, after a thread died. `everUsed`: 1 for each bucket in which there has ever been an entry. O(buckets). */
  clearThread(thread: number, everUsed: Uint8Array): void {
    const row = this.#rows[thread];
    if (row === undefined) return;
    for (let entry = 0; entry < row.length; entry += 1) {
      if (everUsed[Math.floor(entry / BUCKET_ENTRIES)] === 0) entry += BUCKET_ENTRIES - 1;
      else if (Atomics.load(row, entry) !== 0) Atomics.store(row, entry, 0);
    }
  }
}
