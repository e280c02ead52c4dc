// Whether a head that was incomplete is worth parsing again.

import { LF } from './bytes.ts';

/**
 * Can the bytes that arrived at `arrivedAt`..`end` have completed the head that begins at `begin`? False only when
 * they surely did not: parse again when true, or when more than headBytesMax bytes are there. It keeps a client that
 * sends its head byte by byte from making us scan the whole head each time (quadratic). One native search.
 */
export function mayEndHead(buffer: Buffer, begin: number, arrivedAt: number, end: number): boolean {
  let position = buffer.indexOf(LF, Math.max(begin, arrivedAt));
  while (position >= 0 && position < end) {
    if (position - 2 >= begin && buffer[position - 2] === LF) return true;
    position = buffer.indexOf(LF, position + 1);
  }
  return false;
}
