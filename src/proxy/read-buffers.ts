// Memory that sockets read into, without an allocation per read and without Node's stream machinery on that side.
//
// All connections of a thread read into one shared buffer: what is in it is valid only until the event handler
// returns, so whoever keeps bytes copies them. Bulk data is passed on without a copy per read by giving a connection
// a buffer of its own for as long as a long body runs.
//
//   read -> shared ── small: forwarded as a string, which Node copies and writes at once
//                 └── large: copied once to the connection's own buffer, the next reads go there directly
//
// Where what is read is for somebody who may not be sent as much (a stream of HTTP/2 without a window), a read takes no more
// than that: the rest waits in the kernel, and at the server.

import { type OnReadOpts, Socket } from 'node:net';
import { latin1 } from '../base/latin1.ts';
import type { PartOwner, Sink } from '../exchange/streams.ts';
import { type ReadingHandle, readInto } from './secured-reading.ts';

const READ_BYTES = 64 * 1024;
const SPARE_MAX = 64;
/** Nobody's read is shorter: a head and a short body come in one. */
const READ_BYTES_LEAST = 4 * 1024;
/** Where less is wanted Node is told so before the first read. Most clients of HTTP/2 begin with a window of 65 535. */
const NARROW_BYTES = 32 * 1024;
/** So often: it keeps some 60 bytes of each time for as long as the connection lasts. */
const NARROWED_MAX = 8;
/** Up to this size bytes are forwarded as a string: Node encodes 16 KiB on the stack and writes at once. */
export const STRING_BYTES_MAX = 12 * 1024;

/** Memory that is lent to one connection at a time: back in stock when its reader and all writes are done with it. */
export class LentBuffer {
  readonly bytes: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  /** One for all writes: the callback of each. */
  readonly onWritten: () => void;
  readonly #giveBack: (buffer: LentBuffer) => void;
  #writes = 0;
  #isRead = true;

  constructor(giveBack: (buffer: LentBuffer) => void) {
    this.#giveBack = giveBack;
    this.onWritten = () => {
      this.#writes -= 1;
      this.#settle();
    };
  }

  begin(): this {
    this.#isRead = true;
    return this;
  }

  /** A write begins that ends with `onWritten`. */
  written(): () => void {
    this.#writes += 1;
    return this.onWritten;
  }

  /** Nothing is read into it any more. */
  leave(): void {
    this.#isRead = false;
    this.#settle();
  }

  #settle(): void {
    if (this.#writes === 0 && !this.#isRead) this.#giveBack(this);
  }
}

/** Buffers of one thread. */
export class ReadBuffers {
  readonly shared: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #spare: LentBuffer[] = [];
  readonly #giveBack = (buffer: LentBuffer): void => {
    if (this.#spare.length < SPARE_MAX) this.#spare.push(buffer);
  };

  take(): LentBuffer {
    return this.#spare.pop()?.begin() ?? new LentBuffer(this.#giveBack);
  }
}

const unlimited = (): number => Number.POSITIVE_INFINITY;

/** The reading side of one connection. */
export class Reader implements PartOwner {
  readonly #buffers: ReadBuffers;
  /** Gets bytes that are valid only until it returns; another may go on where one has begun. */
  onRead: (chunk: Buffer) => void;
  /** What the running or next read fills; null: the shared buffer. */
  #reading: LentBuffer | null = null;
  #own: LentBuffer | null = null;
  #isInRead = false;
  #narrowed = 0;
  /** How many bytes there is a use for now. */
  readonly #wanted: () => number;

  constructor(buffers: ReadBuffers, onRead: (chunk: Buffer) => void, wanted: () => number = unlimited) {
    this.#buffers = buffers;
    this.onRead = onRead;
    this.#wanted = wanted;
  }

