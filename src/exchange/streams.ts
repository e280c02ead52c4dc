// The seam between an exchange and what carries it. The exchange knows neither sockets nor versions of HTTP; each
// protocol is a pair of these.
//
//   client ⇄ ClientStream ⇄ exchange ⇄ ServerStream ⇄ server
//
// Bytes of a body are called a part. They lie in memory that somebody reads into, so whoever hands a part over says who
// owns it, and only the owner writes or copies it.

import type { FailureKind } from '../base/failure.ts';
import type { Ends } from '../base/proxy-protocol.ts';
import type { ListenConfig } from '../config/model.ts';
import type { HeadLimits, ResponseHead } from '../http1/message.ts';
import type { ReplyContent } from './reply-content.ts';
import type { Forwarding } from './request-lines.ts';
import type { Withholdable } from './takeover-barrier.ts';
import type { TlsFacts } from './tls-facts.ts';

/** What takes bytes: a socket, or what stands for one. */
export interface Sink {
  readonly writableLength: number;
  /** It encrypts what is written, and never takes it at once. */
  readonly encrypted?: boolean;
  write(data: string | Buffer, encoding?: BufferEncoding): boolean;
  write(data: Buffer, onWritten: () => void): boolean;
  cork(): void;
  uncork(): void;
}

/** Who owns the memory of a part. */
export interface PartOwner {
  /** Writes the part with text before and after it; no later read touches it, whatever becomes of the write. False: wait for drain. */
  writeTo(sink: Sink, part: Buffer, before?: string, after?: string): boolean;
  /** The part in memory that outlives the event it came in. */
  copy(part: Buffer): Buffer;
}

/** Fields after a body, each with its name and value, as they came: `[name, value, name, value, ...]`. */
export type Trailers = readonly string[];

/** Also where they travel inside of a framed body. */
export const NO_TRAILERS: Trailers = [];

/** How far a request's body has come. */
export interface RequestBody {
  /** All of it is here. */
  readonly isDone: boolean;
  /** Bytes so far, as they came. */
  readonly bytes: number;
  /** Bytes so far and announced. */
  readonly expectedBytes: number;
  /** A Refusal (http1/message.ts) once it broke a rule, else 0. */
  readonly refusal: number;
  /** Complete when it is done. */
  readonly trailers: Trailers;
  /** Its parts are data without framing and no length was announced: HTTP/1 passes it on in chunks. */
  readonly needsChunks: boolean;
  /** Its parts are chunks as HTTP/1 frames them, trailers among them. */
  readonly isFramed: boolean;
}

/** A response head as it was received, and what came of the body with it. One is reused for all of a thread. */
export class Answer {
  head: ResponseHead;
  buffer: Buffer = Buffer.alloc(0);
  /** The body's bytes in `buffer`. */
  bodyBegin = 0;
  bodyEnd = 0;
  /** They are the last. */
  isLast = false;

  constructor(head: ResponseHead) {
    this.head = head;
  }
}

/** The client's side of one exchange. */
export interface ClientStream extends PartOwner, Forwarding, Withholdable {
  /** The listener's limits and times. */
  readonly config: ListenConfig;
  /** Between whom the client's connection is; null: nobody can say. */
  readonly ends: Ends | null;
  /** null: the client came in the clear. */
  readonly tls: TlsFacts | null;
  readonly requestBody: RequestBody;
  /** Request bytes are not read for now. */
  readonly isPaused: boolean;
  /** The client has not taken what was written. */
  readonly isFull: boolean;
  /** Bytes of a response that it may be sent now; what comes beyond them has to be held. Infinity: nobody counts them. */
  readonly window: number;
  /** A body may keep the framing it has in HTTP/1. Otherwise its data alone is wanted. */
  readonly takesFramed: boolean;
  /** Written in this exchange, heads and framing included. */
  readonly bytes: number;
  /** Nothing of a response has left: it is held until it is complete, or is too much. */
  readonly isHolding: boolean;
  pauseRequest(): void;
  resumeRequest(): void;
  /** What is written from now on is held, until `endResponse` or until it is too much. */
  holdResponse(): void;
  /** False, here and below: `onClientDrain` follows. */
  writeInterim(answer: Answer): boolean;
  /** The final head with our Set-Cookie ('' for none), and what came of the body with it. */
  writeHead(answer: Answer, setCookie: string, from: PartOwner): boolean;
  writeBody(part: Buffer, from: PartOwner): boolean;
  /** The response is whole: its last bytes go out, and all that was held. */
  endResponse(trailers: Trailers): void;
  /** The exchange is over after a whole response. */
  leave(): void;
  /** The client sees that the response is broken off, by these trailers if there are any and HTTP/2 carries them; the exchange is over. */
  reset(trailers: Trailers): void;
  /**
   * Our own reply instead of a response, with the id that is in the log; the exchange is over. Returns how many bytes were
   * written, the head included.
   */
  reply(kind: FailureKind, content: ReplyContent, requestId: string): number;
  /** The server switches protocols. Returns the bytes that the client has sent ahead. */
  openTunnel(answer: Answer, setCookie: string): Buffer | null;
  writeTunnel(part: Buffer, from: PartOwner): boolean;
  /** The server has closed its half of the tunnel. */
  endTunnelHalf(): void;
}

