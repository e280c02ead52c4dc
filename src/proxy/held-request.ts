// A request as far as it is kept: to be sent once a connection is there, and sent again where that is allowed.

import type { Socket } from 'node:net';
import type { Reader } from './read-buffers.ts';

/** A request body up to this size, when it is all there, can be sent again to another server. */
const REPLAY_BYTES_MAX = 64 * 1024;

/** Writes bytes of a client's current read to a server's socket, after some text; false: wait for drain. */
interface PassesOn {
  passOn(part: Buffer, target: Socket, before: string): boolean;
}

export class HeldRequest {
  /** The head as sent to the server. */
  headText = '';
  isIdempotent = false;
  /** All of it is held: another attempt could send it once more. */
  isReplayable = true;
  #body: Buffer | null = null;

  /** Body bytes that cannot be sent yet. `isLast`: no more will come. */
  hold(part: Buffer, isLast: boolean): void {
    if (part.length > 0) this.#body = this.#body === null ? part : Buffer.concat([this.#body, part]);
    this.isReplayable = isLast && (this.#body?.length ?? 0) <= REPLAY_BYTES_MAX;
  }

  /** Body bytes went to the server without being held. */
  passed(): void {
    this.isReplayable = false;
    this.#body = null;
  }

  /** The event in which body bytes arrived is over: what is still held moves to memory of its own. */
  keep(reader: Reader): void {
    if (this.#body !== null) this.#body = reader.copy(this.#body);
  }

  /** Sends the head and what is held of the body. False: wait for drain. */
  writeTo(socket: Socket, client: PassesOn): boolean {
    const body = this.#body;
    // Once sent, only an idempotent request may be sent again (RFC 9110 section 9.2.2).
    if (!this.isReplayable || !this.isIdempotent) this.#body = null;
    if (body === null) return socket.write(this.headText, 'latin1');
    return client.passOn(body, socket, this.headText);
  }

  clear(): void {
    this.headText = '';
    this.#body = null;
  }
}
