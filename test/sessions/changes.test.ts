import { expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { SessionChanges } from '../../src/sessions/changes.ts';
import { SessionRecords } from '../../src/sessions/records.ts';
import { decodeSessions, restoreSessions } from '../../src/sessions/store.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { packHome, type SessionTable } from '../../src/shared/session-table.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { Revisions, slotOf } from '../support/revision.ts';
import { touched } from '../support/touched.ts';

const POOL = {
  more: 'sticky: { mode: cookie-hash, idle: 30m, life: 24h }',
  servers: ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2'],
};
const START = 1_700_000_000_000;

class Side {
  readonly clock: ManualClock;
  readonly shared: SharedState;
  readonly revision: Revision;

  constructor(nowMs: number) {
    this.clock = new ManualClock(START);
    this.clock.nowMs = () => this.clock.wallMs() - START + nowMs;
    this.shared = SharedState.create(1, 1_000, this.clock.nowMs());
    this.revision = new Revisions(this.shared).next(POOL);
  }

  get table(): SessionTable {
    return this.shared.table;
  }

  homeOf(server: string): number {
    const slot = slotOf(this.revision, `shop/${server}`);
    return packHome(slot, this.shared.control.generation(slot));
  }

  begin(key: number, server: string, isTentative = false): void {
    this.table.insert(key, key, this.homeOf(server), this.clock.nowMs(), 0, isTentative);
  }

  end(key: number): void {
    this.table.remove(this.table.find(key, key), key, key);
  }

  takeIn(records: SessionRecords, ownFromMs = Number.POSITIVE_INFINITY): void {
    const stored = decodeSessions(records.encode([]));
    if (stored.kind !== 'read') throw new Error(JSON.stringify(stored));
    restoreSessions(stored.contents, this.table, this.revision, this.clock, {
      ownFromMs,
      onBegun: () => undefined,
    });
  }

  /** Each session as `a`, or `a?` when tentative. */
  homes(keys: number): string[] {
    return Array.from({ length: keys }, (_, index) => {
      const entry = this.table.find(index + 1, index + 1);
      if (entry === -1 || this.table.marks.isOver(entry)) return '-';
      const server = this.table.home(entry) === this.homeOf('a') ? 'a' : 'b';
      return this.table.isTentative(entry) ? `${server}?` : server;
    });
  }
}

test('the new side ends with the same sessions: begun, moved, ended, confirmed and tentative ones', () => {
  const [old, next] = [new Side(5_000), new Side(900_000)];
  for (const key of [1, 2, 3]) for (const side of [old, next]) side.begin(key, 'a');
  for (const side of [old, next]) side.begin(4, 'b', true);
  const changes = new SessionChanges(old.table, old.clock);
  expect(changes.since(old.revision).count).toBe(0);
  for (const side of [old, next]) side.clock.advance(3_000);
  old.end(1);
  const moved = old.table.find(2, 2);
  expect(old.table.move(moved, 2, 2, old.homeOf('a'), old.homeOf('b'))).toBe(true);
  old.table.confirm(old.table.find(4, 4));
  old.begin(5, 'a');
  old.begin(6, 'b', true);
  const records = changes.since(old.revision);
  expect(records.count).toBe(5);
  next.takeIn(records);
  expect(next.homes(6)).toEqual(['-', 'b', 'a', 'b', 'a', 'b?']);
  expect(next.homes(6)).toEqual(old.homes(6));
});

test('what the new side has seen since it serves is its own: neither moved nor ended', () => {
  const [old, next] = [new Side(5_000), new Side(900_000)];
  for (const key of [1, 2, 3, 4]) for (const side of [old, next]) side.begin(key, 'a');
  const changes = new SessionChanges(old.table, old.clock);
  for (const side of [old, next]) side.clock.advance(10_000);
  const servesFromMs = next.clock.nowMs();
  for (const key of [1, 2]) touched(next.table, next.table.find(key, key), next.clock.nowMs());
  old.end(1);
  old.end(3);
  for (const key of [2, 4])
    old.table.move(old.table.find(key, key), key, key, old.homeOf('a'), old.homeOf('b'));
  const keys = [1, 2, 3, 4, 5].flatMap((key) => [key, key]);
  next.takeIn(changes.of(keys, old.revision), servesFromMs);
  expect(next.homes(5)).toEqual(['a', 'a', '-', 'b', '-']);
});

/** Key, and what it leads to: the key of the session, its home, its scope. */
function leads(side: Side, key: number): unknown {
  const entry = side.table.resolve(key, key);
  if (entry === -1) return null;
  const home = side.table.home(entry) === side.homeOf('a') ? 'a' : 'b';
  return [side.table.resolvedLow, home, side.table.marks.scope(entry), side.table.marks.isDenied(entry)];
}

function alias(side: Side, key: number, of: number): void {
  const home = side.table.home(side.table.find(of, of));
  side.table.insert(key, key, home, side.clock.nowMs(), 0, true, of, of);
}

test('other values of a session, the scopes of cookies and denied keys go over, and what becomes of them', () => {
  const [old, next] = [new Side(5_000), new Side(900_000)];
  old.begin(1, 'a');
  old.table.marks.setScope(old.table.find(1, 1), 17);
  alias(old, 11, 1);
  alias(old, 12, 1);
  old.begin(3, 'b', true);
  old.table.marks.deny(old.table.find(3, 3));
  const changes = new SessionChanges(old.table, old.clock);
  next.takeIn(changes.of([1, 1, 11, 11, 12, 12, 3, 3], old.revision));
  // without a new sight of them: the scope is learned, one alias goes, a session becomes another's alias
  old.table.marks.setScope(old.table.find(1, 1), 18);
  old.table.remove(old.table.find(12, 12), 12, 12);
  old.table.confirm(old.table.find(3, 3));
  next.begin(13, 'b');
  alias(old, 13, 1);
  expect(next.table.busy(next.table.find(1, 1))).toBe(0);
  next.takeIn(changes.since(old.revision));
  for (const key of [1, 3, 11, 12, 13]) expect([key, leads(next, key)]).toEqual([key, leads(old, key)]);
  expect(leads(next, 13)).toEqual([1, 'a', 18, false]);
  expect(next.homes(3)).toEqual(old.homes(3));
  expect(changes.since(old.revision).count).toBe(0);
});

test('a value of what is no session any more is not told', () => {
  const side = new Side(5_000);
  for (const key of [1, 2, 3]) side.begin(key, 'a');
  alias(side, 11, 1);
  alias(side, 12, 2);
  alias(side, 13, 3);
  side.end(1);
  side.end(2);
  alias(side, 2, 3);
  const records = new SessionRecords(side.table, side.revision, side.clock);
  const counts = [11, 12, 13].map((key) => {
    records.add(side.table.find(key, key));
    return [records.count, records.aliases];
  });
  expect(counts).toEqual([
    [0, 0],
    [0, 0],
    [1, 1],
  ]);
});

test('what is in use on the old side is in use on the new one, until it is told otherwise', () => {
  const [old, next] = [new Side(5_000), new Side(900_000)];
  for (const key of [1, 2]) old.begin(key, 'a');
  // the other is new there
  next.begin(1, 'a');
  touched(old.table, old.table.find(1, 1), old.clock.nowMs());
  touched(old.table, old.table.find(2, 2), old.clock.nowMs());
  const changes = new SessionChanges(old.table, old.clock);
  const entry = next.table.find(1, 1);
  const busy = (): number[] => [next.table.busy(entry), next.table.busy(next.table.find(2, 2))];
  next.takeIn(changes.since(old.revision));
  expect(busy()).toEqual([1, 1]);
  for (const side of [old, next]) side.clock.advance(60_000);
  // the new side has served it as well: it is its own, but still in use there
  const servesFromMs = next.clock.nowMs() - 1_000;
  touched(next.table, entry, next.clock.nowMs());
  next.table.holds.set(entry, 0);
  next.takeIn(changes.since(old.revision), servesFromMs);
  expect(busy()).toEqual([1, 1]);
  // let go in the same tenth of a second in which it was told last
  old.table.release(old.table.find(1, 1), 1, 1, old.clock.nowMs());
  next.takeIn(changes.since(old.revision), servesFromMs);
  expect(busy()).toEqual([0, 1]);
  next.clock.advance(60_000);
  next.table.holds.clearOwn((held) => next.table.see(held, next.clock.nowMs()));
  expect(busy()).toEqual([0, 0]);
  expect(next.table.seenMs(next.table.find(2, 2))).toBe(next.clock.nowMs());
});

test('a session that its user has ended is ended on the other side too, and does not begin again while it is open here', () => {
  const [old, next] = [new Side(5_000), new Side(900_000)];
  for (const key of [1, 2]) for (const side of [old, next]) side.begin(key, 'a');
  touched(old.table, old.table.find(2, 2), old.clock.nowMs());
  const changes = new SessionChanges(old.table, old.clock);
  for (const side of [old, next]) side.clock.advance(1_000);
  old.table.bury(old.table.find(1, 1), 1, 1, old.clock.nowMs());
  const servesFromMs = next.clock.nowMs();
  for (const side of [old, next]) side.clock.advance(1_000);
  next.takeIn(changes.of([1, 1], old.revision), servesFromMs);
  expect(next.homes(2)).toEqual(['-', 'a']);
  // the next process has ended the other, of which this one still has a tunnel open
  next.table.bury(next.table.find(2, 2), 2, 2, next.clock.nowMs());
  for (let seconds = 0; seconds < 100; seconds += 5) {
    for (const side of [old, next]) side.clock.advance(5_000);
    next.takeIn(changes.since(old.revision), servesFromMs);
    next.table.resolve(2, 2);
    expect([next.table.wasOver, next.table.isTentative(next.table.find(2, 2))]).toEqual([true, false]);
  }
});

test('a session that its user has ended begins no other on the other side either, wherever it was seen, for as long as here', () => {
  const [old, next] = [new Side(5_000), new Side(900_000)];
  for (const key of [1, 2, 3, 4]) old.begin(key, 'a');
  for (const key of [1, 2, 5]) next.begin(key, 'a');
  // a value of a session that goes on
  alias(next, 4, 5);
  const changes = new SessionChanges(old.table, old.clock);
  const servesFromMs = next.clock.nowMs();
  for (const side of [old, next]) side.clock.advance(1_000);
  for (const key of [1, 2, 3, 4]) old.table.bury(old.table.find(key, key), key, key, old.clock.nowMs());
  for (const side of [old, next]) side.clock.advance(1_000);
  // a request that was sent before its user knew has come here
  touched(next.table, next.table.find(2, 2), next.clock.nowMs());
  next.takeIn(changes.since(old.revision), servesFromMs);
  const isOver = (key: number): boolean => next.table.resolve(key, key) === -1 && next.table.wasOver;
  expect([1, 2, 3, 4, 5].map(isOver)).toEqual([true, true, true, true, false]);
  // when it was is told, not when it was heard of
  expect(next.table.seenMs(next.table.find(3, 3))).toBe(next.clock.nowMs() - 1_000);
  for (const side of [old, next]) side.clock.advance(60_000);
  next.table.remove(next.table.find(3, 3), 3, 3);
  next.takeIn(changes.of([3, 3], old.revision), servesFromMs);
  expect(next.table.find(3, 3)).toBe(-1);
});
