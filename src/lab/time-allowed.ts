// How long a run may take: what is planned, and some time to wait for a busy machine and to measure again. Pure.

const MINUTE_MS = 60_000;
/** A whole run, and a quick one, as long as the plan leaves room. */
const ALLOWED_MS = 15 * MINUTE_MS;
const ALLOWED_QUICK_MS = 2 * MINUTE_MS;
/** A plan that is itself longer may take so much more. */
const SLACK = 1.2;

/** The time of one run. */
export class TimeAllowed {
  /** After so long no further cell begins. */
  readonly allowedMs: number;
  readonly #beganMs: number;
  #leftMs: number;

  constructor(expectedMs: number, isQuick: boolean, beganMs: number) {
    this.allowedMs = Math.max(isQuick ? ALLOWED_QUICK_MS : ALLOWED_MS, expectedMs * SLACK);
    this.#beganMs = beganMs;
    this.#leftMs = expectedMs;
  }

  /** A cell that was planned to take so long is over. */
  done(cellMs: number): void {
    this.#leftMs = Math.max(0, this.#leftMs - cellMs);
  }

  /** Time that nothing planned needs. */
  spareMs(nowMs: number): number {
    return this.#beganMs + this.allowedMs - nowMs - this.#leftMs;
  }

  isOver(nowMs: number): boolean {
    return nowMs - this.#beganMs >= this.allowedMs;
  }
}
