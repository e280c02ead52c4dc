// What an entry of the session table remembers of moves, in the upper 23 bits of its flags word:
//
//   bit 9        moved     its client has not been seen with a cookie that names the present home
//   bits 10..23  origin    1 | slot (10 bits) << 1 | generation / 2 (3 bits) << 11: the home that a failure drove the
//                          session from; 0: none
//   bits 24..31  moved at  when main last moved it, in units of 32 s, 1..255 around; 0: never
//
// The table clears all when an entry begins.

import { MOVED } from './entry-words.ts';

const ORIGIN_SHIFT = 10;
const ORIGIN_MASK = 0x3fff << ORIGIN_SHIFT;
const MOVED_AT_SHIFT = 24;
const BELOW_ORIGIN_MASK = (1 << ORIGIN_SHIFT) - 1;
/** As coarse as eight bits allow if they are to last for two hours. */
const MOVED_AT_UNIT_MS = 32_000;
const MOVED_AT_VALUES = 255;

export class MoveNotes {
  readonly #words: Int32Array;
  readonly #entryWords: number;
  readonly #flagsWord: number;
  readonly #epochMs: number;

  constructor(words: Int32Array, entryWords: number, flagsWord: number, epochMs: number) {
    this.#words = words;
    this.#entryWords = entryWords;
    this.#flagsWord = flagsWord;
    this.#epochMs = epochMs;
  }

  hasMoved(entry: number): boolean {
    return (Atomics.load(this.#words, this.#index(entry)) & MOVED) !== 0;
  }

  /** The client has been seen with a cookie that names the present home: nothing is left to tell it. */
  clearMoved(entry: number): void {
    Atomics.and(this.#words, this.#index(entry), ~MOVED);
  }

  /** Main, after it moved the session on purpose: notes when, and forgets the origin. */
  stampMove(entry: number, nowMs: number): void {
    const index = this.#index(entry);
    Atomics.and(this.#words, index, BELOW_ORIGIN_MASK);
    Atomics.or(this.#words, index, this.#unit(nowMs) << MOVED_AT_SHIFT);
  }

  /** Did main move the session less than `ms` ago? Up to 64 s more count as well; of no use beyond two hours. */
  movedWithin(entry: number, ms: number, nowMs: number): boolean {
    const at = Atomics.load(this.#words, this.#index(entry)) >>> MOVED_AT_SHIFT;
    if (at === 0) return false;
    const age = (this.#unit(nowMs) - at + MOVED_AT_VALUES) % MOVED_AT_VALUES;
    return age <= Math.ceil(ms / MOVED_AT_UNIT_MS);
  }

  /** A failure has driven the session from `home`: the first such home is kept. */
  rememberOrigin(entry: number, home: number): void {
    if (!this.hasOrigin(entry)) Atomics.or(this.#words, this.#index(entry), originOf(home) << ORIGIN_SHIFT);
  }

  /** The session is at `home` now. Back at its origin it has none. */
  arrived(entry: number, home: number): void {
    if (this.isOrigin(entry, home)) Atomics.and(this.#words, this.#index(entry), ~ORIGIN_MASK);
  }

  hasOrigin(entry: number): boolean {
    return (Atomics.load(this.#words, this.#index(entry)) & ORIGIN_MASK) !== 0;
  }

  /** Is `home` where a failure drove the session from? False when nothing has. */
  isOrigin(entry: number, home: number): boolean {
    const flags = Atomics.load(this.#words, this.#index(entry));
    return (flags & ORIGIN_MASK) >>> ORIGIN_SHIFT === originOf(home);
  }

  #index(entry: number): number {
    return entry * this.#entryWords + this.#flagsWord;
  }

  #unit(nowMs: number): number {
    return (Math.floor((nowMs - this.#epochMs) / MOVED_AT_UNIT_MS) % MOVED_AT_VALUES) + 1;
  }
}

/**
 * A packed home (slot in bits 0..11, generation from bit 12 on) in 14 bits. A slot's generation grows by two with each
 * new owner, so that three bits tell its last eight owners apart.
 */
function originOf(home: number): number {
  return 1 | ((home & 0x3ff) << 1) | (((home >>> 13) & 7) << 11);
}
