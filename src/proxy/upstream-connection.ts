// One connection to a server: idle in the pool, or busy with one exchange. Events go to the exchange as they come.

import type { Socket } from 'node:net';
import type { TurnClock } from '../base/clock.ts';
import { isOwnTrouble } from '../base/own-trouble.ts';
import type { TlsClient } from '../base/tls-client.ts';
import { tlsFailure } from '../base/tls-failure.ts';
import type { Place } from '../config/address.ts';
import { type DeadlineOwner, NEVER } from '../exchange/deadlines.ts';
import { changedHead, type HeadChange } from '../exchange/server-head.ts';
import type {
  Answer,
  PartOwner,
  RequestBody,
  ServerStream,
  ServerStreamUser,
  Sink,
} from '../exchange/streams.ts';
import { CHUNK_TAIL, encodeChunkHead, lastChunk } from '../http1/chunked.ts';
import { type ReadBuffers, Reader } from './read-buffers.ts';
import { type ReadConnection, ResponseReader } from './response-reader.ts';
import { connectTo, takeUnreadResponse } from './upstream-socket.ts';

/** How long a connection may take to send what was written before it is given up. */
const FLUSH_MS = 30_000;

/** The pool as its connections see it. */
export interface UpstreamHome {
  readonly slot: number;
  readonly place: Place;
  /** Null: it is in the clear. */
  readonly tls: TlsClient | null;
  readonly headChange: HeadChange | null;
  headerFor(user: ServerStreamUser): string | null;
  readonly connectTimeoutMs: number;
  readonly buffers: ReadBuffers;
  readonly clock: TurnClock;
  readonly answer: Answer;
  connected(upstream: UpstreamConnection): void;
  forget(upstream: UpstreamConnection): void;
  /** A connection could not be opened for want of a descriptor, a port or memory. */
  shortOfDescriptors(): void;
  giveBack(upstream: UpstreamConnection, hintMs: number, nowMs: number): void;
}

/** Another way to a server that does not take this one. */
export type OtherWay = (user: ServerStreamUser) => ServerStream;

export class UpstreamConnection implements ServerStream, ReadConnection, DeadlineOwner {
  readonly pool: UpstreamHome;
  user: ServerStreamUser | null;
  readonly #socket: Socket;
  readonly #reader: Reader;
  readonly #response: ResponseReader;
  deadlineMs = NEVER;
  deadlineIndex = -1;
  isConnected = false;
  /** It could not be opened for want of something of ours: nothing is known of the server. */
  #isOwnTrouble = false;
  /** It was ended before we knew that it stood: somebody is there. */
  #isReset = false;
  /** Why there is no TLS with it, as text; null: there is, or that is not it. */
  #tlsFailure: string | null = null;
  #hasRead = false;
  /** Has carried an exchange before: the server may have closed it without our knowing. */
  isReused = false;
  readonly mayRefuse = false;
  readonly startedMs: number;
  /** What it begins with, where that says whose requests it carries. */
  readonly proxyHeader: string | null;
  #isGone = false;
  /** No exchange any more: what was written is still sent, what comes is dropped. */
  #isFinishing = false;
  readonly #otherWay: OtherWay | null;
  #replacement: ServerStream | null = null;

  /** `otherWay`: taken where the handshake fails; null: there is none. */
  constructor(pool: UpstreamHome, user: ServerStreamUser, nowMs: number, otherWay: OtherWay | null = null) {
    this.pool = pool;
    this.#otherWay = otherWay;
    this.user = user;
    this.startedMs = nowMs;
    this.proxyHeader = pool.headerFor(user);
    this.deadlineMs = nowMs + pool.connectTimeoutMs;
    const onChunk = (chunk: Buffer): void => this.#onRead(chunk);
    this.#reader = new Reader(pool.buffers, onChunk, () => this.#wanted);
    this.#response = new ResponseReader(this);
    this.#socket = connectTo(pool, this.proxyHeader, this.#reader, onChunk);
    this.#socket.on('error', (error) => this.#onError(error));
    this.#socket.on(pool.tls === null ? 'connect' : 'secureConnect', () => this.#onConnect());
    this.#socket.on('end', () => this.#onEnd());
    this.#socket.on('drain', () => this.#onDrain());
    this.#socket.on('close', () => this.#onClose());
  }

  /** An idle connection gets its next exchange. */
  assign(user: ServerStreamUser): void {
    this.user = user;
    this.#response.begin();
    this.isReused = true;
    this.deadlineMs = NEVER;
    this.#reader.narrow(this.#socket);
  }

