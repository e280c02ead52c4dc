// What a thread and a listener lend to their client connections.

import type { Socket } from 'node:net';
import type { LogLevel } from '../base/log.ts';
import type { Ends } from '../base/proxy-protocol.ts';
import type { ListenConfig } from '../config/model.ts';
import type { Gate } from '../exchange/admission.ts';
import type { LimitedClient } from '../exchange/client-limits.ts';
import type { DeadlineOwner, Deadlines } from '../exchange/deadlines.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { QuietLog } from '../exchange/quiet-log.ts';
import type { TlsFacts } from '../exchange/tls-facts.ts';
import type { Doorkeeper } from '../exchange/turn-away.ts';
import type { HeadLimits, RequestHead } from '../http1/message.ts';
import type { CalmEnds } from './http2/calm-ends.ts';
import type { ReadBuffers, Reader } from './read-buffers.ts';
import type { TurnEnd } from './turn-end.ts';

/** The thread as its client connections see it. */
export interface ConnectionServices extends Gate, Doorkeeper {
  readonly buffers: ReadBuffers;
  readonly turnEnd: TurnEnd;
  readonly calmEnds: CalmEnds;
  /** The last head parsed on this thread; valid until the next is. */
  readonly requestHead: RequestHead;
  /** Port of the first listener with TLS; 443 where there is none. */
  readonly httpsPort: number;
  /** As Revision.tokens; null: nobody asks. */
  readonly tokens: Readonly<Record<string, string>> | null;
  takeExchange(): Exchange;
}

/** The thread as its listeners see it. */
export interface ListenerHome extends ConnectionServices {
  readonly deadlines: Deadlines;
  readonly log: (level: LogLevel, message: string) => void;
  /** As ProxyThreadOptions. */
  readonly clientsMax: number;
  readonly isStopping: boolean;
  clientConnections(listener: number): number;
  allClientConnections(): number;
  connectionClosed(): void;
}

/** A client's connection once all that is below HTTP is settled: who it is, and what carries its bytes. */
export interface AcceptedClient {
  /** The connection itself. */
  readonly raw: Socket;
  /** What HTTP is read from: TLS over it; null: the connection itself. */
  readonly secured: Socket | null;
  /** Reads the connection itself already; absent: nobody does. */
  readonly reader?: Reader;
  /** What it speaks. */
  readonly protocol: 'http/1.1' | 'h2';
  /** null exactly when `secured` is. */
  readonly tls: TlsFacts | null;
  /** Plain address (base/client-address.ts). */
  readonly peerAddress: string;
  readonly isTrusted: boolean;
  /** As a PROXY header has them; null: they are those of the socket. */
  readonly ends: Ends | null;
  /** As Counted in exchange/client-limits.ts. */
  readonly addressCells: number;
}

/** A listener as its connections see it. */
export interface ConnectionListener {
  /** Its number in shared memory. */
  readonly index: number;
  readonly config: ListenConfig;
  readonly headLimits: HeadLimits;
  readonly port: number;
  readonly authority: string;
  /** Value of Strict-Transport-Security; null: none is sent. */
  readonly hsts: string | null;
  readonly isStopping: boolean;
  readonly isRetiring: boolean;
  /** For clients that speak another protocol than the listener. */
  readonly mistakes: QuietLog;
}

/** What a connection is in the middle of when it has to end, or a stream of it. */
export type Unfinished = 'request' | 'tunnel' | 'nothing';

/** A client's connection as its listener sees it, whatever it speaks. */
export interface ServedConnection extends DeadlineOwner, LimitedClient {
  /** Bytes of the client, valid until this returns. */
  onRead(chunk: Buffer): void;
  /** Graceful stop: ends when nothing is under way. */
  stop(): void;
  /** Another process has the listener: the client may ask once more, and is to go there then. */
  retire(): void;
  /** The grace of a stop is over. Says all that it was in the middle of. */
  finish(): readonly Unfinished[];
  /** At once, whatever is going on. */
  destroy(): void;
}
