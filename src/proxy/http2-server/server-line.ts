// What leads to one server, as each of its connections sees it.

import type { TurnClock } from '../../base/clock.ts';
import type { TlsClient } from '../../base/tls-client.ts';
import type { Place } from '../../config/address.ts';
import type { ReadBuffers } from '../read-buffers.ts';
import type { TurnEnd } from '../turn-end.ts';
import type { Http2ServerStream } from './server-stream.ts';

/** The pool as its connections see it. */
export interface ServerLine<Connection> {
  readonly place: Place;
  /** Null: it is in the clear. */
  readonly tls: TlsClient | null;
  readonly buffers: ReadBuffers;
  readonly clock: TurnClock;
  readonly turnEnd: TurnEnd;
  readonly connectTimeoutMs: number;
  /** How long a connection without streams is kept. */
  readonly idleMs: number;
  opened(connection: Connection): void;
  /** It has streams, or has none. */
  counted(connection: Connection, isIdle: boolean): void;
  /** Whether it is kept without streams. */
  keepsIdle(): boolean;
  forget(connection: Connection): void;
  /** It has no room for a stream that awaits one. */
  reopen(stream: Http2ServerStream): void;
  /** It is for a WebSocket, which the server takes over HTTP/1 alone. */
  overHttp1(stream: Http2ServerStream): void;
  /** The server has chosen HTTP/1 in the handshake; these have awaited it. */
  speaksHttp1(waiting: readonly Http2ServerStream[]): void;
  /** A connection could not be opened for want of a descriptor, a port or memory. */
  shortOfDescriptors(): void;
}
