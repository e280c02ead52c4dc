// One connection that speaks HTTP/2, as either end has it: frames to heads, bodies and trailers, and what each frame may do in
// the state that its stream is in (RFC 9113 sections 5 and 6). No sockets, no clock: whoever reads says when it is.
//
//   a stream's error ends the stream: RST_STREAM.  The connection's ends all: GOAWAY, and nothing is read any more.
//   What the peer makes us answer or end is counted (abuse.ts); too much of it is an error of the connection.
//
//   ServerEnd (server-end.ts)    the peer opens streams: requests come, responses go
//   ClientEnd (client-end.ts)    we open them: requests go, responses come

import { type AbuseKind, EventRate, type Http2Limits } from './abuse.ts';
import { ErrorCode, Flag, FrameType, Setting, WINDOW_FIRST } from './codes.ts';
import { ControlFrames, PING_PAYLOAD } from './control-frames.ts';
import { DataReceiver } from './data-receiver.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import { type ByteOutput, FrameWriter } from './frame-writer.ts';
import { findFragment, fragment, HeaderBlock } from './header-block.ts';
import { BOMB_TIMES, Decoded, type FieldSink, HpackDecoder } from './hpack-decoder.ts';
import type { PeerSettings } from './peer-settings.ts';
import { StreamReceiveWindow } from './receive-window.ts';
import { type Outlet, Sender } from './sender.ts';
import { Http2Stream, type StreamUser } from './stream.ts';
import { NO_FIELDS, TrailerFields } from './trailer-fields.ts';

/** A smaller CONTINUATION is cut to cost us time. */
const CONTINUATION_BYTES_LEAST = 1024;

export interface ConnectionUser extends Outlet {
  onAbuse(kind: AbuseKind): void;
  /** The connection is over, and GOAWAY is written. `detail` says why. */
  onConnectionError(code: ErrorCode, detail: string): void;
  /** The peer has answered our PING. */
  onPong(): void;
  /** The number of streams has changed, or the peer wants no more. */
  onStreams(): void;
}

export abstract class Http2Connection<User extends StreamUser = StreamUser> implements FrameSink {
  readonly streams = new Map<number, Http2Stream<User>>();
  readonly sender: Sender;
  readonly writer: FrameWriter;
  readonly limits: Http2Limits;
  readonly user: ConnectionUser;
  /** The peer has said that the connection is to end. */
  isPeerLeaving = false;
  isOver = false;
  /** The last stream that was opened. */
  lastId = 0;
  /** Of the head that has just come: the stream that it depends on, by the priorities of old; -1: none. */
  protected dependsOn = -1;
  readonly #reader = new FrameReader(this);
  readonly #decoder = new HpackDecoder();
  readonly #trailers = new TrailerFields();
  readonly #block: HeaderBlock;
  readonly #control: ControlFrames;
  readonly #data: DataReceiver;
  readonly #windowFirst: number;
  readonly #resets: EventRate;
  readonly #frames: EventRate;
  #nowMs = 0;
  /** Header blocks, and other frames than theirs and DATA, that have come whole. */
  #wholes = 0;

