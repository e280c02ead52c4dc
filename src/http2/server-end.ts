// The end of a connection that serves: the peer, a client, opens streams with its requests.

import type { Http2Limits } from './abuse.ts';
import { ErrorCode, Setting, STREAM_ID_MAX } from './codes.ts';
import { type ConnectionUser, Http2Connection } from './connection.ts';
import type { ByteOutput } from './frame-writer.ts';
import { Decoded } from './hpack-decoder.ts';
import { Preface } from './preface.ts';
import { RequestFields } from './request-fields.ts';
import type { Http2Stream } from './stream.ts';

/**
 * Streams that we have ended: what the client has sent before it heard is passed over. It counts those it has not heard of among
 * the streams that it may have, beyond which it asks only before it knows how many those are: so many, then.
 */
const ENDED_BEYOND_MAX = 256;

export interface ServerEndUser extends ConnectionUser {
  /** A request has begun, which `fields` describe until this returns. The user gives the stream a user, or ends it. */
  onRequest(stream: Http2Stream, fields: RequestFields, hasBody: boolean): void;
  /** It has taken so many requests back that it is to have no more on this connection. */
  retire(): void;
  /** The head of a request is larger than allowed; the stream takes a reply. */
  onHeadTooLarge(stream: Http2Stream, fields: RequestFields): void;
}

export class ServerEnd extends Http2Connection {
  protected readonly answeredCode = ErrorCode.noError;
  readonly #server: ServerEndUser;
  readonly #preface = new Preface();
  readonly #fields = new RequestFields();
  /** Streams beyond this one are not begun: GOAWAY has said so. */
  #lastTaken = STREAM_ID_MAX;
  readonly #ended = new Set<number>();
  #isRestless = false;

  constructor(output: ByteOutput, limits: Http2Limits, user: ServerEndUser) {
    super(output, limits, user);
    this.#server = user;
  }

  /** Our side of the preface. */
  begin(): void {
    this.announce([
      [Setting.maxConcurrentStreams, this.limits.streams],
      [Setting.enableConnectProtocol, 1],
      [Setting.noPriorities, 1],
    ]);
  }

  protected skipPreface(chunk: Buffer): number {
    const begin = this.#preface.read(chunk);
    if (begin < 0) this.fail(ErrorCode.protocolError, 'a malformed preface');
    return begin;
  }

  protected isAnswered(stream: Http2Stream): boolean {
    return stream.isSent;
  }

  /** Never beyond what was said before (RFC 9113 section 6.8). */
  protected get lastOfPeer(): number {
    return Math.min(this.#lastTaken, this.lastId);
  }

  protected mayTrail(id: number): boolean {
    return this.#ended.has(id);
  }

  protected override noteEnded(id: number): void {
    this.#ended.add(id);
    if (this.#ended.size <= this.limits.streams + ENDED_BEYOND_MAX) return;
    for (const oldest of this.#ended) {
      this.#ended.delete(oldest);
      return;
    }
  }

  /** Once: browsers do so where a page is loaded again and again, or a map is moved, and what else they have here is to go on. */
  protected isLetOff(): boolean {
    if (this.#isRestless) return false;
    this.#isRestless = true;
    this.#server.retire();
    return true;
  }

  onSettings(): void {
    // what a client allows is no limit on its requests
  }

  protected onHead(
    id: number,
    _stream: null,
    isLast: boolean,
    bytes: Buffer,
    begin: number,
    end: number,
  ): void {
    const fields = this.#fields;
    this.lastId = id;
    fields.begin();
    const decoded = this.decode(bytes, begin, end, fields);
    // it costs more to throw away than to send: as often as any other request that the client makes us end
    if (end - begin > this.limits.headerBytes) this.countReset();
    if (this.isOver) return;
    if (id > this.#lastTaken) {
      this.noteEnded(id);
      if (this.#isRestless) this.countReset();
    } else if (this.streams.size >= this.limits.streams) {
      this.user.onAbuse('streams');
      this.refuse(id, ErrorCode.refusedStream);
    } else if (this.dependsOn === id || (decoded === Decoded.whole && fields.check(!isLast) !== ''))
      this.refuse(id, ErrorCode.protocolError);
    else this.#beginStream(id, isLast, decoded);
  }

  #beginStream(id: number, isLast: boolean, decoded: Decoded): void {
    const fields = this.#fields;
    const stream = this.addStream(id, fields.urgency);
    stream.isReceived = isLast;
    stream.bytesLeft = fields.isWebSocket ? -1 : fields.contentLength;
    this.user.onStreams();
    if (decoded === Decoded.tooLarge) this.#server.onHeadTooLarge(stream, fields);
    else this.#server.onRequest(stream, fields, !isLast);
  }

  /** Breaks off streams for a reason of our own, and tells those behind them. */
  cancel(isMeant: (stream: Http2Stream) => boolean = () => true): void {
    for (const stream of [...this.streams.values()]) {
      if (!isMeant(stream)) continue;
      const { user } = stream;
      this.reset(stream, ErrorCode.cancel);
      stream.user = null;
      user?.onReset(ErrorCode.cancel, '');
    }
  }

  /** First step of an end in order: no new streams, please; those on their way are taken. The peer answers the PING. */
  announceEnd(): void {
    this.writer.goaway(STREAM_ID_MAX, ErrorCode.noError);
    this.ping();
  }

  /** Second step: later streams are not begun. */
  refuseFurther(): void {
    this.#lastTaken = this.lastOfPeer;
    this.writer.goaway(this.#lastTaken, ErrorCode.noError);
  }
}
