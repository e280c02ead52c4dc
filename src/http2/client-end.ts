// The end of a connection that asks: we open streams with requests, and the peer, a server, answers on them.
//
//   open ── interim heads ──> head ── data ──> trailers or the end ──> answered
//     \── the server has not looked at it: REFUSED_STREAM, or GOAWAY with a lower stream ──> may be asked again elsewhere

import type { AbuseKind, Http2Limits } from './abuse.ts';
import { ErrorCode, Setting, STREAM_ID_MAX } from './codes.ts';
import { type ConnectionUser, Http2Connection } from './connection.ts';
import type { ByteOutput } from './frame-writer.ts';
import { Decoded } from './hpack-decoder.ts';
import { URGENCY_DEFAULT } from './request-fields.ts';
import { ResponseFields } from './response-fields.ts';
import type { Http2Stream, StreamUser } from './stream.ts';

/** Frames without content that a request, or a frame of its body, may well lead to: pings that measure, updates, resets that cross. */
const FRAMES_EARNED = 8;
/**
 * Streams broken off, after which no more are opened: the clients whom a connection is shared by go away one by one, and the server
 * sees one that attacks (rapid reset). Netty ends a connection with 200 in half a minute, nghttp2 with 1000 and then 33 a second.
 */
const BROKEN_OFF_MAX = 100;
/** A server that answers in another protocol begins like this. */
const HTTP_1 = Buffer.from('HTTP/');

/** What a stream tells of the response on it. */
export interface ResponseUser extends StreamUser {
  /** The request was HEAD: its response has no body whatever its fields say. */
  readonly isHead: boolean;
  /** The request was CONNECT: what follows a response with a status of 2xx is a tunnel whatever its fields say (RFC 9110 section 9.3.6). */
  readonly isConnect: boolean;
  /** A head, interim or final; `isLast`: nothing follows. Valid until this returns. */
  onHead(fields: ResponseFields, isLast: boolean): void;
}

export interface ClientEndUser extends ConnectionUser {
  /** The server's SETTINGS have come or changed. */
  onSettings(): void;
}

export class ClientEnd extends Http2Connection<ResponseUser> {
  protected readonly answeredCode = ErrorCode.cancel;
  readonly #client: ClientEndUser;
  readonly #fields = new ResponseFields();
  /** Heads and frames of bodies that have come: what else a server sends is no answer. */
  heard = 0;
  #brokenOff = 0;
  /** For each stream that we have broken off, the last that was opened by then: the server may count it until it has read on. */
  readonly #unheard: number[] = [];
  #hasRead = false;
  #emptyFrames = 0;

  constructor(output: ByteOutput, limits: Http2Limits, user: ClientEndUser) {
    super(output, limits, user, limits.connectionWindow);
    this.#client = user;
    // servers are near: their bytes cost less than our time
    this.sender.encoder.isCoded = false;
  }

  /** Our side of the preface. */
  begin(): void {
    this.writer.preface();
    this.announce([[Setting.enablePush, 0]]);
  }

  /** Streams that may be open at once: we or the server say, their windows are full, or HTTP/2 has no more numbers. */
  get streamsMax(): number {
    if (this.lastId >= STREAM_ID_MAX - 2) return 0;
    return Math.min(this.limits.streams, this.#places, this.streams.size + this.streamsLeft);
  }

  /**
   * As the server counts. By RFC 9113 section 5.1.2 RST_STREAM frees the place of its stream; with Node the stream goes a little later,
   * and one that is opened before that is reset with ENHANCE_YOUR_CALM: a POST may not be repeated then.
   */
  get #places(): number {
    return this.settings.streamsMax - this.#unheard.length;
  }

  /** It is to end with its last stream, as one does whose places may all be taken yet: no answer is due that would tell. */
  get isLeaving(): boolean {
    const isStuck = this.streams.size === 0 && this.#unheard.length > 0 && this.#places <= 0;
    return isStuck || this.isPeerLeaving || this.#brokenOff >= BROKEN_OFF_MAX;
  }

  protected override noteEnded(): void {
    this.#brokenOff += 1;
    this.#unheard.push(this.lastId);
  }

