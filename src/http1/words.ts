// Four bytes a step: a field value is most of a head, and looking at each of its bytes is most of what a head costs.
//
//   word of four bytes b       b - 0x20 borrows for controls only      b ^ 0x7f is zero for DEL only
//
// The sign of each byte of the result says whether that byte needs a closer look: a control (so also HTAB, CR and LF) or
// DEL. A borrow reaches the next byte only from one that is marked already, so the lowest mark is always right.

import { HTAB, VALUE } from './bytes.ts';

// Constants of the module itself are part of the machine code; imported ones are fetched at every use.
const value = VALUE;
const tab = HTAB;

let viewed: ArrayBufferLike = new ArrayBuffer(0);
let view: DataView = new DataView(viewed);

/** The memory that the bytes are in, as a view of all of it: made once for memory that is read into again and again. */
export function memoryOf(buffer: Buffer): DataView {
  const memory = buffer.buffer;
  if (memory !== viewed) {
    viewed = memory;
    view = new DataView(memory);
  }
  return view;
}

/** First offset from `begin` on that holds no field value byte; `end` when there is none. Offsets are those of the memory. */
export function skipValueIn(memory: DataView, begin: number, end: number): number {
  const lastPair = (end - 8) | 0;
  let position = begin | 0;
  if (position >= end || value[memory.getUint8(position)] !== 1) return position;
  position = (position + 1) | 0;
  while (position <= lastPair) {
    const first = marksOf(memory.getInt32(position, true));
    const second = marksOf(memory.getInt32((position + 4) | 0, true));
    if ((first | second) !== 0) {
      position = (position + (first === 0 ? 4 + lowest(second) : lowest(first))) | 0;
      if (memory.getUint8(position) !== tab) return position;
      position = (position - 7) | 0;
    }
    position = (position + 8) | 0;
  }
  while (position < end && value[memory.getUint8(position)] === 1) position = (position + 1) | 0;
  return position;
}

/** The top bit of each byte that is a control or DEL; above the lowest there may be others. */
function marksOf(word: number): number {
  const notDelete = word ^ 0x7f7f7f7f;
  return (((word - 0x20202020) & ~word) | ((notDelete - 0x01010101) & ~notDelete)) & 0x80808080;
}

/** Which byte bears the lowest mark. */
function lowest(marks: number): number {
  return (31 - Math.clz32(marks & -marks)) >> 3;
}
