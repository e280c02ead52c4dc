// A reload may take away secrets that sessions were kept under. Nobody can show a key then that finds such a session: it
// ends at once, counted and said, where it would be held and counted as living until it is idle.
//
//   secret     A ──── reigns ────┐  [B, A]: A is still read
//              B                 └──── reigns ────┐  [C, B]: A is dropped
//   session      created ── seen |                |     ends: in its whole life only A has reigned
//   session           created ───|─── seen        |     goes on: it was shown under B, and is known by that too
//
// An entry does not say which secret it is under. What has been shown under a secret that reigns, the first of the list, is
// known by it from then on: so a session may be found by those that have reigned at some time of its life. What was
// before this process began is not known, and taken for the reign of the secret that was the first then.

import type { PoolRevision, Revision } from '../shared/revision.ts';
import { homeGeneration, homeSlot } from '../shared/session-table.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Counter, END_REASONS } from '../shared/stripe.ts';

/** Times in the table are as much too early, at most. */
const GRAIN_MS = 100;
const SECRET = Counter.ended + END_REASONS.indexOf('secret');

/** As Clock.nowMs. */
interface Reign {
  readonly key: Uint8Array;
  readonly beginMs: number;
  readonly endMs: number;
}

/** Of one pool that has lost secrets. */
interface Loss {
  readonly pool: PoolRevision;
  /** Of the secrets that are left. */
  readonly reigns: readonly Reign[];
  readonly isWhole: boolean;
}

export class DroppedSecrets {
  /** By pool, in order. */
  #reigns = new Map<string, readonly Reign[]>();

  /**
   * All threads have swapped from `old` to `next`, from `beginMs` to `endMs`: ends the sessions that no secret of `next`
   * finds. One sentence for each pool that has lost secrets. Walks the whole table then.
   */
  end(
    { table, own }: Pick<SharedState, 'table' | 'own'>,
    old: Revision,
    next: Revision,
    beginMs: number,
    endMs: number,
  ): readonly string[] {
    const losses = this.#follow(old, next, beginMs, endMs);
    if (losses.length === 0) return [];
    const ended = new Map(losses.map((loss) => [loss, 0]));
    const bySlot = new Map(
      losses.flatMap((loss) => loss.pool.slots.map((slot, at) => [slot, { loss, at }] as const)),
    );
    for (let entry = 0; entry < table.capacity; entry += 1) {
      // an alias of a session that is gone leads nowhere, and the sweep takes it
      if (!table.isUsed(entry) || table.marks.isAlias(entry)) continue;
      const home = table.home(entry);
      const found = bySlot.get(homeSlot(home));
      if (found === undefined || found.loss.pool.generations[found.at] !== homeGeneration(home)) continue;
      if (isFound(found.loss.reigns, table.createdMs(entry), table.seenMs(entry), beginMs)) continue;
      const isTentative = table.isTentative(entry);
      if (!table.remove(entry, table.keyLow(entry), table.keyHigh(entry)) || isTentative) continue;
      own.count(homeSlot(home), SECRET);
      ended.set(found.loss, (ended.get(found.loss) ?? 0) + 1);
    }
    return [...ended].map(([loss, count]) => sentence(loss, count));
  }

  /** Goes on to what reigns now. */
  #follow(old: Revision, next: Revision, beginMs: number, endMs: number): readonly Loss[] {
    const reigns = new Map<string, readonly Reign[]>();
    const losses: Loss[] = [];
    for (const pool of next.pools) {
      const { config, keys } = pool;
      const before = old.pools.find((one) => one.config.name === config.name)?.keys ?? [];
      const [former, first] = [before[0], keys[0]];
      if (config.sticky.mode === 'none' || former === undefined || first === undefined) continue;
      const known = this.#reigns.get(config.name) ?? [
        { key: former, beginMs: Number.NEGATIVE_INFINITY, endMs: Number.POSITIVE_INFINITY },
      ];
      const all = isSame(former, first)
        ? known
        : [...ended(known, endMs), { key: first, beginMs, endMs: Number.POSITIVE_INFINITY }];
      const left = all.filter(({ key }) => isAmong(key, keys));
      reigns.set(config.name, left);
      const dropped = before.filter((key) => !isAmong(key, keys));
      if (dropped.length > 0) losses.push({ pool, reigns: left, isWhole: dropped.length === before.length });
    }
    this.#reigns = reigns;
    return losses;
  }
}

function ended(reigns: readonly Reign[], endMs: number): readonly Reign[] {
  return reigns.map((reign, at) => (at === reigns.length - 1 ? { ...reign, endMs } : reign));
}

/** A secret that has just begun, at `nowMs`, finds what began under it: nothing else is known by it yet. */
function isFound(reigns: readonly Reign[], createdMs: number, seenMs: number, nowMs: number): boolean {
  return reigns.some(({ beginMs, endMs }) =>
    beginMs === nowMs ? createdMs + GRAIN_MS > nowMs : createdMs <= endMs && seenMs + GRAIN_MS > beginMs,
  );
}

function sentence({ pool, isWhole }: Loss, count: number): string {
  const what = isWhole
    ? `changed without the one before: ${count} sessions have ended`
    : `has dropped one for reading: ${count} sessions not seen since it was replaced have ended`;
  return `pool ${pool.config.name}: sticky.secret ${what}`;
}

function isAmong(key: Uint8Array, keys: readonly Uint8Array[]): boolean {
  return keys.some((other) => isSame(key, other));
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return Buffer.compare(one, other) === 0;
}
