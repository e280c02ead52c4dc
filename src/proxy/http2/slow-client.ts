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

/** Responses that wait for a window. Tunnels owe nothing. */
function untaken({ streams }: Http2Connection): readonly Http2Stream[] {
  return [...streams.values()].filter(
    ({ waitingBytes, user }) => waitingBytes > 0 && !(user instanceof Http2ClientStream && user.isSocket),
  );
}

/** As LimitedClient has it: its requests have times of their own, this is for all of them. O(streams). */
export function owingOf(http2: Http2Connection, socket: Socket): Transfer | null {
  const waiting = socket.writableLength;
  if (waiting > 0 || untaken(http2).length > 0)
    return { what: 'taking', bytes: socket.bytesWritten - waiting };
  return receiving(http2).length > 0 ? { what: 'sending', bytes: socket.bytesRead } : null;
}

/** Ends the requests that are taken or arrive too slowly. */
export function endSlow(http2: Http2Connection): void {
  const waiting = untaken(http2);
  for (const stream of waiting) http2.endStream(stream, ErrorCode.enhanceYourCalm, '');
  if (waiting.length > 0) return;
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
  /** Most are taken soon: what is gone is forgotten without being looked for. */
  readonly #marks = new WeakMap<Http2Stream, Mark>();
  /** When all are to be looked at; NEVER: there is none. */
  #dueMs = NEVER;
  #frames = 0;
  #framesAtMs = 0;

  constructor(http2: Http2Connection) {
    this.#http2 = http2;
  }

  /** Another one. Says when all are to be looked at again. O(1). */
  add(stream: Http2Stream, nowMs: number): number {
    if (this.#dueMs === NEVER) {
      this.#frames = this.#http2.sender.frames;
      this.#framesAtMs = nowMs;
    }
    this.#marks.set(stream, { bytes: stream.waitingBytes, atMs: nowMs });
    this.#dueMs = Math.min(this.#dueMs, nowMs + FLUSH_MS);
    return this.#dueMs;
  }

  /**
   * Drops those of which nothing was taken for that long: the client grants them no window, or nothing of the connection moves.
   * One that only waits for its turn stays. Says when to look again. O(streams).
   */
  check(nowMs: number): number {
    const { streams, sender, user } = this.#http2;
    if (sender.frames !== this.#frames) this.#framesAtMs = nowMs;
    this.#frames = sender.frames;
    const isStill = this.#framesAtMs + FLUSH_MS <= nowMs;
    const dropped: Http2Stream[] = [];
    this.#dueMs = NEVER;
    for (const stream of streams.values()) {
      const mark = this.#marks.get(stream);
      const { waitingBytes, sendWindow } = stream;
      if (mark === undefined || waitingBytes === 0) continue;
      if (waitingBytes !== mark.bytes || !(isStill || sendWindow <= 0)) {
        mark.bytes = waitingBytes;
        mark.atMs = nowMs;
      }
      if (mark.atMs + FLUSH_MS <= nowMs) dropped.push(stream);
      else this.#dueMs = Math.min(this.#dueMs, mark.atMs + FLUSH_MS);
    }
    if (dropped.length > 0) user.onAbuse('stalled');
    for (const stream of dropped) this.#http2.reset(stream, ErrorCode.enhanceYourCalm);
    return this.#dueMs;
  }
}
