// Follows one message's body through the bytes that arrive: where it ends, and whether it is well formed.

import { NO_TRAILERS, type Trailers } from '../exchange/streams.ts';
import { ChunkedScanner, type ChunkSink } from '../http1/chunked.ts';
import { Body } from '../http1/message.ts';

export class BodyReader {
  kind: Body = Body.none;
  /** The body was seen to its last byte; never true for untilClose. */
  isDone = true;
  /** A Refusal once a chunked body broke a rule, else 0. */
  refusal = 0;
  /** What has framing keeps it. */
  readonly needsChunks = false;
  /** Of a request: nobody asks for its data alone. */
  get isFramed(): boolean {
    return this.kind === Body.chunked;
  }

  /** Body bytes seen, chunk framing included. */
  bytes = 0;
  #left = 0;
  #scanner: ChunkedScanner | null = null;

  /** Begins a message. `sink` receives the data of a chunked body without its framing, null when nobody wants it. */
  begin(kind: Body, contentLength: number, sink: ChunkSink | null): void {
    this.kind = kind;
    this.refusal = 0;
    this.bytes = 0;
    this.#left = kind === Body.length ? contentLength : 0;
    this.isDone = kind === Body.none || (kind === Body.length && contentLength === 0);
    if (kind !== Body.chunked) return;
    this.#scanner ??= new ChunkedScanner();
    this.#scanner.reset();
    this.#scanner.sink = sink;
  }

  /** Of a chunked body whose data somebody wants without its framing; otherwise they stay in the chunks. */
  get trailers(): Trailers {
    return this.kind === Body.chunked ? (this.#scanner?.trailers ?? NO_TRAILERS) : NO_TRAILERS;
  }

  /** Bytes seen and announced. A body too large for us is refused before any server hears of it. */
  get expectedBytes(): number {
    return this.bytes + this.#left;
  }

  /** Consumes what belongs to the body; returns the offset just past it. Check `refusal` and `isDone` after. */
  consume(buffer: Buffer, begin: number, end: number): number {
    if (this.isDone) return begin;
    let bodyEnd = end;
    if (this.kind === Body.length) {
      bodyEnd = Math.min(end, begin + this.#left);
      this.#left -= bodyEnd - begin;
      this.isDone = this.#left === 0;
    } else if (this.kind === Body.chunked && this.#scanner !== null) {
      bodyEnd = this.#scanner.scan(buffer, begin, end);
      this.refusal = this.#scanner.refusal;
      this.isDone = this.#scanner.done;
    }
    this.bytes += bodyEnd - begin;
    return bodyEnd;
  }

  /** Drops references a reused exchange must not keep. */
  clear(): void {
    if (this.#scanner !== null) this.#scanner.sink = null;
  }
}
