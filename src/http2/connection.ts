// A client's HTTP/2 connection: frames to requests, and what each frame may do in the state that its stream is in
// (RFC 9113 sections 5 and 6). No sockets, no clock: whoever reads says when it is.
//
//   a stream's error ends the stream: RST_STREAM.  The connection's ends all: GOAWAY, and nothing is read any more.
//   What the peer makes us answer or end is counted (abuse.ts); too much of it is an error of the connection.

import { type AbuseKind, EventRate, type Http2Limits } from './abuse.ts';
import { ErrorCode, Flag, FrameType, Setting, STREAM_ID_MAX, WINDOW_FIRST } from './codes.ts';
import { ControlFrames } from './control-frames.ts';
import { DataReceiver } from './data-receiver.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { type ByteOutput, FrameWriter } from './frame-writer.ts';
import { CONTINUATIONS_MAX, findFragment, fragment, HeaderBlock } from './header-block.ts';
import { Decoded, HpackDecoder } from './hpack-decoder.ts';
import { Preface } from './preface.ts';
import { StreamReceiveWindow } from './receive-window.ts';
import { NO_FIELDS, RequestFields, TrailerFields } from './request-fields.ts';
import { type Outlet, Sender } from './sender.ts';
import { Http2Stream } from './stream.ts';

/** Streams that we have ended: what the peer has sent before it heard is passed over. */
const ENDED_MAX = 256;
/** A smaller CONTINUATION is cut to cost us time. */
const CONTINUATION_BYTES_LEAST = 1024;

export interface ConnectionUser extends Outlet {
  /** A request has begun, which `fields` describe until this returns. The user gives the stream a user, or ends it. */
  onRequest(stream: Http2Stream, fields: RequestFields, hasBody: boolean): void;
  /** The head of a request is larger than allowed; the stream takes a reply. */
  onHeadTooLarge(stream: Http2Stream): void;
  onAbuse(kind: AbuseKind): void;
  /** The connection is over, and GOAWAY is written. `detail` says why. */
  onConnectionError(code: ErrorCode, detail: string): void;
  /** The peer has answered our PING. */
  onPong(): void;
  /** The number of streams has changed, or the peer will open no more. */
  onStreams(): void;
}

export class Http2Connection implements FrameSink {
  readonly streams = new Map<number, Http2Stream>();
  readonly sender: Sender;
  readonly writer: FrameWriter;
  readonly limits: Http2Limits;
  readonly user: ConnectionUser;
  /** The peer has said that it will open no more streams. */
  isPeerLeaving = false;
  isOver = false;
  /** The last stream that the peer has opened. */
  lastId = 0;
  readonly #preface = new Preface();
  readonly #reader = new FrameReader(this);
  readonly #decoder = new HpackDecoder();
  readonly #fields = new RequestFields();
  readonly #trailers = new TrailerFields();
  readonly #block = new HeaderBlock();
  readonly #control: ControlFrames;
  readonly #data: DataReceiver;
  readonly #windowFirst: number;
  readonly #ended = new Set<number>();
  readonly #resets: EventRate;
  readonly #frames: EventRate;
  /** Streams beyond this one are not begun: GOAWAY has said so. */
  #lastTaken = STREAM_ID_MAX;
  #nowMs = 0;

