// Frames out of bytes that come in any cuts (RFC 9113 section 4.1).
//
//   | length 24 | type 8 | flags 8 | R 1, stream 31 | payload ...
//
// The payload of DATA is handed on as it comes, without its padding; that of any other frame is whole.

import { ErrorCode, Flag, FRAME_BYTES_MAX, FRAME_HEAD_BYTES, FrameType } from './codes.ts';

export interface FrameSink {
  /** A whole frame other than DATA. The payload is valid until this returns. */
  onFrame(type: number, flags: number, streamId: number, buffer: Buffer, begin: number, end: number): void;
  /** A DATA frame begins. `length`: what counts for flow control, padding included. */
  onDataBegin(streamId: number, flags: number, length: number): void;
  /** Some of its data, valid until this returns. */
  onDataPart(buffer: Buffer, begin: number, end: number): void;
  /** It is over. */
  onDataEnd(): void;
  /** The bytes are no frames. */
  onBadFrame(code: ErrorCode, detail: string): void;
}

const EMPTY = Buffer.alloc(0);

export class FrameReader {
  readonly #sink: FrameSink;
  /** A head in parts; made when there is one. */
  #head: Buffer = EMPTY;
  #headBytes = 0;
  #type = 0;
  #flags = 0;
  #streamId = 0;
  /** Bytes of the payload that are still to come. */
  #left = 0;
  /** Of these, padding of a DATA frame at their end; -1: its length comes first. */
  #padding = 0;
  /** A payload in parts, and how much of it is here. */
  #payload: Buffer = EMPTY;
  #payloadBytes = 0;
  #isStopped = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Nothing more is read, not even what is left of the present chunk. */
  stop(): void {
    this.#isStopped = true;
    this.#payload = EMPTY;
  }

  /** A frame other than DATA has begun and is not whole. */
  get isInFrame(): boolean {
    return this.#headBytes === FRAME_HEAD_BYTES && this.#type !== FrameType.data;
  }

  /** `chunk` is valid only until this returns. */
  read(chunk: Buffer, begin = 0): void {
    let position = begin;
    while (position < chunk.length && !this.#isStopped) {
      if (this.#headBytes < FRAME_HEAD_BYTES) position = this.#readHead(chunk, position);
      else if (this.#type === FrameType.data) position = this.#readData(chunk, position);
      else position = this.#readPayload(chunk, position);
    }
  }

  #readHead(chunk: Buffer, begin: number): number {
    if (this.#headBytes === 0 && chunk.length - begin >= FRAME_HEAD_BYTES) {
      this.#headBytes = FRAME_HEAD_BYTES;
      this.#begin(chunk, begin);
      return begin + FRAME_HEAD_BYTES;
    }
    if (this.#head === EMPTY) this.#head = Buffer.alloc(FRAME_HEAD_BYTES);
    const end = Math.min(chunk.length, begin + FRAME_HEAD_BYTES - this.#headBytes);
    chunk.copy(this.#head, this.#headBytes, begin, end);
    this.#headBytes += end - begin;
    if (this.#headBytes === FRAME_HEAD_BYTES) this.#begin(this.#head, 0);
    return end;
  }

  #begin(bytes: Buffer, at: number): void {
    const length = bytes.readUIntBE(at, 3);
    this.#type = bytes[at + 3] as number;
    this.#flags = bytes[at + 4] as number;
    this.#streamId = bytes.readUInt32BE(at + 5) & 0x7fffffff;
    this.#left = length;
    if (length > FRAME_BYTES_MAX) {
      this.#refuse(ErrorCode.frameSizeError, `a frame of ${length} bytes`);
      return;
    }
    if (this.#type === FrameType.data) this.#beginData(length);
    else if (length === 0) this.#end(EMPTY, 0, 0);
  }

  #beginData(length: number): void {
    const isPadded = (this.#flags & Flag.padded) !== 0;
    if (isPadded && length === 0) {
      this.#refuse(ErrorCode.frameSizeError, 'padded DATA without its length of padding');
      return;
    }
    this.#padding = isPadded ? -1 : 0;
    this.#sink.onDataBegin(this.#streamId, this.#flags, length);
    if (length === 0) this.#endData();
  }

  #readData(chunk: Buffer, begin: number): number {
    if (this.#padding < 0) {
      this.#padding = chunk[begin] as number;
      this.#left -= 1;
      if (this.#padding > this.#left) this.#refuse(ErrorCode.protocolError, 'more padding than payload');
      else if (this.#left === 0) this.#endData();
      return begin + 1;
    }
    const end = Math.min(chunk.length, begin + this.#left);
    const dataEnd = Math.min(end, begin + this.#left - this.#padding);
    this.#left -= end - begin;
    if (this.#padding > this.#left) this.#padding = this.#left;
    if (dataEnd > begin) this.#sink.onDataPart(chunk, begin, dataEnd);
    if (this.#left === 0) this.#endData();
    return end;
  }

  #endData(): void {
    this.#headBytes = 0;
    if (!this.#isStopped) this.#sink.onDataEnd();
  }

  #readPayload(chunk: Buffer, begin: number): number {
    const end = Math.min(chunk.length, begin + this.#left);
    const isWhole = this.#payloadBytes === 0 && end - begin === this.#left;
    if (isWhole) this.#end(chunk, begin, end);
    else this.#keep(chunk, begin, end);
    return end;
  }

  #keep(chunk: Buffer, begin: number, end: number): void {
    if (this.#payloadBytes === 0) this.#payload = Buffer.allocUnsafe(this.#left);
    chunk.copy(this.#payload, this.#payloadBytes, begin, end);
    this.#payloadBytes += end - begin;
    this.#left -= end - begin;
    if (this.#left > 0) return;
    const payload = this.#payload;
    this.#payload = EMPTY;
    this.#payloadBytes = 0;
    this.#end(payload, 0, payload.length);
  }

  #end(buffer: Buffer, begin: number, end: number): void {
    this.#headBytes = 0;
    this.#sink.onFrame(this.#type, this.#flags, this.#streamId, buffer, begin, end);
  }

  #refuse(code: ErrorCode, detail: string): void {
    this.#isStopped = true;
    this.#sink.onBadFrame(code, detail);
  }
}
