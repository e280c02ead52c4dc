// The session table: which server is a session's home. Shared by all threads; the one structure with many writers.
//
// Set-associative with two choices: a key may live in either of two buckets of eight entries (Azar et al.,
// "Balanced Allocations", 1994), so that a table filled to 80 % still places practically every key. What an entry holds is
// in entry-words.ts.
//
// Readers take no lock: they compare both key words. Inserts and removals hold the lock of each bucket they change;
// a move is one compare-exchange. Counters in an entry may be touched while it changes hands: worth less than a lock.
// Who has an entry in use stands beside the entries (entry-holds.ts): whoever takes one looks at its key after that, whoever
// gives one to another key at its holds, so that one of the two always sees the other.

import { BucketChoice, firstBucket, secondBucket } from './bucket-choice.ts';
import { BucketLocks } from './bucket-locks.ts';
import { EntryHolds } from './entry-holds.ts';
import { EntryMarks } from './entry-marks.ts';
import {
  BIRTH_MASK,
  BUCKET_ENTRIES,
  ENTRY_WORDS,
  GENERATION_MASK,
  MOVED,
  SLOT_BITS,
  SLOT_MASK,
  TENTATIVE,
  Word,
} from './entry-words.ts';
import { MoveNotes } from './move-notes.ts';
import { sweepSlice } from './sweep-slice.ts';
import type { SweepTally } from './sweep-tally.ts';
import { TableCopy } from './table-copy.ts';

/** Filled to at most 1/1.25 = 80 % when `max` sessions are held. */
const HEADROOM = 1.25;

const NONE = -1;
/** A value that its client has not shown for so long, though others of its session, has been replaced for good. */
const STALE_MS = 10_000;

/** Slot and generation in one word; what an entry and a pin cookie call home. */
export function packHome(slot: number, generation: number): number {
  return ((generation & GENERATION_MASK) << SLOT_BITS) | slot;
}
export function homeSlot(home: number): number {
  return home & SLOT_MASK;
}
export function homeGeneration(home: number): number {
  return (home >>> SLOT_BITS) & GENERATION_MASK;
}

export interface SessionTableHandle {
  readonly buffer: SharedArrayBuffer;
  readonly holds: SharedArrayBuffer;
  readonly buckets: number;
  readonly epochMs: number;
}

export class SessionTable {
  readonly handle: SessionTableHandle;
  /** Where sessions came from and when they were moved. */
  readonly notes: MoveNotes;
  /** What kind of key each entry is for. */
  readonly marks: EntryMarks;
  /** Key of the session that the last `resolve` found. */
  resolvedLow = 0;
  resolvedHigh = 0;
  /** The alias that led there, NONE when the key was the session's own. */
  resolvedBy = NONE;
  /** The last `resolve` found no session, because its user has ended it. */
  wasOver = false;
  readonly #words: Int32Array;
  readonly #locks: BucketLocks;
  /** 1 for each bucket in which there has ever been an entry: a sweep passes over the others. */
  readonly #everUsed: Uint8Array;
  /** Who has what in use. */
  readonly holds: EntryHolds;
  readonly #choice: BucketChoice;
  readonly #buckets: number;
  readonly #epochMs: number;
  /** Home of the entry that the last `insert` pushed out, NONE when none had to go. */
  evictedHome = NONE;
  /** Whether the evicted entry was tentative. */
  evictedTentative = false;
  /** Home that the key had before the last `insert`, NONE when the key was new. */
  replacedHome = NONE;

