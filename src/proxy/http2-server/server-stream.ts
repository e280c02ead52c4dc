// The server's side of an attempt in HTTP/2: one stream of a connection that many share.
//
//   awaits its connection ── it is open ──> connected ── send ──> a stream of it, until the response is whole or broken off
//      \── the server speaks HTTP/1 alone, or takes WebSockets only there ──> another stream in its place
//
// A WebSocket is a stream whose DATA is the tunnel, both ways (RFC 8441).

import type {
  Answer,
  BadResponse,
  PartOwner,
  RequestBody,
  ServerStream,
  ServerStreamUser,
  Sink,
  Trailers,
} from '../../exchange/streams.ts';
import { ChunkedScanner, type ChunkSink, mayTrailersPass, trailerBytes } from '../../http1/chunked.ts';
import type { ClientEnd, ResponseUser } from '../../http2/client-end.ts';
import { ErrorCode } from '../../http2/codes.ts';
import type { ResponseFields } from '../../http2/response-fields.ts';
import type { Http2Stream } from '../../http2/stream.ts';
import type { TurnEnd } from '../turn-end.ts';
import { isInAnswer, readAnswer } from './answer-head.ts';
import { Download, type DownloadingStream } from './download.ts';
import { encodeRequest, socketKeyOf } from './request-head.ts';
import { switchedHead } from './socket-head.ts';

/** The connection as its streams see it. */
export interface StreamConnection extends PartOwner {
  readonly http2: ClientEnd;
  readonly scheme: 'http' | 'https';
  /** It has carried an exchange before. */
  readonly isUsed: boolean;
  readonly isClosed: boolean;
  /** A stream was given up: perhaps the connection is dead. */
  onGivenUp(): void;
}

/** The server as its streams see it. */
export interface StreamHome {
  readonly slot: number;
  readonly answer: Answer;
  readonly turnEnd: TurnEnd;
  /** The head as this server wants it. */
  changed(headText: string): string;
}

export class Http2ServerStream implements ServerStream, ResponseUser, ChunkSink, DownloadingStream {
  readonly slot: number;
  readonly mayRefuse = true;
  isReused = false;
  /** Null once the exchange has let go of it. */
  user: ServerStreamUser | null;
  readonly #home: StreamHome;
  readonly #download: Download;
  /** Null while it awaits one. */
  #connection: StreamConnection | null = null;
  #stream: Http2Stream | null = null;
  #replacement: ServerStream | null = null;
  /** The key of a WebSocket's handshake; null: it is a request. */
  #socketKey: string | null = null;
  #isTunnel = false;
  /** Takes the framing of HTTP/1 off the request's body; null: it has none. */
  #chunks: ChunkedScanner | null = null;

  constructor(home: StreamHome, user: ServerStreamUser) {
    this.#home = home;
    this.slot = home.slot;
    this.user = user;
    this.#download = new Download(this, home.turnEnd);
  }

  get isHead(): boolean {
    return this.user?.isHead === true;
  }

  get isConnect(): boolean {
    return this.#socketKey !== null;
  }

  /** It has a connection: the request may be sent. */
  connect(connection: StreamConnection): void {
    this.#connection = connection;
    this.isReused = connection.isUsed;
  }

  /** Another stream carries the exchange from now on. */
  replace(stream: ServerStream): void {
    this.user = null;
    this.#replacement = stream;
  }

  // -- the request

