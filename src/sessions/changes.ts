// What has become of the sessions since a moment: what the next process must hear of the time after it was told them all.

import type { Clock } from '../base/clock.ts';
import type { Revision } from '../shared/revision.ts';
import type { SessionTable } from '../shared/session-table.ts';
import { SessionRecords } from './store.ts';

/** Key, both words, and home. */
const WORDS = 3;

export class SessionChanges {
  readonly #table: SessionTable;
  readonly #clock: Clock;
  /** The table as it was, tentative sessions left out as `saveSessions` leaves them out. 12 bytes for each entry. */
  readonly #then: Int32Array;

  /** The moment is now; make it before the sessions are saved, so that none falls between. O(capacity), as `since` is. */
  constructor(table: SessionTable, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
    this.#then = new Int32Array(table.capacity * WORDS);
    for (let entry = 0; entry < table.capacity; entry += 1) {
      if (!table.isUsed(entry) || table.isTentative(entry)) continue;
      this.#then[entry * WORDS] = table.keyLow(entry);
      this.#then[entry * WORDS + 1] = table.keyHigh(entry);
      this.#then[entry * WORDS + 2] = table.home(entry);
    }
  }

  /** Sessions that have begun, moved or ended since, as `restoreSessions` takes them. */
  since(revision: Revision): SessionRecords {
    const table = this.#table;
    const records = new SessionRecords(table, revision, this.#clock);
    for (let entry = 0; entry < table.capacity; entry += 1) {
      const low = this.#then[entry * WORDS] as number;
      const high = this.#then[entry * WORDS + 1] as number;
      const isSame = table.keyLow(entry) === low && table.keyHigh(entry) === high;
      if (low !== 0 && !isSame && table.find(low, high) === -1) records.addEnded(low, high);
      const isAsThen = isSame && table.home(entry) === this.#then[entry * WORDS + 2];
      if (table.isUsed(entry) && !isAsThen) records.add(entry);
    }
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