  constructor(output: ByteOutput, limits: Http2Limits, user: ConnectionUser) {
    this.writer = new FrameWriter(output);
    this.limits = limits;
    this.user = user;
    this.sender = new Sender(this.writer, user, (stream) => this.#settle(stream));
    this.#control = new ControlFrames(this);
    this.#windowFirst = Math.min(WINDOW_FIRST, limits.window);
    this.#data = new DataReceiver(this);
    this.#resets = new EventRate(limits.resets);
    this.#frames = new EventRate(limits.frames);
  }

  /** Our side of the preface. */
  begin(): void {
    this.writer.settings([
      [Setting.maxConcurrentStreams, this.limits.streams],
      [Setting.initialWindowSize, this.#windowFirst],
      [Setting.maxHeaderListSize, this.limits.headerBytes],
      [Setting.enableConnectProtocol, 1],
      [Setting.noPriorities, 1],
    ]);
    this.#data.openWindow();
  }

  /** Bytes of the peer, valid until this returns. */
  read(chunk: Buffer, nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.isOver) return;
    const begin = this.#preface.read(chunk);
    if (begin < 0) this.fail(ErrorCode.protocolError, 'a malformed preface');
    else this.#reader.read(chunk, begin);
  }

  /** The peer's preface and SETTINGS have come. */
  get isSpoken(): boolean {
    return this.#control.isSpoken;
  }

  /** A header block has begun and is not whole. */
  get isInBlock(): boolean {
    return this.#block.streamId !== 0;
  }

  onBadFrame(code: ErrorCode, detail: string): void {
    this.fail(code, detail);
  }

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, begin: number, end: number): void {
    const isContinuation = type === FrameType.continuation;
    if (this.isInBlock !== isContinuation || (isContinuation && streamId !== this.#block.streamId))
      this.fail(ErrorCode.protocolError, 'a header block that is interrupted, or continued without one');
    else if (!this.isSpoken && type !== FrameType.settings)
      this.fail(ErrorCode.protocolError, 'a preface without SETTINGS');
    else if (type === FrameType.headers) this.#onHeaders(flags, streamId, bytes, begin, end);
    else if (isContinuation) this.#onContinuation(flags, bytes, begin, end);
    else this.#control.onFrame(type, flags, streamId, bytes, begin, end);
  }

  // -- requests

  #onHeaders(flags: number, streamId: number, bytes: Buffer, begin: number, end: number): void {
    findFragment(flags, bytes, begin, end);
    const isWhole = (flags & Flag.endHeaders) !== 0;
    const isLast = (flags & Flag.endStream) !== 0;
    if (streamId % 2 === 0) this.fail(ErrorCode.protocolError, 'HEADERS on a stream that no client opens');
    else if (fragment.fault !== '') this.fail(ErrorCode.protocolError, fragment.fault);
    else if (isWhole)
      this.#onBlock(streamId, isLast, fragment.dependsOn, bytes, fragment.begin, fragment.end);
    else {
      this.#block.begin(streamId, isLast);
      this.#addToBlock(bytes, fragment.begin, fragment.end);
    }
  }

  #onContinuation(flags: number, bytes: Buffer, begin: number, end: number): void {
    const block = this.#block;
    block.continuations += 1;
    const isTiny = end - begin < CONTINUATION_BYTES_LEAST && (flags & Flag.endHeaders) === 0;
    if (block.continuations > CONTINUATIONS_MAX) this.calm('continuation');
    else if (!(isTiny && this.countFrame('continuation'))) this.#addToBlock(bytes, begin, end);
    if (this.isOver || (flags & Flag.endHeaders) === 0) return;
    const { streamId, isLast } = block;
    const whole = block.take();
    this.#onBlock(streamId, isLast, -1, whole, 0, whole.length);
  }

  #addToBlock(bytes: Buffer, begin: number, end: number): void {
    this.#block.add(bytes, begin, end);
    if (this.#block.bytes > this.limits.headerBytes) this.calm('headers');
  }

  #onBlock(id: number, isLast: boolean, dependsOn: number, bytes: Buffer, begin: number, end: number): void {
    const stream = this.streams.get(id);
    if (stream !== undefined) this.#onTrailers(stream, isLast, bytes, begin, end);
    else if (id > this.lastId) this.#onRequest(id, isLast, dependsOn, bytes, begin, end);
    else if (!this.#ended.has(id)) this.fail(ErrorCode.streamClosed, 'HEADERS on a stream that is closed');
    else this.#decode(bytes, begin, end, NO_FIELDS);
  }

