// What has become of the sessions since a moment: what the next process must hear of the time after it was told them all.

import type { Clock } from '../base/clock.ts';
import type { Revision } from '../shared/revision.ts';
import type { SessionTable } from '../shared/session-table.ts';
import type { TableCopy } from '../shared/table-copy.ts';
import { SessionRecords } from './records.ts';

export class SessionChanges {
  readonly #table: SessionTable;
  readonly #clock: Clock;
  readonly #then: TableCopy;

  /** The moment is now; make it before the sessions are saved, so that none falls between. O(capacity), as `since` is. */
  constructor(table: SessionTable, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
    this.#then = table.copy();
    this.#then.noteAll();
  }

  /**
   * Sessions that have begun, moved, been used or ended since the moment, or the last call, as `restoreSessions` takes them.
   * Those in use are told always.
   */
  since(revision: Revision): SessionRecords {
    const table = this.#table;
    const records = new SessionRecords(table, revision, this.#clock);
    const now = table.tenths(this.#clock.nowMs());
    this.#then.eachChange(0, this.#then.entries, now, -1, (entry, low, high) => {
      if (low !== 0 && table.find(low, high) === -1) records.addEnded(low, high);
      if (table.isUsed(entry)) records.add(entry);
      return true;
    });
    return records;
  }

  /** How it stands with these keys: low and high word by turns. */
  of(keys: readonly number[], revision: Revision): SessionRecords {
    const records = new SessionRecords(this.#table, revision, this.#clock);
    for (let at = 0; at + 1 < keys.length; at += 2) {
      const [low, high] = [keys[at] as number, keys[at + 1] as number];
      const entry = this.#table.find(low, high);
      if (entry === -1) records.addEnded(low, high);
      else records.add(entry);
    }
    return records;
  }
}
