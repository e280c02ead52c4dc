// One connection to a server that speaks HTTP/2, shared by the streams of many exchanges.
//
//   connecting ── SETTINGS came ──> open ── GOAWAY of the server, or the server is no longer ours ──> leaving
//        │                           │  └── no stream for keepAlive.idle ── GOAWAY ──> closing         │ the last stream
//        │ timeouts.connect          │ silence ── PING ── no answer                                    v
//        └───────────────────────────┴──────────────> closed <──────────────── closing: what is written is sent, or too late
//
// One whose server does not take what is written gets no new streams while too much waits, and goes with its last as well.

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { isOwnTrouble } from '../../base/own-trouble.ts';
import { tlsFailure } from '../../base/tls-failure.ts';
import { type DeadlineOwner, NEVER } from '../../exchange/deadlines.ts';
import type { Sink, Unreachable } from '../../exchange/streams.ts';
import type { Http2Limits } from '../../http2/abuse.ts';
import { ClientEnd, type ClientEndUser } from '../../http2/client-end.ts';
import type { ErrorCode } from '../../http2/codes.ts';
import { Http2Output } from '../http2/output.ts';
import { Reader } from '../read-buffers.ts';
import { connectTo, takeUnreadResponse } from '../upstream-socket.ts';
import type { ServerLine } from './server-line.ts';
import type { Http2ServerStream, StreamConnection } from './server-stream.ts';
import { Watch } from './watch.ts';

/** How long what was written last may take to be sent. */
const FLUSH_MS = 30_000;
/** Bodies wait elsewhere, so these are heads and control frames of a server that does not read: with more it gets no more requests, */
const UNSENT_BYTES_MAX = 1024 * 1024;
/** and with so much, which it then makes us say, it ends. */
const UNREAD_BYTES_MAX = 4 * 1024 * 1024;

export class Http2ServerConnection implements ClientEndUser, StreamConnection, DeadlineOwner {
  deadlineMs: number;
  deadlineIndex = -1;
  readonly http2: ClientEnd;
  readonly scheme: 'http' | 'https';
  /** What it begins with, where that says whose requests it carries. */
  readonly proxyHeader: string | null;
  readonly startedMs: number;
  /** They get their streams when it is open. */
  readonly awaiting: Http2ServerStream[] = [];
  isUsed = false;
  isClosed = false;
  readonly #line: ServerLine<Http2ServerConnection>;
  readonly #socket: Socket;
  readonly #reader: Reader;
  readonly #output: Http2Output;
  readonly #watch: Watch;
  #isSecured = false;
  /** SETTINGS came: streams may be opened. */
  isOpen = false;
  /** No new streams; it goes with its last. */
  #isLeaving = false;
  #isClosing = false;
  /** When it has been idle for long enough; NEVER: it has streams. */
  #idleByMs = NEVER;
  #error: Error | null = null;
  /** Written by the pool: it is counted as idle. */
  isCountedIdle = false;

  constructor(
    line: ServerLine<Http2ServerConnection>,
    proxyHeader: string | null,
    limits: Http2Limits,
    nowMs: number,
  ) {
    this.#line = line;
    this.proxyHeader = proxyHeader;
    this.startedMs = nowMs;
    this.deadlineMs = nowMs + line.connectTimeoutMs;
    this.scheme = line.tls === null ? 'http' : 'https';
    const onChunk = (chunk: Buffer): void => this.#onRead(chunk);
    this.#reader = new Reader(line.buffers, onChunk);
    this.#socket = connectTo(line, proxyHeader, this.#reader, onChunk);
    this.#output = new Http2Output(this.#socket, line.buffers, line.turnEnd, UNREAD_BYTES_MAX, () =>
      this.http2.calm('unread'),
    );
    this.http2 = new ClientEnd(this.#output, limits, this);
    this.#watch = new Watch(this.http2);
    this.#socket.on('error', (error) => this.#onError(error));
    this.#socket.on(line.tls === null ? 'connect' : 'secureConnect', () => this.#onConnect());
    this.#socket.on('end', () => this.#onClose());
    this.#socket.on('drain', () => this.#onDrain());
    this.#socket.on('close', () => this.#onClose());
  }

  // -- as its pool and its streams see it

  /** Streams that may be opened now. */
  get room(): number {
    const isUnfit = this.#isLeaving || this.#isClogged || this.#watch.isInDoubt || this.http2.isCrowded;
    return isUnfit ? 0 : this.#streamsLeft;
  }

