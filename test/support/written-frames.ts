// Memory that a connection of HTTP/2 writes to, whose bytes are read back as frames.

import { FrameReader } from '../../src/http2/frame-reader.ts';
import type { ByteOutput } from '../../src/http2/frame-writer.ts';

export class WrittenFrames implements ByteOutput {
  at = 0;
  isBad = false;
  #bytes = Buffer.alloc(256 * 1024);
  #length = 0;
  #prefaceLeft: number;
  readonly #reader = new FrameReader({
    onFrame: () => undefined,
    onDataBegin: () => undefined,
    onDataPart: () => undefined,
    onDataEnd: () => undefined,
    onBadFrame: () => {
      this.isBad = true;
    },
  });

  /** `prefaceBytes`: what stands before the first frame. */
  constructor(prefaceBytes = 0) {
    this.#prefaceLeft = prefaceBytes;
  }

  get room(): number {
    return this.#length === 0 ? 0 : this.#bytes.length - this.#length;
  }

  reserve(length: number): Buffer {
    if (this.#length + length > this.#bytes.length) this.check();
    this.at = this.#length;
    this.#length += length;
    return this.#bytes;
  }

  /** Reads what has been written since the last time. */
  check(): void {
    const skipped = Math.min(this.#prefaceLeft, this.#length);
    this.#prefaceLeft -= skipped;
    this.#reader.read(this.#bytes.subarray(skipped, this.#length));
    this.#length = 0;
  }
}
