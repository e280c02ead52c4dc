// What one connection writes in a turn: frames of all its streams, copied one after the other into one lent buffer, and one
// write for all of them. A connection that has nothing to say has no buffer.
//
//   reserve ── the buffer is full, or the turn is over ──> a short text | the buffer itself, in stock again once written

import { latin1 } from '../../base/latin1.ts';
import type { Sink } from '../../exchange/streams.ts';
import type { ByteOutput } from '../../http2/frame-writer.ts';
import { type LentBuffer, type ReadBuffers, STRING_BYTES_MAX } from '../read-buffers.ts';
import type { TurnEnd, TurnEnding } from '../turn-end.ts';

/** The socket as its output sees it. */
interface OutputSink extends Sink {
  readonly writableNeedDrain: boolean;
  readonly destroyed: boolean;
}

export class Http2Output implements ByteOutput, TurnEnding {
  at = 0;
  readonly #sink: OutputSink;
  readonly #buffers: ReadBuffers;
  readonly #turnEnd: TurnEnd;
  #lent: LentBuffer | null = null;
  #length = 0;
  #isPutOff = false;
  /** Streams of which nothing may leave yet: nothing leaves at all, as one compression is over all of them. */
  #withheld = 0;
  #kept = '';
  readonly #unsentMax: number;
  readonly #onUnsent: () => void;

  /** `onUnsent`: at the end of a turn more than `unsentMax` bytes wait for the peer to take them. */
  constructor(
    sink: OutputSink,
    buffers: ReadBuffers,
    turnEnd: TurnEnd,
    unsentMax: number,
    onUnsent: () => void,
  ) {
    this.#sink = sink;
    this.#buffers = buffers;
    this.#turnEnd = turnEnd;
    this.#unsentMax = unsentMax;
    this.#onUnsent = onUnsent;
  }

  /** Bytes of earlier turns that the peer has not taken. */
  get unsentBytes(): number {
    return this.#sink.writableLength;
  }

  /** Nothing leaves for now. */
  get isWithheld(): boolean {
    return this.#withheld > 0;
  }

  /** Nothing that can wait is to be added. */
  get isFull(): boolean {
    return this.#sink.writableNeedDrain || this.#withheld > 0;
  }

  get room(): number {
    return this.#lent === null ? 0 : this.#lent.bytes.length - this.#length;
  }

  reserve(length: number): Buffer {
    if (this.#lent !== null && this.#length + length > this.#lent.bytes.length) this.flush();
    this.#lent ??= this.#buffers.take();
    this.at = this.#length;
    this.#length += length;
    if (!this.#isPutOff) {
      this.#isPutOff = true;
      this.#turnEnd.add(this);
    }
    return this.#lent.bytes;
  }

  /** Whoever has something to say comes by here, so that this is where what waits is bounded. */
  onTurnEnd(): void {
    this.#isPutOff = false;
    if (this.#withheld === 0) this.flush();
    if (this.unsentBytes > this.#unsentMax) this.#onUnsent();
  }

  /** Writes what there is. */
  flush(): void {
    const lent = this.#lent;
    const length = this.#length;
    if (lent === null) return;
    this.#lent = null;
    this.#length = 0;
    if (this.#withheld > 0) this.#kept += latin1(lent.bytes, 0, length);
    else if (length <= STRING_BYTES_MAX) this.#write(latin1(lent.bytes, 0, length));
    else if (!this.#sink.destroyed) this.#sink.write(lent.bytes.subarray(0, length), lent.written());
    lent.leave();
  }

  #write(text: string): void {
    if (!this.#sink.destroyed) this.#sink.write(text, 'latin1');
  }

  withhold(): void {
    if (this.#withheld === 0) this.flush();
    this.#withheld += 1;
  }

  release(): void {
    this.#withheld -= 1;
    if (this.#withheld > 0) return;
    const kept = this.#kept;
    this.#kept = '';
    if (kept !== '') this.#write(kept);
    this.flush();
  }
}
