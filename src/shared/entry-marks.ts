// The last word of each entry of the session table: what kind of key the entry is for.
//
//   0         a session whose cookie's scope is not known, or that has no cookie
//   1..253    a session: the scope (domain and path) of the cookie that is its key
//   254       a session that the application has denied: only its route is left, until it is taken again
//   255       an alias: another key of a session. Leads to it, is no session, and counts nowhere. One that leads nowhere is
//             the key of a session that its user has ended: who still shows it begins none
//
// An alias has the session's key in the words where a session has its age and its requests; nowhere is 0, as no key is.

import { ENTRY_WORDS, Word } from './entry-words.ts';

const DENIED = 254;
export const ALIAS = 255;
export const SCOPES = 253;

export class EntryMarks {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** The word as it is, to be put back by `set`. */
  mark(entry: number): number {
    return Atomics.load(this.#words, entry * ENTRY_WORDS + Word.mark);
  }

  set(entry: number, mark: number): void {
    Atomics.store(this.#words, entry * ENTRY_WORDS + Word.mark, mark);
  }

  /** Of an alias: its session's key. */
  aliasLow(entry: number): number {
    return this.#words[entry * ENTRY_WORDS + Word.created] as number;
  }

  aliasHigh(entry: number): number {
    return this.#words[entry * ENTRY_WORDS + Word.requests] as number;
  }

  /** 0 when unknown. */
  scope(entry: number): number {
    const mark = Atomics.load(this.#words, entry * ENTRY_WORDS + Word.mark);
    return mark <= SCOPES ? mark : 0;
  }

  /** 1..SCOPES; 0 for a session of no known scope. */
  setScope(entry: number, scope: number): void {
    Atomics.store(this.#words, entry * ENTRY_WORDS + Word.mark, scope);
  }

  isDenied(entry: number): boolean {
    return Atomics.load(this.#words, entry * ENTRY_WORDS + Word.mark) === DENIED;
  }

  deny(entry: number): void {
    Atomics.store(this.#words, entry * ENTRY_WORDS + Word.mark, DENIED);
  }

  isAlias(entry: number): boolean {
    return this.#words[entry * ENTRY_WORDS + Word.mark] === ALIAS;
  }

  isAliasOf(entry: number, sessionLow: number, sessionHigh: number): boolean {
    const isItsLow = this.isAlias(entry) && this.aliasLow(entry) === sessionLow;
    return isItsLow && this.aliasHigh(entry) === sessionHigh;
  }

  /** The key was a session's, and its user has ended it: who shows it now has sent the request before he knew. */
  isOver(entry: number): boolean {
    return this.isAlias(entry) && this.aliasLow(entry) === 0;
  }

  /** The session at `entry` is over, its key stays. The words come first: that they are an alias's shows by the mark. */
  setOver(entry: number): void {
    this.#words[entry * ENTRY_WORDS + Word.flags] = 0;
    this.lead(entry, 0, 0);
    this.setAlias(entry);
  }

  setAlias(entry: number): void {
    Atomics.store(this.#words, entry * ENTRY_WORDS + Word.mark, ALIAS);
  }

  /** The alias leads to this session from now on. */
  lead(entry: number, sessionLow: number, sessionHigh: number): void {
    this.#words[entry * ENTRY_WORDS + Word.created] = sessionLow;
    this.#words[entry * ENTRY_WORDS + Word.requests] = sessionHigh;
  }
}