  /** `grantedMax`: what all streams together may be granted by their windows, where we open them. */
  constructor(
    output: ByteOutput,
    limits: Http2Limits,
    user: ConnectionUser,
    grantedMax: number = Number.POSITIVE_INFINITY,
  ) {
    this.writer = new FrameWriter(output);
    this.limits = limits;
    this.user = user;
    this.sender = new Sender(this.writer, user, (stream) => this.#settle(stream));
    this.#control = new ControlFrames(this);
    // a head that is too large is the fault of its stream: what is beyond is decoded, and thrown away, for the tables' sake
    this.#block = new HeaderBlock(BOMB_TIMES * limits.headerBytes);
    this.#windowFirst = Math.min(WINDOW_FIRST, limits.window);
    this.#data = new DataReceiver(this, grantedMax);
    this.#resets = new EventRate(limits.resets);
    this.#frames = new EventRate(limits.frames);
  }

  /** Our SETTINGS, which either end says, and these. */
  protected announce(values: readonly (readonly [setting: number, value: number])[]): void {
    this.writer.settings([
      [Setting.initialWindowSize, this.#windowFirst],
      [Setting.maxHeaderListSize, this.limits.headerBytes],
      ...values,
    ]);
    this.#data.openWindow();
  }

  /** Where the peer's frames begin in what it sends first. */
  protected abstract skipPreface(chunk: Buffer): number;

  /** A head has come, on a stream that the peer opens (null), or that awaits it. */
  protected abstract onHead(
    id: number,
    stream: Http2Stream<User> | null,
    isLast: boolean,
    bytes: Buffer,
    begin: number,
    end: number,
  ): void;

  /** The response is whole. */
  protected abstract isAnswered(stream: Http2Stream): boolean;

  /** What ends a stream that is answered while its request goes on. */
  protected abstract readonly answeredCode: ErrorCode;

  /** The last stream of the peer that we have looked at, for GOAWAY. */
  protected abstract get lastOfPeer(): number;

  /** The peer's SETTINGS have come or changed. */
  abstract onSettings(): void;

  /** The peer ends the connection; it has looked at none of our streams beyond `lastId`. */
  onPeerGoaway(_lastId: number): void {
    this.isPeerLeaving = true;
    this.user.onStreams();
  }

  protected get settings(): PeerSettings {
    return this.#control.settings;
  }

  /** Bytes of the peer, valid until this returns. */
  read(chunk: Buffer, nowMs: number): void {
    this.#nowMs = nowMs;
    if (this.isOver) return;
    const begin = this.skipPreface(chunk);
    if (this.isOver) return;
    this.#reader.read(chunk, begin);
    this.#data.handOn();
  }

  /** The peer's SETTINGS have come. */
  get isSpoken(): boolean {
    return this.#control.isSpoken;
  }

  /** A header block has begun and is not whole. */
  get isInBlock(): boolean {
    return this.#block.streamId !== 0;
  }

  /** Something other than DATA has begun and is not whole: the how manieth it is; 0: nothing has. */
  get part(): number {
    return !this.isSpoken || this.isInBlock || this.#reader.isInFrame ? this.#wholes + 1 : 0;
  }

  onBadFrame(code: ErrorCode, detail: string): void {
    this.fail(code, detail);
  }

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, begin: number, end: number): void {
    this.#data.handOn();
    const isContinuation = type === FrameType.continuation;
    if (this.isInBlock !== isContinuation || (isContinuation && streamId !== this.#block.streamId))
      this.fail(ErrorCode.protocolError, 'a header block that is interrupted, or continued without one');
    else if (!this.isSpoken && type !== FrameType.settings)
      this.fail(ErrorCode.protocolError, 'a preface without SETTINGS');
    else if (type === FrameType.headers) this.#onHeaders(flags, streamId, bytes, begin, end);
    else if (isContinuation) this.#onContinuation(flags, bytes, begin, end);
    else this.#control.onFrame(type, flags, streamId, bytes, begin, end);
    if (!this.isInBlock) this.#wholes += 1;
  }

  // -- heads and trailers

  #onHeaders(flags: number, streamId: number, bytes: Buffer, begin: number, end: number): void {
    findFragment(flags, bytes, begin, end);
    const isWhole = (flags & Flag.endHeaders) !== 0;
    const isLast = (flags & Flag.endStream) !== 0;
    if (streamId % 2 === 0) this.fail(ErrorCode.protocolError, 'HEADERS on a stream that no client opens');
    else if (fragment.fault !== '') this.fail(ErrorCode.protocolError, fragment.fault);
    else if (isWhole) {
      this.dependsOn = fragment.dependsOn;
      this.#onBlock(streamId, isLast, bytes, fragment.begin, fragment.end);
    } else {
      this.#block.begin(streamId, isLast);
      this.#addToBlock(bytes, fragment.begin, fragment.end);
    }
  }

  #onContinuation(flags: number, bytes: Buffer, begin: number, end: number): void {
    const block = this.#block;
    block.continuations += 1;
    const isTiny = end - begin < CONTINUATION_BYTES_LEAST && (flags & Flag.endHeaders) === 0;
    if (block.isCutTooOften) this.calm('continuation');
    else if (!(isTiny && this.countFrame('continuation'))) this.#addToBlock(bytes, begin, end);
    if (this.isOver || (flags & Flag.endHeaders) === 0) return;
    const { streamId, isLast } = block;
    const whole = block.take();
    this.dependsOn = -1;
    this.#onBlock(streamId, isLast, whole, 0, whole.length);
  }

  #addToBlock(bytes: Buffer, begin: number, end: number): void {
    this.#block.add(bytes, begin, end);
    if (this.#block.isTooLarge) this.calm('headers');
  }

  #onBlock(id: number, isLast: boolean, bytes: Buffer, begin: number, end: number): void {
    const stream = this.streams.get(id) ?? null;
    if (stream !== null && !stream.isHeadDue) this.#onTrailers(stream, isLast, bytes, begin, end);
    else if (stream !== null || id > this.lastId) this.onHead(id, stream, isLast, bytes, begin, end);
    else if (!this.mayTrail(id)) this.fail(ErrorCode.streamClosed, 'HEADERS on a stream that is closed');
    else if (!this.countFrame('frames')) this.decode(bytes, begin, end, NO_FIELDS);
  }

  protected decode(bytes: Buffer, begin: number, end: number, sink: FieldSink): Decoded {
    const decoded = this.#decoder.decode(bytes, begin, end, this.limits.headerBytes, sink);
    if (decoded === Decoded.bomb) this.calm('headers');
    else if (decoded === Decoded.malformed)
      this.fail(ErrorCode.compressionError, 'a header block that does not decode');
    return decoded;
  }

