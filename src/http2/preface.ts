// The 24 bytes that a client begins with (RFC 9113 section 3.4), in whatever cuts.

import { PREFACE } from './codes.ts';

export class Preface {
  #seen = 0;

  /** Returns where in the chunk it ends, the whole length while it has not; -1: this is another protocol. */
  read(chunk: Buffer): number {
    let at = 0;
    for (; this.#seen < PREFACE.length && at < chunk.length; at += 1, this.#seen += 1)
      if (chunk[at] !== PREFACE.charCodeAt(this.#seen)) return -1;
    return at;
  }

  get isWhole(): boolean {
    return this.#seen === PREFACE.length;
  }
}
