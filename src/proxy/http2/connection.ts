// One client's connection that speaks HTTP/2: its socket, what it waits for, and how it ends.
//
//   open ── stop: GOAWAY for later, PING ──> asked ── the answer, or 1 s: GOAWAY ──> finishing
//     │                                                    the last stream, and the client's end or 1 s ──┐
//     ├── an error of the connection: GOAWAY ── the client has gone away, or is idle ─────────────────────┤
//     ├── too much of something: GOAWAY ── 1 s in which nothing is read ──────────────────────────────────┤
//     └── cut off                                         closed <── client's end, or 60 s ─ lingering <──┘

import type { Socket } from 'node:net';
import { countRejection } from '../../exchange/accounts.ts';
import { NEVER } from '../../exchange/deadlines.ts';
import type { Transfer } from '../../exchange/min-rate.ts';
import type { Sink } from '../../exchange/streams.ts';
import type { AbuseKind } from '../../http2/abuse.ts';
import { ErrorCode } from '../../http2/codes.ts';
import type { RequestFields } from '../../http2/request-fields.ts';
import { ServerEnd, type ServerEndUser } from '../../http2/server-end.ts';
import type { Http2Stream } from '../../http2/stream.ts';
import { NO_POOL } from '../../shared/stripe.ts';
import { ClientFacts } from '../client-facts.ts';
import type {
  AcceptedClient,
  ConnectionListener,
  ConnectionServices,
  ServedConnection,
  Unfinished,
} from '../connection-services.ts';
import { clientSocket, type Reader } from '../read-buffers.ts';
import { Http2ClientStream } from './client-stream.ts';
import { ConnectionTimes, FLUSH_MS, LINGER_MS, PARTING_MS, PONG_MS } from './connection-times.ts';
import { Http2Output } from './output.ts';
import { ArrivedRequests, type RequestOrigin, refuseLarge } from './requests.ts';
import { endSlow, owingOf, Untaken } from './slow-client.ts';

/** A client that makes us answer and does not read. Bodies wait elsewhere, so these are heads and control frames. */
const UNREAD_BYTES_MAX = 1024 * 1024;

export class Http2ClientConnection implements ServerEndUser, ServedConnection, RequestOrigin {
  readonly socket: Socket;
  readonly listener: ConnectionListener;
  readonly thread: ConnectionServices;
  readonly http2: ServerEnd;
  readonly facts: ClientFacts;
  addressCells = -1;
  deadlineMs = NEVER;
  deadlineIndex = -1;
  readonly #reader: Reader;
  readonly #output: Http2Output;
  readonly #onClosed: (connection: ServedConnection) => void;
  readonly #times = new ConnectionTimes(this);
  /** null as long as every response was taken at once. */
  #untaken: Untaken | null = null;
  readonly #arrived: ArrivedRequests = new ArrivedRequests(this);
  #counted = 0;
  /** It ends with its last stream. */
  #isFinishing = false;
  #isStopping = false;
  #isClosing = false;
  #hasEnded = false;

