// The dynamic table of one direction of HPACK (RFC 7541 section 2.3.2): a ring, the newest entry at index 0.

import { ENTRY_BYTES } from './header-field.ts';

interface Entry {
  /** As HPACK counts it. */
  readonly bytes: number;
}

export class DynamicTable<E extends Entry> {
  readonly #ring: (E | undefined)[];
  #newest = 0;
  #count = 0;
  #bytes = 0;
  #bytesMax: number;

  /** `bytesMax`: the most it will ever have. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#ring = new Array(Math.max(1, Math.floor(bytesMax / ENTRY_BYTES)));
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  /** At most what it was made for. Returns how many entries have gone. */
  resize(bytesMax: number): number {
    this.#bytesMax = bytesMax;
    return this.#shrink(bytesMax);
  }

  /** Index 0 is the newest. */
  at(index: number): E | undefined {
    if (index >= this.#count) return undefined;
    const length = this.#ring.length;
    return this.#ring[(this.#newest - index + length) % length];
  }

  /** Returns how many entries have gone for it; one larger than the table empties it, and is not kept. */
  add(entry: E): number {
    const gone = this.#shrink(this.#bytesMax - entry.bytes);
    if (entry.bytes > this.#bytesMax) return gone;
    this.#newest = (this.#newest + 1) % this.#ring.length;
    this.#ring[this.#newest] = entry;
    this.#count += 1;
    this.#bytes += entry.bytes;
    return gone;
  }

  #shrink(bytesMax: number): number {
    let gone = 0;
    while (this.#bytes > bytesMax && this.#count > 0) {
      const length = this.#ring.length;
      const oldest = (this.#newest - this.#count + 1 + length) % length;
      this.#bytes -= this.#ring[oldest]?.bytes ?? 0;
      this.#ring[oldest] = undefined;
      this.#count -= 1;
      gone += 1;
    }
    return gone;
  }
}
