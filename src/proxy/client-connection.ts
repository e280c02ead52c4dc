// One client's connection: heads out of bytes, one exchange at a time, pipelined requests answered in order.

import type { Socket } from 'node:net';
import { plainAddress } from '../base/client-address.ts';
import { FAILURE_KINDS, type FailureKind } from '../base/failure.ts';
import { admit, refused } from '../exchange/admission.ts';
import { clientAddressOf } from '../exchange/believed.ts';
import type { LimitedClient } from '../exchange/client-limits.ts';
import { type DeadlineOwner, NEVER } from '../exchange/deadlines.ts';
import type { Exchange } from '../exchange/exchange.ts';
import type { Transfer } from '../exchange/min-rate.ts';
import { requestRefusal } from '../exchange/refusals.ts';
import { mayEndHead } from '../http1/completeness.ts';
import { INCOMPLETE, RequestHead } from '../http1/message.ts';
import { parseRequestHead } from '../http1/request.ts';
import { type ClientTransport, Http1ClientStream } from './client-stream.ts';
import type { ConnectionListener, ConnectionServices } from './connection-services.ts';
import { Reader, takeOver } from './read-buffers.ts';
import { formatReply } from './replies.ts';

/** After our last byte we read on for so long, so that the reply is not lost in a reset (RFC 9112 section 9.6). */
const LINGER_MS = 2000;
const EMPTY = Buffer.alloc(0);
const NO_HEAD = new RequestHead();
/** How long a slow reader may take for what is left of the last response. */
const FLUSH_MS = 60_000;

/** What a connection waits for; decides what happens when it does not come. While an exchange runs, that waits. */
type Waiting = 'none' | 'first-byte' | 'head' | 'keep-alive' | 'linger';

export class ClientConnection implements DeadlineOwner, ClientTransport, LimitedClient {
  readonly socket: Socket;
  readonly listener: ConnectionListener;
  readonly thread: ConnectionServices;
  readonly peerAddress: string;
  readonly isTrusted: boolean;
  exchange: Exchange | null = null;
  readonly stream: Http1ClientStream;
  deadlineMs = NEVER;
  deadlineIndex = -1;
  isPaused = false;
  /** Written by ClientLimits: where this connection is counted under its address; -1: it is not. */
  addressCells = -1;
  readonly reader: Reader;
  readonly #onClosed: (connection: ClientConnection) => void;
  #waiting: Waiting = 'first-byte';
  /** Bytes not yet consumed: a head in parts, or pipelined requests. */
  #pending: Buffer | null = null;
  #isClosing = false;
  #isAdvancing = false;
  #hasEnded = false;
  /** Nothing written reaches the client, not even the end. */
  #isHeldBack = false;
  #requests = 0;

  /** `onClosed` is called once, when everything is over. */
  constructor(
    accepted: Socket,
    listener: ConnectionListener,
    thread: ConnectionServices,
    nowMs: number,
    onClosed: (connection: ClientConnection) => void,
  ) {
    this.#onClosed = onClosed;
    const onChunk = (chunk: Buffer): void => this.#onRead(chunk);
    this.reader = new Reader(thread.buffers, onChunk);
    const socket = takeOver(accepted, this.reader, onChunk);
    this.socket = socket;
    this.listener = listener;
    this.thread = thread;
    this.peerAddress = plainAddress(socket.remoteAddress ?? '');
    this.isTrusted = thread.isTrustedAddress(this.peerAddress);
    this.stream = new Http1ClientStream(this);
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
    if (!this.isPaused || (this.#pending !== null && this.exchange !== null)) return;
    this.isPaused = false;
    this.socket.resume();
  }

  /** Bytes that came after an upgrade request: they belong to the tunnel. */
  takePending(): Buffer | null {
    const pending = this.#pending;
    this.#pending = null;
    return pending;
  }

  mayServeMore(): boolean {
    const { requestsPerConnection } = this.listener.config.limits;
    return requestsPerConnection === 0 || this.#requests < requestsPerConnection;
  }

  /** `chunk` is valid only until this returns: what is kept is copied at the end. */
  #onRead(chunk: Buffer): void {
    if (this.#isClosing) return;
    this.thread.clock.turn();
    this.#onData(chunk);
    if (this.#pending !== null) this.#pending = this.reader.copy(this.#pending);
    const { exchange, stream } = this;
    exchange?.ownParts(this.reader);
    if (exchange === null || (stream.requestBody.isDone && !exchange.response.tunnel.isOpen))
      this.reader.release();
  }

  #onData(chunk: Buffer): void {
    const { exchange, stream } = this;
    if (exchange === null) this.#receive(chunk);
    else if (exchange.response.tunnel.isOpen) this.#onTunnelData(chunk, exchange);
    else if (stream.requestBody.isDone) this.#keepPipelined(chunk);
    else this.#onBody(chunk, exchange);
  }

  #onTunnelData(chunk: Buffer, exchange: Exchange): void {
    this.stream.requestBody.bytes += chunk.length;
    exchange.response.tunnel.fromClient(chunk, this.reader);
  }

  #onBody(chunk: Buffer, exchange: Exchange): void {
    const bodyEnd = this.stream.requestBody.consume(chunk, 0, chunk.length);
    const part = bodyEnd === chunk.length ? chunk : chunk.subarray(0, bodyEnd);
    exchange.onRequestPart(part, this.reader);
    if (bodyEnd === chunk.length || this.#isClosing) return;
    this.#keepPipelined(chunk.subarray(bodyEnd));
    this.#advance();
  }

  /** Pipelined bytes wait their turn; no more is read until then. */
  #keepPipelined(rest: Buffer): void {
    this.#pending = this.#pending === null ? rest : Buffer.concat([this.#pending, rest]);
    this.pause();
  }

