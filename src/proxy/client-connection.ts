// One client's connection: its socket, what it waits for, and how it ends. What the client asks is in client-requests.ts.
//
//   open ── our last byte, or the client's ──> flushing ── all is written ──> lingering ── client's end, or 2 s ──> closed
//     └── a response that cannot be finished: reset ───────────────────────────────────────────────────────────────^

import type { Socket } from 'node:net';
import type { FailureKind } from '../base/failure.ts';
import { countRejection } from '../exchange/accounts.ts';
import { NEVER } from '../exchange/deadlines.ts';
import type { Transfer } from '../exchange/min-rate.ts';
import { plainContent, type ReplyContent } from '../exchange/reply-content.ts';
import { NO_POOL } from '../shared/stripe.ts';
import { ClientFacts } from './client-facts.ts';
import { ClientRequests, type RequestSource } from './client-requests.ts';
import { type ClientTransport, Http1ClientStream } from './client-stream.ts';
import type {
  AcceptedClient,
  ConnectionListener,
  ConnectionServices,
  ServedConnection,
  Unfinished,
} from './connection-services.ts';
import { clientSocket, type Reader } from './read-buffers.ts';
import { formatReply, type ReplyMore } from './replies.ts';

/** After our last byte we read on for so long, so that the reply is not lost in a reset (RFC 9112 section 9.6). */
const LINGER_MS = 2000;
/** How long a slow reader may take for what is left of the last response. */
const FLUSH_MS = 60_000;

/** What a connection waits for; decides what happens when it does not come. While an exchange runs, that waits. */
type Waiting = 'none' | 'first-byte' | 'head' | 'keep-alive' | 'linger';

export class ClientConnection implements ServedConnection, ClientTransport, RequestSource {
  readonly socket: Socket;
  readonly listener: ConnectionListener;
  readonly thread: ConnectionServices;
  readonly facts: ClientFacts;
  readonly stream: Http1ClientStream;
  deadlineMs = NEVER;
  deadlineIndex = -1;
  isPaused = false;
  /** Written by ClientLimits: where this connection is counted under its address; -1: it is not. */
  addressCells = -1;
  readonly reader: Reader;
  /** The connection below TLS: only it can be reset. */
  readonly #raw: Socket;
  readonly #onClosed: (connection: ServedConnection) => void;
  readonly #requests: ClientRequests;
  /** Nothing that the client still sends is a request. */
  isClosing = false;
  #waiting: Waiting = 'first-byte';
  #hasEnded = false;
  /** Nothing written reaches the client, not even the end. */
  #isWithheld = false;

