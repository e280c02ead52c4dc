// The idlest entries of one server, as many as are wanted and no more: a heap whose top is the busiest of them.

export class Idlest {
  readonly #wanted: number;
  readonly #entries: number[] = [];
  readonly #seenMs: number[] = [];

  constructor(wanted: number) {
    this.#wanted = wanted;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** O(log wanted), O(1) for an entry that is not idle enough. */
  offer(entry: number, seenMs: number): void {
    if (this.#wanted === 0) return;
    if (this.#entries.length < this.#wanted) {
      this.#entries.push(entry);
      this.#seenMs.push(seenMs);
      this.#rise(this.#entries.length - 1);
      return;
    }
    if (seenMs >= (this.#seenMs[0] as number)) return;
    this.#entries[0] = entry;
    this.#seenMs[0] = seenMs;
    this.#sink();
  }

  /** Idlest first. */
  list(): readonly number[] {
    const order = this.#entries.map((entry, index) => ({ entry, seenMs: this.#seenMs[index] as number }));
    return order.sort((a, b) => a.seenMs - b.seenMs).map(({ entry }) => entry);
  }

  #rise(from: number): void {
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if ((this.#seenMs[parent] as number) >= (this.#seenMs[index] as number)) return;
      this.#swap(index, parent);
      index = parent;
    }
  }

  #sink(): void {
    let index = 0;
    for (;;) {
      let latest = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (
          child < this.#entries.length &&
          (this.#seenMs[child] as number) > (this.#seenMs[latest] as number)
        ) {
          latest = child;
        }
      }
      if (latest === index) return;
      this.#swap(index, latest);
      index = latest;
    }
  }

  #swap(first: number, second: number): void {
    for (const list of [this.#entries, this.#seenMs]) {
      const kept = list[first] as number;
      list[first] = list[second] as number;
      list[second] = kept;
    }
  }
}