  send(headText: string, body: Buffer | null): boolean {
    const connection = this.#connection;
    const requestBody = this.user?.client?.requestBody;
    if (connection === null) throw new Error('a request without a connection');
    const { http2, scheme } = connection;
    const stream = http2.open(this);
    this.#stream = stream;
    const isSocket = this.user?.wantsUpgrade === true;
    if (isSocket) this.#socketKey = socketKeyOf(headText);
    const isFramed = requestBody?.isFramed === true;
    const isDone = requestBody?.isDone === true && requestBody.trailers.length === 0;
    const isWhole = isDone && !isFramed && !isSocket;
    if (isFramed) {
      this.#chunks = new ChunkedScanner();
      this.#chunks.sink = this;
    }
    encodeRequest(http2.sender.encoder, this.#home.changed(headText), scheme, isSocket);
    http2.sender.headers(stream, isWhole && body === null);
    return body === null || this.#write(body, isWhole);
  }

  writeBody(part: Buffer): boolean {
    return this.#write(part, false);
  }

  #write(part: Buffer, isLast: boolean): boolean {
    const stream = this.#stream;
    const sender = this.#connection?.http2.sender;
    // a server that has answered may want no more
    if (stream === null || stream.isGone || sender === undefined) return true;
    if (this.#chunks === null) return sender.write(stream, part, isLast);
    this.#chunks.scan(part, 0, part.length);
    return stream.waitingBytes === 0;
  }

  onChunkData(buffer: Buffer, begin: number, end: number): void {
    const stream = this.#stream;
    if (stream === null || end === begin) return;
    this.#connection?.http2.sender.write(stream, buffer.subarray(begin, end), false);
  }

  endRequest({ trailers }: RequestBody): void {
    const stream = this.#stream;
    if (stream !== null && !stream.isGone && this.#socketKey === null)
      this.#connection?.http2.sender.end(stream, this.#chunks?.trailers ?? trailers);
  }

  onDrained(): void {
    this.user?.onServerDrain();
  }

  // -- the response

  onHead(fields: ResponseFields, isLast: boolean): void {
    const { user } = this;
    if (user === null) return;
    const isConsent = this.#socketKey !== null && fields.status >= 200 && fields.status < 300;
    if (isConsent) this.#openTunnel(fields.headText, this.#socketKey ?? '');
    else if (!fields.isInterim) this.#download.head(fields.headText);
    if (!fields.isInterim) {
      if (isLast) this.#download.end([]);
    } else if (this.#read(fields.headText, null, false)) user.onInterim(this.#home.answer);
  }

  #openTunnel(text: string, key: string): void {
    this.#isTunnel = true;
    this.onAnswer(switchedHead(text, key), null, false);
  }

  /** False: it may not be passed on, and all is over. */
  #read(text: string, part: Buffer | null, isLast: boolean): boolean {
    const { user } = this;
    if (user === null) return false;
    const fault = readAnswer(this.#home.answer, user, text, part, isLast);
    if (fault === '') return true;
    this.#refuse(fault);
    return false;
  }

  #refuse(fault: string, kind?: BadResponse): void {
    const { user } = this;
    this.destroy();
    user?.onBadResponse(fault, kind);
  }

  onAnswer(text: string, part: Buffer | null, isLast: boolean): void {
    if (this.#read(text, part, isLast)) this.user?.onAnswer(this.#home.answer);
  }

  onData(buffer: Buffer, begin: number, end: number): void {
    this.#download.add(buffer.subarray(begin, end));
  }

  onPart(part: Buffer): void {
    this.user?.onResponsePart(part);
  }

  onEnd(trailers: Trailers): void {
    this.#download.end(trailers);
  }

  onDownloaded(trailers: Trailers): void {
    const { user } = this;
    if (user === null) return;
    // what a call of gRPC comes to is said here, in as much as others say in a head
    const { headBytesMax } = user.responseLimits;
    if (this.#isTunnel) user.onTunnelHalfClosed();
    else if (trailerBytes(trailers) > headBytesMax)
      this.#refuse(
        `its trailers are larger than ${headBytesMax} bytes (limits.responseHeadBytes)`,
        'trailers-too-large',
      );
    else if (mayTrailersPass(trailers, headBytesMax)) user.onResponseEnd(trailers);
    else this.#refuse('a trailer that may not be one, or too many');
  }

  taken(bytes: number): void {
    if (this.#stream !== null) this.#connection?.http2.taken(this.#stream, bytes);
  }

  pause(): void {
    this.#download.pause();
  }

  resume(): void {
    this.#download.resume();
  }

  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    const connection = this.#connection;
    if (connection === null) throw new Error('bytes of no connection');
    return connection.writeTo(sink, part, before, after);
  }

  copy(part: Buffer): Buffer {
    return isInAnswer(part) ? Buffer.from(part) : (this.#connection?.copy(part) ?? part);
  }

  // -- ends

  /**
   * A server that has answered to the end may end the stream as it likes: what is still to be passed on is here. One that
   * has begun to answer has looked at the request, whatever it says.
   */
  onReset(code: number, fault: string): void {
    if (this.#stream?.isReceived === true) return;
    const user = this.#letGo();
    const isEnded = code === ErrorCode.refusedStream && this.#connection?.http2.isPeerLeaving === true;
    if (this.#connection?.isClosed !== true && !isEnded) this.isReused = false;
    // we end what has been answered ourselves for nothing but trailers that are too large
    const isTooLarge = code === ErrorCode.cancel && this.#stream?.isHeadDue === false;
    if (fault !== '') user?.onBadResponse(fault, isTooLarge ? 'trailers-too-large' : 'bad-response');
    else if (code === ErrorCode.refusedStream && this.#stream?.isHeadDue === true)
      user?.onUnreachable('stream-refused');
    else user?.onServerClosed(this.#connection?.isClosed === true ? undefined : code);
  }

  #letGo(): ServerStreamUser | null {
    const { user } = this;
    this.user = null;
    this.#download.clear();
    return user;
  }

  release(): void {
    this.#letGo();
    if (this.#stream !== null) this.#connection?.http2.leave(this.#stream);
  }

  endTunnelHalf(): void {
    const stream = this.#stream;
    if (stream !== null && !stream.isGone) this.#connection?.http2.sender.end(stream, []);
  }

  finish(): void {
    this.endTunnelHalf();
    this.destroy();
  }

  destroy(): void {
    this.#replacement?.destroy();
    this.#letGo();
    const stream = this.#stream;
    if (stream === null || stream.isGone) return;
    if (stream.isReceived) this.#connection?.http2.leave(stream);
    else this.#connection?.http2.reset(stream, ErrorCode.cancel);
    this.#connection?.onGivenUp();
  }
}
