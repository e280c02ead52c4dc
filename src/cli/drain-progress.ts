// How a drain gets on: what is left, how fast it falls, when it may be over. Pure.

/** The rate is that of about the last minute. */
const WINDOW_MS = 60_000;
/** Counts come from a sweep every second or two: an empty server must have been empty for longer than that. */
const EMPTY_MS = 2_500;

export interface DrainReport {
  readonly sessions: number;
  readonly inFlight: number;
  /** How many fewer in a minute; null while nothing is known. */
  readonly sessionsPerMinute: number | null;
  /** At that rate; null when it does not fall. */
  readonly secondsLeft: number | null;
  /** Nothing left, and not only for a moment. */
  readonly isEmpty: boolean;
}

interface Sample {
  readonly sessions: number;
  readonly atMs: number;
}

export class DrainProgress {
  readonly #samples: Sample[] = [];
  #emptySinceMs: number | null = null;

  observe(sessions: number, inFlight: number, nowMs: number): DrainReport {
    this.#samples.push({ sessions, atMs: nowMs });
    while (this.#samples.length > 2 && nowMs - (this.#samples[0]?.atMs ?? nowMs) > WINDOW_MS)
      this.#samples.shift();
    if (sessions > 0 || inFlight > 0) this.#emptySinceMs = null;
    else this.#emptySinceMs ??= nowMs;
    const perMinute = this.#perMinute(sessions, nowMs);
    return {
      sessions,
      inFlight,
      sessionsPerMinute: perMinute,
      secondsLeft: perMinute !== null && perMinute > 0 ? Math.round((sessions / perMinute) * 600) / 10 : null,
      isEmpty: this.#emptySinceMs !== null && nowMs - this.#emptySinceMs >= EMPTY_MS,
    };
  }

  #perMinute(sessions: number, nowMs: number): number | null {
    const first = this.#samples[0];
    if (first === undefined || nowMs === first.atMs) return null;
    return Math.round(((first.sessions - sessions) / (nowMs - first.atMs)) * 600_000) / 10;
  }
}
