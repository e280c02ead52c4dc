// The way of a response from its stream to the exchange. Its head waits for the end of the turn, so that a short body that
// comes with it leaves in the same write.

import type { Trailers } from '../../exchange/streams.ts';
import { Inflow, LARGE_BYTES } from '../http2/inflow.ts';
import type { TurnEnd } from '../turn-end.ts';

/** The stream as its download sees it. */
export interface DownloadingStream {
  /** The final head, and what of the body came with it; `isLast`: nothing follows. */
  onAnswer(text: string, part: Buffer | null, isLast: boolean): void;
  onPart(part: Buffer): void;
  onDownloaded(trailers: Trailers): void;
  /** The client has taken so many bytes. */
  taken(bytes: number): void;
}

export class Download extends Inflow {
  readonly #stream: DownloadingStream;
  /** Not handed on yet; '' : it has been, or has not come. */
  #headText = '';

  constructor(stream: DownloadingStream, turnEnd: TurnEnd) {
    super(turnEnd);
    this.#stream = stream;
  }

  head(text: string): void {
    this.#headText = text;
    this.putOff();
  }

  #takeHead(): string {
    const text = this.#headText;
    this.#headText = '';
    return text;
  }

  protected onPart(part: Buffer): void {
    const text = this.#takeHead();
    if (text === '') this.#stream.onPart(part);
    else if (part.length < LARGE_BYTES) this.#stream.onAnswer(text, part, this.takeEnd());
    else {
      this.#stream.onAnswer(text, null, false);
      this.#stream.onPart(part);
    }
  }

  protected onEnd(trailers: Trailers): void {
    const text = this.#takeHead();
    const isOne = text !== '' && trailers.length === 0;
    if (text !== '') this.#stream.onAnswer(text, null, isOne);
    if (!isOne) this.#stream.onDownloaded(trailers);
  }

  protected onTaken(bytes: number): void {
    this.#stream.taken(bytes);
  }

  override resume(): void {
    super.resume();
    if (this.#headText !== '') this.putOff();
  }

  override onTurnEnd(): void {
    super.onTurnEnd();
    if (this.isPaused || this.#headText === '') return;
    this.#stream.onAnswer(this.#takeHead(), null, false);
  }

  override clear(): void {
    super.clear();
    this.#headText = '';
  }
}
