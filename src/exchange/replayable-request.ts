// A request as far as it is kept: to be sent once a connection is there, and sent again where that is allowed.
//
//   not sent    every part is kept                              (the client is paused after the first)
//   sent        parts are kept too while all of them are, they may be sent again, and are not too many: what is idempotent,
//               and all that goes to a server that may say that it has not looked at it
//
// So what is kept is always the beginning of the body: sent again, the rest follows it as it comes.

import type { PartOwner, ServerStream } from './streams.ts';

/**
 * A request body up to this size can be sent again to another server: as much as a server of HTTP/2 with a window of 64 KiB may have
 * been sent before it says that it has not looked at the request, and the read of 64 KiB in which that window came to its end.
 */
const REPLAY_BYTES_MAX = 128 * 1024;

export class ReplayableRequest {
  /** The head as sent to the server. */
  headText = '';
  isIdempotent = false;
  /** All that came of it is kept: another attempt could send it once more. */
  isReplayable = true;
  #body: Buffer | null = null;
  #mayBeRefused = false;

  /** A part that cannot be sent yet. */
  keep(part: Buffer): void {
    if (part.length > 0) this.#body = this.#body === null ? part : Buffer.concat([this.#body, part]);
    this.isReplayable &&= (this.#body?.length ?? 0) <= REPLAY_BYTES_MAX;
  }

  /** A part goes to the server now. */
  passed(part: Buffer, from: PartOwner): void {
    const bytes = (this.#body?.length ?? 0) + part.length;
    if (this.#isKept && bytes <= REPLAY_BYTES_MAX) {
      this.keep(from.copy(part));
      return;
    }
    this.isReplayable = false;
    this.#body = null;
  }

  get #isKept(): boolean {
    return this.isReplayable && (this.isIdempotent || this.#mayBeRefused);
  }

  /** Sending it once more is possible and does no harm (RFC 9110 section 9.2.2). */
  get mayRepeat(): boolean {
    return this.isIdempotent && this.isReplayable;
  }

  /** The event in which parts came is over: what is kept moves to memory of its own. */
  own(from: PartOwner): void {
    if (this.#body !== null) this.#body = from.copy(this.#body);
  }

  /** Sends the head and what is kept of the body. False: wait for drain. */
  sendTo(server: ServerStream, from: PartOwner): boolean {
    const body = this.#body;
    this.#mayBeRefused = server.mayRefuse;
    if (!this.#isKept) {
      if (body !== null) this.isReplayable = false;
      this.#body = null;
    }
    return server.send(this.headText, body, from);
  }

  clear(): void {
    this.headText = '';
    this.isReplayable = true;
    this.#body = null;
  }
}
