// A request body on its way to the server: not read before there is a connection, kept while it is short enough to be
// sent again to another server.

import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';

/** As in the standalone program. */
const REPLAY_BYTES_MAX = 64 * 1024;

export class RequestBody {
  /** Bytes read from the client. */
  bytes = 0;
  readonly #request: IncomingMessage;
  /** What has been read so far; null when it is too much to be kept. */
  #kept: Buffer[] | null = [];
  #isEnded = false;
  #isReading = false;
  #target: Writable | null = null;
  /** Runs before the end is passed on. */
  onEnd: () => void = () => undefined;

  constructor(request: IncomingMessage, hasBody: boolean) {
    this.#request = request;
    this.#isEnded = !hasBody;
    // reading to the end is what lets node:http see the client go
    if (!hasBody) request.resume();
  }

  /** All that was read can be sent again, and the rest is still to come. */
  get isReplayable(): boolean {
    return this.#kept !== null;
  }

  /** Sends the body from its beginning; the one before is left where it was. Only while it is replayable. */
  sendTo(target: Writable): void {
    this.#target = target;
    for (const chunk of this.#kept ?? []) target.write(chunk);
    if (this.#isEnded) this.#finish();
    else {
      if (!this.#isReading) this.#read();
      this.#request.resume();
    }
  }

  /** Stops; the client has to wait. */
  detach(): void {
    this.#target = null;
    if (!this.#isEnded) this.#request.pause();
  }

  /** Nobody wants the rest: it is read and thrown away, so that the connection may carry another request. */
  discard(): void {
    this.#target = null;
    this.#kept = null;
    this.#request.resume();
  }

  #read(): void {
    this.#isReading = true;
    this.#request.on('data', (chunk: Buffer) => this.#onData(chunk));
    this.#request.on('end', () => {
      this.#isEnded = true;
      this.#finish();
    });
  }

  #onData(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes > REPLAY_BYTES_MAX) this.#kept = null;
    else this.#kept?.push(chunk);
    const target = this.#target;
    if (target === null || target.write(chunk)) return;
    this.#request.pause();
    target.once('drain', () => {
      if (this.#target === target) this.#request.resume();
    });
  }

  #finish(): void {
    if (this.#target === null) return;
    this.onEnd();
    this.#target.end();
  }
}
