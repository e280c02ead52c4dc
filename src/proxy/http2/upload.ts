// The way of a request's DATA from its stream to the exchange.

import type { Exchange } from '../../exchange/exchange.ts';
import type { PartOwner, Trailers } from '../../exchange/streams.ts';
import type { TurnEnd } from '../turn-end.ts';
import { Inflow } from './inflow.ts';
import { Http2RequestBody } from './request-body.ts';

const NOTHING = Buffer.alloc(0);

/** The stream as its upload sees it. */
export interface UploadingStream extends PartOwner {
  readonly exchange: Exchange | null;
  /** Its DATA is a tunnel's. */
  readonly isSocket: boolean;
  readonly turnEnd: TurnEnd;
  /** The server has taken so many bytes. */
  taken(bytes: number): void;
}

export class Upload extends Inflow {
  readonly body = new Http2RequestBody();
  readonly #stream: UploadingStream;

  constructor(stream: UploadingStream) {
    super(stream.turnEnd);
    this.#stream = stream;
  }

  get isTunnel(): boolean {
    return this.#stream.exchange?.response.tunnel.isOpen === true;
  }

  /** Nothing is passed on: the exchange has not begun or does not want it, or the tunnel is not open. */
  protected override get isStopped(): boolean {
    const { exchange, isSocket } = this.#stream;
    return this.isPaused || exchange === null || (isSocket && !this.isTunnel);
  }

  protected onPart(part: Buffer): void {
    const stream = this.#stream;
    const { exchange } = stream;
    if (exchange === null) return;
    this.body.bytes += part.length;
    if (this.isTunnel) exchange.response.tunnel.fromClient(part, stream);
    else exchange.onRequestPart(part, stream);
    stream.exchange?.ownParts(stream);
  }

  protected onTaken(bytes: number): void {
    this.#stream.taken(bytes);
  }

  protected onEnd(trailers: Trailers): void {
    const { exchange, isSocket } = this.#stream;
    if (exchange === null) return;
    if (isSocket) {
      exchange.response.tunnel.onClientEnd();
      return;
    }
    this.body.end(trailers);
    exchange.onRequestPart(NOTHING, this.#stream);
  }
}
