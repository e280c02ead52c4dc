// Bodies that come: which stream DATA belongs to, whether it may come, and when the peer may send more.
//
// Where it is we who open streams, all their windows together are no larger than the connection's: whatever is taken of one, the
// others have room. Half of that is for windows that grow, the rest for streams to come.
//
// What comes of a stream in one read is handed on as one part: frames have 16 KiB as a rule, and each would cost a write of its own.

import type { AbuseKind, Http2Limits } from './abuse.ts';
import { ErrorCode, Flag } from './codes.ts';
import type { FrameWriter } from './frame-writer.ts';
import { ConnectionReceiveWindow } from './receive-window.ts';
import type { Http2Stream } from './stream.ts';

const NO_TRAILERS: readonly string[] = [];
const EMPTY = Buffer.alloc(0);

/** The connection as its bodies see it. */
interface ReceivingConnection {
  readonly streams: ReadonlyMap<number, Http2Stream>;
  readonly limits: Http2Limits;
  readonly writer: FrameWriter;
  readonly isOver: boolean;
  countFrame(kind: AbuseKind): boolean;
  fail(code: ErrorCode, detail: string): void;
  endStream(stream: Http2Stream, code: ErrorCode, fault: string): void;
  /** DATA on a stream that is no more. */
  onClosedData(id: number): void;
  onReceived(stream: Http2Stream, trailers: readonly string[]): void;
}

export class DataReceiver {
  readonly #connection: ReceivingConnection;
  readonly #window: ConnectionReceiveWindow;
  /** The stream of the frame that is being read; null: its data is dropped. */
  #stream: Http2Stream | null = null;
  #flags = 0;
  #length = 0;
  /** Of the frame, padding included: not handed on yet. */
  #left = 0;
  /** What is to be handed on: where it is, and whose. null: nothing. */
  #joined: Http2Stream | null = null;
  #buffer: Buffer = EMPTY;
  #joinedBegin = 0;
  #joinedEnd = 0;
  /** To all streams together. */
  #granted = 0;
  readonly #grantedMax: number;

  constructor(connection: ReceivingConnection, grantedMax: number) {
    const { window, connectionWindow } = connection.limits;
    this.#connection = connection;
    this.#window = new ConnectionReceiveWindow(window, connectionWindow);
    this.#grantedMax = grantedMax;
  }

  /** Streams that there is room for, each with a first window of so many bytes. */
  streamsLeft(windowFirst: number): number {
    return Math.floor((this.#grantedMax - this.#granted) / windowFirst);
  }

  /** A stream begins. */
  grant(stream: Http2Stream): void {
    this.#granted += stream.receiveWindow.size;
  }

  /** So much waits to be taken that streams will soon hold up each other. */
  get isCrowded(): boolean {
    return this.#window.isHalfFull;
  }

  begin(id: number, flags: number, length: number): void {
    const connection = this.#connection;
    const stream = connection.streams.get(id);
    this.#stream = null;
    this.#flags = flags;
    this.#length = length;
    this.#left = length;
    // also where it is passed over: it costs as much
    const isEmpty = length === 0 && (flags & Flag.endStream) === 0;
    if (isEmpty && connection.countFrame('empty_data')) return;
    if (!this.#window.receive(length))
      connection.fail(ErrorCode.flowControlError, 'more DATA than the connection was granted');
    else if (stream === undefined) connection.onClosedData(id);
    else this.#beginOf(stream, length);
    if (this.#stream === null) this.#drop();
  }

  #beginOf(stream: Http2Stream, length: number): void {
    const connection = this.#connection;
    if (stream.isHeadDue) connection.endStream(stream, ErrorCode.protocolError, 'DATA before a head');
    else if (stream.isReceived) connection.endStream(stream, ErrorCode.streamClosed, 'DATA behind its end');
    else if (stream.receiveWindow.receive(length)) this.#stream = stream;
    else {
      // the stream gives back all that it has
      this.#left = 0;
      connection.endStream(stream, ErrorCode.flowControlError, 'more DATA than it was granted');
    }
  }

  /** What is left of the frame goes to nobody. */
  #drop(): void {
    this.#window.take(this.#left);
    this.#left = 0;
    this.openWindow();
  }

  part(buffer: Buffer, begin: number, end: number): void {
    const stream = this.#stream;
    if (stream === null) return;
    const bytes = end - begin;
    this.#left -= bytes;
    if (stream.bytesLeft >= 0) {
      stream.bytesLeft -= bytes;
      if (stream.bytesLeft < 0) {
        this.#connection.endStream(stream, ErrorCode.protocolError, 'a body longer than its content-length');
        return;
      }
    }
    if (this.#joined === stream) {
      // down over the heads of frames between them: nobody else has these bytes any more
      buffer.copyWithin(this.#joinedEnd, begin, end);
      this.#joinedEnd += bytes;
      return;
    }
    this.handOn();
    this.#joined = stream;
    this.#buffer = buffer;
    this.#joinedBegin = begin;
    this.#joinedEnd = end;
  }

  /** Hands on what has come: at the end of each read, and before whatever is no DATA. */
  handOn(): void {
    const stream = this.#joined;
    if (stream === null) return;
    const buffer = this.#buffer;
    this.#joined = null;
    this.#buffer = EMPTY;
    if (stream.user !== null) stream.user.onData(buffer, this.#joinedBegin, this.#joinedEnd);
    else this.taken(stream, this.#joinedEnd - this.#joinedBegin);
  }

  end(): void {
    const stream = this.#stream;
    if (stream === null) return;
    const padding = this.#left;
    this.#left = 0;
    this.#stream = null;
    const isLast = (this.#flags & Flag.endStream) !== 0;
    // padding and nothing else
    const isEmpty = padding > 0 && padding === this.#length && !isLast;
    if (isEmpty && this.#connection.countFrame('empty_data')) return;
    if (padding > 0) this.taken(stream, padding);
    if (isLast) {
      this.handOn();
      this.#connection.onReceived(stream, NO_TRAILERS);
    }
    this.openWindow();
  }

  taken(stream: Http2Stream, bytes: number): void {
    // a stream that went has given back all that it had
    if (stream.isGone) return;
    this.#window.take(bytes);
    const { receiveWindow } = stream;
    const before = receiveWindow.size;
    const increment = receiveWindow.take(bytes, this.#grantedMax / 2 - this.#granted);
    this.#granted += receiveWindow.size - before;
    if (increment > 0 && !stream.isReceived) this.#connection.writer.windowUpdate(stream.id, increment);
    this.openWindow();
  }

  /** The stream is gone: what it held is free. */
  forget(stream: Http2Stream): void {
    this.#window.take(stream.receiveWindow.here);
    this.#granted -= stream.receiveWindow.size;
    if (this.#joined === stream) this.#joined = null;
    if (this.#stream === stream) {
      this.#stream = null;
      this.#left = 0;
    }
    this.openWindow();
  }

  openWindow(): void {
    const increment = this.#connection.isOver ? 0 : this.#window.open();
    if (increment > 0) this.#connection.writer.windowUpdate(0, increment);
  }
}
