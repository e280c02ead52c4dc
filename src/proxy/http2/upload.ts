// The way of a request's DATA from its stream to the exchange. What the exchange does not want yet is kept, no more than
// the stream's window; the window opens again for what the server has taken. Small frames are put together, so that a
// client that sends a byte in each costs no write and no object for each.
//
//   DATA ──> passed on ── the server takes it ──> the window opens
//     ├── small: kept ── at the end of the turn ──> passed on
//     └── paused: kept ── resumed, at the end of the turn ──> passed on

import type { Exchange } from '../../exchange/exchange.ts';
import type { PartOwner, Trailers } from '../../exchange/streams.ts';
import type { TurnEnd, TurnEnding } from '../turn-end.ts';
import { KeptParts } from './kept-parts.ts';
import { Http2RequestBody } from './request-body.ts';

const NOTHING = Buffer.alloc(0);
/** From this size on a frame is worth a write of its own. */
const LARGE_BYTES = 4096;

/** The stream as its upload sees it. */
export interface UploadingStream extends PartOwner {
  readonly exchange: Exchange | null;
  /** Its DATA is a tunnel's. */
  readonly isSocket: boolean;
  readonly turnEnd: TurnEnd;
  /** The server has taken so many bytes. */
  taken(bytes: number): void;
}

export class Upload implements TurnEnding {
  readonly body = new Http2RequestBody();
  isPaused = false;
  readonly #stream: UploadingStream;
  readonly #kept = new KeptParts();
  /** The end has come as well, with these trailers. */
  #keptEnd: Trailers | null = null;
  /** Passed on since the window was opened last. */
  #passedBytes = 0;
  #isPutOff = false;

  constructor(stream: UploadingStream) {
    this.#stream = stream;
  }

  get isTunnel(): boolean {
    return this.#stream.exchange?.response.tunnel.isOpen === true;
  }

  /** Nothing is passed on: the exchange has not begun or does not want it, or the tunnel is not open. */
  get #isStopped(): boolean {
    const { exchange, isSocket } = this.#stream;
    return this.isPaused || exchange === null || (isSocket && !this.isTunnel);
  }

  add(part: Buffer): void {
    if (!this.#isStopped && this.#kept.isEmpty && part.length >= LARGE_BYTES) this.#pass(part);
    else {
      this.#kept.add(part);
      this.#putOff();
    }
  }

  #pass(part: Buffer): void {
    const stream = this.#stream;
    const { exchange } = stream;
    if (exchange === null) return;
    this.#passedBytes += part.length;
    this.body.bytes += part.length;
    if (this.isTunnel) exchange.response.tunnel.fromClient(part, stream);
    else exchange.onRequestPart(part, stream);
    stream.exchange?.ownParts(stream);
    if (!this.isPaused) this.#giveBack();
  }

  #giveBack(): void {
    const bytes = this.#passedBytes;
    this.#passedBytes = 0;
    if (bytes > 0) this.#stream.taken(bytes);
  }

  end(trailers: Trailers): void {
    if (this.#isStopped || !this.#kept.isEmpty) this.#keptEnd = trailers;
    else this.#end(trailers);
  }

  #end(trailers: Trailers): void {
    const { exchange, isSocket } = this.#stream;
    if (exchange === null) return;
    if (isSocket) {
      exchange.response.tunnel.onClientEnd();
      return;
    }
    this.body.end(trailers);
    exchange.onRequestPart(NOTHING, this.#stream);
  }

  pause(): void {
    this.isPaused = true;
  }

  /** What was kept follows at the end of the turn: the exchange is in the middle of something. */
  resume(): void {
    this.isPaused = false;
    this.#giveBack();
    this.onBegun();
  }

  /** The exchange has begun. */
  onBegun(): void {
    if (!this.#kept.isEmpty || this.#keptEnd !== null) this.#putOff();
  }

  #putOff(): void {
    if (this.#isPutOff || this.#isStopped) return;
    this.#isPutOff = true;
    this.#stream.turnEnd.add(this);
  }

  onTurnEnd(): void {
    this.#isPutOff = false;
    while (!this.#isStopped && !this.#kept.isEmpty) this.#pass(this.#kept.take());
    const trailers = this.#keptEnd;
    if (this.#isStopped || trailers === null) return;
    this.#keptEnd = null;
    this.#end(trailers);
  }

  /** Nobody wants it any more. */
  clear(): void {
    this.#kept.clear();
    this.#keptEnd = null;
  }
}
