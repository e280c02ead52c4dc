// One connection to a server: idle in the pool, or busy with one exchange. Events go to the exchange as they come.

import { connect, type Socket } from 'node:net';
import { type DeadlineOwner, NEVER } from './deadlines.ts';
import type { UpstreamPool } from './upstream-pool.ts';

/** How long a connection may take to send what was written before it is given up. */
const FLUSH_MS = 30_000;

/** What a busy connection tells its exchange. */
export interface UpstreamUser {
  onConnected(upstream: UpstreamConnection): void;
  /** `chunk` is valid only until this returns: see `keep`. */
  onResponseData(upstream: UpstreamConnection, chunk: Buffer): void;
  /** The server has sent its last byte; the connection may still be written to. */
  onResponseEnd(upstream: UpstreamConnection): void;
  /** The connection is gone: refused, reset, timed out (`isTimeout`) or closed. No further event follows. */
  onUpstreamGone(upstream: UpstreamConnection, wasConnected: boolean, isTimeout: boolean): void;
  onUpstreamDrain(): void;
}

export class UpstreamConnection implements DeadlineOwner {
  readonly socket: Socket;
  readonly pool: UpstreamPool;
  deadlineMs = NEVER;
  deadlineIndex = -1;
  isConnected = false;
  /** Has carried an exchange before: the server may have closed it without our knowing. */
  isReused = false;
  readonly startedMs: number;
  #user: UpstreamUser | null;
  #isGone = false;
  /** What the next read fills: the thread's shared buffer, or one of our own while a long body runs. */
  #reading: Buffer;
  #own: Buffer | null = null;

  constructor(pool: UpstreamPool, user: UpstreamUser, nowMs: number) {
    this.pool = pool;
    this.#user = user;
    this.startedMs = nowMs;
    this.deadlineMs = nowMs + pool.connectTimeoutMs;
    this.#reading = pool.buffers.shared;
    this.socket = connect({
      host: pool.host,
      port: pool.port,
      noDelay: true,
      allowHalfOpen: true,
      // Reads without the stream machinery: an eighth of the whole cost of a small request.
      onread: { buffer: () => this.#nextBuffer(), callback: (bytes) => this.#onRead(bytes) },
    });
    this.socket.on('error', () => {
      // 'close' follows and does the work; the kind of error changes nothing for the exchange.
    });
    this.socket.on('connect', () => this.#onConnect());
    this.socket.on('end', () => this.#onEnd());
    this.socket.on('drain', () => this.#onDrain());
    this.socket.on('close', () => this.#gone(false));
  }

  #nextBuffer(): Buffer {
    this.#reading = this.#own ?? this.pool.buffers.shared;
    return this.#reading;
  }

  /**
   * Bytes of the current read that may be written to a socket and forgotten: moved out of the shared buffer when they
   * are in it. From then on this connection reads into a buffer of its own, until it is parked.
   */
  keep(part: Buffer): Buffer {
    const { buffers } = this.pool;
    if (part.buffer !== buffers.shared.buffer) return part;
    this.#own ??= buffers.take();
    part.copy(this.#own);
    return this.#own.subarray(0, part.length);
  }

  /** After what `keep` returned was written to `target`: our own buffer is not used again while bytes of it wait there. */
  settle(target: Socket): void {
    if (this.#own !== null && target.writableLength > 0) this.#own = this.pool.buffers.take();
  }

  #releaseBuffer(): void {
    if (this.#own !== null) this.pool.buffers.giveBack(this.#own);
    this.#own = null;
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
    this.#releaseBuffer();
    this.deadlineMs = expiresMs;
    if (this.socket.isPaused()) this.socket.resume();
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

  /** Like destroy, but what was written is still sent: the orderly end of a tunnel. */
  finish(): void {
    this.#user = null;
    if (this.#isGone) return;
    this.#isGone = true;
    this.pool.forget(this);
    this.socket.setTimeout(FLUSH_MS, () => this.socket.destroy());
    this.socket.resume();
    this.socket.destroySoon();
  }

  onDeadline(): void {
    this.deadlineMs = NEVER;
    if (this.#user === null) this.destroy();
    else if (!this.isConnected) this.#gone(true);
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

  #onRead(bytes: number): boolean {
    this.pool.clock.turn();
    // Bytes nobody asked for: an answer to nothing must never become the answer to the next request.
    if (this.#user !== null) this.#user.onResponseData(this, this.#reading.subarray(0, bytes));
    else if (!this.#isGone) this.destroy();
    return true;
  }

  #onEnd(): void {
    this.pool.clock.turn();
    if (this.#user === null) this.destroy();
    else this.#user.onResponseEnd(this);
  }

  #gone(isTimeout: boolean): void {
    if (this.#isGone) return;
    this.pool.clock.turn();
    this.#isGone = true;
    this.pool.forget(this);
    const user = this.#user;
    this.#user = null;
    this.socket.destroy();
    user?.onUpstreamGone(this, this.isConnected, isTimeout);
  }
}
