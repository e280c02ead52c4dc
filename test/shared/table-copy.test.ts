// What has changed in the table since it was looked at last.

import { beforeEach, expect, test } from 'vitest';
import { packHome, SessionTable } from '../../src/shared/session-table.ts';
import type { TableCopy } from '../../src/shared/table-copy.ts';

const NOW = 1_700_000_000_000;
const [HOME, OTHER] = [packHome(7, 3), packHome(8, 1)];
const IN_USE_TENTHS = 100;

let table: SessionTable;
let copy: TableCopy;
let nowMs: number;
beforeEach(() => {
  table = SessionTable.create(100, NOW, 0);
  copy = table.copy();
  nowMs = NOW;
});

const begin = (key: number): number => table.insert(key, key + 1, HOME, nowMs, 0, false);

/** Keys that entries had before and have now, of all that have changed. */
function changes(isNoted = true, from = 0, to = copy.entries): string[] {
  const found: string[] = [];
  copy.eachChange(from, to, table.tenths(nowMs), IN_USE_TENTHS, (entry, low, high) => {
    found.push(`${low},${high} ${table.keyLow(entry)},${table.keyHigh(entry)}`);
    return isNoted;
  });
  return found;
}

test('an empty table has not changed; what begins has, once', () => {
  expect(changes()).toEqual([]);
  begin(5);
  expect(changes()).toEqual([`0,0 5,6`]);
  expect(changes()).toEqual([]);
});

test('what is looked at is known', () => {
  begin(5);
  copy.noteAll();
  expect(changes()).toEqual([]);
});

test('only entries that are asked for are looked at', () => {
  const entry = begin(5);
  expect(changes(true, 0, entry)).toEqual([]);
  expect(changes(true, entry + 1)).toEqual([]);
  expect(changes(true, entry, entry + 1)).toEqual(['0,0 5,6']);
});

test('what is not noted has changed the next time too, as if it had been nobody’s', () => {
  begin(5);
  expect(changes(false)).toEqual(['0,0 5,6']);
  expect(changes()).toEqual(['0,0 5,6']);
});

test.each<readonly [string, (entry: number) => unknown]>([
  ['another home', (entry) => table.move(entry, 5, 6, HOME, OTHER)],
  ['a later sight', (entry) => table.see(entry, nowMs + 1000)],
  ['a scope', (entry) => table.marks.setScope(entry, 9)],
  ['a denial', (entry) => table.marks.deny(entry)],
  ['doubt', (entry) => table.doubt(entry)],
])('%s is a change', (_, change) => {
  const entry = begin(5);
  changes();
  change(entry);
  expect(changes()).toEqual(['5,6 5,6']);
  expect(changes()).toEqual([]);
});

test.each<readonly [string, (entry: number) => unknown]>([
  ['an earlier sight', (entry) => table.see(entry, nowMs - 1000)],
  ['that it was moved', (entry) => table.notes.stampMove(entry, nowMs)],
  ['that its client knows', (entry) => table.notes.clearMoved(entry)],
])('%s is none', (_, change) => {
  const entry = begin(5);
  changes();
  change(entry);
  expect(changes()).toEqual([]);
});

test('what has ended had this key, and then none', () => {
  const entry = begin(5);
  changes();
  table.remove(entry, 5, 6);
  expect(changes()).toEqual(['5,6 0,6']);
  expect(changes()).toEqual([]);
});

test('another key in the place has both', () => {
  const entry = begin(5);
  changes();
  table.remove(entry, 5, 6);
  let key = 7;
  while (begin(key) !== entry) key += 2;
  expect(changes(true, entry, entry + 1)).toEqual([`5,6 ${key},${key + 1}`]);
});

test('what is in use is written again after a while, and when it is no longer', () => {
  const entry = begin(5);
  table.touch(entry, 5, 6, nowMs);
  expect(changes()).toEqual(['0,0 5,6']);
  nowMs += IN_USE_TENTHS * 100;
  expect(changes()).toEqual([]);
  nowMs += 100;
  expect(changes()).toEqual(['5,6 5,6']);
  expect(changes()).toEqual([]);
  table.release(entry, 5, 6, nowMs);
  expect(changes()).toEqual(['5,6 5,6']);
  nowMs += 10 * IN_USE_TENTHS * 100;
  expect(changes()).toEqual([]);
});

test('what comes into use later is written again only when its last sight is old', () => {
  const entry = begin(5);
  changes();
  table.touch(entry, 5, 6, nowMs);
  expect(changes()).toEqual([]);
  nowMs += IN_USE_TENTHS * 100 + 100;
  expect(changes()).toEqual(['5,6 5,6']);
});
