// What an HTTP/2 connection waits for. Its requests have deadlines of their own (exchange/exchange-deadline.ts).
//
//   head     the preface, or the end of a header block or another frame without data
//   idle     the next request, while there is none; on a connection that is to end, the client's end
//   pong     the answer to our PING, when the connection is to end
//   taken    some of the responses that are complete
//   calm     our end of the connection of a client that has overdone it
//   linger   the client's end, once ours was written

import { type DeadlineOwner, NEVER } from '../../exchange/deadlines.ts';

/** How long the client's end is waited for where nothing is left that it should read. */
export const LINGER_MS = 2000;
/** The same where it may have responses to read: who does sends WINDOW_UPDATE, which a socket closed answers with a reset. */
export const FLUSH_MS = 60_000;
/** How long a client that knows that the connection ends may take to end it: some lose what they have not read when we do. */
export const PARTING_MS = 1000;
/** How long the answer to our PING is waited for before streams are begun no more. */
export const PONG_MS = 1000;

export const WAITS = ['head', 'idle', 'pong', 'taken', 'calm', 'linger'] as const;
export type Wait = (typeof WAITS)[number];

export class ConnectionTimes {
  readonly #owner: DeadlineOwner;
  readonly #byMs: Record<Wait, number> = {
    head: NEVER,
    idle: NEVER,
    pong: NEVER,
    taken: NEVER,
    calm: NEVER,
    linger: NEVER,
  };
  /** What the owner's deadline was when we set it. */
  #toldMs = NEVER;
  /** What is being waited for the end of. */
  #part = 0;

  constructor(owner: DeadlineOwner) {
    this.#owner = owner;
  }

  isSet(wait: Wait): boolean {
    return this.#byMs[wait] !== NEVER;
  }

  set(wait: Wait, byMs: number): void {
    this.#extend();
    this.#byMs[wait] = byMs;
    this.#tell();
  }

  clear(wait: Wait): void {
    if (this.isSet(wait)) this.set(wait, NEVER);
  }

  /** Waits for the end of what has begun, the how manieth it is; 0: nothing has. */
  awaitWhole(part: number, byMs: number): void {
    if (part === this.#part) return;
    this.#part = part;
    this.set('head', part === 0 ? NEVER : byMs);
  }

  /** Nothing else is waited for. */
  only(wait: Wait, byMs: number): void {
    for (const each of WAITS) this.#byMs[each] = NEVER;
    this.set(wait, byMs);
  }

  /** Takes one that has passed; null: none has. */
  take(nowMs: number): Wait | null {
    this.#extend();
    const passed = WAITS.find((wait) => this.#byMs[wait] <= nowMs) ?? null;
    if (passed !== null) this.#byMs[passed] = NEVER;
    this.#tell();
    return passed;
  }

  /** The owner's deadline is put off where this thread stood still (exchange/deadlines.ts), and so is all that is waited for. */
  #extend(): void {
    const putOffMs = this.#owner.deadlineMs - this.#toldMs;
    if (putOffMs > 0) for (const each of WAITS) this.#byMs[each] += putOffMs;
  }

  #tell(): void {
    const { head, idle, pong, taken, calm, linger } = this.#byMs;
    this.#toldMs = Math.min(head, idle, pong, taken, calm, linger);
    this.#owner.deadlineMs = this.#toldMs;
  }
}
