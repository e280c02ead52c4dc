// A header block on its way: in one frame as a rule, else in HEADERS and CONTINUATION that nothing may come between
// (RFC 9113 section 4.3).

import { Flag, FRAME_BYTES_MAX } from './codes.ts';

/** A block may be cut into so many frames, or as many as it fills: peers cut it where a frame is full, if at all. */
const CONTINUATIONS_MAX = 16;
const PRIORITY_BYTES = 5;

/** The fragment in a HEADERS frame. `fault`: what is wrong with the frame, '' for nothing. */
export const fragment = { begin: 0, end: 0, dependsOn: -1, fault: '' };

/** Finds the fragment of a HEADERS frame: past padding and the priority of old. Fills `fragment`. */
export function findFragment(flags: number, bytes: Buffer, begin: number, end: number): void {
  let at = begin;
  let padding = 0;
  fragment.fault = '';
  fragment.dependsOn = -1;
  if ((flags & Flag.padded) !== 0) {
    padding = at < end ? (bytes[at] as number) : end;
    at += 1;
  }
  if ((flags & Flag.priority) !== 0) {
    if (at + PRIORITY_BYTES <= end) fragment.dependsOn = bytes.readUInt32BE(at) & 0x7fffffff;
    at += PRIORITY_BYTES;
  }
  if (at + padding > end) fragment.fault = 'a HEADERS frame that is shorter than it says';
  fragment.begin = at;
  fragment.end = end - padding;
}

export class HeaderBlock {
  /** The stream whose block is not whole; 0: none. */
  streamId = 0;
  /** The block ends the request. */
  isLast = false;
  continuations = 0;
  #parts: Buffer[] = [];
  #bytes = 0;
  readonly #bytesMax: number;

  /** `bytesMax`: what a block may have before it is decoded. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  begin(streamId: number, isLast: boolean): void {
    this.streamId = streamId;
    this.isLast = isLast;
    this.continuations = 0;
    this.#parts = [];
    this.#bytes = 0;
  }

  get isTooLarge(): boolean {
    return this.#bytes > this.#bytesMax;
  }

  get isCutTooOften(): boolean {
    return this.continuations > Math.max(CONTINUATIONS_MAX, this.#bytesMax / FRAME_BYTES_MAX);
  }

  add(bytes: Buffer, begin: number, end: number): void {
    this.#bytes += end - begin;
    this.#parts.push(Buffer.from(bytes.subarray(begin, end)));
  }

  /** The whole block. */
  take(): Buffer {
    const whole = Buffer.concat(this.#parts);
    this.streamId = 0;
    this.#parts = [];
    return whole;
  }

  /** The rest of it is not read: who sent it may hold the connection for seconds yet. */
  drop(): void {
    this.#parts = [];
  }
}
