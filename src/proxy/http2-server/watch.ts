// Whether a connection to a server is alive that says nothing while requests wait for it. Nobody tells us that a machine has
// lost its power, or that something on the way has forgotten the connection.
//
//   read ── silence ──> PING ── anything is read ──> alive: the next silence may be longer
//                         \── nothing within PONG_MS ──> dead
//
// Servers of gRPC end a connection that pings them more than twice within five minutes while they have nothing to say.

import type { ClientEnd } from '../../http2/client-end.ts';

/** Longest silence before the first PING, the second, and each later one. */
const SILENCES_MS = [30_000, 60_000, 330_000] as const;
const PONG_MS = 10_000;
/** After a request that was given up, a connection that has been silent for so long is asked at once. */
const DOUBT_MS = 1000;

export class Watch {
  readonly #http2: ClientEnd;
  #readMs = 0;
  /** When we asked; 0: we do not. */
  #askedMs = 0;
  /** Asked since the server has said something of itself. */
  #asked = 0;

  constructor(http2: ClientEnd) {
    this.#http2 = http2;
  }

  /** No stream should be opened on it now. */
  get isInDoubt(): boolean {
    return this.#askedMs > 0;
  }

  onRead(nowMs: number): void {
    if (!this.isInDoubt) this.#asked = 0;
    this.#readMs = nowMs;
    this.#askedMs = 0;
  }

  /** When to look again, as long as there are streams. Asks, where the silence is long enough. */
  next(nowMs: number): number {
    if (this.#readMs === 0) this.#readMs = nowMs;
    if (this.isInDoubt) return this.#askedMs + PONG_MS;
    const byMs = this.#readMs + (SILENCES_MS[this.#asked] ?? SILENCES_MS[2]);
    return nowMs < byMs ? byMs : this.#ask(nowMs);
  }

  #ask(nowMs: number): number {
    this.#askedMs = nowMs;
    this.#asked += 1;
    this.#http2.ping();
    return nowMs + PONG_MS;
  }

  /** A request was given up. Returns when to look again. */
  doubt(nowMs: number): number {
    const isDue = this.#asked === 0 && nowMs - this.#readMs >= DOUBT_MS;
    return isDue ? this.#ask(nowMs) : Number.POSITIVE_INFINITY;
  }

  isDead(nowMs: number): boolean {
    return this.isInDoubt && nowMs - this.#askedMs >= PONG_MS;
  }
}
