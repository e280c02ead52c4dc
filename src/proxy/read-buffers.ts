// Memory that sockets read into, without an allocation per read and without Node's stream machinery on that side.
//
// All connections of a thread read into one shared buffer: what is in it is valid only until the event handler
// returns, so whoever keeps bytes copies them. Bulk data is passed on without a copy per read by giving a connection
// a buffer of its own for as long as a long body runs.
//
//   read -> shared ── small: forwarded as a string, which Node copies and writes at once
//                 └── large: copied once to the connection's own buffer, the next reads go there directly

import { type OnReadOpts, Socket } from 'node:net';
import { latin1 } from '../base/latin1.ts';
import type { PartOwner, Sink } from '../exchange/streams.ts';

const READ_BYTES = 64 * 1024;
const SPARE_MAX = 64;
/** Up to this size bytes are forwarded as a string: Node encodes 16 KiB on the stack and writes at once. */
export const STRING_BYTES_MAX = 12 * 1024;

/** Buffers of one thread. */
export class ReadBuffers {
  readonly shared: Buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  readonly #spare: Buffer[] = [];

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(READ_BYTES);
  }

  /** Only when nobody, a socket's write queue included, refers to it any more. */
  giveBack(buffer: Buffer): void {
    if (this.#spare.length < SPARE_MAX) this.#spare.push(buffer);
  }
}

/** The reading side of one connection. */
export class Reader implements PartOwner {
  readonly #buffers: ReadBuffers;
  readonly #onRead: (chunk: Buffer) => void;
  /** What the running or next read fills. */
  #reading: Buffer;
  #own: Buffer | null = null;
  #isInRead = false;

  /** `onRead` gets bytes that are valid only until it returns. */
  constructor(buffers: ReadBuffers, onRead: (chunk: Buffer) => void) {
    this.#buffers = buffers;
    this.#onRead = onRead;
    this.#reading = buffers.shared;
  }

  /** The `onread` option of a socket. */
  options(): OnReadOpts {
    return {
      buffer: () => {
        this.#reading = this.#own ?? this.#buffers.shared;
        return this.#reading;
      },
      callback: (bytes) => {
        this.#isInRead = true;
        this.#onRead(this.#reading.subarray(0, bytes));
        this.#isInRead = false;
        return true;
      },
    };
  }

  /** Bytes of the current read that have to outlive the event: copied when they are in a buffer that is read into. */
  copy(part: Buffer): Buffer {
    const isReadInto = part.buffer === this.#buffers.shared.buffer || part.buffer === this.#own?.buffer;
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
   */
  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    if (part.length <= STRING_BYTES_MAX)
      return sink.write(before + latin1(part, 0, part.length) + after, 'latin1');
    const bytes = this.#move(part);
    const isFramed = before !== '' || after !== '';
    if (isFramed) sink.cork();
    if (before !== '') sink.write(before, 'latin1');
    let isFlowing = sink.write(bytes);
    if (after !== '') isFlowing = sink.write(after, 'latin1');
    if (isFramed) sink.uncork();
    if (bytes.buffer === this.#own?.buffer && sink.writableLength > 0) this.#own = this.#buffers.take();
    return isFlowing;
  }

  #move(part: Buffer): Buffer {
    if (part.buffer !== this.#buffers.shared.buffer) return part;
    this.#own ??= this.#buffers.take();
    part.copy(this.#own);
    return this.#own.subarray(0, part.length);
  }

  /**
   * The long body is over. Best called while a read is handled: Node asks where to read next right after
   * that, so at any other time the next read is bound for our own buffer already and nobody else may have it.
   */
  release(): void {
    const isFree = this.#isInRead || this.#own !== this.#reading;
    if (this.#own !== null && isFree) this.#buffers.giveBack(this.#own);
    this.#own = null;
  }
}

/**
 * The accepted connection as a socket that reads through `reader`. net.Server makes its sockets without `onread`, so
 * another Socket takes over the handle, as net itself does (the `handle` option). Where a runtime has no such handle
 * the accepted socket is used as it is: slower, same behaviour.
 */
export function takeOver(accepted: Socket, reader: Reader, onChunk: (chunk: Buffer) => void): Socket {
  const { _handle: handle } = accepted as Socket & { readonly _handle?: object };
  if (handle === undefined) {
    accepted.on('data', onChunk);
    return accepted;
  }
  const socket = new Socket({ handle, allowHalfOpen: true, onread: reader.options() } as object);
  socket.resume();
  return socket;
}
