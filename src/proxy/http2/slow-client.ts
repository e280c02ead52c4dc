// A client that owes something on some of its streams: bytes of a request, or taking what was written.

import type { Socket } from 'node:net';
import { NEVER } from '../../exchange/deadlines.ts';
import type { Transfer } from '../../exchange/min-rate.ts';
import { ErrorCode } from '../../http2/codes.ts';
import type { Http2Connection } from '../../http2/connection.ts';
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

/** Responses that are complete and not taken: nobody else waits for them any more. */
export class Untaken {
  readonly #http2: Http2Connection;
  #sentFrames = 0;

  constructor(http2: Http2Connection) {
    this.#http2 = http2;
  }

  /** They are to be looked at again then. */
  begin(nowMs: number): number {
    this.#sentFrames = this.#http2.sender.frames;
    return nowMs + FLUSH_MS;
  }

  /** Drops them if nothing has moved meanwhile. Says when to look again. */
  check(nowMs: number): number {
    const http2 = this.#http2;
    const untaken = [...http2.streams.values()].filter(
      ({ user, waitingBytes }) => user === null && waitingBytes > 0,
    );
    if (untaken.length === 0) return NEVER;
    if (http2.sender.frames !== this.#sentFrames) return this.begin(nowMs);
    http2.user.onAbuse('stalled');
    for (const stream of untaken) http2.reset(stream, ErrorCode.enhanceYourCalm);
    return NEVER;
  }
}
