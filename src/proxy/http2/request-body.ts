// How far the body of a request has come that arrives in DATA frames.

import { NO_TRAILERS, type RequestBody, type Trailers } from '../../exchange/streams.ts';
import { mayTrailersPass } from '../../http1/chunked.ts';
import { Body, Refusal, type RequestHead } from '../../http1/message.ts';

export class Http2RequestBody implements RequestBody {
  isDone = true;
  bytes = 0;
  refusal = 0;
  trailers: Trailers = NO_TRAILERS;
  needsChunks = false;
  readonly isFramed = false;
  #announced = 0;

  /** `isWhole`: the head ended the stream, or what follows is no body. */
  begin({ body, contentLength }: RequestHead, isWhole: boolean): void {
    this.isDone = isWhole;
    this.needsChunks = body === Body.chunked;
    this.#announced = body === Body.length ? contentLength : 0;
  }

  get expectedBytes(): number {
    return Math.max(this.bytes, this.#announced);
  }

  /** With a length HTTP/1 has no place for trailers: they are dropped (RFC 9110 section 6.5.1 allows it). */
  end(trailers: Trailers): void {
    this.isDone = true;
    if (trailers.length === 0 || !this.needsChunks) return;
    if (mayTrailersPass(trailers)) this.trailers = trailers;
    else this.refusal = Refusal.badTrailer;
  }
}
