// A client that owes something on some of its streams: bytes of a request, or taking what was written.

import type { Socket } from 'node:net';
import { NEVER } from '../../exchange/deadlines.ts';
import type { Transfer } from '../../exchange/min-rate.ts';
import { ErrorCode } from '../../http2/codes.ts';
import type { Http2Connection } from '../../http2/connection.ts';
import type { Http2Stream } from '../../http2/stream.ts';
import { Http2ClientStream } from './client-stream.ts';

/** How long a client may take none of the responses that are complete. */
const FLUSH_MS = 60_000;

function receiving({ streams }: Http2Connection): readonly Http2ClientStream[] {
  return [...streams.values()]
    .map(({ user }) => user)
    .filter((user) => user instanceof Http2ClientStream)
    .filter((user) => user.isReceiving);
}

/** As LimitedClient has it: its requests have times of their own, this is for all of them. */
export function owingOf(http2: Http2Connection, socket: Socket): Transfer | null {
  const waiting = socket.writableLength;
  if (waiting > 0) return { what: 'taking', bytes: socket.bytesWritten - waiting };
  return receiving(http2).length > 0 ? { what: 'sending', bytes: socket.bytesRead } : null;
}

/** Ends the requests that arrive too slowly. */
export function failReceiving(http2: Http2Connection): void {
  for (const { exchange } of receiving(http2))
    exchange?.fail('request-timeout', 'the request body arrives too slowly');
}

/** What a response had waiting when some of it was taken last. */
interface Mark {
  bytes: number;
  atMs: number;
}

/** Responses that are complete and not taken: nobody else waits for them any more. */
export class Untaken {
  readonly #http2: Http2Connection;
  readonly #marks = new Map<Http2Stream, Mark>();
  #frames = 0;
  #framesAtMs = 0;

  constructor(http2: Http2Connection) {
    this.#http2 = http2;
  }

  /** Another one. Says when all are to be looked at again. */
  add(stream: Http2Stream, nowMs: number): number {
    if (this.#marks.size === 0) this.#note(nowMs);
    this.#marks.set(stream, { bytes: stream.waitingBytes, atMs: nowMs });
    return this.#dueMs;
  }

  get #dueMs(): number {
    let dueMs = NEVER;
    for (const { atMs } of this.#marks.values()) dueMs = Math.min(dueMs, atMs + FLUSH_MS);
    return dueMs;
  }

  #note(nowMs: number): void {
    const { frames } = this.#http2.sender;
    if (frames !== this.#frames || this.#marks.size === 0) this.#framesAtMs = nowMs;
    this.#frames = frames;
  }

  /**
   * Drops those of which nothing was taken for that long: the client grants them no window, or nothing of the connection moves.
   * One that only waits for its turn stays. Says when to look again.
   */
  check(nowMs: number): number {
    const http2 = this.#http2;
    this.#note(nowMs);
    const isStill = this.#framesAtMs + FLUSH_MS <= nowMs;
    const dropped: Http2Stream[] = [];
    for (const [stream, mark] of this.#marks) {
      const { waitingBytes, sendWindow } = stream;
      if (stream.isGone || waitingBytes === 0) this.#marks.delete(stream);
      else if (waitingBytes === mark.bytes && (isStill || sendWindow <= 0)) {
        if (mark.atMs + FLUSH_MS <= nowMs) dropped.push(stream);
      } else {
        mark.bytes = waitingBytes;
        mark.atMs = nowMs;
      }
    }
    if (dropped.length > 0) http2.user.onAbuse('stalled');
    for (const stream of dropped) {
      this.#marks.delete(stream);
      http2.reset(stream, ErrorCode.enhanceYourCalm);
    }
    return this.#dueMs;
  }
}
