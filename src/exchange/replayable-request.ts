// A request as far as it is kept: to be sent once a connection is there, and sent again where that is allowed.

import type { PartOwner, ServerStream } from './streams.ts';

/** A request body up to this size, when it is all there, can be sent again to another server. */
const REPLAY_BYTES_MAX = 64 * 1024;

export class ReplayableRequest {
  /** The head as sent to the server. */
  headText = '';
  isIdempotent = false;
  /** All of it is kept: another attempt could send it once more. */
  isReplayable = true;
  #body: Buffer | null = null;

  /** A part that cannot be sent yet. `isLast`: no more will come. */
  keep(part: Buffer, isLast: boolean): void {
    if (part.length > 0) this.#body = this.#body === null ? part : Buffer.concat([this.#body, part]);
    this.isReplayable = isLast && (this.#body?.length ?? 0) <= REPLAY_BYTES_MAX;
  }

  /** A part went to the server without being kept. */
  passed(): void {
    this.isReplayable = false;
    this.#body = null;
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
    if (!this.mayRepeat) this.#body = null;
    return server.send(this.headText, body, from);
  }

  clear(): void {
    this.headText = '';
    this.#body = null;
  }
}
