// What is written into entries beside their keys: marks, who holds them, where from and when they were moved.

import { describe, expect, test } from 'vitest';
import { EntryHolds } from '../../src/shared/entry-holds.ts';
import { ALIAS, EntryMarks, SCOPES } from '../../src/shared/entry-marks.ts';
import { BUCKET_ENTRIES, ENTRY_WORDS, Word } from '../../src/shared/entry-words.ts';
import { MoveNotes } from '../../src/shared/move-notes.ts';
import { packHome } from '../../src/shared/session-table.ts';

const ENTRIES = 24;
const EPOCH = 1_700_000_000_000;

/** Words of a few entries, all alike different. */
function wordsOf(): Int32Array {
  return Int32Array.from({ length: ENTRIES * ENTRY_WORDS }, (_, index) => index + 1);
}

/** Places whose word is another now: entry and word. */
function changed(words: Int32Array): readonly (readonly [number, number])[] {
  return [...words.keys()]
    .filter((index) => words[index] !== index + 1)
    .map((index) => [Math.floor(index / ENTRY_WORDS), index % ENTRY_WORDS] as const);
}

describe('marks', () => {
  test('a scope is one byte of its own entry, and the two values above it are none', () => {
    const words = wordsOf();
    const marks = new EntryMarks(words);
    for (const scope of [0, 1, 17, SCOPES]) {
      marks.setScope(3, scope);
      expect([marks.scope(3), marks.mark(3), marks.isAlias(3), marks.isDenied(3)]).toEqual([
        scope,
        scope,
        false,
        false,
      ]);
    }
    expect(changed(words)).toEqual([[3, Word.mark]]);
    marks.deny(3);
    expect([marks.scope(3), marks.mark(3), marks.isAlias(3), marks.isDenied(3)]).toEqual([
      0,
      254,
      false,
      true,
    ]);
    marks.setAlias(3);
    expect([marks.scope(3), marks.mark(3), marks.isAlias(3), marks.isDenied(3)]).toEqual([
      0,
      ALIAS,
      true,
      false,
    ]);
    expect(changed(words)).toEqual([[3, Word.mark]]);
    expect([SCOPES, ALIAS]).toEqual([253, 255]);
  });

  test('what was read is put back', () => {
    const words = wordsOf();
    const marks = new EntryMarks(words);
    marks.set(5, 254);
    expect([marks.mark(5), marks.isDenied(5), marks.isDenied(4)]).toEqual([254, true, false]);
    expect(changed(words)).toEqual([[5, Word.mark]]);
  });

  test('an alias has its session’s key where a session has age and requests', () => {
    const words = wordsOf();
    const marks = new EntryMarks(words);
    marks.setAlias(2);
    marks.lead(2, -7, 9);
    expect([marks.aliasLow(2), marks.aliasHigh(2)]).toEqual([-7, 9]);
    expect([words[2 * ENTRY_WORDS + Word.created], words[2 * ENTRY_WORDS + Word.requests]]).toEqual([-7, 9]);
    expect(changed(words)).toEqual([
      [2, Word.created],
      [2, Word.requests],
      [2, Word.mark],
    ]);
    const isOf = (low: number, high: number): boolean => marks.isAliasOf(2, low, high);
    expect([isOf(-7, 9), isOf(-7, 8), isOf(-6, 9)]).toEqual([true, false, false]);
    marks.setScope(2, 1);
    expect(isOf(-7, 9)).toBe(false);
  });
});

describe('holds', () => {
  const of = (buffer: SharedArrayBuffer, thread: number): EntryHolds =>
    new EntryHolds(buffer, ENTRIES, thread);
  /** Rows of three threads. */
  const three = (): readonly [EntryHolds, EntryHolds, EntryHolds] => {
    const buffer = EntryHolds.buffer(ENTRIES, 3);
    return [of(buffer, 0), of(buffer, 1), of(buffer, 2)];
  };

  test('each thread counts for itself, and takes back only its own', () => {
    const [one, two, main] = three();
    one.add(4);
    one.add(4);
    two.add(4);
    main.add(5);
    expect([one.sum(4), two.sum(4), main.sum(5), main.sum(3)]).toEqual([3, 3, 1, 0]);
    main.drop(4);
    expect(main.sum(4)).toBe(3);
    two.drop(4);
    two.drop(4);
    expect(main.sum(4)).toBe(2);
  });

  test('a thread says how much it has of one, or that it has nothing at all', () => {
    const [one, two] = three();
    two.add(7);
    one.set(7, 1);
    one.set(7, 1);
    expect(two.sum(7)).toBe(2);
    one.set(7, 0);
    expect(two.sum(7)).toBe(1);
    one.set(0, 2);
    one.set(ENTRIES - 1, 1);
    const had: number[] = [];
    one.clearOwn((entry) => had.push(entry));
    expect([had, one.sum(0), one.sum(ENTRIES - 1), one.sum(7)]).toEqual([[0, ENTRIES - 1], 0, 0, 1]);
    one.clearOwn((entry) => had.push(entry));
    expect(had).toHaveLength(2);
  });

  test('of a thread that died all goes, in buckets that were ever used, and nothing of the others', () => {
    const [one, two] = three();
    for (const entry of [0, BUCKET_ENTRIES - 1, BUCKET_ENTRIES, ENTRIES - 1]) {
      one.add(entry);
      two.add(entry);
    }
    two.clearThread(0, Uint8Array.from([1, 0, 1]));
    expect([0, BUCKET_ENTRIES - 1, BUCKET_ENTRIES, ENTRIES - 1].map((entry) => two.sum(entry))).toEqual([
      1, 1, 2, 1,
    ]);
    expect(() => two.clearThread(9, Uint8Array.from([1, 1, 1]))).not.toThrow();
  });

  test('there is a row for each thread and no more', () => {
    const buffer = EntryHolds.buffer(ENTRIES, 3);
    expect(buffer.byteLength).toBe(ENTRIES * 3 * 4);
    expect(() => of(buffer, 3)).toThrow('thread 3 of 3 has no row of holds');
  });
});

