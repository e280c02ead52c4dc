import { expect, test } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { SessionChanges } from '../../src/sessions/changes.ts';
import { decodeSessions, restoreSessions, type SessionRecords } from '../../src/sessions/store.ts';
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

  takeIn(records: SessionRecords, ownFromMs?: number): void {
    const stored = decodeSessions(records.encode([]));
    if (stored.kind !== 'read') throw new Error(JSON.stringify(stored));
    restoreSessions(stored.contents, this.table, this.revision, this.clock, ownFromMs);
  }

  /** Each session as `a`, or `a?` when tentative. */
  homes(keys: number): string[] {
    return Array.from({ length: keys }, (_, index) => {
      const entry = this.table.find(index + 1, index + 1);
      if (entry === -1) return '-';
      const server = this.table.home(entry) === this.homeOf('a') ? 'a' : 'b';
      return this.table.isTentative(entry) ? `${server}?` : server;
    });
  }
}

test('the new side ends with the same sessions: begun, moved, ended, confirmed and tentative ones', () => {
  const [old, next] = [new Side(5_000), new Side(900_000)];
  for (const key of [1, 2, 3]) for (const side of [old, next]) side.begin(key, 'a');
  old.begin(4, 'b', true);
  const changes = new SessionChanges(old.table, old.clock);
  expect(changes.since(old.revision).count).toBe(1);
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
