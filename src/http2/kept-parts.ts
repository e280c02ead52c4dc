// Parts of a body that wait, in memory of their own. However small the parts are, they take little more than their bytes.

import { DATA_BYTES_MAX } from './codes.ts';

const CHUNK_BYTES_LEAST = 256;
/** One frame. */
const CHUNK_BYTES_MOST = DATA_BYTES_MAX;

export class KeptParts {
  /** All but the last are full. */
  readonly #chunks: Buffer[] = [];
  /** Used of the last. */
  #used = 0;

  get isEmpty(): boolean {
    return this.#chunks.length === 0;
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

  /** The first of what there is; nobody else has its memory. */
  take(): Buffer {
    const first = this.#chunks.shift();
    if (first === undefined) throw new Error('nothing is kept');
    return this.isEmpty ? first.subarray(0, this.#used) : first;
  }

  clear(): void {
    this.#chunks.length = 0;
  }
}
