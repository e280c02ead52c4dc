// How long a run may take: what is planned, and some time to wait for a busy machine and to measure again. Pure.

const MINUTE_MS = 60_000;
/** A whole run, and a quick one, as long as the plan leaves room. */
const ALLOWED_MS = 15 * MINUTE_MS;
const ALLOWED_QUICK_MS = 2 * MINUTE_MS;
/** What is planned for idle cores takes longer on busy or slower ones; in so much more time all of it is still done. */
const SLACK = 1.5;

/** Part of the plan's time that may be waited in all for other programs to leave, and how long at a time. */
const WAITING_SHARE = 0.1;
const WAITING_MS_MAX = 8000;

/** The time of one run. */
export class TimeAllowed {
  /** After so long no further cell begins. */
  readonly allowedMs: number;
  readonly #beganMs: number;
  #leftMs: number;
  #waitingMs: number;

  constructor(expectedMs: number, isQuick: boolean, beganMs: number) {
    this.allowedMs = Math.max(isQuick ? ALLOWED_QUICK_MS : ALLOWED_MS, expectedMs * SLACK);
    this.#beganMs = beganMs;
    this.#leftMs = expectedMs;
    this.#waitingMs = expectedMs * WAITING_SHARE;
  }

  /** A cell that was planned to take so long is over. */
  done(cellMs: number): void {
    this.#leftMs = Math.max(0, this.#leftMs - cellMs);
  }

  /** Time that nothing planned needs. */
  spareMs(nowMs: number): number {
    return this.#beganMs + this.allowedMs - nowMs - this.#leftMs;
  }

  /** How long may be waited now for a quieter machine. */
  waitableMs(nowMs: number): number {
    return Math.max(0, Math.min(WAITING_MS_MAX, this.#waitingMs, this.spareMs(nowMs)));
  }

  /** So long was waited. */
  waited(ms: number): void {
    this.#waitingMs -= ms;
  }

  isOver(nowMs: number): boolean {
    return nowMs - this.#beganMs >= this.allowedMs;
  }
}