  /** A stream that begins now. `urgency` as RFC 9218 has it. */
  protected addStream(id: number, urgency: number): Http2Stream<User> {
    const window = new StreamReceiveWindow(this.#windowFirst, this.limits.window, this.#control.isHeard);
    const first = this.#control.takeUrgency(id, urgency);
    const stream = new Http2Stream<User>(id, window, this.settings.initialWindow, first);
    this.lastId = id;
    this.streams.set(id, stream);
    this.#data.grant(stream);
    return stream;
  }

  #onTrailers(stream: Http2Stream, isLast: boolean, bytes: Buffer, begin: number, end: number): void {
    const trailers = this.#trailers;
    trailers.begin();
    const decoded = this.decode(bytes, begin, end, trailers);
    if (this.isOver) return;
    if (stream.isReceived) this.endStream(stream, ErrorCode.streamClosed, 'HEADERS behind its end');
    else if (decoded === Decoded.tooLarge)
      this.endStream(stream, ErrorCode.cancel, 'its trailers are too large (limits.responseHeadBytes)');
    else if (!isLast || trailers.fault !== '')
      this.endStream(stream, ErrorCode.protocolError, trailers.fault || 'trailers that do not end it');
    else this.onReceived(stream, trailers.fields);
  }

  /** The peer's part of the stream is whole. */
  onReceived(stream: Http2Stream, trailers: readonly string[]): void {
    if (stream.bytesLeft > 0) {
      this.endStream(stream, ErrorCode.protocolError, 'a body shorter than its content-length');
      return;
    }
    stream.isReceived = true;
    stream.user?.onEnd(trailers);
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
    if (!this.mayTrail(id)) this.refuse(id, ErrorCode.streamClosed);
  }

  /** Bodies that nobody takes fill the window that all have in common: it is no place for another stream. */
  get isCrowded(): boolean {
    return this.#data.isCrowded;
  }

  /** Streams whose bodies there is room for. */
  protected get streamsLeft(): number {
    return this.#data.streamsLeft(this.#windowFirst);
  }

  /** So many bytes of its data were taken. */
  taken(stream: Http2Stream, bytes: number): void {
    this.#data.taken(stream, bytes);
  }

  // -- ends

  /** The exchange behind the stream is over; what it still has to send is sent. */
  leave(stream: Http2Stream): void {
    stream.user = null;
    this.#settle(stream);
  }

  /** A stream goes when its response is whole and its exchange over; an upload that nobody needs is stopped. */
  #settle(stream: Http2Stream): void {
    if (stream.isGone || stream.user !== null || !this.isAnswered(stream)) return;
    if (!(stream.isSent && stream.isReceived)) {
      this.sender.reset(stream.id, this.answeredCode);
      this.noteEnded(stream.id);
    }
    this.#remove(stream);
  }

  /** Breaks the stream off for a reason of our own. */
  reset(stream: Http2Stream, code: ErrorCode): void {
    if (stream.isGone) return;
    this.sender.reset(stream.id, code);
    this.noteEnded(stream.id);
    this.#remove(stream);
  }

  /** Ends a stream because of what the peer has done. */
  endStream(stream: Http2Stream, code: ErrorCode, fault: string): void {
    const { user } = stream;
    this.reset(stream, code);
    stream.user = null;
    user?.onReset(code, fault);
    this.countReset();
  }

  /** The peer has ended it. */
  onPeerReset(stream: Http2Stream, code: number, fault = ''): void {
    if (stream.isGone) return;
    const { user } = stream;
    this.#remove(stream);
    stream.user = null;
    user?.onReset(code, fault);
    this.countReset(true);
  }

  /** Ends a stream that has not begun, or is no more. */
  protected refuse(id: number, code: ErrorCode): void {
    this.sender.reset(id, code);
    this.noteEnded(id);
    this.countReset();
  }

  /** `isTakenBack`: by the peer itself. */
  protected countReset(isTakenBack = false): void {
    if (this.#resets.isTooMany(this.#nowMs) && !(isTakenBack && this.isLetOff())) this.calm('resets');
  }

  /** The peer has taken too many requests back: is it let off this time? */
  protected abstract isLetOff(): boolean;

  /** Of a stream that is no more: the peer may have sent something on it before it heard. */
  protected abstract mayTrail(id: number): boolean;

  /** We have ended it, and the peer has not heard yet. */
  protected noteEnded(_id: number): void {
    // for who has to tell those from others
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
    this.writer.goaway(this.lastOfPeer, code);
    this.user.onConnectionError(code, detail);
  }

  /** Nothing is read any more. */
  close(): void {
    this.isOver = true;
    this.#reader.stop();
    this.#block.drop();
  }

  /** `onPong` follows. */
  ping(): void {
    this.writer.ping(0, PING_PAYLOAD, 0);
  }
}
