// HalfSipHash-2-4 against the vectors its authors published (vectors_hsip64: key 00..07, input 00, 00 01, ...).

import { describe, expect, test } from 'vitest';
import { hashBytes, hashed, hashKeyFrom, mixWords } from '../../src/base/hash.ts';

const VECTORS = [
  '218d1f59b9b83cc8',
  'be552412f8387315',
  '064f39ef7c50eb57',
  'ce0f1a45f7060679',
  'd5e78a175be52ea1',
  'cb9d7c3f2f3db580',
  'ce3e91358aa2bc25',
  'ff202728b07bc684',
  'edfee820bce4858c',
  '5b51cccc13888307',
  '95b0469f06a6f2ee',
  'ae26333994ddcd48',
  '7bc71f9faef5c799',
  '5a2352d75a0c3744',
  '3bb1a870eae8e658',
  '217d0bcb4e81c902',
];

function hex(): string {
  const result = Buffer.alloc(8);
  result.writeInt32LE(hashed.low, 0);
  result.writeInt32LE(hashed.high, 4);
  return result.toString('hex');
}

describe('hashBytes', () => {
  const key = hashKeyFrom(Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7]));
  const input = Uint8Array.from({ length: 64 }, (_, index) => index);

  test.each(VECTORS.map((vector, length) => [length, vector] as const))('%d bytes', (length, vector) => {
    hashBytes(key, input, 0, length);
    expect(hex()).toBe(vector);
  });

  test('hashes a range as if it stood alone', () => {
    const padded = Uint8Array.from([9, 9, 9, ...input.subarray(0, 11), 8, 8]);
    hashBytes(key, padded, 3, 14);
    expect(hex()).toBe(VECTORS[11]);
  });

  test('reads a key out of the middle of a buffer', () => {
    expect(hashKeyFrom(Uint8Array.from([5, 0, 1, 2, 3, 4, 5, 6, 7]).subarray(1))).toEqual(key);
  });
});

test('mixWords: one changed bit changes about half of the result', () => {
  let changed = 0;
  for (let bit = 0; bit < 64; bit += 1) {
    for (let sample = 0; sample < 50; sample += 1) {
      const [first, second] = [Math.imul(sample, 0x9e3779b9), Math.imul(sample, 0x517cc1b7)];
      const other =
        bit < 32 ? mixWords(first ^ (1 << bit), second) : mixWords(first, second ^ (1 << (bit - 32)));
      let difference = (mixWords(first, second) ^ other) >>> 0;
      for (; difference !== 0; difference >>>= 1) changed += difference & 1;
    }
  }
  expect(changed / (64 * 50)).toBeGreaterThan(15);
  expect(changed / (64 * 50)).toBeLessThan(17);
});
