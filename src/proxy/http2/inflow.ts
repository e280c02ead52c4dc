// The way of a stream's DATA to whoever is behind it. What is not wanted yet is kept, no more than the stream's window; the
// window opens again for what was taken. Small frames are put together, so that a peer that sends a byte in each costs no
// write and no object for each.
//
//   DATA ──> passed on ── taken ──> the window opens
//     ├── small: kept ── at the end of the turn ──> passed on
//     └── paused: kept ── resumed, at the end of the turn ──> passed on

import type { Trailers } from '../../exchange/streams.ts';
import { KeptParts } from '../../http2/kept-parts.ts';
import type { TurnEnd, TurnEnding } from '../turn-end.ts';

/** From this size on a frame is worth a write of its own. */
export const LARGE_BYTES = 4096;

export abstract class Inflow implements TurnEnding {
  isPaused = false;
  readonly #kept = new KeptParts();
  /** The end has come as well, with these trailers. */
  #keptEnd: Trailers | null = null;
  readonly #turnEnd: TurnEnd;
  /** Passed on since the window was opened last. */
  #passedBytes = 0;
  #isPutOff = false;

  constructor(turnEnd: TurnEnd) {
    this.#turnEnd = turnEnd;
  }

  /** Nothing is passed on. */
  protected get isStopped(): boolean {
    return this.isPaused;
  }

  /** Hands a part on, which is valid until this returns. */
  protected abstract onPart(part: Buffer): void;
  /** All of it has been handed on. */
  protected abstract onEnd(trailers: Trailers): void;
  /** So many bytes were taken. */
  protected abstract onTaken(bytes: number): void;

  add(part: Buffer): void {
    if (!this.isStopped && this.#kept.isEmpty && part.length >= LARGE_BYTES) this.#pass(part);
    else {
      this.#kept.add(part);
      this.putOff();
    }
  }

  #pass(part: Buffer): void {
    this.#passedBytes += part.length;
    this.onPart(part);
    if (!this.isPaused) this.#giveBack();
  }

  #giveBack(): void {
    const bytes = this.#passedBytes;
    this.#passedBytes = 0;
    if (bytes > 0) this.onTaken(bytes);
  }

  end(trailers: Trailers): void {
    if (this.isStopped || !this.#kept.isEmpty) this.#keptEnd = trailers;
    else this.onEnd(trailers);
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.#giveBack();
    this.goOn();
  }

  /** What was kept follows at the end of the turn: the exchange is in the middle of something. */
  goOn(): void {
    if (!this.#kept.isEmpty || this.#keptEnd !== null) this.putOff();
  }

  protected putOff(): void {
    if (this.#isPutOff || this.isStopped) return;
    this.#isPutOff = true;
    this.#turnEnd.add(this);
  }

  /** Takes the end, when it is all that is left and there are no trailers. */
  protected takeEnd(): boolean {
    if (!this.#kept.isEmpty || this.#keptEnd?.length !== 0) return false;
    this.#keptEnd = null;
    return true;
  }

  onTurnEnd(): void {
    this.#isPutOff = false;
    while (!this.isStopped && !this.#kept.isEmpty) this.#pass(this.#kept.take());
    const trailers = this.#keptEnd;
    if (this.isStopped || trailers === null) return;
    this.#keptEnd = null;
    this.onEnd(trailers);
  }

  /** Nobody wants it any more. */
  clear(): void {
    this.#kept.clear();
    this.#keptEnd = null;
  }
}
