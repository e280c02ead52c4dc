// Which entry of a key's two buckets a new session gets: a free one of the emptier bucket, else that of the idlest.

const NONE = -1;
/** Below every time at which an entry was seen, and as far below that. */
const TENTATIVE_RANK = 2 ** 50;
const STALE_RANK = 2 ** 51;

/** What is asked about an entry. */
export interface Entries {
  isUsed(entry: number): boolean;
  /** Requests and tunnels open now. */
  busy(entry: number): number;
  isTentative(entry: number): boolean;
  /** A former value that its session's client no longer shows. */
  isStale(entry: number): boolean;
  seenMs(entry: number): number;
}

export class BucketChoice {
  readonly #size: number;
  readonly #entries: Entries;

  /** `size`: entries of a bucket. */
  constructor(size: number, entries: Entries) {
    this.#size = size;
    this.#entries = entries;
  }

  /** NONE when both buckets are full. */
  free(first: number, second: number): number {
    const bucket = this.#freeIn(first) >= this.#freeIn(second) ? first : second;
    for (let entry = bucket * this.#size; entry < (bucket + 1) * this.#size; entry += 1) {
      if (!this.#entries.isUsed(entry)) return entry;
    }
    return NONE;
  }

  /** Former values before tentative sessions before real ones, then the longest unseen; never one in use: NONE when all are. */
  idlest(first: number, second: number): number {
    let idlest = NONE;
    for (const bucket of [first, second]) {
      for (let entry = bucket * this.#size; entry < (bucket + 1) * this.#size; entry += 1) {
        const isIdler = idlest === NONE || this.#rank(entry) < this.#rank(idlest);
        if (isIdler && this.#entries.busy(entry) === 0) idlest = entry;
      }
    }
    return idlest;
  }

  #rank(entry: number): number {
    const seen = this.#entries.seenMs(entry);
    if (this.#entries.isStale(entry)) return seen - STALE_RANK;
    return this.#entries.isTentative(entry) ? seen - TENTATIVE_RANK : seen;
  }

  #freeIn(bucket: number): number {
    let free = 0;
    for (let entry = bucket * this.#size; entry < (bucket + 1) * this.#size; entry += 1) {
      if (!this.#entries.isUsed(entry)) free += 1;
    }
    return free;
  }
}
