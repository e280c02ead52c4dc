// Seeded generator for choices, and pooled cryptographic bytes for identifiers.

import { randomFillSync } from 'node:crypto';

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
}

/** xoshiro128**: fast, seedable, good enough for choices; never for secrets. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  constructor(seed: number) {
    // splitmix32 spreads one word over the state, as the authors of xoshiro advise.
    let word = seed | 0;
    const spread = (): number => {
      word = (word + 0x9e3779b9) | 0;
      let mixed = word ^ (word >>> 16);
      mixed = Math.imul(mixed, 0x21f0aaad);
      mixed ^= mixed >>> 15;
      mixed = Math.imul(mixed, 0x735a2d97);
      return mixed ^ (mixed >>> 15);
    };
    this.#a = spread();
    this.#b = spread();
    this.#c = spread();
    this.#d = spread() | 1;
  }

  next(): number {
    return this.#word() / 0x1_0000_0000;
  }

  below(bound: number): number {
    return Math.floor((this.#word() / 0x1_0000_0000) * bound);
  }

  #word(): number {
    const product = Math.imul(this.#b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = (this.#d << 11) | (this.#d >>> 21);
    return result;
  }
}

/** A seed nobody can guess, for production use of SeededRandom. */
export function unpredictableSeed(): number {
  return randomFillSync(new Int32Array(1))[0] ?? 1;
}

const POOL_BYTES = 8192;
const pool = Buffer.allocUnsafeSlow(POOL_BYTES);
let poolOffset = POOL_BYTES;

/** Copies `count` cryptographically random bytes into `target` at `offset`; refills its pool every 8 KiB. */
export function fillRandomBytes(target: Uint8Array, offset: number, count: number): void {
  if (poolOffset + count > POOL_BYTES) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  target.set(pool.subarray(poolOffset, poolOffset + count), offset);
  poolOffset += count;
}