  /** `onClosed` is called once, when everything is over. */
  constructor(
    accepted: AcceptedClient,
    listener: ConnectionListener,
    thread: ConnectionServices,
    nowMs: number,
    onClosed: (connection: ServedConnection) => void,
  ) {
    this.#onClosed = onClosed;
    const { socket, reader } = clientSocket(accepted, thread.buffers, (chunk) => this.onRead(chunk));
    this.#reader = reader;
    this.socket = socket;
    this.#output = new Http2Output(socket, thread.buffers, thread.turnEnd, UNREAD_BYTES_MAX, () =>
      this.http2.calm('unread'),
    );
    this.listener = listener;
    this.thread = thread;
    this.facts = new ClientFacts(accepted, listener, socket);
    this.http2 = new ServerEnd(this.#output, listener.config.http2, this);
    this.#times.awaitWhole(this.http2.part, nowMs + listener.config.timeouts.headerMs);
    thread.own.addHttp2Connections(listener.index, 1);
    socket.on('error', () => undefined); // 'close' follows and does the work
    socket.on('end', () => this.#onEnd());
    socket.on('drain', () => this.#onDrain());
    socket.on('close', () => this.#onClose());
    this.http2.begin();
  }

  // -- as its streams see it

  get peerAddress(): string {
    return this.facts.peerAddress;
  }

  get isTrusted(): boolean {
    return this.facts.isTrusted;
  }

  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    return this.#reader.writeTo(sink, part, before, after);
  }

  copy(part: Buffer): Buffer {
    return this.#reader.copy(part);
  }

  withhold(): void {
    this.#output.withhold();
  }

  release(): void {
    this.#output.release();
    this.http2.sender.pump();
    if (this.#isClosing) this.#endSocket();
  }

  onUntaken(stream: Http2Stream): void {
    this.#untaken ??= new Untaken(this.http2);
    this.#times.set('taken', this.#untaken.add(stream, this.thread.clock.nowMs()));
  }

  // -- as HTTP/2 sees it

  get isFull(): boolean {
    return this.#output.isFull;
  }

  onRequest(stream: Http2Stream, fields: RequestFields, hasBody: boolean): void {
    const most = this.listener.config.limits.requestsPerConnection || Number.POSITIVE_INFINITY;
    if (this.#arrived.add(stream, fields, hasBody) >= most) this.stop(); // more: a reload has made it less
  }

  onHeadTooLarge(stream: Http2Stream, { method }: RequestFields): void {
    refuseLarge(this, stream, method === 'HEAD');
  }

  onAbuse(kind: AbuseKind): void {
    this.thread.own.countHttp2Abuse(this.listener.index, kind);
  }

  onConnectionError(code: ErrorCode): void {
    this.http2.cancel();
    if (code === ErrorCode.enhanceYourCalm && !this.listener.isStopping) this.#calmDown();
    // who breaks the rules has no right to be waited for
    else this.#endPolitely(LINGER_MS);
  }

  onPong(): void {
    if (!this.#times.isSet('pong')) return;
    this.#times.clear('pong');
    this.#finishStreams();
  }

  onStreams(): void {
    const { size } = this.http2.streams;
    this.thread.own.addHttp2Streams(this.listener.index, size - this.#counted);
    this.#counted = size;
    this.#times.clear('idle');
    if (size === 0 && !this.#isClosing) this.#onIdle();
  }

  #onIdle(): void {
    const { keepAliveMs, headerMs } = this.listener.config.timeouts;
    // some clients ask for nothing until they have our SETTINGS
    const idleMs = this.http2.lastId === 0 ? Math.max(keepAliveMs, headerMs) : keepAliveMs;
    if (this.#hasEnded) this.#endPolitely(FLUSH_MS);
    else this.#times.set('idle', this.thread.clock.nowMs() + (this.#isParting ? PARTING_MS : idleMs));
  }

  /** After the last stream the client ends the connection, or else we do. */
  get #isParting(): boolean {
    return this.#isFinishing || this.http2.isPeerLeaving;
  }

  // -- the socket

  onRead(chunk: Buffer): void {
    if (this.#isClosing) {
      if (this.#times.isSet('calm')) this.socket.pause();
      return;
    }
    const { http2, thread } = this;
    const nowMs = thread.clock.turn();
    http2.read(chunk, nowMs);
    this.#arrived.begin();
    this.#reader.release();
    this.#times.awaitWhole(http2.part, nowMs + this.listener.config.timeouts.headerMs);
    // who speaks and asks for nothing is idle from the first
    if (http2.isSpoken && http2.lastId === 0 && !this.#times.isSet('idle')) this.onStreams();
  }

  #onDrain(): void {
    this.thread.clock.turn();
    this.http2.sender.pump();
  }

  #onEnd(): void {
    this.#hasEnded = true;
    const isAnswered = this.listener.config.halfClose === 'answer';
    if (this.#isClosing) this.#endSocket();
    else if (isAnswered && this.http2.streams.size > 0) this.http2.cancel((stream) => !stream.isReceived);
    else if (this.http2.streams.size === 0) this.#endPolitely(LINGER_MS);
    else this.destroy();
  }

  #onClose(): void {
    this.thread.clock.turn();
    this.#isClosing = true;
    this.http2.cancel();
    this.deadlineMs = NEVER;
    this.thread.own.addHttp2Connections(this.listener.index, -1);
    this.#onClosed(this);
  }

  // -- ends

  /** Its next connection is not to begin at once: it is told, and our end follows later. What it still sends waits in the kernel. */
  #calmDown(): void {
    this.#isClosing = true;
    this.#times.only('calm', this.thread.calmEnds.next(this.thread.clock.nowMs()));
  }

  /** What it still sends goes on waiting: who floods without reading would have its fill of us until the end. */
  #endCalm(): void {
    this.#times.only('linger', this.thread.clock.nowMs() + LINGER_MS);
    this.#endSocket();
  }

  /** Our half closes now; what the client still sends is read and dropped for a while. */
  #endPolitely(patienceMs: number): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.http2.close();
    this.#times.only('linger', this.thread.clock.nowMs() + patienceMs);
    this.#endSocket();
  }

  #endSocket(): void {
    if (this.#output.isWithheld) return;
    this.#output.flush();
    if (this.#hasEnded) this.socket.destroySoon();
    else this.socket.end();
  }

  /** In order: what the client has sent before it heard of it is still answered. */
  stop(): void {
    if (this.#times.isSet('calm')) this.#endCalm();
    if (this.#isStopping || this.#isClosing) return;
    this.#isStopping = true;
    this.http2.announceEnd();
    this.#times.set('pong', this.thread.clock.nowMs() + PONG_MS);
  }

  /** Another process has the listener, or the client takes too many requests back: the same. */
  retire(): void {
    this.stop();
  }

  #finishStreams(): void {
    this.#isFinishing = true;
    this.http2.refuseFurther();
    this.onStreams();
  }

  /** The grace of a stop is over: tunnels end politely, the rest is told or cut. Says what its streams were. */
  finish(): readonly Unfinished[] {
    const were = [...this.http2.streams.values()].map(({ user }) =>
      user instanceof Http2ClientStream ? user.finish() : 'request',
    );
    const isUnread = were.length === 0 && this.socket.writableLength > 0;
    this.http2.cancel();
    this.#endPolitely(LINGER_MS);
    return isUnread ? ['request'] : were;
  }

  destroy(): void {
    this.socket.destroy();
  }

  owing(): Transfer | null {
    return owingOf(this.http2, this.socket);
  }

  abortSlow(): void {
    countRejection(this.thread.own, 'client-too-slow', NO_POOL);
    if (this.socket.writableLength > 0) this.destroy();
    else endSlow(this.http2);
  }

  onDeadline(nowMs: number): void {
    const wait = this.#times.take(nowMs);
    if (wait === 'calm') this.#endCalm();
    else if (wait === 'taken') this.#times.set('taken', this.#untaken?.check(nowMs) ?? NEVER);
    else if (wait === 'pong') this.#finishStreams();
    else if (wait === 'idle') {
      this.http2.refuseFurther();
      this.#endPolitely(this.#isParting ? FLUSH_MS : LINGER_MS);
    } else if (wait !== null) this.destroy();
  }
}
