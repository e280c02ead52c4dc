// Connections by client address, counted per worker like everything else: that worker writes, all read and sum, main
// clears what a dead worker leaves. No address is stored: it picks a cell in each of two rows and the lesser counts.

const CELL_BITS = 14;
const CELLS = 1 << CELL_BITS;
const ROWS = 2;
/** No connection is counted. */
export const UNCOUNTED = -1;

export class AddressCounts {
  readonly buffers: readonly SharedArrayBuffer[];
  readonly #rows: readonly Int32Array[];
  readonly #own: Int32Array | null;

  /** `own`: index of the worker's buffer, null for main. */
  constructor(buffers: readonly SharedArrayBuffer[], own: number | null) {
    this.buffers = buffers;
    this.#rows = buffers.map((buffer) => new Int32Array(buffer));
    this.#own = own === null ? null : (this.#rows[own] ?? null);
  }

  static create(workers: number): AddressCounts {
    const buffers = Array.from({ length: workers }, () => new SharedArrayBuffer(ROWS * CELLS * 4));
    return new AddressCounts(buffers, null);
  }

  /** Both cells of an address in one number. */
  cellsOf(keyLow: number, keyHigh: number): number {
    return (keyLow & (CELLS - 1)) | ((keyHigh & (CELLS - 1)) << CELL_BITS);
  }

  /** One connection more or fewer of this worker. */
  add(cells: number, amount: number): void {
    if (this.#own === null) return;
    Atomics.add(this.#own, cells & (CELLS - 1), amount);
    Atomics.add(this.#own, CELLS + (cells >>> CELL_BITS), amount);
  }

  /** Connections over all workers; never too few. */
  count(cells: number): number {
    let first = 0;
    let second = 0;
    for (const rows of this.#rows) {
      first += Atomics.load(rows, cells & (CELLS - 1));
      second += Atomics.load(rows, CELLS + (cells >>> CELL_BITS));
    }
    return Math.min(first, second);
  }

  /** Main, after a worker has died. */
  clear(worker: number): void {
    this.#rows[worker]?.fill(0);
  }
}
