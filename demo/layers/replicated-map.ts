// The replicated sessions themselves: last writer wins by version, ended sessions leave a tombstone. Pure: time
// comes in, changes go out, no sockets.

/** One session as it travels between servers. */
export interface Entry {
  readonly key: string;
  /** JSON of the session; null is a tombstone, so that a late change cannot bring the session back. */
  readonly json: string | null;
  readonly user: string;
  readonly expiresAtMs: number;
  /** Grows with every change of this session; wall clock milliseconds where that is more. */
  readonly version: number;
  /** Server that made the change; decides between equal versions. */
  readonly origin: string;
}

/** How long a tombstone is kept: longer than any change can be under way. */
const TOMBSTONE_MS = 600_000;

/** All sessions one server knows. */
export class ReplicatedMap {
  readonly #entries = new Map<string, Entry>();
  readonly #origin: string;

  constructor(origin: string) {
    this.#origin = origin;
  }

  /** The live session under `key`; null when there is none. */
  find(key: string, nowMs: number): Entry | null {
    const found = this.#entries.get(key);
    return found === undefined || found.json === null || found.expiresAtMs <= nowMs ? null : found;
  }

  /** Makes a change of our own and returns the entry to send. */
  put(key: string, user: string, json: string, expiresAtMs: number, nowMs: number): Entry {
    return this.#change({ key, user, json, expiresAtMs }, nowMs);
  }

  /** Ends a session; returns the tombstone to send. */
  remove(key: string, nowMs: number): Entry {
    return this.#change({ key, user: '', json: null, expiresAtMs: nowMs + TOMBSTONE_MS }, nowMs);
  }

  /** Moves the expiry of a live session; touches never conflict, the later expiry stands. */
  touch(key: string, expiresAtMs: number, nowMs: number): Entry | null {
    const found = this.find(key, nowMs);
    if (found === null) return null;
    const touched = { ...found, expiresAtMs: Math.max(found.expiresAtMs, expiresAtMs) };
    this.#entries.set(key, touched);
    return touched;
  }

  /** Takes another server's change; false when ours is newer. */
  merge(entry: Entry): boolean {
    const ours = this.#entries.get(entry.key);
    if (ours !== undefined && !isNewer(entry, ours)) return false;
    this.#entries.set(entry.key, entry);
    return true;
  }

  /** Every entry, tombstones too: what a joining server needs. */
  all(): IterableIterator<Entry> {
    return this.#entries.values();
  }

  live(nowMs: number): readonly Entry[] {
    return [...this.#entries.values()].filter((entry) => entry.json !== null && entry.expiresAtMs > nowMs);
  }

  prune(nowMs: number): void {
    for (const entry of this.#entries.values()) {
      if (entry.expiresAtMs <= nowMs) this.#entries.delete(entry.key);
    }
  }

  #change(change: Omit<Entry, 'version' | 'origin'>, nowMs: number): Entry {
    const version = Math.max(nowMs, (this.#entries.get(change.key)?.version ?? 0) + 1);
    const entry = { ...change, version, origin: this.#origin };
    this.#entries.set(change.key, entry);
    return entry;
  }
}

function isNewer(entry: Entry, than: Entry): boolean {
  if (entry.version !== than.version) return entry.version > than.version;
  return entry.origin > than.origin;
}
