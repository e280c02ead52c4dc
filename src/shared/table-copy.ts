// Keys, kinds, homes and times of the session table as they were at a moment, to find later what has changed.
//
// Plain reads of a table that others write: an entry in the middle of a change may be copied half. It then differs from
// what it is later, and so is found.

const COPIED_WORDS = 5;
/** Beside what `kindOf` says. */
const IN_USE = 1 << 30;

/** How the table's words are laid out, and what is asked about an entry. */
export interface CopiedTable {
  readonly words: Int32Array;
  readonly entryWords: number;
  readonly homeWord: number;
  readonly seenWord: number;
  /** What else than key, home and time makes it another; below bit 30. */
  kindOf(entry: number): number;
  isInUse(entry: number): boolean;
}

export class TableCopy {
  readonly #table: CopiedTable;
  readonly #copy: Int32Array;
  readonly entries: number;

  /** Of an empty table, 20 bytes an entry once it is used. */
  constructor(table: CopiedTable) {
    this.#table = table;
    this.entries = table.words.length / table.entryWords;
    this.#copy = new Int32Array(this.entries * COPIED_WORDS);
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
    const table = this.#table;
    const { words, entryWords, homeWord, seenWord } = table;
    const copy = this.#copy;
    for (let entry = begin; entry < end; entry += 1) {
      const base = entry * entryWords;
      const at = entry * COPIED_WORDS;
      const low = copy[at] as number;
      const high = copy[at + 1] as number;
      if (words[base] === 0 && low === 0) continue;
      const isSame =
        words[base] === low &&
        words[base + 1] === high &&
        words[base + homeWord] === copy[at + 2] &&
        (words[base + seenWord] as number) <= (copy[at + 3] as number) &&
        table.kindOf(entry) === ((copy[at + 4] as number) & ~IN_USE);
      const wasInUse = ((copy[at + 4] as number) & IN_USE) !== 0;
      const isFresh = now - (copy[at + 3] as number) <= inUseTenths;
      if (isSame && (wasInUse ? isFresh && table.isInUse(entry) : isFresh || !table.isInUse(entry))) continue;
      this.#note(entry, now);
      if (!visit(entry, low, high)) copy.fill(0, at, at + COPIED_WORDS);
    }
  }

  /** `now`: when an entry in use is seen. */
  #note(entry: number, now = 0): void {
    const { words, entryWords, homeWord, seenWord } = this.#table;
    const base = entry * entryWords;
    const at = entry * COPIED_WORDS;
    if (words[base] === 0) {
      this.#copy.fill(0, at, at + COPIED_WORDS);
      return;
    }
    const seen = words[base + seenWord] as number;
    this.#copy[at] = words[base] as number;
    this.#copy[at + 1] = words[base + 1] as number;
    this.#copy[at + 2] = words[base + homeWord] as number;
    const isInUse = this.#table.isInUse(entry);
    this.#copy[at + 3] = isInUse ? Math.max(seen, now) : seen;
    this.#copy[at + 4] = this.#table.kindOf(entry) | (isInUse ? IN_USE : 0);
  }
}
