// What the process before this one has in use is in use here, for as long as that process lives and says so.

import type { Clock } from '../../base/clock.ts';
import type { SessionTable } from '../../shared/session-table.ts';

/** How often a process that is finishing says what it still has in use. */
export const SEND_AGAIN_MS = 5_000;
/** One that has not said anything for so long hangs, or is of a version that does not say it again. */
const SILENCE_MS = 6 * SEND_AGAIN_MS;

export class Inherited {
  readonly #table: SessionTable;
  readonly #clock: Clock;
  #timer: NodeJS.Timeout | null = null;
  #onOver: () => void = () => undefined;
  /** Resolves when it has said nothing for so long, or `end` was called. Once only, it may come back. */
  readonly over: Promise<void> = new Promise((resolve) => {
    this.#onOver = resolve;
  });

  constructor(table: SessionTable, clock: Clock) {
    this.#table = table;
    this.#clock = clock;
  }

  /** The other process has told what it has in use. */
  renew(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.end(), SILENCE_MS);
    this.#timer.unref();
  }

  /** The other process is no more, or hangs: nothing is in use there. */
  end(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#onOver();
    // what was in use was so until now
    const nowMs = this.#clock.nowMs();
    this.#table.holds.clearOwn((entry) => this.#table.see(entry, nowMs));
  }
}
