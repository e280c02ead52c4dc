// One connection to a server: idle in the pool, or busy with one exchange. Events go to the exchange as they come.

import type { TurnClock } from '../base/clock.ts';
import type { FailureKind } from '../base/failure.ts';
import { isOwnTrouble } from '../base/own-trouble.ts';
import { type DeadlineOwner, NEVER } from './deadlines.ts';
import { type ReadBuffers, Reader } from './read-buffers.ts';
import { UpstreamSocket } from './upstream-socket.ts';

/** How long a connection may take to send what was written before it is given up. */
const FLUSH_MS = 30_000;

/** What a busy connection tells its exchange. */
export interface UpstreamUser {
  onConnected(upstream: UpstreamConnection): void;
  /** `chunk` is valid only until this returns: see Reader. */
  onResponseData(upstream: UpstreamConnection, chunk: Buffer): void;
  /** The server has sent its last byte; the connection may still be written to. */
  onResponseEnd(upstream: UpstreamConnection): void;
  /** The connection is gone: refused, reset, timed out (`isTimeout`) or closed. No further event follows. */
  onUpstreamGone(upstream: UpstreamConnection, wasConnected: boolean, isTimeout: boolean): void;
  onUpstreamDrain(): void;
}

/** The pool as its connections see it. */
export interface UpstreamHome {
  readonly slot: number;
  readonly host: string;
  readonly port: number;
  readonly connectTimeoutMs: number;
  readonly buffers: ReadBuffers;
  readonly clock: TurnClock;
  connected(upstream: UpstreamConnection): void;
  forget(upstream: UpstreamConnection): void;
  /** A connection could not be opened for want of a descriptor, a port or memory. */
  shortOfDescriptors(): void;
  giveBack(upstream: UpstreamConnection, hintMs: number, nowMs: number): void;
}

export class UpstreamConnection implements DeadlineOwner {
  readonly socket: UpstreamSocket;
  readonly pool: UpstreamHome;
  readonly reader: Reader;
  deadlineMs = NEVER;
  deadlineIndex = -1;
  isConnected = false;
  /** It could not be opened for want of something of ours: nothing is known of the server. */
  isOwnTrouble = false;
  /** Has carried an exchange before: the server may have closed it without our knowing. */
  isReused = false;
  readonly startedMs: number;
  #user: UpstreamUser | null;
  #isGone = false;
  /** No exchange any more: what was written is still sent, what comes is dropped. */
  #isFinishing = false;

  constructor(pool: UpstreamHome, user: UpstreamUser, nowMs: number) {
    this.pool = pool;
    this.#user = user;
    this.startedMs = nowMs;
    this.deadlineMs = nowMs + pool.connectTimeoutMs;
    this.reader = new Reader(pool.buffers, (chunk) => this.#onRead(chunk));
    this.socket = new UpstreamSocket({
      allowHalfOpen: true,
      noDelay: true,
      onread: this.reader.options(),
    });
    this.socket.on('error', (error) => {
      // 'close' follows and does the work
      this.isOwnTrouble = !this.isConnected && isOwnTrouble(error);
    });
    this.socket.on('connect', () => this.#onConnect());
    this.socket.on('end', () => this.#onEnd());
    this.socket.on('drain', () => this.#onDrain());
    this.socket.on('close', () => this.#onClose());
    this.socket.connect({ host: pool.host, port: pool.port });
  }

  /** An idle connection gets its next exchange. */
  assign(user: UpstreamUser): void {
    this.#user = user;
    this.isReused = true;
    this.deadlineMs = NEVER;
  }

  /** The exchange is done with a connection that may carry another. */
  park(expiresMs: number): void {
    this.#user = null;
    this.reader.release();
    this.deadlineMs = expiresMs;
    if (this.socket.isPaused()) this.socket.resume();
  }

  /**
   * The exchange is over, its request sent whole as far as we know. A server may answer before it has read the request: what
   * still waits here is sent, but must not stand before the request of another.
   */
  leave(isReusable: boolean, hintMs: number): void {
    if (this.socket.writableLength > 0) this.finish();
    else if (isReusable) this.pool.giveBack(this, hintMs, this.pool.clock.nowMs());
    else this.destroy();
  }

  /** Lets go of the exchange without events and closes at once. Safe to call twice. */
  destroy(): void {
    this.#user = null;
    if (!this.#isGone) {
      this.#isGone = true;
      this.pool.forget(this);
    }
    this.socket.destroy();
  }

  /** Like destroy, but what was written is still sent, within FLUSH_MS whatever the server does meanwhile. */
  finish(): void {
    this.#user = null;
    if (this.#isGone) return;
    this.#isFinishing = true;
    this.deadlineMs = this.pool.clock.nowMs() + FLUSH_MS;
    this.socket.resume();
    this.socket.destroySoon();
  }

  onDeadline(): void {
    this.deadlineMs = NEVER;
    if (this.#user === null) this.destroy();
    else if (!this.isConnected) this.#gone(true);
  }

  /** Why there is no connection, for an exchange that has just lost one that never was. */
  connectFailure(isTimeout: boolean): FailureKind {
    if (this.isOwnTrouble) return 'out-of-resources';
    return isTimeout ? 'connect-timeout' : 'connect-failed';
  }

  #onDrain(): void {
    this.pool.clock.turn();
    this.#user?.onUpstreamDrain();
  }

  #onConnect(): void {
    this.pool.clock.turn();
    this.isConnected = true;
    this.deadlineMs = NEVER;
    this.pool.connected(this);
    this.#user?.onConnected(this);
  }

  #onRead(chunk: Buffer): void {
    this.pool.clock.turn();
    // Bytes nobody asked for: an answer to nothing must never become the answer to the next request.
    if (this.#user !== null) this.#user.onResponseData(this, chunk);
    else if (!this.#isGone && !this.#isFinishing) this.destroy();
  }

  #onEnd(): void {
    this.pool.clock.turn();
    if (this.#user !== null) this.#user.onResponseEnd(this);
    else if (!this.#isFinishing) this.destroy();
  }

  #onClose(): void {
    const { lastWords } = this.socket;
    this.socket.lastWords = null;
    if (lastWords !== null && this.#user !== null) this.#onRead(lastWords);
    this.#gone(false);
  }

  #gone(isTimeout: boolean): void {
    if (this.#isGone) return;
    this.pool.clock.turn();
    this.#isGone = true;
    this.pool.forget(this);
    if (this.isOwnTrouble) this.pool.shortOfDescriptors();
    const user = this.#user;
    this.#user = null;
    this.socket.destroy();
    user?.onUpstreamGone(this, this.isConnected, isTimeout);
  }
}
