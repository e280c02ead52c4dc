// A connection to a server whose last words are heard although a write has failed.
//
// A server that answers before it has the whole request (413, say) and closes then, has the system reset the
// connection, because it leaves bytes unread. Its answer lies in our receive buffer by then. If our next write comes
// before our next read, the write fails, and Node closes the socket with the answer in it.
// With TLS what lies there is encrypted, and Node's own reader has to open it.

import { readSync } from 'node:fs';
import { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { fdOf } from '../base/pass-sockets.ts';
import type { TlsClient } from '../base/tls-client.ts';
import type { Place } from '../config/address.ts';
import type { Reader } from './read-buffers.ts';

/** More than a head and a short body is not worth the effort. */
const LAST_WORDS_BYTES_MAX = 64 * 1024;

export class UpstreamSocket extends Socket {
  /** What had arrived and not been read when a write failed; null: nothing. Complete before 'close'. */
  unreadResponse: Buffer | null = null;

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (isFailedWrite(error)) this.unreadResponse = rest(this);
    super._destroy(error, callback);
  }
}

/** As `unreadResponse`, of connections with TLS. */
const unreadSecure = new WeakMap<Socket, Buffer>();

/** Opens a connection to a server, read by `reader`. `before`: text in the clear that it begins with. */
export function connectTo(
  { place, tls }: { readonly place: Place; readonly tls: TlsClient | null },
  before: string | null,
  reader: Reader,
  onChunk: (chunk: Buffer) => void,
): Socket {
  const onread = reader.options();
  if (tls !== null) {
    const secure = tls.connect(place, before, onread);
    if (before !== null) secure.on('data', onChunk);
    const destroy = secure.destroy.bind(secure);
    // before it counts as destroyed, for then Node opens nothing more
    secure.destroy = (error?: Error) => {
      if (isFailedWrite(error) && !secure.destroyed) openRest(secure, reader);
      return destroy(error);
    };
    return secure;
  }
  const socket = new UpstreamSocket({ allowHalfOpen: true, noDelay: true, onread });
  socket.connect(place);
  if (before !== null) socket.write(before, 'latin1');
  return socket;
}

/** Gives it once. */
export function takeUnreadResponse(socket: Socket): Buffer | null {
  if (!(socket instanceof UpstreamSocket)) {
    const opened = unreadSecure.get(socket) ?? null;
    unreadSecure.delete(socket);
    return opened;
  }
  const { unreadResponse } = socket;
  socket.unreadResponse = null;
  return unreadResponse;
}

function isFailedWrite(error: Error | null | undefined): boolean {
  return error != null && 'syscall' in error && error.syscall === 'write';
}

/** The binding below TLS, which opens what it is given as if it had read it. */
interface OpeningHandle {
  receive?(bytes: Buffer): void;
}

function openRest(secure: TLSSocket, reader: Reader): void {
  const bytes = rest(secure);
  if (bytes === null) return;
  const parts: Buffer[] = [];
  const keep = (chunk: Buffer | null): true => {
    if (chunk !== null) parts.push(Buffer.from(chunk));
    return true;
  };
  // the one with `onread`, the other without: it takes no more from a stream that has failed
  reader.onRead = keep;
  secure.push = keep;
  const { _handle: handle } = secure as TLSSocket & { readonly _handle?: OpeningHandle | null };
  handle?.receive?.(bytes);
  if (parts.length > 0) unreadSecure.set(secure, Buffer.concat(parts));
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
