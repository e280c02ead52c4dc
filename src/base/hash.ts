// Keyed 64-bit hash of byte ranges: HalfSipHash-2-4 with 64-bit output (Aumasson, Bernstein: "SipHash", 2012,
// and the authors' reference code). 32-bit arithmetic only, which JavaScript does natively.
// The result is left in `hashed`, so that no object is made on the hot path.

/** Key of 64 bits as two words. */
export interface HashKey {
  readonly low: number;
  readonly high: number;
}

/** The latest result. Read it before the next call. */
export const hashed: { low: number; high: number } = { low: 0, high: 0 };

export function hashKeyFrom(secret: Uint8Array): HashKey {
  const view = new DataView(secret.buffer, secret.byteOffset, secret.byteLength);
  return { low: view.getInt32(0, true), high: view.getInt32(4, true) };
}

/** Hashes bytes[begin, end) into `hashed`. About 3 ns per byte. */
export function hashBytes(key: HashKey, bytes: Uint8Array, begin: number, end: number): void {
  let v0 = key.low;
  let v1 = key.high ^ 0xee;
  let v2 = 0x6c796765 ^ key.low;
  let v3 = 0x74656462 ^ key.high;
  const length = end - begin;
  const wordsEnd = begin + (length & ~3);
  let offset = begin;
  let word = 0;
  for (let finalWord = false; ; ) {
    if (offset < wordsEnd) {
      word =
        (bytes[offset] as number) |
        ((bytes[offset + 1] as number) << 8) |
        ((bytes[offset + 2] as number) << 16) |
        ((bytes[offset + 3] as number) << 24);
      offset += 4;
    } else {
      word = length << 24;
      const rest = length & 3;
      if (rest > 2) word |= (bytes[offset + 2] as number) << 16;
      if (rest > 1) word |= (bytes[offset + 1] as number) << 8;
      if (rest > 0) word |= bytes[offset] as number;
      finalWord = true;
    }
    v3 ^= word;
    for (let round = 0; round < 2; round += 1) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    v0 ^= word;
    if (finalWord) break;
  }
  v2 ^= 0xee;
  for (let half = 0; half < 2; half += 1) {
    for (let round = 0; round < 4; round += 1) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    if (half === 0) {
      hashed.low = v1 ^ v3;
      v1 ^= 0xdd;
    } else {
      hashed.high = v1 ^ v3;
    }
  }
}

/** Mixes two words into one well-spread word (murmur3's finaliser over their combination). */
export function mixWords(first: number, second: number): number {
  let mixed = Math.imul(first ^ (first >>> 16), 0x85ebca6b) ^ Math.imul(second, 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  mixed ^= mixed >>> 16;
  mixed = Math.imul(mixed, 0x7feb352d);
  return mixed ^ (mixed >>> 15);
}