  private constructor(handle: SessionTableHandle, thread: number) {
    this.handle = handle;
    this.#buckets = handle.buckets;
    this.#epochMs = handle.epochMs;
    const entryWords = handle.buckets * BUCKET_ENTRIES * ENTRY_WORDS;
    this.#words = new Int32Array(handle.buffer, 0, entryWords);
    this.marks = new EntryMarks(this.#words);
    this.notes = new MoveNotes(this.#words, ENTRY_WORDS, Word.flags, handle.epochMs);
    this.#locks = new BucketLocks(new Int32Array(handle.buffer, entryWords * 4, handle.buckets), thread);
    this.#everUsed = new Uint8Array(handle.buffer, (entryWords + handle.buckets) * 4, handle.buckets);
    this.holds = new EntryHolds(handle.holds, handle.buckets * BUCKET_ENTRIES, thread);
    this.#choice = new BucketChoice(BUCKET_ENTRIES, this);
  }

  /**
   * Main makes the table; its number is the last. `max`: sessions it must hold; about 41 bytes each, 5 more for each
   * thread that has used it. `epochMs`: the clock's now.
   */
  static create(max: number, epochMs: number, thread: number): SessionTable {
    const buckets = Math.max(2, Math.ceil((max * HEADROOM) / BUCKET_ENTRIES));
    const bytes = buckets * ((BUCKET_ENTRIES * ENTRY_WORDS + 1) * 4 + 1);
    const holds = EntryHolds.buffer(buckets * BUCKET_ENTRIES, thread + 1);
    return new SessionTable({ buffer: new SharedArrayBuffer(bytes), holds, buckets, epochMs }, thread);
  }

  static attach(handle: SessionTableHandle, thread: number): SessionTable {
    return new SessionTable(handle, thread);
  }

  /** Entries there is room for. */
  get capacity(): number {
    return this.#buckets * BUCKET_ENTRIES;
  }

  /** Entry of the key, -1 when absent. Costs at most 16 key comparisons, usually within two cache lines. */
  find(keyLow: number, keyHigh: number): number {
    const low = keyLow === 0 ? 1 : keyLow;
    const found = this.#findIn(firstBucket(low, keyHigh, this.#buckets), low, keyHigh);
    return found !== NONE ? found : this.#findIn(secondBucket(low, keyHigh, this.#buckets), low, keyHigh);
  }

  /** Entry of the session that the key is for, itself or as an alias; -1 when there is none. See `resolvedLow`. */
  resolve(keyLow: number, keyHigh: number): number {
    const entry = this.find(keyLow, keyHigh);
    this.resolvedLow = keyLow;
    this.resolvedHigh = keyHigh;
    this.resolvedBy = NONE;
    this.wasOver = false;
    if (entry === NONE || !this.marks.isAlias(entry)) return entry;
    this.wasOver = this.marks.isOver(entry);
    if (this.wasOver) return NONE;
    this.resolvedLow = this.marks.aliasLow(entry);
    this.resolvedHigh = this.marks.aliasHigh(entry);
    this.resolvedBy = entry;
    const session = this.find(this.resolvedLow, this.resolvedHigh);
    if (session === NONE || !this.marks.isAlias(session)) return session;
    this.wasOver = this.marks.isOver(session);
    return NONE;
  }

  /** An alias that only a late request still shows: its session has been seen since. The newest of a pause is none. */
  isStale(entry: number): boolean {
    if (!this.marks.isAlias(entry)) return false;
    const session = this.find(this.marks.aliasLow(entry), this.marks.aliasHigh(entry));
    return session === NONE || this.seenMs(session) - this.seenMs(entry) > STALE_MS;
  }

  /** The alias has been shown: it is not idle. */
  see(entry: number, nowMs: number): void {
    this.#words[entry * ENTRY_WORDS + Word.seen] = this.tenths(nowMs);
  }

  /** It is still the session of the key: check before trusting one kept over an await or event. */
  isSessionOf(entry: number, keyLow: number, keyHigh: number): boolean {
    return this.isOf(entry, keyLow, keyHigh) && !this.marks.isAlias(entry);
  }

  /** It is the key's, as a session or an alias. */
  isOf(entry: number, keyLow: number, keyHigh: number): boolean {
    const base = entry * ENTRY_WORDS;
    return this.#words[base] === (keyLow === 0 ? 1 : keyLow) && this.#words[base + Word.keyHigh] === keyHigh;
  }

  /** Before whatever is read, after whatever was written: whoever closes an entry writes its key, then looks who has it. */
  #isOfInOrder(entry: number, keyLow: number, keyHigh: number): boolean {
    const isLow = Atomics.load(this.#words, entry * ENTRY_WORDS) === (keyLow === 0 ? 1 : keyLow);
    return isLow && this.#words[entry * ENTRY_WORDS + Word.keyHigh] === keyHigh;
  }

  home(entry: number): number {
    return this.#words[entry * ENTRY_WORDS + Word.home] as number;
  }

  isTentative(entry: number): boolean {
    return ((this.#words[entry * ENTRY_WORDS + Word.flags] as number) & TENTATIVE) !== 0;
  }

  createdMs(entry: number): number {
    return this.#epochMs + (this.#words[entry * ENTRY_WORDS + Word.created] as number) * 100;
  }

  seenMs(entry: number): number {
    return this.#epochMs + (this.#words[entry * ENTRY_WORDS + Word.seen] as number) * 100;
  }

  requests(entry: number): number {
    return this.#words[entry * ENTRY_WORDS + Word.requests] as number;
  }

  /** Requests and tunnels open now. O(threads). */
  busy(entry: number): number {
    return this.holds.sum(entry);
  }

  isUsed(entry: number): boolean {
    return Atomics.load(this.#words, entry * ENTRY_WORDS) !== 0;
  }

  keyLow(entry: number): number {
    return Atomics.load(this.#words, entry * ENTRY_WORDS);
  }

  keyHigh(entry: number): number {
    return this.#words[entry * ENTRY_WORDS + Word.keyHigh] as number;
  }

  /**
   * One request of the session begins: holds the entry in use until `release`, notes when, counts it. False, and nothing
   * is held, when the entry is no longer the key's session.
   */
  touch(entry: number, keyLow: number, keyHigh: number, nowMs: number): boolean {
    this.holds.add(entry);
    if (!this.#isOfInOrder(entry, keyLow, keyHigh) || this.marks.isAlias(entry)) {
      this.holds.drop(entry);
      return false;
    }
    const base = entry * ENTRY_WORDS;
    this.#words[base + Word.seen] = this.tenths(nowMs);
    Atomics.add(this.#words, base + Word.requests, 1);
    return true;
  }

  /** The request that touched the entry is over, or its session is: once for each touch, whatever has become of the key. */
  release(entry: number, keyLow: number, keyHigh: number, nowMs: number): void {
    if (this.isOf(entry, keyLow, keyHigh)) this.see(entry, nowMs);
    this.holds.drop(entry);
  }

  /** The client has shown its cookie: from now on the session counts. True for the one caller that settled it. */
  confirm(entry: number): boolean {
    if (!this.isTentative(entry)) return false;
    return (Atomics.and(this.#words, entry * ENTRY_WORDS + Word.flags, ~TENTATIVE) & TENTATIVE) !== 0;
  }

  /**
   * Gives the key a home. Returns the entry; an existing one of the same key is kept, its home is set and its
   * age too. When both buckets are full the idlest entry goes (tentative ones first): see `evictedHome`. One in use never
   * goes: -1 when all sixteen are, or a bucket's lock cannot be had, and the key stays unknown. With a key to be alias of (0, 0:
   * of none, as `bury` leaves it), a new entry is its alias, and an existing one stays, unless it is of a session that is over.
   */
  insert(
    keyLow: number,
    keyHigh: number,
    home: number,
    nowMs: number,
    birthEpoch: number,
    tentative: boolean,
    aliasOfLow?: number,
    aliasOfHigh = 0,
  ): number {
    const low = keyLow === 0 ? 1 : keyLow;
    const first = firstBucket(low, keyHigh, this.#buckets);
    const second = secondBucket(low, keyHigh, this.#buckets);
    this.evictedHome = NONE;
    this.replacedHome = NONE;
    if (!this.#locks.takePair(first, second)) return NONE;
    let entry = this.#findIn(first, low, keyHigh);
    if (entry === NONE) entry = this.#findIn(second, low, keyHigh);
    const isNew = entry === NONE;
    const isAlias = aliasOfLow !== undefined;
    if (isNew) entry = this.#claim(first, second);
    else if (!this.marks.isAlias(entry)) this.replacedHome = this.home(entry);
    if (entry === NONE || (isAlias && !isNew && !this.marks.isOver(entry))) {
      this.#locks.givePair(first, second);
      return entry;
    }
    const base = entry * ENTRY_WORDS;
    const tenths = this.tenths(nowMs);
    // A key that is there stays findable throughout: only an entry that changes hands is closed meanwhile.
    this.#words[base + Word.keyHigh] = keyHigh;
    this.#words[base + Word.created] = isAlias ? aliasOfLow : tenths;
    this.#words[base + Word.seen] = tenths;
    this.#words[base + Word.requests] = isAlias ? aliasOfHigh : 0;
    if (isAlias) this.marks.setAlias(entry);
    else this.marks.setScope(entry, 0);
    this.#words[base + Word.flags] = birthEpoch | (tentative ? TENTATIVE : 0);
    this.#words[base + Word.home] = home;
    if (isNew) this.#everUsed[Math.floor(entry / BUCKET_ENTRIES)] = 1;
    Atomics.store(this.#words, base, low);
    this.#locks.givePair(first, second);
    return entry;
  }

  /** Puts back a saved session with its age; as `insert`. `seenMs` and `createdMs` on this table's clock. */
  restore(
    keyLow: number,
    keyHigh: number,
    home: number,
    createdMs: number,
    seenMs: number,
    requests: number,
    isTentative = false,
  ): number {
    const entry = this.insert(keyLow, keyHigh, home, seenMs, 0, isTentative);
    if (entry === NONE) return NONE;
    this.#words[entry * ENTRY_WORDS + Word.created] = this.tenths(createdMs);
    this.#words[entry * ENTRY_WORDS + Word.requests] = requests;
    return entry;
  }

  /** One compare-exchange of the home. False when somebody else moved or replaced the session first. */
  move(entry: number, keyLow: number, keyHigh: number, fromHome: number, toHome: number): boolean {
    if (!this.isSessionOf(entry, keyLow, keyHigh)) return false;
    const base = entry * ENTRY_WORDS;
    if (Atomics.compareExchange(this.#words, base + Word.home, fromHome, toHome) !== fromHome) return false;
    Atomics.or(this.#words, base + Word.flags, MOVED);
    return true;
  }

  /** The session's state is lost: it does not count until it is confirmed again. True for the one caller that did it. */
  doubt(entry: number): boolean {
    return (Atomics.or(this.#words, entry * ENTRY_WORDS + Word.flags, TENTATIVE) & TENTATIVE) === 0;
  }

  /**
   * Ends the session, whose user has asked for it: its key stays for a while, so that no request that is under way, or comes
   * late, begins it again. False when the entry is no longer the key's session, or its bucket's lock cannot be had.
   */
  bury(entry: number, keyLow: number, keyHigh: number, nowMs: number): boolean {
    const bucket = Math.floor(entry / BUCKET_ENTRIES);
    if (!this.#locks.take(bucket)) return false;
    const isMine = this.#isOfInOrder(entry, keyLow, keyHigh) && !this.marks.isAlias(entry);
    if (isMine) {
      this.marks.setOver(entry);
      this.see(entry, nowMs);
    }
    this.#locks.give(bucket);
    return isMine;
  }

  /** Ends the session. False when the entry is no longer the key's, or its bucket's lock cannot be had. */
  remove(entry: number, keyLow: number, keyHigh: number): boolean {
    const bucket = Math.floor(entry / BUCKET_ENTRIES);
    if (!this.#locks.take(bucket)) return false;
    const isMine = this.#isOfInOrder(entry, keyLow, keyHigh);
    if (isMine) Atomics.store(this.#words, entry * ENTRY_WORDS, 0);
    this.#locks.give(bucket);
    return isMine;
  }

  /** Birth epoch of a new entry, 0 once a sweep has counted it. */
  birthEpoch(entry: number): number {
    return Atomics.load(this.#words, entry * ENTRY_WORDS + Word.flags) & BIRTH_MASK;
  }

  /** Main's sweep over entries [begin, end), both of whole buckets: see sweep-slice.ts. */
  sweepSlice(begin: number, end: number, tally: SweepTally): void {
    sweepSlice(this.#words, this.#everUsed, this.holds, begin, end, this.tenths(tally.nowMs), tally);
  }

  /** Of an empty table: `eachChange` finds what is here now. */
  copy(): TableCopy {
    return new TableCopy(this.#words, this.holds);
  }

  /** Main, after a thread died: frees the locks it held, and what it had in use is so no more. O(buckets). */
  forget(thread: number): void {
    this.#locks.releaseAllOf(thread);
    this.holds.clearThread(thread, this.#everUsed);
  }

  /** In the table's own unit of time. */
  tenths(nowMs: number): number {
    return Math.floor((nowMs - this.#epochMs) / 100);
  }

  #findIn(bucket: number, keyLow: number, keyHigh: number): number {
    const words = this.#words;
    let entry = bucket * BUCKET_ENTRIES;
    for (let index = 0; index < BUCKET_ENTRIES; index += 1, entry += 1) {
      // in order: what is read of the entry from here on was written before its key
      if (words[entry * ENTRY_WORDS] === keyLow && this.#isOfInOrder(entry, keyLow, keyHigh)) return entry;
    }
    return NONE;
  }

  /** A free entry of the emptier bucket, or that of the idlest of both, closed. NONE: all are in use. Both locks held. */
  #claim(first: number, second: number): number {
    const free = this.#choice.free(first, second);
    if (free !== NONE) return free;
    for (let tries = 0; tries < 2 * BUCKET_ENTRIES; tries += 1) {
      const idlest = this.#choice.idlest(first, second);
      if (idlest === NONE) return NONE;
      const keyLow = Atomics.exchange(this.#words, idlest * ENTRY_WORDS, 0);
      if (this.busy(idlest) === 0) {
        this.evictedHome = this.marks.isAlias(idlest) ? NONE : this.home(idlest);
        this.evictedTentative = this.isTentative(idlest);
        return idlest;
      }
      // a request has been quicker
      Atomics.store(this.#words, idlest * ENTRY_WORDS, keyLow);
    }
    return NONE;
  }
}
