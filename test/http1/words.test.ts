import { expect, test } from 'vitest';
import { VALUE } from '../../src/http1/bytes.ts';
import { memoryOf, skipValueIn } from '../../src/http1/words.ts';

const BEFORE = 3;

function slowly(bytes: Buffer, begin: number, end: number): number {
  let position = begin;
  while (position < end && VALUE[bytes[position]!] === 1) position += 1;
  return position;
}

/** The same of a copy that lies elsewhere in memory, among bytes that are none of a value. */
function quickly(bytes: Buffer, begin: number, end: number): number {
  const around = Buffer.alloc(BEFORE + bytes.length + 1, 0x07);
  bytes.copy(around, BEFORE);
  const offset = around.byteOffset + BEFORE;
  return skipValueIn(memoryOf(around), offset + begin, offset + end) - offset;
}

function differences(bytes: Buffer, begin: number, end: number): string[] {
  const [found, expected] = [quickly(bytes, begin, end), slowly(bytes, begin, end)];
  return found === expected ? [] : [`${bytes.toString('hex')} ${begin}..${end}: ${found}, not ${expected}`];
}

test('the first byte that is none of a value is found, whatever byte it is, wherever it stands and whatever follows it', () => {
  const wrong: string[] = [];
  for (let byte = 0; byte < 256; byte += 1) {
    for (const next of [0x00, 0x09, 0x20, 0x7e, 0x7f, 0x80, 0xff]) {
      for (let at = 0; at < 20; at += 1) {
        const bytes = Buffer.alloc(24, 0x61);
        bytes[at] = byte;
        bytes[at + 1] = next;
        wrong.push(...differences(bytes, 0, bytes.length));
      }
    }
  }
  expect(wrong).toEqual([]);
});

test('no byte behind the end counts, and none before the begin', () => {
  const wrong: string[] = [];
  const bytes = Buffer.from('\rabcdefghijklmnopqrstu\t\xff\x7f', 'latin1');
  for (let begin = 0; begin <= bytes.length; begin += 1) {
    for (let end = begin; end <= bytes.length; end += 1) wrong.push(...differences(bytes, begin, end));
  }
  expect(wrong).toEqual([]);
});
