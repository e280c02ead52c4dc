// The sessions with the highest request rates of one pool: a small list, the coolest first to go.

export interface HotSession {
  /** Eight hex digits of the hashed session key; the key itself never leaves the table. */
  readonly key: string;
  /** Slot of its home. */
  readonly slot: number;
  readonly requestsPerSecond: number;
  /** Of all requests of the pool's sessions, 0..1. */
  readonly share: number;
}

interface Candidate {
  readonly keyLow: number;
  readonly slot: number;
  readonly rate: number;
}

export class Hottest {
  readonly #size: number;
  #list: Candidate[] = [];

  constructor(size: number) {
    this.#size = size;
  }

  /** Rate a session must exceed to be listed; 0 while there is room. */
  get floor(): number {
    return this.#list.length < this.#size ? 0 : (this.#list[0]?.rate ?? 0);
  }

  /** Sorted insertion, coolest first: O(size), and rare once the list is full. */
  offer(keyLow: number, slot: number, rate: number): void {
    if (rate <= this.floor) return;
    if (this.#list.length >= this.#size) this.#list.shift();
    let index = 0;
    while (index < this.#list.length && (this.#list[index]?.rate ?? 0) < rate) index += 1;
    this.#list.splice(index, 0, { keyLow, slot, rate });
  }

  clear(): void {
    this.#list = [];
  }

  /** Hottest first, with shares of `rateTotal`. */
  report(rateTotal: number): readonly HotSession[] {
    return this.#list.toReversed().map(({ keyLow, slot, rate }) => ({
      key: (keyLow >>> 0).toString(16).padStart(8, '0'),
      slot,
      requestsPerSecond: rate,
      share: rateTotal > 0 ? rate / rateTotal : 0,
    }));
  }
}
