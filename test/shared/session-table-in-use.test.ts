// What is in use is in use: two threads and main at one table, their steps in every order that matters.

import { beforeEach, describe, expect, test } from 'vitest';
import { packHome, SessionTable } from '../../src/shared/session-table.ts';
import { interleave } from '../support/interleave.ts';
import { touched } from '../support/touched.ts';

const NOW = 1_700_000_000_000;
const HOME = packHome(7, 3);
const OTHER = packHome(8, 1);

let main: SessionTable;
let one: SessionTable;
let two: SessionTable;
beforeEach(() => {
  main = SessionTable.create(8, NOW, 2);
  one = SessionTable.attach(main.handle, 0);
  two = SessionTable.attach(main.handle, 1);
});

// 2, 6 is a key that may be in either bucket

/** Fills the table (two buckets) and returns entry and key of all sixteen. */
function fill(atMs = NOW): { entry: number; low: number; high: number }[] {
  const all: { entry: number; low: number; high: number }[] = [];
  for (let key = 1; all.length < main.capacity; key += 1) {
    const [low, high] = [Math.imul(key, 0x9e3779b1), Math.imul(key, 0x85ebca77)];
    const entry = main.insert(low, high, HOME, atMs + key * 1000, 0, false);
    expect(main.evictedHome).toBe(-1);
    all.push({ entry, low, high });
  }
  return all;
}

test('capacity here is two buckets of eight', () => expect(main.capacity).toBe(16));

describe('a thread dies', () => {
  test('what it had in use is free, what the others have stays so, and ends when they say', () => {
    const entry = one.insert(1, 2, HOME, NOW, 0, false);
    for (const table of [one, one, two]) touched(table, entry, NOW);
    expect(main.busy(entry)).toBe(3);
    main.forget(0);
    expect([main.busy(entry), one.busy(entry), two.busy(entry)]).toEqual([1, 1, 1]);
    two.release(entry, 1, 2, NOW);
    expect(main.busy(entry)).toBe(0);
    two.release(entry, 1, 2, NOW);
    expect(main.busy(entry)).toBe(0);
  });

  test('its locks are free, another thread keeps its own', () => {
    const locks = new Int32Array(main.handle.buffer, main.capacity * 32, main.capacity / 8);
    locks.set([1, 2]);
    main.forget(0);
    expect([...locks]).toEqual([0, 2]);
  });

  test('the thread after it begins with nothing in use', () => {
    const entry = one.insert(1, 2, HOME, NOW, 0, false);
    touched(one, entry, NOW);
    main.forget(0);
    const next = SessionTable.attach(main.handle, 0);
    touched(next, entry, NOW);
    next.release(entry, 1, 2, NOW);
    expect(main.busy(entry)).toBe(0);
  });
});

describe('a full table', () => {
  test('the idlest goes, and none in use while one is idle', () => {
    const all = fill();
    // the first are the longest unseen, and in use
    for (const { entry } of all.slice(0, 15)) touched(one, entry, NOW);
    const idle = all[15]!;
    const entry = two.insert(2, 6, OTHER, NOW + 90_000, 0, false);
    expect([entry, two.evictedHome, two.evictedTentative]).toEqual([idle.entry, HOME, false]);
    expect(main.find(idle.low, idle.high)).toBe(-1);
    for (const { low, high, entry: at } of all.slice(0, 15)) expect(main.find(low, high)).toBe(at);
  });

  test('a tentative one in use does not go before a real one that is idle', () => {
    const all = fill();
    const [first, last] = [all[0]!, all[15]!];
    main.remove(last.entry, last.low, last.high);
    const tentative = main.insert(last.low, last.high, HOME, NOW, 0, true);
    touched(one, tentative, NOW);
    expect(main.insert(2, 6, OTHER, NOW, 0, false)).toBe(first.entry);
  });

  test('when all are in use nobody goes: the new key stays unknown', () => {
    const all = fill();
    for (const { entry } of all) touched(one, entry, NOW);
    expect(two.insert(2, 6, OTHER, NOW, 0, false)).toBe(-1);
    expect([two.evictedHome, two.replacedHome, main.find(2, 6)]).toEqual([-1, -1, -1]);
    expect(two.restore(2, 6, OTHER, NOW, NOW, 3)).toBe(-1);
    for (const { low, high, entry } of all)
      expect([main.find(low, high), main.home(entry)]).toEqual([entry, HOME]);
    // the locks have been given back
    one.release(all[3]!.entry, all[3]!.low, all[3]!.high, NOW);
    expect(two.insert(2, 6, OTHER, NOW, 0, false)).toBe(all[3]!.entry);
  });

  test('a request that comes while its session is being pushed out keeps it', () => {
    const all = fill();
    const idlest = all[0]!;
    let entry = -1;
    interleave(
      'exchange',
      (_, index) => index === idlest.entry * 8,
      // it has taken hold already, and is about to look at the key
      () => (new Int32Array(main.handle.holds)[idlest.entry] = 1),
      () => {
        entry = two.insert(2, 6, OTHER, NOW, 0, false);
      },
    );
    expect(entry).toBe(all[1]!.entry);
    expect([main.find(idlest.low, idlest.high), main.busy(idlest.entry)]).toEqual([idlest.entry, 1]);
  });
});

