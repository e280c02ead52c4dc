// A request of whatever session is at an entry of the table, begun.

import type { SessionTable } from '../../src/shared/session-table.ts';

/** True when it holds the entry. */
export function touched(table: SessionTable, entry: number, nowMs: number): boolean {
  return table.touch(entry, table.keyLow(entry), table.keyHigh(entry), nowMs);
}