  /** `onClosed` is called once, when everything is over. */
  constructor(
    accepted: AcceptedClient,
    listener: ConnectionListener,
    thread: ConnectionServices,
    nowMs: number,
    onClosed: (connection: ServedConnection) => void,
  ) {
    this.#onClosed = onClosed;
    const { raw, secured } = accepted;
    const { socket, reader } = clientSocket(accepted, thread.buffers, (chunk) => this.onRead(chunk));
    this.reader = reader;
    this.socket = socket;
    this.#raw = secured === null ? socket : raw;
    this.listener = listener;
    this.thread = thread;
    this.facts = new ClientFacts(accepted, listener, socket);
    this.stream = new Http1ClientStream(this);
    this.#requests = new ClientRequests(this);
    this.deadlineMs = nowMs + listener.config.timeouts.headerMs;
    socket.on('error', () => {
      // 'close' follows and does the work.
    });
    socket.on('end', () => this.#onEnd());
    socket.on('drain', () => this.#onDrain());
    socket.on('close', () => this.#onClose());
  }

  /** Waits for something of the client itself; while an exchange runs, it waits. */
  #await(waiting: Waiting, deadlineMs: number): void {
    this.#waiting = waiting;
    this.deadlineMs = deadlineMs;
  }

  pause(): void {
    if (this.isPaused) return;
    this.isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.isPaused || (this.#requests.hasPending && this.#requests.exchange !== null)) return;
    this.isPaused = false;
    this.socket.resume();
  }

  takePending(): Buffer | null {
    return this.#requests.takePending();
  }

  mayServeMore(): boolean {
    return this.#requests.mayServeMore();
  }

  get peerAddress(): string {
    return this.facts.peerAddress;
  }

  get isTrusted(): boolean {
    return this.facts.isTrusted;
  }

  onRead(chunk: Buffer): void {
    if (this.isClosing) return;
    this.thread.clock.turn();
    this.#requests.onRead(chunk);
  }

  onHeadBegun(nowMs: number): void {
    if (this.#waiting !== 'head') this.#await('head', nowMs + this.listener.config.timeouts.headerMs);
  }

  onExchangeBegun(): void {
    this.#await('none', NEVER);
  }

  /** By whomever it was written. */
  get isFull(): boolean {
    return this.socket.writableNeedDrain;
  }

  /** Our own reply where there is no exchange, after which the connection ends. */
  refuse(kind: FailureKind, detail: string): void {
    countRejection(this.thread.own, kind, NO_POOL);
    this.sendReply(kind, plainContent(kind, detail), false);
  }

  sendReply(kind: FailureKind, content: ReplyContent, isKept: boolean, more?: ReplyMore): number {
    const reply = formatReply(kind, content, !isKept, { ...more, hsts: this.listener.hsts });
    this.socket.write(reply, 'latin1');
    this.exchangeDone(isKept);
    return reply.length;
  }

  /** What the client owes: request bytes once it has begun to send them, or taking what we wrote. Tunnels owe nothing. */
  owing(): Transfer | null {
    const { socket } = this;
    const { exchange } = this.#requests;
    const { requestBody } = this.stream;
    if (exchange?.response.tunnel.isOpen === true) return null;
    const waiting = socket.writableLength;
    if (waiting > 0) return { what: 'taking', bytes: socket.bytesWritten - waiting };
    const isSending = exchange !== null && !requestBody.isDone && requestBody.bytes > 0;
    return isSending && !this.isPaused ? { what: 'sending', bytes: socket.bytesRead } : null;
  }

  /** Slower than the listener's minimum rate. */
  abortSlow(): void {
    const { exchange } = this.#requests;
    if (exchange !== null && this.socket.writableLength === 0) {
      exchange.fail('request-timeout', 'the request body arrives too slowly');
      return;
    }
    if (exchange !== null) {
      exchange.fail('client-too-slow', '');
      return;
    }
    countRejection(this.thread.own, 'client-too-slow', NO_POOL);
    this.destroy();
  }

  /** From now on nothing is sent, until `release`. */
  withhold(): void {
    this.#isWithheld = true;
    this.socket.cork();
  }

  release(): void {
    this.#isWithheld = false;
    this.socket.uncork();
    if (this.isClosing) this.#end();
  }

  /** The exchange is over and its response written. */
  exchangeDone(isKept: boolean): void {
    this.#requests.exchange = null;
    // a response that was begun before the takeover has promised to keep the connection
    const isOver = this.listener.isStopping && !this.listener.isRetiring;
    if (!isKept || this.#hasEnded || isOver) {
      this.#endPolitely();
      return;
    }
    this.#await('keep-alive', this.thread.clock.nowMs() + this.listener.config.timeouts.keepAliveMs);
    if (this.#requests.hasPending || this.isPaused) this.#requests.advance();
  }

  /** Ends a response that cannot be finished, so that the client sees it: a reset, never a clean end. */
  breakOff(): void {
    this.#requests.exchange = null;
    this.isClosing = true;
    // a unix socket has no reset
    if (this.listener.config.socket === null) this.#raw.resetAndDestroy();
    else this.#raw.destroy();
  }

  /** Our half closes now; what the client still sends is read and dropped for a while. */
  #endPolitely(): void {
    if (this.isClosing) return;
    this.isClosing = true;
    this.#requests.takePending();
    this.#await('linger', this.thread.clock.nowMs() + FLUSH_MS);
    this.#end();
    if (this.#hasEnded) return;
    if (this.isPaused) {
      this.isPaused = false;
      this.socket.resume();
    }
  }

  #end(): void {
    // corked or not, a stream that is ended sends what it has
    if (this.#isWithheld) return;
    if (this.#hasEnded) this.socket.destroySoon();
    else this.socket.end(() => this.#await('linger', this.thread.clock.nowMs() + LINGER_MS));
  }

  /** Graceful stop: an idle connection closes now, a busy one after its response. */
  stop(): void {
    const { exchange, hasPending } = this.#requests;
    if (exchange === null && !this.isClosing && !hasPending) this.#endPolitely();
  }

  /** It may ask once more: what it is told then is in the response. */
  retire(): void {}

  /** The grace of a stop is over: a tunnel or an idle connection ends politely, anything else is told or cut. Says what it was. */
  finish(): readonly Unfinished[] {
    const { exchange, unfinished } = this.#requests;
    if (unfinished === 'tunnel') exchange?.response.tunnel.end();
    else if (exchange === null) this.#endPolitely();
    else {
      const isTaking = this.socket.writableLength === 0;
      exchange.fail('stopping', '');
      if (isTaking) this.socket.destroySoon();
      else this.destroy();
    }
    // the last response may not be taken yet, and there is little time left for it
    return [unfinished === 'nothing' && this.socket.writableLength > 0 ? 'request' : unfinished];
  }

  /** At once, whatever is going on. */
  destroy(): void {
    this.socket.destroy();
  }

  /**
   * The client has sent its last byte. After a whole request that announced the end of the connection, or where the listener
   * says so, this is a polite half-close and the response is still wanted; otherwise the client has gone away.
   */
  #onEnd(): void {
    this.#hasEnded = true;
    const { listener, stream } = this;
    const { exchange } = this.#requests;
    if (this.isClosing) this.#end();
    else if (exchange === null) this.#endPolitely();
    else if (exchange.response.tunnel.isOpen) exchange.response.tunnel.onClientEnd();
    else {
      const isAwaiting = !stream.keepAlive || listener.config.halfClose === 'answer';
      if (!isAwaiting || !stream.requestBody.isDone) this.destroy();
    }
  }

  #onDrain(): void {
    this.thread.clock.turn();
    if (this.#requests.exchange === null) this.#requests.advance();
    else this.#requests.exchange.onClientDrain();
  }

  #onClose(): void {
    this.thread.clock.turn();
    this.isClosing = true;
    this.deadlineMs = NEVER;
    this.#requests.clear();
    this.stream.clear();
    this.#onClosed(this);
  }

  onDeadline(): void {
    const waiting = this.#waiting;
    this.#await('none', NEVER);
    if (waiting === 'head') this.#requests.refuseUnread('request-timeout', '');
    else if (waiting !== 'none') this.destroy();
  }
}