describe('a thread that is put aside in the middle of a change', () => {
  test('finds its entry its own, however long it was away: others go without, and nothing is mixed', () => {
    const locks = new Int32Array(main.handle.buffer, main.capacity * 32, main.capacity / 8);
    const others: number[] = [];
    let entry = -1;
    // one has claimed its entry and written the first half of the key
    interleave(
      'store',
      (array, index) => array.length === main.capacity * 8 && index % 8 === 7,
      () => {
        expect([...locks].filter((holder) => holder === 1).length).toBeGreaterThan(0);
        others.push(two.insert(2, 6, OTHER, NOW, 0, false), main.insert(2, 6, OTHER, NOW, 0, false));
      },
      () => {
        entry = one.insert(2, 6, HOME, NOW, 0, false);
      },
    );
    expect(others).toEqual([-1, -1]);
    expect([main.find(2, 6), main.home(entry), [...locks]]).toEqual([entry, HOME, [0, 0]]);
    expect(two.remove(entry, 2, 6)).toBe(true);
  });

  test('nobody ends a session in its bucket meanwhile, and everybody can after it', () => {
    const locks = new Int32Array(main.handle.buffer, main.capacity * 32, main.capacity / 8);
    const entry = one.insert(2, 6, HOME, NOW, 0, false);
    locks.fill(1);
    expect([two.remove(entry, 2, 6), main.find(2, 6)]).toEqual([false, entry]);
    main.forget(0);
    expect([two.remove(entry, 2, 6), main.find(2, 6)]).toEqual([true, -1]);
  });
});

describe('an entry that is given to another key', () => {
  /** Key 1, 2 goes and 3, 4 gets its place. */
  function giveToAnother(entry: number): void {
    main.remove(entry, 1, 2);
    expect(main.insert(3, 4, OTHER, NOW, 0, false)).toBe(entry);
  }

  test('cannot be taken by who has found it before', () => {
    const entry = one.insert(1, 2, HOME, NOW, 0, false);
    giveToAnother(entry);
    expect(one.touch(entry, 1, 2, NOW + 5000)).toBe(false);
    expect([main.busy(entry), main.requests(entry), main.seenMs(entry)]).toEqual([0, 0, NOW]);
  });

  test('is another than the one that somebody is about to take: nothing is held in the end', () => {
    const entry = one.insert(1, 2, HOME, NOW, 0, false);
    let isTaken = true;
    let other = -1;
    interleave(
      'add',
      (_, index) => index === entry,
      () => {
        main.remove(entry, 1, 2);
        other = main.insert(3, 4, OTHER, NOW, 0, false);
      },
      () => {
        isTaken = one.touch(entry, 1, 2, NOW);
      },
    );
    expect([isTaken, other === entry, main.busy(entry), main.busy(other)]).toEqual([false, false, 0, 0]);
  });

  test.each([
    ['another', 3, 4],
    ['the same', 1, 2],
  ])('is free of all who had it in use: %s key goes elsewhere until then', (_, low, high) => {
    const entry = one.insert(1, 2, HOME, NOW, 0, false);
    for (const table of [one, two, two]) touched(table, entry, NOW);
    main.remove(entry, 1, 2);
    const other = main.insert(low, high, OTHER, NOW, 0, false);
    expect(other).not.toBe(entry);
    touched(one, other, NOW);
    one.release(entry, 1, 2, NOW + 9000);
    expect([main.busy(entry), main.busy(other), main.seenMs(other)]).toEqual([2, 1, NOW]);
    for (const left of [1, 0]) {
      two.release(entry, 1, 2, NOW + 9000);
      expect([main.busy(entry), main.busy(other)]).toEqual([left, 1]);
    }
    main.remove(other, low, high);
    expect(main.insert(3, 4, OTHER, NOW, 0, false)).toBe(entry);
    expect(main.busy(entry)).toBe(0);
  });

  test('in a full table is none that is in use, though its session has ended', () => {
    const all = fill();
    for (const { entry } of all) touched(one, entry, NOW);
    const [first, last] = [all[0]!, all[15]!];
    main.remove(first.entry, first.low, first.high);
    expect(two.insert(2, 6, OTHER, NOW, 0, false)).toBe(-1);
    one.release(last.entry, last.low, last.high, NOW);
    expect([two.insert(2, 6, OTHER, NOW, 0, false), two.evictedHome]).toEqual([last.entry, HOME]);
    one.release(first.entry, first.low, first.high, NOW);
    main.remove(last.entry, 2, 6);
    expect(main.busy(first.entry)).toBe(0);
  });

  test('is not removed by who means the old key, and the lock is held while it looks', () => {
    const entry = one.insert(1, 2, HOME, NOW, 0, false);
    giveToAnother(entry);
    expect(one.remove(entry, 1, 2)).toBe(false);
    expect(main.find(3, 4)).toBe(entry);
    const locks = new Int32Array(main.handle.buffer, main.capacity * 32, main.capacity / 8);
    let heldBy = 0;
    interleave(
      'load',
      (array, index) => array.byteLength === main.capacity * 32 && index === entry * 8,
      () => {
        heldBy = locks[Math.floor(entry / 8)]!;
      },
      () => one.remove(entry, 3, 4),
    );
    expect([heldBy, locks[0], locks[1]]).toEqual([1, 0, 0]);
  });
});

