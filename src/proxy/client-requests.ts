// The requests of one client connection: heads out of bytes, one exchange at a time, pipelined ones answered in order.

import type { FailureKind } from '../base/failure.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { requestRefusal, tlsInTheClear } from '../exchange/refusals.ts';
import type { ReplyContent } from '../exchange/reply-content.ts';
import { type TurnedAway, turnAway } from '../exchange/turn-away.ts';
import { mayEndHead } from '../http1/completeness.ts';
import { INCOMPLETE, RequestHead } from '../http1/message.ts';
import { parseRequestHead } from '../http1/request.ts';
import type { Http1ClientStream } from './client-stream.ts';
import type { ConnectionListener, ConnectionServices, Unfinished } from './connection-services.ts';
import { answer, enter } from './entry.ts';
import type { Reader } from './read-buffers.ts';
import type { ReplyMore } from './replies.ts';

const EMPTY = Buffer.alloc(0);
const NO_HEAD = new RequestHead();

/** The connection as its requests see it. */
export interface RequestSource {
  readonly thread: ConnectionServices;
  readonly listener: ConnectionListener;
  readonly stream: Http1ClientStream;
  readonly reader: Reader;
  /** Nothing that the client still sends is a request. */
  readonly isClosing: boolean;
  /** The client has not taken what was written: no further request is read or begun until it has. */
  readonly isFull: boolean;
  pause(): void;
  resume(): void;
  /** A head has begun. */
  onHeadBegun(nowMs: number): void;
  onExchangeBegun(): void;
  /** Our own reply; the connection ends unless it is kept. */
  sendReply(kind: FailureKind, content: ReplyContent, isKept: boolean, more?: ReplyMore): number;
}

export class ClientRequests {
  exchange: Exchange | null = null;
  readonly #source: RequestSource;
  /** Bytes not yet consumed: a head in parts, or pipelined requests. */
  #pending: Buffer | null = null;
  #isAdvancing = false;
  #count = 0;

  constructor(source: RequestSource) {
    this.#source = source;
  }

  get hasPending(): boolean {
    return this.#pending !== null;
  }

  /** Bytes that came after an upgrade request: they belong to the tunnel. */
  takePending(): Buffer | null {
    const pending = this.#pending;
    this.#pending = null;
    return pending;
  }

  get unfinished(): Unfinished {
    if (this.exchange === null) return 'nothing';
    return this.exchange.response.tunnel.isOpen ? 'tunnel' : 'request';
  }

  mayServeMore(): boolean {
    const { requestsPerConnection } = this.#source.listener.config.limits;
    return requestsPerConnection === 0 || this.#count < requestsPerConnection;
  }

  /** `chunk` is valid only until this returns: what is kept is copied at the end. */
  onRead(chunk: Buffer): void {
    const { reader, stream } = this.#source;
    this.#onData(chunk);
    if (this.#pending !== null) this.#pending = reader.copy(this.#pending);
    const { exchange } = this;
    exchange?.ownParts(reader);
    if (exchange === null || (stream.requestBody.isDone && !exchange.response.tunnel.isOpen))
      reader.release();
  }

  #onData(chunk: Buffer): void {
    const { exchange } = this;
    const { requestBody } = this.#source.stream;
    if (exchange === null) this.#receive(chunk);
    else if (exchange.response.tunnel.isOpen) {
      requestBody.bytes += chunk.length;
      exchange.response.tunnel.fromClient(chunk, this.#source.reader);
    } else if (requestBody.isDone) this.#keepPipelined(chunk);
    else this.#onBody(chunk, exchange);
  }

  #onBody(chunk: Buffer, exchange: Exchange): void {
    const { stream, reader } = this.#source;
    const bodyEnd = stream.requestBody.consume(chunk, 0, chunk.length);
    const part = bodyEnd === chunk.length ? chunk : chunk.subarray(0, bodyEnd);
    exchange.onRequestPart(part, reader);
    if (bodyEnd === chunk.length || this.#source.isClosing) return;
    this.#keepPipelined(chunk.subarray(bodyEnd));
    this.advance();
  }

  /** Pipelined bytes wait their turn; no more is read until then. */
  #keepPipelined(rest: Buffer): void {
    this.#pending = this.#pending === null ? rest : Buffer.concat([this.#pending, rest]);
    this.#source.pause();
  }

