// How far the body of a request has come that node:http reads.

import type { RequestBody, Trailers } from '../exchange/streams.ts';
import { NO_TRAILERS } from '../exchange/streams.ts';
import { mayTrailersPass } from '../http1/chunked.ts';
import { Body, Refusal, type RequestHead } from '../http1/message.ts';

export class NodeBody implements RequestBody {
  isDone: boolean;
  bytes = 0;
  refusal = 0;
  trailers: Trailers = NO_TRAILERS;
  /** node:http writes them itself. */
  readonly needsChunks = false;
  readonly isFramed = false;
  #left: number;

  constructor({ body, contentLength }: RequestHead) {
    this.#left = body === Body.length ? contentLength : 0;
    this.isDone = body === Body.none || (body === Body.length && contentLength === 0);
  }

  get expectedBytes(): number {
    return this.bytes + this.#left;
  }

  /** A part has come. A body of known length is done with its last byte; others when their end is said. */
  add(bytes: number): void {
    this.bytes += bytes;
    if (this.#left === 0) return;
    this.#left = Math.max(0, this.#left - bytes);
    this.isDone = this.#left === 0;
  }

  end(trailers: Trailers): void {
    this.isDone = true;
    if (mayTrailersPass(trailers)) this.trailers = trailers;
    else this.refusal = Refusal.badTrailer;
  }
}
