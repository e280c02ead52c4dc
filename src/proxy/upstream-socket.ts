// A connection to a server whose last words are heard although a write has failed.
//
// A server that answers before it has the whole request (413, say) and closes then, has the system reset the
// connection, because it leaves bytes unread. Its answer lies in our receive buffer by then. If our next write comes
// before our next read, the write fails, and Node closes the socket with the answer in it.

import { readSync } from 'node:fs';
import { Socket } from 'node:net';
import { fdOf } from '../base/pass-sockets.ts';

/** More than a head and a short body is not worth the effort. */
const LAST_WORDS_BYTES_MAX = 64 * 1024;

export class UpstreamSocket extends Socket {
  /** What had arrived and not been read when a write failed; null: nothing. Complete before 'close'. */
  lastWords: Buffer | null = null;

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (error !== null && 'syscall' in error && error.syscall === 'write') this.lastWords = rest(this);
    super._destroy(error, callback);
  }
}

/** Reads past Node, which takes nothing more from a socket that is being destroyed. Its descriptor is open still. */
function rest(socket: Socket): Buffer | null {
  const fd = fdOf(socket);
  if (fd < 0) return null;
  const buffer = Buffer.allocUnsafe(LAST_WORDS_BYTES_MAX);
  let length = 0;
  try {
    for (let read = -1; read !== 0 && length < buffer.length; length += read)
      read = readSync(fd, buffer, length, buffer.length - length, null);
  } catch {
    // EAGAIN or ECONNRESET: that was all
  }
  return length === 0 ? null : Buffer.from(buffer.subarray(0, length));
}
