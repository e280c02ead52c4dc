// Parts of a body that wait, in memory of their own. However small the parts are, they take little more than their bytes.

import { DATA_BYTES_MAX } from './codes.ts';

const CHUNK_BYTES_LEAST = 256;
/** One frame. */
const CHUNK_BYTES_MOST = DATA_BYTES_MAX;
const NOTHING: Buffer = Buffer.alloc(0);

export class KeptParts {
  /** All but the last are full. */
  readonly #chunks: Buffer[] = [];
  /** Used of the last. */
  #used = 0;

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
  }

  /** What there is, is in one piece. */
  get isOnePiece(): boolean {
    return this.#chunks.length === 1;
  }

  /** The first of what there is, which more may be added to; empty: there is nothing. */
  get first(): Buffer {
    const first = this.#chunks[0];
    if (first === undefined) return NOTHING;
    return this.isOnePiece ? first.subarray(0, this.#used) : first;
  }

  add(part: Buffer): void {
    const last = this.#chunks.at(-1);
    const copied = last === undefined ? 0 : part.copy(last, this.#used);
    this.#used += copied;
    if (copied < part.length) this.#addChunk(part.subarray(copied), last?.length ?? 0);
  }

  #addChunk(part: Buffer, before: number): void {
    const wanted = Math.min(CHUNK_BYTES_MOST, Math.max(CHUNK_BYTES_LEAST, 2 * before));
    const chunk = Buffer.allocUnsafe(Math.max(part.length, wanted));
    this.#chunks.push(chunk);
    this.#used = part.copy(chunk);
  }

  /** Keeps the memory of a part itself, which nobody else writes to. */
  adopt(part: Buffer): void {
    const last = this.#chunks.length - 1;
    if (last >= 0) this.#chunks[last] = (this.#chunks[last] as Buffer).subarray(0, this.#used);
    this.#chunks.push(part);
    this.#used = part.length;
  }

  /** The first of what there is; nobody else has its memory. */
  take(): Buffer {
    const { first } = this;
    if (this.#chunks.shift() === undefined) throw new Error('nothing is kept');
    return first;
  }

  clear(): void {
    this.#chunks.length = 0;
  }
}
