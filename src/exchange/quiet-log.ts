// What clients do wrong is told once in a while: who does it once does it in numbers, and whoever can connect could fill the log.

import type { LogLevel } from '../base/log.ts';

const QUIET_MS = 10_000;

export class QuietLog {
  readonly #log: (level: LogLevel, message: string) => void;
  readonly #who: string;
  #toldMs = Number.NEGATIVE_INFINITY;

  /** `who` stands before each message. */
  constructor(log: (level: LogLevel, message: string) => void, who: string) {
    this.#log = log;
    this.#who = who;
  }

  warn(message: string, nowMs: number): void {
    if (nowMs - this.#toldMs < QUIET_MS) return;
    this.#toldMs = nowMs;
    this.#log('warn', `${this.#who}: ${message}`);
  }
}