  get #isClogged(): boolean {
    return this.#output.unsentBytes > UNSENT_BYTES_MAX;
  }

  /** As many for those that have awaited it: whoever it is to leave, they have nowhere else to go. */
  get #streamsLeft(): number {
    return this.isOpen && !this.#isClosing ? this.http2.streamsMax - this.http2.streams.size : 0;
  }

  get isForOne(): boolean {
    return this.http2.limits.streams === 1;
  }

  get isIdle(): boolean {
    return this.isOpen && this.http2.streams.size === 0;
  }

  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    return this.#reader.writeTo(sink, part, before, after);
  }

  copy(part: Buffer): Buffer {
    return this.#reader.copy(part);
  }

  onGivenUp(): void {
    if (!this.isOpen || this.#isClosing) return;
    this.#watch.doubt(this.#nowMs);
    this.#lookAgain();
  }

  /** Sets the time of what comes first: an answer that is due, the end of an idle connection. */
  #lookAgain(): void {
    this.deadlineMs = Math.min(this.#watch.next(this.#nowMs), this.#idleByMs);
  }

  get #nowMs(): number {
    return this.#line.clock.nowMs();
  }

  // -- as HTTP/2 sees it

  get isFull(): boolean {
    return this.#output.isFull;
  }

  onAbuse(): void {
    // an error of the connection follows, which says what it was
  }

  onConnectionError(_code: ErrorCode, detail: string): void {
    this.#fail(`HTTP/2: ${detail}`);
  }

  onPong(): void {
    // whatever is read says that it lives
  }

  onSettings(): void {
    if (this.isOpen) return;
    this.isOpen = true;
    this.deadlineMs = NEVER;
    this.#line.opened(this);
    if (this.http2.streamsMax === 0) {
      this.#fail('HTTP/2: a server that takes no streams');
      return;
    }
    for (const stream of this.awaiting.splice(0)) {
      if (stream.user === null) continue;
      if (stream.user.wantsUpgrade && !this.http2.takesSockets) this.#line.overHttp1(stream);
      else if (this.#streamsLeft <= 0) this.#line.reopen(stream);
      else {
        this.take(stream);
        stream.user.onConnected(stream);
      }
    }
    this.onStreams();
  }

  /** The next exchange. */
  take(stream: Http2ServerStream): void {
    stream.connect(this);
    this.isUsed = true;
  }

  onStreams(): void {
    if (!this.isOpen || this.isClosed) return;
    const isIdle = this.isIdle;
    this.#line.counted(this, isIdle);
    if (this.http2.isLeaving) this.#isLeaving = true;
    if (this.#isClosing) return;
    const isKept = !isIdle || (!(this.#isLeaving || this.#isClogged) && this.#line.keepsIdle());
    this.#idleByMs = isIdle ? this.#nowMs + this.#line.idleMs : NEVER;
    if (isKept) this.#lookAgain();
    else this.#close();
  }

  // -- ends

  /** No new streams; it ends with its last. */
  leave(): void {
    this.#isLeaving = true;
    if (!this.isOpen && this.awaiting.every(({ user }) => user === null)) this.destroy();
    else this.onStreams();
  }

  #close(): void {
    this.#isClosing = true;
    this.http2.announceEnd();
    this.#output.flush();
    this.deadlineMs = this.#nowMs + FLUSH_MS;
    this.#socket.destroySoon();
  }

  /** What came is no HTTP/2 that may be passed on: all its streams end with it. */
  #fail(detail: string): void {
    this.#isClosing = true;
    this.#output.flush();
    this.#end(detail);
  }

  destroy(): void {
    this.#end('');
  }

  #end(fault: string): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.deadlineMs = NEVER;
    this.#line.forget(this);
    this.#socket.destroy();
    this.http2.close();
    this.#endAwaiting(fault);
    this.http2.breakAll(fault);
  }

  #endAwaiting(fault: string): void {
    const waiting = this.awaiting.splice(0);
    if (waiting.length === 0) return;
    const error = this.#error;
    const isOwn = isOwnTrouble(error);
    if (isOwn) this.#line.shortOfDescriptors();
    const failure = this.#line.tls === null || isOwn ? null : tlsFailure(error);
    const kind: Unreachable = isOwn ? 'out-of-resources' : failure === null ? 'connect-failed' : 'tls-failed';
    const isReset = (error as NodeJS.ErrnoException | null)?.code === 'ECONNRESET';
    for (const { user } of waiting) user?.onUnreachable(kind, failure ?? fault, isReset);
  }

  onDeadline(nowMs: number): void {
    this.deadlineMs = NEVER;
    if (!this.isOpen) this.#onConnectTimeout();
    else if (this.#isClosing) this.destroy();
    else if (this.#watch.isDead(nowMs)) this.#fail('');
    else if (nowMs >= this.#idleByMs) this.#close();
    else this.#lookAgain();
  }

  #onConnectTimeout(): void {
    const waiting = this.awaiting.splice(0);
    this.destroy();
    for (const { user } of waiting) user?.onUnreachable('connect-timeout');
  }

  // -- the socket

  #onConnect(): void {
    this.#line.clock.turn();
    this.#isSecured = true;
    if (this.#line.tls !== null && (this.#socket as TLSSocket).alpnProtocol !== 'h2') {
      const waiting = this.awaiting.splice(0);
      this.destroy();
      this.#line.speaksHttp1(waiting);
      return;
    }
    this.http2.begin();
  }

  #onRead(chunk: Buffer): void {
    const nowMs = this.#line.clock.turn();
    if (this.isClosed || !this.#isSecured) return;
    this.http2.read(chunk, nowMs);
    this.#watch.onRead(nowMs);
    this.#reader.release();
  }

  #onDrain(): void {
    this.#line.clock.turn();
    this.http2.sender.pump();
  }

  #onError(error: Error): void {
    this.#error = error;
    if (this.#line.tls !== null) this.#socket.destroy();
  }

  /** Either half: HTTP/2 has no use for the other alone. */
  #onClose(): void {
    this.#line.clock.turn();
    // in the middle of a handshake: 'error' follows
    if (this.#line.tls !== null && !this.#isSecured && !this.#socket.destroyed) return;
    const lastWords = takeUnreadResponse(this.#socket);
    if (lastWords !== null) this.#onRead(lastWords);
    this.destroy();
  }
}
