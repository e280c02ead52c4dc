// Which entry of a key's two buckets a new session gets: a free one of the emptier bucket, else that of the idlest. Never
// one in use, though its session has ended: whoever has it open gives back what is still its own.

const NONE = -1;
/** Below every time at which an entry was seen, and as far below that. */
const TENTATIVE_RANK = 2 ** 50;
const STALE_RANK = 2 ** 51;

// Multiply-high of an unsigned word by the bucket count: an even choice without a division.
export function firstBucket(keyLow: number, keyHigh: number, buckets: number): number {
  return Math.floor(((keyLow ^ Math.imul(keyHigh, 0x9e3779b1)) >>> 0) * (buckets / 0x1_0000_0000));
}

export function secondBucket(keyLow: number, keyHigh: number, buckets: number): number {
  return Math.floor(((keyHigh ^ Math.imul(keyLow, 0x85ebca77)) >>> 0) * (buckets / 0x1_0000_0000));
}

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
    const isFirst = this.#freeIn(first) >= this.#freeIn(second);
    const free = this.#firstFree(isFirst ? first : second);
    return free !== NONE ? free : this.#firstFree(isFirst ? second : first);
  }

  #firstFree(bucket: number): number {
    for (let entry = bucket * this.#size; entry < (bucket + 1) * this.#size; entry += 1) {
      if (!this.#entries.isUsed(entry) && this.#entries.busy(entry) === 0) return entry;
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