describe('moves', () => {
  const UNIT = 32_000;
  const notesOf = (words: Int32Array): MoveNotes => new MoveNotes(words, ENTRY_WORDS, Word.flags, EPOCH);
  const flagsOf = (words: Int32Array, entry: number): number => words[entry * ENTRY_WORDS + Word.flags]!;

  test('the first home that a failure has driven it from is kept, and told from its slot’s later owners', () => {
    const words = new Int32Array(ENTRIES * ENTRY_WORDS);
    const notes = notesOf(words);
    words[3 * ENTRY_WORDS + Word.flags] = 0x3ff;
    const home = packHome(1023, 4);
    expect([notes.hasOrigin(3), notes.isOrigin(3, home)]).toEqual([false, false]);
    notes.rememberOrigin(3, home);
    notes.rememberOrigin(3, packHome(1, 2));
    expect([notes.hasOrigin(3), notes.isOrigin(3, home), notes.hasOrigin(2)]).toEqual([true, true, false]);
    for (const other of [packHome(1022, 4), packHome(1023, 6), packHome(1023, 2), packHome(511, 4)])
      expect(notes.isOrigin(3, other)).toBe(false);
    expect(notes.isOrigin(3, packHome(1023, 4 + 16))).toBe(true); // three bits of it
    expect(flagsOf(words, 3) & 0x3ff).toBe(0x3ff);
    expect(flagsOf(words, 3) >>> 24).toBe(0);
    notes.rememberOrigin(4, packHome(0, 0));
    expect([notes.hasOrigin(4), notes.isOrigin(4, packHome(0, 0))]).toEqual([true, true]);
  });

  test('back at the home that a failure has driven it from it has not been driven from any', () => {
    const words = new Int32Array(ENTRIES * ENTRY_WORDS);
    const notes = notesOf(words);
    words[3 * ENTRY_WORDS + Word.flags] = 0x3ff;
    const home = packHome(7, 2);
    notes.stampMove(3, EPOCH);
    const before = flagsOf(words, 3);
    notes.rememberOrigin(3, home);
    notes.arrived(3, packHome(8, 2));
    expect(notes.isOrigin(3, home)).toBe(true);
    notes.arrived(3, home);
    expect([notes.hasOrigin(3), flagsOf(words, 3)]).toEqual([false, before]);
  });

  test('a move on purpose is noted with its time, and forgets where a failure drove it from', () => {
    const words = new Int32Array(ENTRIES * ENTRY_WORDS);
    const notes = notesOf(words);
    words[3 * ENTRY_WORDS + Word.flags] = 0x3ff;
    notes.rememberOrigin(3, packHome(7, 2));
    const at = EPOCH + 10 * UNIT;
    expect(notes.movedWithin(3, 3_600_000, at)).toBe(false);
    notes.stampMove(3, at);
    expect([notes.hasOrigin(3), flagsOf(words, 3) & 0x3ff, flagsOf(words, 3) >>> 24]).toEqual([
      false,
      0x3ff,
      11,
    ]);
    const within = (ms: number, laterMs: number): boolean => notes.movedWithin(3, ms, at + laterMs);
    expect([within(0, 0), within(UNIT, UNIT), within(UNIT, 2 * UNIT), within(UNIT + 1, 2 * UNIT)]).toEqual([
      true,
      true,
      false,
      true,
    ]);
    expect(notes.movedWithin(2, 3_600_000, at)).toBe(false);
    notes.stampMove(3, at + 3 * UNIT);
    expect(flagsOf(words, 3) >>> 24).toBe(14);
  });

  test('its eight bits go round, and none of them means never', () => {
    const words = new Int32Array(ENTRIES * ENTRY_WORDS);
    const notes = notesOf(words);
    notes.stampMove(1, EPOCH + 254 * UNIT);
    expect(flagsOf(words, 1) >>> 24).toBe(255);
    expect(notes.movedWithin(1, UNIT, EPOCH + 255 * UNIT)).toBe(true);
    expect(notes.movedWithin(1, UNIT, EPOCH + 256 * UNIT)).toBe(false);
    notes.stampMove(1, EPOCH + 255 * UNIT);
    expect(flagsOf(words, 1) >>> 24).toBe(1);
  });
});
