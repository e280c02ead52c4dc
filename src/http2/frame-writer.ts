// Frames into memory that somebody lends. Control frames are a few bytes; header blocks are cut where they are too long
// for one frame (RFC 9113 section 6.10).

import { type ErrorCode, Flag, FRAME_BYTES_MAX, FRAME_HEAD_BYTES, FrameType, PREFACE } from './codes.ts';

/** Where frames are written, one after the other. */
export interface ByteOutput {
  /** Memory with room for `length` more bytes at `at`, which moves past them. At most a whole frame at once. */
  reserve(length: number): Buffer;
  /** Where the bytes that were reserved last begin. */
  readonly at: number;
  /** So many bytes more can follow those without a gap; 0 once those are gone. */
  readonly room: number;
}

/** Writes the nine bytes before a payload. */
export function writeFrameHead(
  bytes: Buffer,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): void {
  bytes[at] = length >>> 16;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes[at + 5] = streamId >>> 24;
  bytes[at + 6] = streamId >>> 16;
  bytes[at + 7] = streamId >>> 8;
  bytes[at + 8] = streamId;
}

export class FrameWriter {
  readonly #output: ByteOutput;
  /** Whose DATA the frame is that was written last, where it begins and how much data it has; 0: it is another frame, or ended. */
  #dataId = 0;
  #dataAt = 0;
  #dataBytes = 0;

  constructor(output: ByteOutput) {
    this.#output = output;
  }

  #begin(length: number, type: number, flags: number, streamId: number): Buffer {
    const bytes = this.#output.reserve(FRAME_HEAD_BYTES + length);
    this.#dataId = 0;
    writeFrameHead(bytes, this.#output.at, length, type, flags, streamId);
    return bytes;
  }

  #withNumber(type: number, streamId: number, value: number): void {
    const bytes = this.#begin(4, type, 0, streamId);
    bytes.writeUInt32BE(value, this.#output.at + FRAME_HEAD_BYTES);
  }

  /** What a client begins with. */
  preface(): void {
    const bytes = this.#output.reserve(PREFACE.length);
    bytes.write(PREFACE, this.#output.at, 'latin1');
  }

  settings(values: readonly (readonly [setting: number, value: number])[]): void {
    const bytes = this.#begin(values.length * 6, FrameType.settings, 0, 0);
    let at = this.#output.at + FRAME_HEAD_BYTES;
    for (const [setting, value] of values) {
      bytes.writeUInt16BE(setting, at);
      bytes.writeUInt32BE(value, at + 2);
      at += 6;
    }
  }

  settingsAck(): void {
    this.#begin(0, FrameType.settings, Flag.ack, 0);
  }

  /** `payload`: eight bytes of `from`. */
  ping(flags: number, from: Buffer, begin: number): void {
    const bytes = this.#begin(8, FrameType.ping, flags, 0);
    from.copy(bytes, this.#output.at + FRAME_HEAD_BYTES, begin, begin + 8);
  }

  goaway(lastStreamId: number, code: ErrorCode): void {
    const bytes = this.#begin(8, FrameType.goaway, 0, 0);
    bytes.writeUInt32BE(lastStreamId, this.#output.at + FRAME_HEAD_BYTES);
    bytes.writeUInt32BE(code, this.#output.at + FRAME_HEAD_BYTES + 4);
  }

  rstStream(streamId: number, code: ErrorCode): void {
    this.#withNumber(FrameType.rstStream, streamId, code);
  }

  windowUpdate(streamId: number, increment: number): void {
    this.#withNumber(FrameType.windowUpdate, streamId, increment);
  }

  /** A header block: HEADERS, and CONTINUATION for what is too long for one frame. */
  headers(streamId: number, block: Buffer, length: number, isLast: boolean): void {
    let type: number = FrameType.headers;
    let flags: number = isLast ? Flag.endStream : 0;
    for (let begin = 0; begin < length || type === FrameType.headers; begin += FRAME_BYTES_MAX) {
      const end = Math.min(length, begin + FRAME_BYTES_MAX);
      if (end === length) flags |= Flag.endHeaders;
      const bytes = this.#begin(end - begin, type, flags, streamId);
      block.copy(bytes, this.#output.at + FRAME_HEAD_BYTES, begin, end);
      type = FrameType.continuation;
      flags = 0;
    }
  }

  /**
   * DATA with part[begin, end), which is copied: a frame of its own, or more of the last one. A server that sends in small
   * pieces, or its end behind them, thus costs a frame for what comes at once.
   */
  data(streamId: number, part: Buffer, begin: number, end: number, isLast: boolean): void {
    const length = end - begin;
    const total = this.#dataBytes + length;
    const isMore = streamId === this.#dataId && total <= FRAME_BYTES_MAX && length < this.#output.room;
    if (isMore) this.#addData(part, begin, end, isLast);
    else {
      const bytes = this.#begin(length, FrameType.data, isLast ? Flag.endStream : 0, streamId);
      this.#dataAt = this.#output.at;
      this.#dataBytes = length;
      part.copy(bytes, this.#dataAt + FRAME_HEAD_BYTES, begin, end);
    }
    this.#dataId = isLast ? 0 : streamId;
  }

  #addData(part: Buffer, begin: number, end: number, isLast: boolean): void {
    const bytes = this.#output.reserve(end - begin);
    part.copy(bytes, this.#output.at, begin, end);
    this.#dataBytes += end - begin;
    const flags = isLast ? Flag.endStream : 0;
    writeFrameHead(bytes, this.#dataAt, this.#dataBytes, FrameType.data, flags, this.#dataId);
  }
}
