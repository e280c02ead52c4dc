// Faults of ours where nobody has given a log: a process warning, once in a while, since what one request meets others
// will meet as well.

const QUIET_MS = 10_000;

export class FaultWarnings {
  readonly #warn: (text: string) => void;
  #saidMs = Number.NEGATIVE_INFINITY;
  #unsaid = 0;

  constructor(warn: (text: string) => void) {
    this.#warn = warn;
  }

  note(text: string, nowMs: number): void {
    if (nowMs - this.#saidMs < QUIET_MS) {
      this.#unsaid += 1;
      return;
    }
    this.#warn(this.#unsaid === 0 ? text : `${text} (and ${this.#unsaid} more since the last warning)`);
    this.#saidMs = nowMs;
    this.#unsaid = 0;
  }
}
