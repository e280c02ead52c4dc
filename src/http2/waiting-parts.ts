// What waits to be sent on a stream. It is copied into memory that is used again: bodies come 64 KB at a time, and each piece of
// that size of its own is counted by V8, which answers a few hundred of them with a collection of the whole heap.
//
//   add ──> 256 bytes, twice as many each time ──> a frame's worth at a time, of the thread's stock
//   sent ──> back in stock

import { DATA_BYTES_MAX } from './codes.ts';

const CHUNK_BYTES_LEAST = 256;
/** One frame. */
const CHUNK_BYTES_MOST = DATA_BYTES_MAX;
/** 2 MiB for each thread. */
const STOCK_MAX = 128;
const NOTHING: Buffer = Buffer.alloc(0);

/** Of the thread: nothing of what is in it is needed. */
const stock: Buffer[] = [];

function chunkOf(bytes: number): Buffer {
  // a larger one is as good as a frame's
  if (bytes <= CHUNK_BYTES_MOST / 2) return Buffer.allocUnsafe(bytes);
  return stock.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES_MOST);
}

function giveBack(chunk: Buffer): void {
  if (chunk.length === CHUNK_BYTES_MOST && stock.length < STOCK_MAX) stock.push(chunk);
}

export class WaitingParts {
  /** All but the last are full. */
  readonly #chunks: Buffer[] = [];
  /** Sent of the first. */
  #begin = 0;
  /** Used of the last. */
  #end = 0;

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** What there is, is in one piece. */
  get isOnePiece(): boolean {
    return this.#chunks.length === 1;
  }

  /** The next to be sent, valid until it is said to have been; empty: there is nothing. */
  get first(): Buffer {
    const first = this.#chunks[0];
    return first === undefined
      ? NOTHING
      : first.subarray(this.#begin, this.isOnePiece ? this.#end : undefined);
  }

  /** Copies it. */
  add(part: Buffer): void {
    let last = this.#chunks.at(-1);
    let copied = last === undefined ? 0 : part.copy(last, this.#end);
    this.#end += copied;
    while (copied < part.length) {
      const wanted = Math.max(part.length - copied, CHUNK_BYTES_LEAST, 2 * (last?.length ?? 0));
      last = chunkOf(Math.min(CHUNK_BYTES_MOST, wanted));
      this.#chunks.push(last);
      this.#end = part.copy(last, 0, copied);
      copied += this.#end;
    }
  }

  /** So many bytes of the first have been sent. */
  sent(bytes: number): void {
    this.#begin += bytes;
    const first = this.#chunks[0];
    if (first === undefined || this.#begin < (this.isOnePiece ? this.#end : first.length)) return;
    this.#begin = 0;
    this.#chunks.shift();
    giveBack(first);
  }

  clear(): void {
    for (const chunk of this.#chunks) giveBack(chunk);
    this.#chunks.length = 0;
    this.#begin = 0;
  }
}