  /** The server has looked at this stream, and so at all that we said before it. */
  #hear(id: number): void {
    while ((this.#unheard[0] ?? id) < id) this.#unheard.shift();
  }

  /** WebSockets go over streams. */
  get takesSockets(): boolean {
    return this.settings.takesSockets;
  }

  /** Opens the next stream for a request, whose head is the sender's to write. */
  open(user: ResponseUser): Http2Stream<ResponseUser> {
    const stream = this.addStream(this.lastId === 0 ? 1 : this.lastId + 2, URGENCY_DEFAULT);
    stream.isHeadDue = true;
    stream.user = user;
    this.user.onStreams();
    return stream;
  }

  protected skipPreface(chunk: Buffer): number {
    if (!this.#hasRead && chunk.subarray(0, HTTP_1.length).equals(HTTP_1))
      this.fail(ErrorCode.protocolError, 'an answer in HTTP/1');
    this.#hasRead = true;
    return 0;
  }

  protected isAnswered(stream: Http2Stream): boolean {
    return stream.isReceived;
  }

  protected get lastOfPeer(): number {
    return 0;
  }

  onSettings(): void {
    if (this.settings.mayPush) this.fail(ErrorCode.protocolError, 'SETTINGS of a server that allow push');
    else this.#client.onSettings();
  }

  /** Those beyond `lastId` have not been looked at; the others are answered still. */
  override onPeerGoaway(lastId: number): void {
    this.isPeerLeaving = true;
    for (const stream of [...this.streams.values()])
      if (stream.id > lastId) this.onPeerReset(stream, ErrorCode.refusedStream);
    this.user.onStreams();
  }

  protected isLetOff(): boolean {
    return false;
  }

  /** Any that we have opened: hundreds may end at once with their clients, and others share the connection. */
  protected mayTrail(): boolean {
    return true;
  }

  override countFrame(kind: AbuseKind): boolean {
    this.#emptyFrames += 1;
    const earned = FRAMES_EARNED * ((this.lastId >> 1) + this.sender.frames);
    return this.#emptyFrames > earned && super.countFrame(kind);
  }

  override onDataBegin(id: number, flags: number, length: number): void {
    this.heard += 1;
    super.onDataBegin(id, flags, length);
  }

  protected onHead(
    id: number,
    stream: Http2Stream<ResponseUser> | null,
    isLast: boolean,
    bytes: Buffer,
    begin: number,
    end: number,
  ): void {
    const fields = this.#fields;
    this.heard += 1;
    this.#hear(id);
    fields.begin();
    const decoded = this.decode(bytes, begin, end, fields);
    if (this.isOver) return;
    if (stream === null)
      this.fail(ErrorCode.protocolError, `HEADERS on stream ${id}, which nobody has opened`);
    else if (decoded === Decoded.tooLarge)
      this.endStream(stream, ErrorCode.cancel, 'its head is too large (limits.responseHeadBytes)');
    else if (fields.check(isLast) !== '') this.endStream(stream, ErrorCode.protocolError, fields.fault);
    else this.#onFields(stream, isLast);
  }

  #onFields(stream: Http2Stream<ResponseUser>, isLast: boolean): void {
    const fields = this.#fields;
    const { user } = stream;
    if (!fields.isInterim) {
      const { status, contentLength } = fields;
      const isTunnel = user?.isConnect === true && status < 300;
      const isBodiless = user?.isHead === true || status === 204 || status === 304;
      stream.isHeadDue = false;
      stream.bytesLeft = isTunnel ? -1 : isBodiless ? 0 : contentLength;
      if (isLast && stream.bytesLeft > 0) {
        this.endStream(stream, ErrorCode.protocolError, 'a content-length without a body');
        return;
      }
      stream.isReceived = isLast;
    }
    user?.onHead(fields, isLast);
  }

  /** The connection is over: none of its streams has more to come. `fault` as for `onReset`. */
  breakAll(fault: string): void {
    for (const stream of [...this.streams.values()]) this.onPeerReset(stream, ErrorCode.internalError, fault);
  }

  /** In order: we open no more streams. */
  announceEnd(): void {
    this.writer.goaway(0, ErrorCode.noError);
  }
}
