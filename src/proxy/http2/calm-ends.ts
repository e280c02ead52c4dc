// When the connections end that clients have lost who overdid it: one after the other. Who opens the next one as soon as it has
// ended would otherwise do so with all of them at once, and all that they send first would be one long turn.
//
//   lost at 0 ms:   a  b  c  d      end at:   1000  1100  1200  1300

/** How long such a client holds the connection at least, before it opens another. */
export const CALM_MS = 1000;
/** Between the ends of two. */
export const APART_MS = 100;
/** Nobody's waits for longer: it takes room. */
export const CALM_MS_MAX = 5000;

/** Those of one thread. */
export class CalmEnds {
  #lastMs = 0;

  /** The end of one that is lost now, in monotonic milliseconds. */
  next(nowMs: number): number {
    const inTurnMs = Math.min(this.#lastMs + APART_MS, nowMs + CALM_MS_MAX);
    this.#lastMs = Math.max(nowMs + CALM_MS, inTurnMs);
    return this.#lastMs;
  }
}
