// A request body on its way to the server: not read before there is a connection, kept while it is short enough to be
// sent again to another server.

import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import { systemClock } from '../base/clock.ts';
import type { Scheduled } from '../base/scheduler.ts';
import type { Guard } from './guard.ts';

/** As in the standalone program. */
const REPLAY_BYTES_MAX = 64 * 1024;

export interface RequestBodyOptions {
  readonly guard: Guard;
  /** Longest silence while more is expected. */
  readonly silenceMs: number;
  /** 0 = no limit. */
  readonly bytesMax: number;
  /** Runs before the end is passed on; false: it must not be, and the exchange is over. */
  readonly onEnd: () => boolean;
  /** The client owes the rest for longer than `silenceMs`. */
  readonly onSilence: () => void;
  readonly onTooLarge: () => void;
}

export class RequestBody {
  /** Bytes read from the client. */
  bytes = 0;
  readonly #request: IncomingMessage;
  readonly #options: RequestBodyOptions;
  /** What has been read so far; null when it is too much to be kept. */
  #kept: Buffer[] | null = [];
  #isEnded = false;
  #isReading = false;
  #target: Writable | null = null;
  #heardMs = 0;
  #timer: Scheduled | null = null;

  constructor(request: IncomingMessage, hasBody: boolean, options: RequestBodyOptions) {
    this.#request = request;
    this.#options = options;
    this.#isEnded = !hasBody;
    // reading to the end is what lets node:http see the client go
    if (!hasBody) request.resume();
  }

  /** All that was read can be sent again, and the rest is still to come. */
  get isReplayable(): boolean {
    return this.#kept !== null;
  }

  /** More is expected of the client now. */
  get isWanted(): boolean {
    return !this.#isEnded && this.#target !== null && !this.#request.isPaused();
  }

  /** Sends the body from its beginning; the one before is left where it was. Only while it is replayable. */
  sendTo(target: Writable): void {
    this.#target = target;
    for (const chunk of this.#kept ?? []) target.write(chunk);
    if (this.#isEnded) this.#finish();
    else {
      if (!this.#isReading) this.#read();
      this.#resume();
    }
  }

  /** Stops; the client has to wait. */
  detach(): void {
    this.#target = null;
    this.#timer?.cancel();
    this.#timer = null;
    if (!this.#isEnded) this.#request.pause();
  }

  /** Nobody wants the rest: it is read and thrown away, so that the connection may carry another request. */
  discard(): void {
    this.detach();
    this.#kept = null;
    this.#request.resume();
  }

  #read(): void {
    this.#isReading = true;
    const { guard } = this.#options;
    guard.on(this.#request, 'data', (chunk: Buffer) => this.#onData(chunk));
    guard.on(this.#request, 'end', () => {
      this.#isEnded = true;
      this.#finish();
    });
  }

  #resume(): void {
    this.#request.resume();
    this.#heardMs = systemClock.nowMs();
    this.#timer ??= this.#watch(this.#options.silenceMs);
  }

  /** One timer for many chunks: it looks when the last one came. */
  #watch(delayMs: number): Scheduled {
    const { guard, silenceMs, onSilence } = this.#options;
    return guard.after(delayMs, () => {
      this.#timer = null;
      const silentMs = systemClock.nowMs() - this.#heardMs;
      if (!this.isWanted) return;
      if (silentMs >= silenceMs) onSilence();
      else this.#timer = this.#watch(silenceMs - silentMs);
    });
  }

  #onData(chunk: Buffer): void {
    this.bytes += chunk.length;
    const target = this.#target;
    if (this.bytes > REPLAY_BYTES_MAX) this.#kept = null;
    else this.#kept?.push(chunk);
    if (target === null) return;
    this.#heardMs = systemClock.nowMs();
    const { bytesMax, onTooLarge } = this.#options;
    if (bytesMax > 0 && this.bytes > bytesMax) {
      onTooLarge();
      return;
    }
    if (target.write(chunk)) return;
    this.#request.pause();
    this.#options.guard.once(target, 'drain', () => {
      if (this.#target === target) this.#resume();
    });
  }

  #finish(): void {
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#target === null) return;
    const target = this.#target;
    if (this.#options.onEnd()) target.end();
  }
}