  /** The `onread` option of a socket. */
  options(): OnReadOpts {
    return {
      buffer: () => this.#next(),
      callback: (bytes) => {
        this.#isInRead = true;
        this.onRead((this.#reading?.bytes ?? this.#buffers.shared).subarray(0, bytes));
        this.#isInRead = false;
        return true;
      },
    };
  }

  /** What the next read fills. */
  #next(): Buffer {
    this.#reading = this.#own;
    const bytes = this.#reading?.bytes ?? this.#buffers.shared;
    const wanted = this.#wanted();
    return wanted >= READ_BYTES ? bytes : bytes.subarray(0, Math.max(READ_BYTES_LEAST, wanted));
  }

  /** Before something is asked for that is wanted in part: Node has been told where to read next when nobody knew. */
  narrow(socket: Socket): void {
    if (this.#wanted() >= NARROW_BYTES) return;
    const { _handle: handle } = socket as Socket & { readonly _handle?: ReadingHandle | null };
    handle?.useUserBuffer?.(this.#next());
    this.#narrowed += 1;
  }

  /** The connection should serve nobody else: what Node keeps for it would grow. */
  get isWorn(): boolean {
    return this.#narrowed >= NARROWED_MAX;
  }

  /** Bytes of the current read that have to outlive the event: copied when they are in a buffer that is read into. */
  copy(part: Buffer): Buffer {
    const isReadInto = part.buffer === this.#buffers.shared.buffer || this.#lentWith(part) !== null;
    return isReadInto ? Buffer.from(part) : part;
  }

  /**
   * Writes bytes of the current read to a socket, with text before and after them, in one call to the system. False:
   * wait for drain. Whatever becomes of the write (it waits because of others before it, because the socket is corked or not connected
   * yet): no later read touches these bytes. This is the only place that writes bytes of a read buffer.
   *
   *   short   sent as text, which is a copy
   *   long    moved out of the shared buffer when they are in it; from then on this connection reads into a buffer of
   *           its own, until `release`. What still waits takes that buffer with it, and the connection gets another.
   *   long, encrypted    such a write always waits: it says when it is done, and then the buffer is in stock again
   */
  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    if (part.length <= STRING_BYTES_MAX)
      return sink.write(before + latin1(part, 0, part.length) + after, 'latin1');
    const bytes = this.#move(part);
    const lent = this.#lentWith(bytes);
    const isFramed = before !== '' || after !== '';
    if (isFramed) sink.cork();
    if (before !== '') sink.write(before, 'latin1');
    const isTold = lent !== null && sink.encrypted === true;
    let isFlowing = isTold ? sink.write(bytes, lent.written()) : sink.write(bytes);
    if (after !== '') isFlowing = sink.write(after, 'latin1');
    if (isFramed) sink.uncork();
    if (lent !== null && lent === this.#own && sink.writableLength > 0) {
      if (isTold) lent.leave();
      this.#own = this.#buffers.take();
    }
    return isFlowing;
  }

  #move(part: Buffer): Buffer {
    if (part.buffer !== this.#buffers.shared.buffer) return part;
    this.#own ??= this.#buffers.take();
    part.copy(this.#own.bytes);
    return this.#own.bytes.subarray(0, part.length);
  }

  /** The lent buffer that these bytes are in; null: they are in nobody's. */
  #lentWith({ buffer }: Buffer): LentBuffer | null {
    if (buffer === this.#own?.bytes.buffer) return this.#own;
    return buffer === this.#reading?.bytes.buffer ? this.#reading : null;
  }

  /**
   * The long body is over. Best called while a read is handled: Node asks where to read next right after
   * that, so at any other time the next read is bound for our own buffer already and nobody else may have it.
   */
  release(): void {
    const isFree = this.#isInRead || this.#own !== this.#reading;
    if (isFree) this.#own?.leave();
    this.#own = null;
  }
}

/**
 * The accepted connection as a socket that reads through `reader`. net.Server makes its sockets without `onread`, so
 * another Socket takes over the handle, as net itself does (the `handle` option). Where a runtime has no such handle
 * the accepted socket is used as it is: slower, same behaviour.
 */
function takeOver(accepted: Socket, reader: Reader): Socket {
  const { _handle: handle } = accepted as Socket & { readonly _handle?: object };
  if (handle === undefined) return listenTo(accepted, reader);
  const socket = new Socket({ handle, allowHalfOpen: true, onread: reader.options() } as object);
  socket.resume();
  return socket;
}

/** A socket that is read as Node's streams give it: chunks that are memory of their own. */
function listenTo(socket: Socket, reader: Reader): Socket {
  return socket.on('data', (chunk: Buffer) => reader.onRead(chunk));
}

/** What a client's bytes are read from: TLS, or the connection itself, where it is not read through a reader already. */
export function clientSocket(
  {
    raw,
    secured,
    reader,
  }: { readonly raw: Socket; readonly secured: Socket | null; readonly reader?: Reader },
  buffers: ReadBuffers,
  onRead: (chunk: Buffer) => void,
): { readonly socket: Socket; readonly reader: Reader } {
  if (reader !== undefined) {
    reader.onRead = onRead;
    return { socket: raw, reader };
  }
  const own = new Reader(buffers, onRead);
  if (secured === null) return { socket: takeOver(raw, own), reader: own };
  readInto(secured, own.options());
  return { socket: listenTo(secured, own), reader: own };
}