  /** Bytes of a head. */
  #receive(chunk: Buffer): void {
    const had = this.#pending?.length ?? 0;
    const buffer = this.#pending === null ? chunk : Buffer.concat([this.#pending, chunk]);
    this.#pending = buffer;
    const { headBytesMax } = this.#source.listener.headLimits;
    if (had > 0 && buffer.length <= headBytesMax && !mayEndHead(buffer, 0, had, buffer.length)) return;
    this.advance();
  }

  /** Begins exchanges as long as there is a whole head, none is running and the client takes what it is sent. */
  advance(): void {
    if (this.#isAdvancing) return;
    const source = this.#source;
    this.#isAdvancing = true;
    while (this.exchange === null && this.#pending !== null && !source.isClosing && !source.isFull) {
      if (!this.#beginNext(this.#pending)) break;
    }
    this.#isAdvancing = false;
    if (this.exchange !== null || source.isClosing) return;
    if (source.isFull) source.pause();
    else source.resume();
  }

  /** False when the bytes do not make a head yet or the connection is ending. */
  #beginNext(buffer: Buffer): boolean {
    const { thread, listener } = this.#source;
    const head = thread.requestHead;
    const headEnd = parseRequestHead(buffer, 0, buffer.length, listener.headLimits, head);
    if (headEnd === INCOMPLETE) {
      this.#source.onHeadBegun(thread.clock.nowMs());
      return false;
    }
    if (headEnd < 0) {
      const { kind, detail } = requestRefusal(headEnd);
      this.refuseUnread(kind, (this.#count === 0 ? this.#tlsProblem(buffer) : null) ?? detail);
      return false;
    }
    this.#count += 1;
    this.#pending = null;
    const plan = enter(thread, listener, buffer, head, this.#source.stream);
    if (plan === null) return this.#refuse(buffer, headEnd, answer, answer);
    const exchange = thread.takeExchange();
    this.exchange = exchange;
    this.#source.onExchangeBegun();
    const bodyEnd = this.#source.stream.begin(head, buffer, headEnd);
    exchange.begin(this.#source.stream, plan, buffer, headEnd, bodyEnd);
    if (bodyEnd < buffer.length && !this.#source.isClosing) {
      this.#pending = buffer.subarray(bodyEnd);
      if (this.exchange !== null) this.#source.pause();
    }
    return this.exchange === null;
  }

  /** Also told in the log, now and then: a client that speaks TLS shows nobody what it is answered. */
  #tlsProblem(buffer: Buffer): string | null {
    const { thread, listener, stream } = this.#source;
    const problem = stream.tls === null ? tlsInTheClear(buffer) : null;
    if (problem !== null)
      listener.mistakes.warn(`request of ${stream.peerAddress}: ${problem}`, thread.clock.nowMs());
    return problem;
  }

  /** A whole head, but the request goes nowhere. True when the connection goes on. */
  #refuse(buffer: Buffer, headEnd: number, why: TurnedAway, more?: ReplyMore): boolean {
    const { thread, listener } = this.#source;
    const head = thread.requestHead;
    const mayKeep = head.versionMinor === 1 && head.body === 0 && !listener.isStopping;
    const isKept = mayKeep && head.keepAlive && this.mayServeMore();
    if (isKept && headEnd < buffer.length) this.#pending = buffer.subarray(headEnd);
    this.#turnAway(buffer, head, why, isKept, more);
    return isKept;
  }

  /** What came does not make a head, or not in time. The connection ends. */
  refuseUnread(kind: FailureKind, detail: string): void {
    this.#turnAway(EMPTY, NO_HEAD, { kind, detail, plan: null }, false);
  }

  #turnAway(buffer: Buffer, head: RequestHead, why: TurnedAway, isKept: boolean, more?: ReplyMore): void {
    const source = this.#source;
    const isHead = head.method === 'HEAD';
    turnAway(source.thread, source.stream, buffer, head, why, (content, requestId) =>
      source.sendReply(why.kind, content, isKept, { ...more, isHead, requestId }),
    );
  }

  /** The connection has ended. */
  clear(): void {
    this.exchange?.abort();
    this.exchange = null;
    this.#pending = null;
  }
}
