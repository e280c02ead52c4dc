// What goes to the peer on the streams of one connection: in the windows that it grants, the more urgent first (RFC 9218
// section 10), a frame at a time in turn among equals. Heads wait for nothing.
//
//   write ── nothing waits, and there is room ──> sent
//       \── else copied: waits ── room, window, turn ──> sent ── all of it ──> onDrained

import { DATA_BYTES_MAX, type ErrorCode, WINDOW_FIRST, WINDOW_MAX } from './codes.ts';
import type { FrameWriter } from './frame-writer.ts';
import { HpackEncoder } from './hpack-encoder.ts';
import type { Http2Stream } from './stream.ts';

/** Where the frames go. */
export interface Outlet {
  /** It takes no more for now; whoever can tell calls `Sender.pump` when it does. */
  readonly isFull: boolean;
}

export class Sender {
  readonly encoder = new HpackEncoder();
  /** DATA frames sent. */
  frames = 0;
  /** What all streams together may send. */
  #window = WINDOW_FIRST;
  readonly #writer: FrameWriter;
  readonly #outlet: Outlet;
  readonly #onSent: (stream: Http2Stream) => void;
  readonly #queue: Http2Stream[] = [];

  constructor(writer: FrameWriter, outlet: Outlet, onSent: (stream: Http2Stream) => void) {
    this.#writer = writer;
    this.#outlet = outlet;
    this.#onSent = onSent;
  }

  /** The connection's window opens; false: beyond what one may have. */
  openConnection(increment: number): boolean {
    this.#window += increment;
    return this.#window <= WINDOW_MAX;
  }

  /** A stream's window opens, or closes, when the peer changes its SETTINGS; false: beyond what one may have. */
  openStream(stream: Http2Stream, change: number): boolean {
    stream.sendWindow += change;
    if (stream.sendWindow > WINDOW_MAX) return false;
    if (stream.waitingBytes > 0) this.#enqueue(stream);
    return true;
  }

  /** What windows leave to a stream after what waits of it: its own alone, or that of the connection too. */
  windowOf(stream: Http2Stream, isShared: boolean): number {
    const window = isShared ? Math.min(stream.sendWindow, this.#window) : stream.sendWindow;
    return Math.max(0, window - stream.waitingBytes);
  }

  /** Writes the block that the encoder has made. */
  headers(stream: Http2Stream, isLast: boolean): void {
    const { encoder } = this;
    this.#writer.headers(stream.id, encoder.block, encoder.length, isLast);
    if (isLast) this.#whole(stream);
  }

  /** `isLast`: our part of the stream ends with it. False: onDrained follows. */
  write(stream: Http2Stream, part: Buffer, isLast: boolean): boolean {
    let sent = 0;
    if (stream.waitingBytes === 0 && this.#queue.length === 0)
      sent = this.#send(stream, part, 0, part.length, isLast);
    if (sent === part.length) return true;
    stream.waiting.add(sent === 0 ? part : part.subarray(sent));
    stream.waitingBytes += part.length - sent;
    if (isLast) stream.endsWith = [];
    this.#enqueue(stream);
    return false;
  }

  /** Our part of the stream ends, after what waits of it. */
  end(stream: Http2Stream, trailers: readonly string[]): void {
    if (stream.isSent || stream.endsWith !== null) return;
    if (stream.waitingBytes > 0) stream.endsWith = trailers;
    else if (trailers.length > 0) this.#writeTrailers(stream, trailers);
    else {
      this.#writer.data(stream.id, EMPTY, 0, 0, true);
      this.#whole(stream);
    }
  }

  #writeTrailers(stream: Http2Stream, trailers: readonly string[]): void {
    const { encoder } = this;
    encoder.begin();
    for (let at = 0; at + 1 < trailers.length; at += 2) encoder.line(`${trailers[at]}: ${trailers[at + 1]}`);
    this.headers(stream, true);
  }

  reset(streamId: number, code: ErrorCode): void {
    this.#writer.rstStream(streamId, code);
  }

  /** Nothing more of it is sent. */
  forget(stream: Http2Stream): void {
    stream.waiting.clear();
    stream.waitingBytes = 0;
    if (stream.isQueued) this.#queue.splice(this.#queue.indexOf(stream), 1);
    stream.isQueued = false;
  }

  /** Sends what waits, as far as there is room. */
  pump(): void {
    while (this.#window > 0 && this.#queue.length > 0 && !this.#outlet.isFull) {
      const stream = this.#next();
      this.#sendWaiting(stream);
      if (stream.waitingBytes > 0 && stream.sendWindow > 0) this.#enqueue(stream);
      else if (stream.waitingBytes === 0) this.#drained(stream);
    }
  }

  #drained(stream: Http2Stream): void {
    const { endsWith } = stream;
    if (endsWith !== null && !stream.isSent) {
      stream.endsWith = null;
      this.end(stream, endsWith);
    }
    stream.user?.onDrained();
  }

  /** One frame of it. */
  #sendWaiting(stream: Http2Stream): void {
    const { waiting } = stream;
    const part = waiting.first;
    if (part.length === 0) return;
    const isLast = waiting.isOnePiece && stream.endsWith?.length === 0;
    const sent = this.#send(stream, part, 0, part.length, isLast);
    // with its last byte the stream may be gone, and what waited of it forgotten
    if (waiting.isEmpty) return;
    stream.waitingBytes -= sent;
    waiting.sent(sent);
  }

  /** Sends part[begin, end) as far as there is room, and says how far that was. */
  #send(stream: Http2Stream, part: Buffer, begin: number, end: number, isLast: boolean): number {
    let at = begin;
    while (at < end && this.#window > 0 && stream.sendWindow > 0 && !this.#outlet.isFull) {
      const frameEnd = Math.min(end, at + DATA_BYTES_MAX, at + this.#window, at + stream.sendWindow);
      const isEnd = isLast && frameEnd === end;
      this.#writer.data(stream.id, part, at, frameEnd, isEnd);
      this.frames += 1;
      this.#window -= frameEnd - at;
      stream.sendWindow -= frameEnd - at;
      at = frameEnd;
      if (isEnd) this.#whole(stream);
    }
    return at;
  }

  #whole(stream: Http2Stream): void {
    stream.isSent = true;
    this.#onSent(stream);
  }

  #enqueue(stream: Http2Stream): void {
    if (stream.isQueued || stream.sendWindow <= 0) return;
    stream.isQueued = true;
    this.#queue.push(stream);
  }

  /** The first of the most urgent. */
  #next(): Http2Stream {
    const queue = this.#queue;
    let first = 0;
    for (let at = 1; at < queue.length; at += 1)
      if ((queue[at] as Http2Stream).urgency < (queue[first] as Http2Stream).urgency) first = at;
    const [stream] = queue.splice(first, 1) as [Http2Stream];
    stream.isQueued = false;
    return stream;
  }
}

const EMPTY = Buffer.alloc(0);
