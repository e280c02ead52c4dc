// What the peer may send (RFC 9113 section 5.2). A window opens again when its bytes were taken, and grows while they are
// taken quickly: a stream whose server takes nothing costs little memory, an upload that runs well is not held up.
//
//   granted = left (may still come) + here (came, not taken)

import { WINDOW_FIRST } from './codes.ts';

/** Of one stream. */
export class StreamReceiveWindow {
  /** Came and not taken. */
  here = 0;
  #left: number;
  #size: number;
  readonly #sizeMax: number;
  #taken = 0;

  /** `sizeFirst`: what SETTINGS has announced. `isHeard`: the peer knows; until then it sends what HTTP/2 allows without (section 6.9.3). */
  constructor(sizeFirst: number, sizeMax: number, isHeard = true) {
    this.#left = isHeard ? sizeFirst : WINDOW_FIRST;
    this.#size = sizeFirst;
    this.#sizeMax = sizeMax;
  }

  /** False: more has come than was granted. */
  receive(bytes: number): boolean {
    this.#left -= bytes;
    this.here += bytes;
    return this.#left >= 0;
  }

  /** What it has been granted: it may have so much here. */
  get size(): number {
    return this.#size;
  }

  /** Returns by how much the window is to open now; 0: not yet. `growthMax`: it may grow by so much. */
  take(bytes: number, growthMax: number): number {
    this.here -= bytes;
    this.#taken += bytes;
    if (this.#taken < this.#size >> 1) return 0;
    const grown = Math.min(this.#sizeMax, 2 * this.#size, this.#size + Math.max(0, growthMax));
    const increment = this.#taken + grown - this.#size;
    this.#size = grown;
    this.#taken = 0;
    this.#left += increment;
    return increment;
  }
}

/** Of the connection: it opens when bytes come, so that a stream that takes none holds up no other, up to a limit. */
export class ConnectionReceiveWindow {
  readonly #sizeMax: number;
  #size: number;
  #left = WINDOW_FIRST;
  #here = 0;
  #sinceGrown = 0;

  /** `sizeMax`: the most bytes that may be here or on their way. */
  constructor(sizeFirst: number, sizeMax: number) {
    this.#sizeMax = sizeMax;
    this.#size = Math.min(sizeFirst, sizeMax);
  }

  /** False: more has come than was granted. */
  receive(bytes: number): boolean {
    this.#left -= bytes;
    this.#here += bytes;
    this.#sinceGrown += bytes;
    if (this.#sinceGrown >= this.#size) {
      this.#size = Math.min(this.#sizeMax, 2 * this.#size);
      this.#sinceGrown = 0;
    }
    return this.#left >= 0;
  }

  take(bytes: number): void {
    this.#here -= bytes;
  }

  /** Half of what may be here waits to be taken. */
  get isHalfFull(): boolean {
    return this.#here > this.#sizeMax >> 1;
  }

  /** By how much the window is to open now; 0: it need not, or may not. */
  open(): number {
    if (this.#left > this.#size >> 1) return 0;
    const increment = Math.min(this.#size - this.#left, this.#sizeMax - this.#here - this.#left);
    // a little at a time only where there is nothing else
    if (increment <= 0 || (increment < this.#size >> 2 && this.#left > 0)) return 0;
    this.#left += increment;
    return increment;
  }
}
