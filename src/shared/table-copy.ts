// Keys, kinds, homes and times of the session table as they were at a moment, to find later what has changed.
//
// Plain reads of a table that others write: an entry in the middle of a change may be copied half. It then differs from
// what it is later, and so is found.

import type { EntryHolds } from './entry-holds.ts';
import { ENTRY_WORDS, TENTATIVE, Word } from './entry-words.ts';

const COPIED_WORDS = 5;
/** Beside mark and tentative. */
const IN_USE = 1 << 30;

export class TableCopy {
  readonly #words: Int32Array;
  readonly #holds: EntryHolds;
  readonly #copy: Int32Array;
  readonly entries: number;

  /** Of an empty table, 20 bytes an entry once it is used; the words and holds are those of the table. */
  constructor(words: Int32Array, holds: EntryHolds) {
    this.#words = words;
    this.#holds = holds;
    this.entries = words.length / ENTRY_WORDS;
    this.#copy = new Int32Array(this.entries * COPIED_WORDS);
  }

  /** What else than key, home and time makes the entry another. */
  #kindOf(entry: number): number {
    const base = entry * ENTRY_WORDS;
    return (
      (this.#words[base + Word.mark] as number) | ((this.#words[base + Word.flags] as number) & TENTATIVE)
    );
  }

  #isInUse(entry: number): boolean {
    return this.#holds.sum(entry) > 0;
  }

  /** The moment is now, for all entries. About 5 ns each. */
  noteAll(): void {
    for (let entry = 0; entry < this.entries; entry += 1) this.#note(entry);
  }

  /**
   * Calls `visit` for each of the entries [begin, end) that has changed, with the key it had (0, 0 for none), and notes
   * it as it is now, unless `visit` returns false: then it has changed the next time too. An entry in use has changed when it was noted as seen more than `inUseTenths` before `now`, since
   * it is still being used. Times in tenths of a second of the table's epoch.
   */
  eachChange(
    begin: number,
    end: number,
    now: number,
    inUseTenths: number,
    visit: (entry: number, keyLow: number, keyHigh: number) => boolean,
  ): void {
    const words = this.#words;
    const copy = this.#copy;
    for (let entry = begin; entry < end; entry += 1) {
      const base = entry * ENTRY_WORDS;
      const at = entry * COPIED_WORDS;
      const low = copy[at] as number;
      const high = copy[at + 1] as number;
      if (words[base] === 0 && low === 0) continue;
      const isSame =
        words[base] === low &&
        words[base + 1] === high &&
        words[base + Word.home] === copy[at + 2] &&
        (words[base + Word.seen] as number) <= (copy[at + 3] as number) &&
        this.#kindOf(entry) === ((copy[at + 4] as number) & ~IN_USE);
      const wasInUse = ((copy[at + 4] as number) & IN_USE) !== 0;
      const isFresh = now - (copy[at + 3] as number) <= inUseTenths;
      if (isSame && (wasInUse ? isFresh && this.#isInUse(entry) : isFresh || !this.#isInUse(entry))) continue;
      this.#note(entry, now);
      if (!visit(entry, low, high)) copy.fill(0, at, at + COPIED_WORDS);
    }
  }

  /** `now`: when an entry in use is seen. */
  #note(entry: number, now = 0): void {
    const words = this.#words;
    const base = entry * ENTRY_WORDS;
    const at = entry * COPIED_WORDS;
    if (words[base] === 0) {
      this.#copy.fill(0, at, at + COPIED_WORDS);
      return;
    }
    const seen = words[base + Word.seen] as number;
    this.#copy[at] = words[base] as number;
    this.#copy[at + 1] = words[base + 1] as number;
    this.#copy[at + 2] = words[base + Word.home] as number;
    const isInUse = this.#isInUse(entry);
    this.#copy[at + 3] = isInUse ? Math.max(seen, now) : seen;
    this.#copy[at + 4] = this.#kindOf(entry) | (isInUse ? IN_USE : 0);
  }
}
