// Log-in throttling: failures per user and address within a window. Pure bookkeeping, no timers.

/** Most pairs remembered; beyond it the oldest window goes first. */
const PAIRS_MAX = 10_000;

interface Failures {
  count: number;
  readonly endsAtMs: number;
}

/** Counts failed log-ins. Per process: with n backends an attacker has n times the attempts. */
export class LoginThrottle {
  readonly #failuresMax: number;
  readonly #windowMs: number;
  readonly #pairs = new Map<string, Failures>();

  constructor(failuresMax: number, windowMs: number) {
    this.#failuresMax = failuresMax;
    this.#windowMs = windowMs;
  }

  /** Milliseconds until this pair may try again; 0 when it may now. */
  waitMs(user: string, address: string, nowMs: number): number {
    const found = this.#find(user, address, nowMs);
    return found !== null && found.count >= this.#failuresMax ? found.endsAtMs - nowMs : 0;
  }

  /** Counts an attempt before its outcome is known, so that parallel guesses cannot slip through together. */
  begin(user: string, address: string, nowMs: number): void {
    const found = this.#find(user, address, nowMs);
    if (found !== null) {
      found.count += 1;
      return;
    }
    if (this.#pairs.size >= PAIRS_MAX) {
      for (const oldest of this.#pairs.keys()) {
        this.#pairs.delete(oldest);
        break;
      }
    }
    this.#pairs.set(pair(user, address), { count: 1, endsAtMs: nowMs + this.#windowMs });
  }

  /** The attempt succeeded: it was no failure. Earlier failures of the pair still count. */
  succeed(user: string, address: string, nowMs: number): void {
    const found = this.#find(user, address, nowMs);
    if (found !== null) found.count -= 1;
  }

  #find(user: string, address: string, nowMs: number): Failures | null {
    const key = pair(user, address);
    const found = this.#pairs.get(key);
    if (found === undefined) return null;
    if (found.endsAtMs > nowMs) return found;
    this.#pairs.delete(key);
    return null;
  }
}

function pair(user: string, address: string): string {
  return `${user}\n${address}`;
}