  get #wanted(): number {
    return this.user?.client?.window ?? Number.POSITIVE_INFINITY;
  }

  /** The exchange is done with a connection that may carry another. */
  park(expiresMs: number): void {
    this.user = null;
    this.#reader.release();
    this.deadlineMs = expiresMs;
    if (this.#socket.isPaused()) this.#socket.resume();
  }

  get slot(): number {
    return this.pool.slot;
  }

  get answer(): Answer {
    return this.pool.answer;
  }

  send(text: string, body: Buffer | null, from: PartOwner): boolean {
    const { headChange } = this.pool;
    const headText = headChange === null ? text : changedHead(text, headChange);
    if (body === null) return this.#socket.write(headText, 'latin1');
    if (!this.#makesChunks) return from.writeTo(this.#socket, body, headText);
    return from.writeTo(this.#socket, body, headText + encodeChunkHead(body.length), CHUNK_TAIL);
  }

  writeBody(part: Buffer, from: PartOwner): boolean {
    if (!this.#makesChunks) return from.writeTo(this.#socket, part);
    return from.writeTo(this.#socket, part, encodeChunkHead(part.length), CHUNK_TAIL);
  }

  get #makesChunks(): boolean {
    return this.user?.client?.requestBody.needsChunks === true;
  }

  /** The framing of the body says where it ends, or its last chunk does. */
  endRequest(body: RequestBody): void {
    if (body.needsChunks) this.#socket.write(lastChunk(body.trailers), 'latin1');
  }

  writeTo(sink: Sink, part: Buffer, before = '', after = ''): boolean {
    return this.#reader.writeTo(sink, part, before, after);
  }

  copy(part: Buffer): Buffer {
    return this.#reader.copy(part);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  endTunnelHalf(): void {
    this.#socket.end();
  }

  /**
   * A server may answer before it has read the request: what still waits here is sent, but must not stand before the
   * request of another. Where the client still owes some of its request, the connection serves nobody any more; nor where
   * the answer was the last words of a connection that is dead.
   */
  release(isRequestDone: boolean): void {
    const { isReusable, hintMs } = this.#response;
    if (!isRequestDone || this.#socket.destroyed) this.destroy();
    else if (this.#socket.writableLength > 0) this.finish();
    else if (isReusable && !this.#reader.isWorn) this.pool.giveBack(this, hintMs, this.pool.clock.nowMs());
    else this.destroy();
  }

  refuse(detail: string): void {
    const { user } = this;
    this.destroy();
    user?.onBadResponse(detail);
  }

  broken(): void {
    const { user } = this;
    this.destroy();
    user?.onServerClosed();
  }

  /** Lets go of the exchange without events and closes at once. Safe to call twice. */
  destroy(): void {
    this.#replacement?.destroy();
    this.user = null;
    if (!this.#isGone) {
      this.#isGone = true;
      this.pool.forget(this);
    }
    this.#socket.destroy();
  }

  /** Like destroy, but what was written is still sent, within FLUSH_MS whatever the server does meanwhile. */
  finish(): void {
    this.user = null;
    if (this.#isGone) return;
    this.#isFinishing = true;
    this.deadlineMs = this.pool.clock.nowMs() + FLUSH_MS;
    this.#socket.resume();
    this.#socket.destroySoon();
  }

  onDeadline(): void {
    this.deadlineMs = NEVER;
    if (this.user === null) this.destroy();
    else if (!this.isConnected) this.#gone(true);
  }

  #onDrain(): void {
    this.pool.clock.turn();
    this.user?.onServerDrain();
  }

  /** 'close' follows and does the work. */
  #onError(error: Error): void {
    this.#isOwnTrouble = !this.isConnected && isOwnTrouble(error);
    this.#isReset = (error as NodeJS.ErrnoException).code === 'ECONNRESET';
    // a server that does not like our certificate says so after the handshake, instead of a response
    const mayBeTls = !this.isConnected || !(this.isReused || this.#hasRead);
    this.#tlsFailure = this.pool.tls !== null && mayBeTls ? tlsFailure(error) : null;
    // an error of TLS alone does not close it
    if (this.pool.tls !== null) this.#socket.destroy();
  }

  #onConnect(): void {
    this.pool.clock.turn();
    this.isConnected = true;
    this.deadlineMs = NEVER;
    this.pool.connected(this);
    this.user?.onConnected(this);
  }

  #onRead(chunk: Buffer): void {
    this.pool.clock.turn();
    this.#hasRead = true;
    const { user } = this;
    // Bytes nobody asked for: an answer to nothing must never become the answer to the next request.
    if (user !== null) this.#response.read(chunk, user);
    else if (!this.#isGone && !this.#isFinishing) this.destroy();
  }

  #onEnd(): void {
    // in the middle of a handshake: 'error' follows
    if (!this.isConnected) return;
    this.pool.clock.turn();
    const { user } = this;
    if (user !== null) this.#response.end(user);
    else if (!this.#isFinishing) this.destroy();
  }

  #onClose(): void {
    const unreadResponse = takeUnreadResponse(this.#socket);
    if (unreadResponse !== null && this.user !== null) this.#onRead(unreadResponse);
    this.#gone(false);
  }

  #gone(isTimeout: boolean): void {
    if (this.#isGone) return;
    this.pool.clock.turn();
    this.#isGone = true;
    this.pool.forget(this);
    if (this.#isOwnTrouble) this.pool.shortOfDescriptors();
    const user = this.user;
    this.user = null;
    this.#socket.destroy();
    const isRefused = this.#tlsFailure !== null && !this.isConnected;
    if (isRefused && user !== null && this.#otherWay !== null) this.#replacement = this.#otherWay(user);
    else if (this.#tlsFailure !== null) user?.onUnreachable('tls-failed', this.#tlsFailure);
    else if (this.isConnected) user?.onServerClosed();
    else if (this.#isOwnTrouble) user?.onUnreachable('out-of-resources');
    else user?.onUnreachable(isTimeout ? 'connect-timeout' : 'connect-failed', '', this.#isReset);
  }
}
