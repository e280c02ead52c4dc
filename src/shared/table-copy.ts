// Keys and homes of the session table as they were at a moment, to find later what has changed.
//
// Plain reads of a table that others write: an entry in the middle of a change may be copied half. It then differs from
// what it is later, and so is found.

const COPIED_WORDS = 3;

export class TableCopy {
  readonly #words: Int32Array;
  readonly #entryWords: number;
  readonly #homeWord: number;
  readonly #copy: Int32Array;

  /** `isLeftOut` says of which entries nothing is noted: they count as changed. About 5 ns an entry; 12 bytes each. */
  constructor(
    words: Int32Array,
    entryWords: number,
    homeWord: number,
    isLeftOut: (entry: number) => boolean,
  ) {
    this.#words = words;
    this.#entryWords = entryWords;
    this.#homeWord = homeWord;
    const entries = words.length / entryWords;
    this.#copy = new Int32Array(entries * COPIED_WORDS);
    for (let entry = 0; entry < entries; entry += 1) {
      const base = entry * entryWords;
      if (words[base] === 0 || isLeftOut(entry)) continue;
      this.#copy[entry * COPIED_WORDS] = words[base] as number;
      this.#copy[entry * COPIED_WORDS + 1] = words[base + 1] as number;
      this.#copy[entry * COPIED_WORDS + 2] = words[base + homeWord] as number;
    }
  }

  /** Calls `visit` for each entry whose key or home is another now, with the key it had; 0, 0 for none. */
  eachChange(visit: (entry: number, keyLow: number, keyHigh: number) => void): void {
    const words = this.#words;
    const copy = this.#copy;
    for (let base = 0, at = 0; base < words.length; base += this.#entryWords, at += COPIED_WORDS) {
      const low = copy[at] as number;
      if (words[base] === 0 && low === 0) continue;
      const isSame = words[base] === low && words[base + 1] === copy[at + 1];
      if (isSame && words[base + this.#homeWord] === copy[at + 2]) continue;
      visit(base / this.#entryWords, low, copy[at + 1] as number);
    }
  }
}
