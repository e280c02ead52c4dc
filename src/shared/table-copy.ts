// Keys, homes and times of the session table as they were at a moment, to find later what has changed.
//
// Plain reads of a table that others write: an entry in the middle of a change may be copied half. It then differs from
// what it is later, and so is found.

const COPIED_WORDS = 4;

/** How the table's words are laid out, and what is asked about an entry. */
export interface CopiedTable {
  readonly words: Int32Array;
  readonly entryWords: number;
  readonly homeWord: number;
  readonly seenWord: number;
  /** Nothing is noted of such an entry: it counts as changed. */
  isLeftOut(entry: number): boolean;
  isInUse(entry: number): boolean;
}

export class TableCopy {
  readonly #table: CopiedTable;
  readonly #copy: Int32Array;
  readonly entries: number;

  /** Of an empty table, 16 bytes an entry once it is used. */
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
   * it as it is now. An entry in use has changed when it was noted as seen more than `inUseTenths` before `now`, since
   * it is still being used. Times in tenths of a second of the table's epoch.
   */
  eachChange(
    begin: number,
    end: number,
    now: number,
    inUseTenths: number,
    visit: (entry: number, keyLow: number, keyHigh: number) => void,
  ): void {
    const { words, entryWords, homeWord, seenWord } = this.#table;
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
        (words[base + seenWord] as number) <= (copy[at + 3] as number);
      if (isSame && (now - (copy[at + 3] as number) <= inUseTenths || !this.#table.isInUse(entry))) continue;
      this.#note(entry, now);
      visit(entry, low, high);
    }
  }

  /** `now`: when an entry in use is seen. */
  #note(entry: number, now = 0): void {
    const { words, entryWords, homeWord, seenWord } = this.#table;
    const base = entry * entryWords;
    const at = entry * COPIED_WORDS;
    if (words[base] === 0 || this.#table.isLeftOut(entry)) {
      this.#copy.fill(0, at, at + COPIED_WORDS);
      return;
    }
    const seen = words[base + seenWord] as number;
    this.#copy[at] = words[base] as number;
    this.#copy[at + 1] = words[base + 1] as number;
    this.#copy[at + 2] = words[base + homeWord] as number;
    this.#copy[at + 3] = this.#table.isInUse(entry) ? Math.max(seen, now) : seen;
  }
}
