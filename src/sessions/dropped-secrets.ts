// A reload may take away every secret that a pool's sessions were kept under. Nobody can show a key then that finds one of
// them: they end at once, counted and said, where they would be held and counted as living until they are idle.

import type { PoolRevision, Revision } from '../shared/revision.ts';
import { homeGeneration, homeSlot } from '../shared/session-table.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Counter, END_REASONS } from '../shared/stripe.ts';

const SECRET = Counter.ended + END_REASONS.indexOf('secret');

/**
 * Ends the sessions that began before `beforeMs` in pools of which `next` has none of the keys of `old`; one sentence for
 * each of these pools, and for each that has lost some of its keys: an entry does not say which of them it is under, so
 * those sessions wait until they are idle. Walks the whole table: for reloads.
 */
export function endUnreadable(
  { table, own }: SharedState,
  old: Revision,
  next: Revision,
  beforeMs: number,
): readonly string[] {
  const partly = next.pools
    .filter((pool) => droppedOf(old, pool) === 'some')
    .map(
      ({ config }) =>
        `pool ${config.name}: sticky.secret has dropped one for reading: sessions not seen since it was replaced end`,
    );
  const dropped = next.pools.filter((pool) => droppedOf(old, pool) === 'all');
  return dropped.length === 0 ? partly : [...partly, ...endAll({ table, own }, dropped, beforeMs)];
}

function endAll(
  { table, own }: Pick<SharedState, 'table' | 'own'>,
  dropped: readonly PoolRevision[],
  beforeMs: number,
): readonly string[] {
  const ended = new Map(dropped.map((pool) => [pool, 0]));
  const bySlot = new Map(dropped.flatMap((pool) => pool.slots.map((slot, at) => [slot, { pool, at }])));
  for (let entry = 0; entry < table.capacity; entry += 1) {
    // an alias of a session that is gone leads nowhere, and the sweep takes it
    if (!table.isUsed(entry) || table.marks.isAlias(entry) || table.createdMs(entry) >= beforeMs) continue;
    const home = table.home(entry);
    const found = bySlot.get(homeSlot(home));
    if (found === undefined || found.pool.generations[found.at] !== homeGeneration(home)) continue;
    const isTentative = table.isTentative(entry);
    if (!table.remove(entry, table.keyLow(entry), table.keyHigh(entry)) || isTentative) continue;
    own.count(homeSlot(home), SECRET);
    ended.set(found.pool, (ended.get(found.pool) ?? 0) + 1);
  }
  return [...ended].map(
    ([{ config }, count]) =>
      `pool ${config.name}: sticky.secret changed without the one before: ${count} sessions have ended`,
  );
}

function droppedOf(old: Revision, { config, keys }: PoolRevision): 'none' | 'some' | 'all' {
  const before = old.pools.find((pool) => pool.config.name === config.name)?.keys ?? [];
  if (config.sticky.mode === 'none') return 'none';
  const dropped = before.filter((key) => !keys.some((kept) => Buffer.compare(key, kept) === 0));
  if (dropped.length === 0) return 'none';
  return dropped.length === before.length ? 'all' : 'some';
}