/** The server's side of one attempt. */
export interface ServerStream extends PartOwner {
  readonly slot: number;
  /** Its connection has carried an exchange before: the server may have closed it without our knowing. With `stream-refused`: it has ended it. */
  readonly isReused: boolean;
  /** The server can say that it has not looked at a request: `stream-refused`. */
  readonly mayRefuse: boolean;
  /** Sends the head and what there is of the body. False: `onServerDrain` follows. */
  send(headText: string, body: Buffer | null, from: PartOwner): boolean;
  writeBody(part: Buffer, from: PartOwner): boolean;
  /** The request has been sent to its last byte: once for each `send`. */
  endRequest(body: RequestBody): void;
  pause(): void;
  resume(): void;
  /** The response is whole: the connection may serve others if that is safe. */
  release(isRequestDone: boolean): void;
  /** The client has closed its half of the tunnel. */
  endTunnelHalf(): void;
  /** The tunnel is over: what was written is still sent. */
  finish(): void;
  /** At once, without further events. Safe to call twice. */
  destroy(): void;
}

/**
 * Why the server has not seen the request. `out-of-resources` is our own trouble: nothing is known of the server.
 * `stream-refused`: it has been sent to it, and it says that it has not looked at it: whatever it asks, it may be sent again.
 */
export type Unreachable =
  | 'connect-failed'
  | 'connect-timeout'
  | 'tls-failed'
  | 'stream-refused'
  | 'out-of-resources';

/** What is wrong with a response that may not be passed on. */
export type BadResponse = 'bad-response' | 'trailers-too-large';

/** What a server's stream tells its exchange. */
export interface ServerStreamUser {
  /** The request was HEAD: its response has no body. */
  readonly isHead: boolean;
  readonly wantsUpgrade: boolean;
  readonly takesFramed: boolean;
  readonly responseLimits: HeadLimits;
  /** The head as it is made for all servers. */
  readonly request: { readonly headText: string };
  readonly client: Pick<ClientStream, 'ends' | 'requestBody' | 'window'> | null;
  /** The stream that `open` gave is, or the one that it has become once it was known what the server speaks. */
  onConnected(stream: ServerStream): void;
  /** The stream is destroyed; `detail` says why where it is not plain. `isReset`: the server is there, and has ended it. */
  onUnreachable(kind: Unreachable, detail?: string, isReset?: boolean): void;
  onInterim(answer: Answer): void;
  /** A final head, or 101 as an answer to an upgrade. */
  onAnswer(answer: Answer): void;
  /** Valid until this returns. */
  onResponsePart(part: Buffer): void;
  onResponseEnd(trailers: Trailers): void;
  /** What came is no response that may be passed on; `detail` says why. The stream is destroyed. */
  onBadResponse(detail: string, kind?: BadResponse): void;
  /** The connection closed before the response was whole, or its stream was ended with this code. The stream is destroyed. */
  onServerClosed(code?: number): void;
  onTunnelHalfClosed(): void;
  onServerDrain(): void;
}

/** Streams to one server. */
export interface ServerStreams {
  /** One whose connection is idle, or null. */
  takeIdle(user: ServerStreamUser): ServerStream | null;
  /** A new one; `user` hears of its success or end later, never before this returns. */
  open(user: ServerStreamUser, nowMs: number): ServerStream;
}