describe('a session that its user has ended', () => {
  test('is none, and its key leads nowhere: nobody takes, moves or ends it, and it goes first', () => {
    const all = fill();
    const { entry, low, high } = all[9]!;
    expect(one.bury(entry, low, high, NOW + 9000)).toBe(true);
    expect([two.resolve(low, high), two.wasOver, two.isSessionOf(entry, low, high)]).toEqual([
      -1,
      true,
      false,
    ]);
    expect([two.touch(entry, low, high, NOW), main.busy(entry)]).toEqual([false, 0]);
    expect([two.move(entry, low, high, HOME, OTHER), two.bury(entry, low, high, NOW)]).toEqual([
      false,
      false,
    ]);
    expect([two.find(low, high), two.isTentative(entry)]).toEqual([entry, false]);
    expect([two.insert(2, 6, OTHER, NOW, 0, false), two.evictedHome]).toEqual([entry, -1]);
    expect([two.resolve(low, high), two.wasOver]).toEqual([-1, false]);
  });

  test('its other keys lead nowhere either, until one of them is given to another session', () => {
    const [entry, other] = [one.insert(1, 2, HOME, NOW, 0, false), one.insert(3, 4, HOME, NOW, 0, false)];
    const alias = one.insert(5, 6, HOME, NOW, 0, false, 1, 2);
    one.bury(entry, 1, 2, NOW);
    expect([two.resolve(5, 6), two.wasOver]).toEqual([-1, true]);
    expect([two.resolve(3, 4), two.wasOver]).toEqual([other, false]);
    // its own becomes another's, as an application may do
    expect(two.insert(1, 2, HOME, NOW, 0, false, 3, 4)).toBe(entry);
    expect([two.resolve(1, 2), two.resolvedBy, two.wasOver]).toEqual([other, entry, false]);
    expect(two.marks.isAliasOf(alias, 1, 2)).toBe(true);
  });

  test('begins again under its key at its place, and what was open keeps to its own count', () => {
    const entry = one.insert(1, 2, HOME, NOW, 0, false);
    touched(one, entry, NOW);
    one.bury(entry, 1, 2, NOW);
    expect([two.insert(1, 2, OTHER, NOW, 0, false), two.replacedHome]).toEqual([entry, -1]);
    touched(two, entry, NOW);
    one.release(entry, 1, 2, NOW);
    expect([main.busy(entry), main.home(entry), main.requests(entry)]).toEqual([1, OTHER, 1]);
  });
});

describe('locks', () => {
  test('an insert holds both buckets, the lower first, and frees both', () => {
    const locks = new Int32Array(main.handle.buffer, main.capacity * 32, main.capacity / 8);
    const taken: number[] = [];
    const original = Atomics.compareExchange;
    const spy = (array: Int32Array, index: number, expected: number, value: number): number => {
      if (array.byteOffset === main.capacity * 32 && value !== 0) taken.push(index);
      return original(array, index, expected, value);
    };
    const orders = new Set<string>();
    for (let key = 1; key < 60; key += 1) {
      taken.length = 0;
      Object.assign(Atomics, { compareExchange: spy });
      one.insert(Math.imul(key, 0x9e3779b1), Math.imul(key, 0x85ebca77), HOME, NOW, 0, false);
      Object.assign(Atomics, { compareExchange: original });
      orders.add(taken.join());
      expect([...locks]).toEqual([0, 0]);
    }
    // never 1 before 0, and never the same one twice
    expect([...orders].sort()).toEqual(['0', '0,1', '1']);
  });

  test('a lock that is another thread’s is not freed', () => {
    const locks = new Int32Array(main.handle.buffer, main.capacity * 32, main.capacity / 8);
    const entry = one.insert(1, 2, HOME, NOW, 0, false);
    const bucket = Math.floor(entry / 8);
    interleave(
      'store',
      (array, index, value) => array.byteOffset === 0 && index === entry * 8 && value === 0,
      // main has thought this thread dead and freed its locks, and another has taken this one
      () => {
        locks[bucket] = 2;
      },
      () => one.remove(entry, 1, 2),
    );
    expect(locks[bucket]).toBe(2);
  });
});
