// Whether a connection to a server is alive that says nothing while requests wait for it. Nobody tells us that a machine has
// lost its power, or that something on the way has forgotten the connection.
//
//   read ── silence ──> PING ── anything is read ──> alive: the next silence may be longer
//                         \── nothing within PONG_MS ──> dead
//
// Servers of gRPC end a connection that pings them more than twice within five minutes while they have nothing to say. Only
// heads and DATA are something to say: not what answers a PING, nor PINGs of their own.

import { NEVER } from '../../exchange/deadlines.ts';
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
  /** Asked since the server has said something of a response. */
  #asked = 0;
  /** What it had said by then. */
  #heard = 0;

  constructor(http2: ClientEnd) {
    this.#http2 = http2;
  }

  /** No stream should be opened on it now. */
  get isInDoubt(): boolean {
    return this.#askedMs > 0;
  }

  onRead(nowMs: number): void {
    const { heard } = this.#http2;
    if (heard !== this.#heard) this.#asked = 0;
    this.#heard = heard;
    this.#readMs = nowMs;
    this.#askedMs = 0;
  }

  /** When to look again; NEVER: without streams silence means nothing. Asks, where it is long enough. */
  next(nowMs: number): number {
    if (this.isInDoubt) return this.#askedMs + PONG_MS;
    if (this.#http2.streams.size === 0) return NEVER;
    if (this.#readMs === 0) this.#readMs = nowMs;
    const byMs = this.#readMs + (SILENCES_MS[this.#asked] ?? SILENCES_MS[2]);
    return nowMs < byMs ? byMs : this.#ask(nowMs);
  }

  #ask(nowMs: number): number {
    this.#askedMs = nowMs;
    this.#asked += 1;
    this.#http2.ping();
    return nowMs + PONG_MS;
  }

  /** A request was given up: where the server is silent as well it is asked at once. */
  doubt(nowMs: number): void {
    const isDue = this.#asked === 0 && !this.isInDoubt && nowMs - this.#readMs >= DOUBT_MS;
    if (isDue) this.#ask(nowMs);
  }

  isDead(nowMs: number): boolean {
    return this.isInDoubt && nowMs - this.#askedMs >= PONG_MS;
  }
}