  /** Bytes of a head. */
  #receive(chunk: Buffer): void {
    const had = this.#pending?.length ?? 0;
    const buffer = this.#pending === null ? chunk : Buffer.concat([this.#pending, chunk]);
    this.#pending = buffer;
    if (
      had > 0 &&
      buffer.length <= this.listener.headLimits.headBytesMax &&
      !mayEndHead(buffer, 0, had, buffer.length)
    ) {
      return;
    }
    this.#advance();
  }

  /** The client has not taken what was written, by whomever: no further request is read or begun until it has. */
  get #isFull(): boolean {
    return this.socket.writableNeedDrain;
  }

  /** Begins exchanges as long as there is a whole head, none is running and the client takes what it is sent. */
  #advance(): void {
    if (this.#isAdvancing) return;
    this.#isAdvancing = true;
    while (this.exchange === null && this.#pending !== null && !this.#isClosing && !this.#isFull) {
      if (!this.#beginNext(this.#pending)) break;
    }
    this.#isAdvancing = false;
    if (this.exchange !== null || this.#isClosing) return;
    if (this.#isFull) this.pause();
    else this.resume();
  }

  /** False when the bytes do not make a head yet or the connection is ending. */
  #beginNext(buffer: Buffer): boolean {
    const { thread, listener } = this;
    const nowMs = thread.clock.nowMs();
    const head = thread.requestHead;
    const headEnd = parseRequestHead(buffer, 0, buffer.length, listener.headLimits, head);
    if (headEnd === INCOMPLETE) {
      if (this.#waiting !== 'head') this.#await('head', nowMs + listener.config.timeouts.headerMs);
      return false;
    }
    if (headEnd < 0) {
      const facts = requestRefusal(headEnd);
      this.#logRefused(EMPTY, facts.kind);
      this.refuse(facts.kind, facts.detail);
      return false;
    }
    this.#requests += 1;
    this.#pending = null;
    const plan = admit(thread, buffer, head, this.stream, listener.config.address, nowMs);
    if (plan === null) return this.#refuseRequest(buffer, headEnd);
    const exchange = thread.takeExchange();
    this.exchange = exchange;
    this.#await('none', NEVER);
    const bodyEnd = this.stream.begin(head, buffer, headEnd);
    exchange.begin(this.stream, plan, buffer, headEnd, bodyEnd);
    if (bodyEnd < buffer.length && !this.#isClosing) {
      this.#pending = buffer.subarray(bodyEnd);
      if (this.exchange !== null) this.pause();
    }
    return this.exchange === null;
  }

  #refuseRequest(buffer: Buffer, headEnd: number): boolean {
    const { kind, retryAfterSeconds } = refused;
    const head = this.thread.requestHead;
    const mayKeep = head.versionMinor === 1 && head.body === 0 && !this.listener.isStopping;
    const isKept = mayKeep && head.keepAlive && this.mayServeMore();
    if (isKept && headEnd < buffer.length) this.#pending = buffer.subarray(headEnd);
    this.#logRefused(buffer, kind);
    this.#countRejected(kind);
    this.sendReply(kind, '', head.method === 'HEAD', isKept, retryAfterSeconds);
    return isKept;
  }

  /** Logs a request that does not become an exchange. `buffer` is EMPTY where its head could not be read. */
  #logRefused(buffer: Buffer, kind: FailureKind): void {
    const { accessLog, clock, requestHead } = this.thread;
    if (!accessLog.draws()) return;
    const head = buffer === EMPTY ? NO_HEAD : requestHead;
    const client = clientAddressOf(buffer, head, this.stream, this.thread.isTrustedAddress);
    accessLog.refused(buffer, head, client, kind, clock.nowMs(), clock.wallMs());
  }

  /** Our own reply where there is no exchange, after which the connection ends. */
  refuse(kind: FailureKind, detail: string): void {
    this.#countRejected(kind);
    this.sendReply(kind, detail, false, false);
  }

  #countRejected(kind: FailureKind): void {
    this.thread.own.countRejected(FAILURE_KINDS.indexOf(kind));
  }

  sendReply(
    kind: FailureKind,
    detail: string,
    isHead: boolean,
    isKept: boolean,
    retryAfterSeconds = 1,
  ): void {
    this.socket.write(formatReply(kind, detail, isHead, !isKept, retryAfterSeconds), 'latin1');
    this.exchangeDone(isKept);
  }

  /** What the client owes: request bytes once it has begun to send them, or taking what we wrote. Tunnels owe nothing. */
  owing(): Transfer | null {
    const { exchange, socket } = this;
    const { requestBody } = this.stream;
    if (exchange?.response.tunnel.isOpen === true) return null;
    const waiting = socket.writableLength;
    if (waiting > 0) return { what: 'taking', bytes: socket.bytesWritten - waiting };
    const isSending = exchange !== null && !requestBody.isDone && requestBody.bytes > 0;
    return isSending && !this.isPaused ? { what: 'sending', bytes: socket.bytesRead } : null;
  }

  /** Slower than the listener's minimum rate. */
  abortSlow(): void {
    const { exchange } = this;
    if (exchange !== null && this.socket.writableLength === 0) {
      exchange.fail('request-timeout', 'the request body arrives too slowly');
      return;
    }
    this.#countRejected('client-too-slow');
    if (exchange === null) this.destroy();
    else exchange.fail('client-too-slow', '');
  }

  /** From now on nothing is sent, until `release`. */
  withhold(): void {
    this.#isHeldBack = true;
    this.socket.cork();
  }

  release(): void {
    this.#isHeldBack = false;
    this.socket.uncork();
    if (this.#isClosing) this.#end();
  }

  /** The exchange is over and its response written. */
  exchangeDone(isKept: boolean): void {
    this.exchange = null;
    // a response that was begun before the takeover has promised to keep the connection
    const isOver = this.listener.isStopping && !this.listener.isRetiring;
    if (!isKept || this.#hasEnded || isOver) {
      this.#endPolitely();
      return;
    }
    const nowMs = this.thread.clock.nowMs();
    this.#await('keep-alive', nowMs + this.listener.config.timeouts.keepAliveMs);
    if (this.#pending !== null || this.isPaused) this.#advance();
  }

  /** Ends a response that cannot be finished, so that the client sees it: a reset, never a clean end. */
  breakOff(): void {
    this.exchange = null;
    this.#isClosing = true;
    this.socket.resetAndDestroy();
  }

  /** Our half closes now; what the client still sends is read and dropped for a while. */
  #endPolitely(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#pending = null;
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
    if (this.#isHeldBack) return;
    if (this.#hasEnded) this.socket.destroySoon();
    else this.socket.end(() => this.#await('linger', this.thread.clock.nowMs() + LINGER_MS));
  }

  /** Graceful stop: an idle connection closes now, a busy one after its response. */
  stop(): void {
    if (this.exchange === null && !this.#isClosing && this.#pending === null) this.#endPolitely();
  }

  /** The grace of a stop is over: a tunnel or an idle connection ends politely, anything else is cut. */
  finish(): void {
    const { exchange } = this;
    if (exchange?.response.tunnel.isOpen === true) exchange.response.tunnel.end();
    else if (exchange !== null) this.destroy();
    else this.#endPolitely();
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
    const { exchange, listener, stream } = this;
    if (this.#isClosing) this.#end();
    else if (exchange === null) this.#endPolitely();
    else if (exchange.response.tunnel.isOpen) exchange.response.tunnel.onClientEnd();
    else {
      const isAwaiting = !stream.keepAlive || listener.config.halfClose === 'answer';
      if (!isAwaiting || !stream.requestBody.isDone) this.destroy();
    }
  }

  #onDrain(): void {
    this.thread.clock.turn();
    if (this.exchange === null) this.#advance();
    else this.exchange.onClientDrain();
  }

  #onClose(): void {
    this.thread.clock.turn();
    this.#isClosing = true;
    this.deadlineMs = NEVER;
    this.exchange?.abort();
    this.exchange = null;
    this.stream.clear();
    this.#pending = null;
    this.#onClosed(this);
  }

  onDeadline(): void {
    const waiting = this.#waiting;
    this.#await('none', NEVER);
    if (waiting === 'head') {
      this.#logRefused(EMPTY, 'request-timeout');
      this.refuse('request-timeout', '');
    } else if (waiting !== 'none') this.destroy();
  }
}