  #decode(bytes: Buffer, begin: number, end: number, sink: typeof NO_FIELDS): Decoded {
    const decoded = this.#decoder.decode(bytes, begin, end, this.limits.headerBytes, sink);
    if (decoded === Decoded.bomb) this.calm('headers');
    else if (decoded === Decoded.malformed)
      this.fail(ErrorCode.compressionError, 'a header block that does not decode');
    return decoded;
  }

  #onRequest(
    id: number,
    isLast: boolean,
    dependsOn: number,
    bytes: Buffer,
    begin: number,
    end: number,
  ): void {
    const fields = this.#fields;
    this.lastId = id;
    fields.begin();
    const decoded = this.#decode(bytes, begin, end, fields);
    if (this.isOver) return;
    if (id > this.#lastTaken) this.#noteEnded(id);
    else if (this.streams.size >= this.limits.streams) {
      this.user.onAbuse('streams');
      this.#refuse(id, ErrorCode.refusedStream);
    } else if (dependsOn === id || (decoded === Decoded.whole && fields.check(!isLast) !== ''))
      this.#refuse(id, ErrorCode.protocolError);
    else this.#beginStream(id, isLast, decoded);
  }

  #beginStream(id: number, isLast: boolean, decoded: Decoded): void {
    const fields = this.#fields;
    const window = new StreamReceiveWindow(this.#windowFirst, this.limits.window);
    const { initialWindow } = this.#control.settings;
    const stream = new Http2Stream(id, window, initialWindow, fields.urgency);
    this.streams.set(id, stream);
    stream.isRequestWhole = isLast;
    stream.bytesLeft = fields.isWebSocket ? -1 : fields.contentLength;
    this.user.onStreams();
    if (decoded === Decoded.tooLarge) this.user.onHeadTooLarge(stream);
    else this.user.onRequest(stream, fields, !isLast);
  }

  #onTrailers(stream: Http2Stream, isLast: boolean, bytes: Buffer, begin: number, end: number): void {
    const trailers = this.#trailers;
    trailers.begin();
    const decoded = this.#decode(bytes, begin, end, trailers);
    if (this.isOver) return;
    if (stream.isRequestWhole) this.endStream(stream, ErrorCode.streamClosed);
    else if (!isLast || trailers.fault !== '' || decoded !== Decoded.whole)
      this.endStream(stream, ErrorCode.protocolError);
    else this.onRequestEnd(stream, trailers.fields);
  }

  onRequestEnd(stream: Http2Stream, trailers: readonly string[]): void {
    if (stream.bytesLeft > 0) {
      this.endStream(stream, ErrorCode.protocolError);
      return;
    }
    stream.isRequestWhole = true;
    stream.user?.onRequestEnd(trailers);
    this.#settle(stream);
  }

  // -- bodies

  onDataBegin(id: number, flags: number, length: number): void {
    if (this.isInBlock || !this.isSpoken || id % 2 === 0 || id > this.lastId)
      this.fail(ErrorCode.protocolError, 'DATA where none may come');
    else this.#data.begin(id, flags, length);
  }

  onDataPart(buffer: Buffer, begin: number, end: number): void {
    this.#data.part(buffer, begin, end);
  }

  onDataEnd(): void {
    this.#data.end();
  }

  onClosedData(id: number): void {
    if (!this.#ended.has(id)) this.#refuse(id, ErrorCode.streamClosed);
  }

  /** So many bytes of its data were taken. */
  taken(stream: Http2Stream, bytes: number): void {
    this.#data.taken(stream, bytes);
  }

  // -- ends

  /** The exchange behind the stream is over; what its response still has to send is sent. */
  leave(stream: Http2Stream): void {
    stream.user = null;
    this.#settle(stream);
  }

  /** A stream goes when its response is whole and its exchange over; an upload that nobody needs is stopped. */
  #settle(stream: Http2Stream): void {
    if (stream.isGone || !stream.isResponseWhole || stream.user !== null) return;
    if (!stream.isRequestWhole) {
      this.sender.reset(stream.id, ErrorCode.noError);
      this.#noteEnded(stream.id);
    }
    this.#remove(stream);
  }

  /** Breaks the stream off for a reason of our own. */
  reset(stream: Http2Stream, code: ErrorCode): void {
    if (stream.isGone) return;
    this.sender.reset(stream.id, code);
    this.#noteEnded(stream.id);
    this.#remove(stream);
  }

  /** Ends a stream because of what the peer has done. */
  endStream(stream: Http2Stream, code: ErrorCode): void {
    const { user } = stream;
    this.reset(stream, code);
    stream.user = null;
    user?.onReset();
    this.#countReset();
  }

  /** The peer has ended it. */
  onPeerReset(stream: Http2Stream): void {
    const { user } = stream;
    this.#remove(stream);
    stream.user = null;
    user?.onReset();
    this.#countReset();
  }

  /** Ends a stream that has not begun, or is no more. */
  #refuse(id: number, code: ErrorCode): void {
    this.sender.reset(id, code);
    this.#noteEnded(id);
    this.#countReset();
  }

  #countReset(): void {
    if (this.#resets.isTooMany(this.#nowMs)) this.calm('resets');
  }

  #noteEnded(id: number): void {
    this.#ended.add(id);
    if (this.#ended.size <= ENDED_MAX) return;
    for (const oldest of this.#ended) {
      this.#ended.delete(oldest);
      return;
    }
  }

  #remove(stream: Http2Stream): void {
    stream.isGone = true;
    this.streams.delete(stream.id);
    this.sender.forget(stream);
    this.#data.forget(stream);
    this.user.onStreams();
  }

  /** Counts a frame that carries nothing; true when that is one too many, and the connection has ended. */
  countFrame(kind: AbuseKind): boolean {
    if (!this.#frames.isTooMany(this.#nowMs)) return false;
    this.calm(kind);
    return true;
  }

  calm(kind: AbuseKind): void {
    if (this.isOver) return;
    this.user.onAbuse(kind);
    this.fail(ErrorCode.enhanceYourCalm, `too much of: ${kind}`);
  }

  /** An error of the connection. */
  fail(code: ErrorCode, detail: string): void {
    if (this.isOver) return;
    this.close();
    this.writer.goaway(this.lastId, code);
    this.user.onConnectionError(code, detail);
  }

  /** Nothing is read any more. */
  close(): void {
    this.isOver = true;
    this.#reader.stop();
  }

  /** First step of an end in order: no new streams, please; those on their way are taken. The peer answers the PING. */
  announceEnd(): void {
    this.writer.goaway(STREAM_ID_MAX, ErrorCode.noError);
    this.writer.ping(0, PING_PAYLOAD, 0);
  }

  /** Second step: later streams are not begun. */
  refuseFurther(): void {
    this.#lastTaken = Math.min(this.#lastTaken, this.lastId);
    this.writer.goaway(this.#lastTaken, ErrorCode.noError);
  }
}

/** Of our PING, whose answer is awaited. */
export const PING_PAYLOAD: Buffer = Buffer.from('holdfast');
