// Stopping the work with authorities at any moment, for good or for a while: what is under way may come to its next step, which
// is stored, and nothing more is asked.

import type { Scheduler } from '../base/scheduler.ts';
import { AcmeProblem } from './problem.ts';

/** How long a request under way may take. */
const LAST_REQUEST_MS = 1000;

export class Halt {
  readonly #scheduler: Scheduler;
  #controller = new AbortController();
  #endWait: (() => void) | null = null;
  isHeld = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Ends requests that take too long to end by themselves. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Rejects with AcmeProblem when all is held. One wait at a time. */
  wait(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => reject(new AcmeProblem('stopped', 'this process stops'));
      if (this.isHeld) {
        stop();
        return;
      }
      const scheduled = this.#scheduler.after(ms, () => {
        this.#endWait = null;
        resolve();
      });
      this.#endWait = () => {
        scheduled.cancel();
        stop();
      };
    });
  }

  /** Resolves when `working` has. */
  async hold(working: Promise<void> | null): Promise<void> {
    this.isHeld = true;
    this.#endWait?.();
    this.#endWait = null;
    const last = this.#scheduler.after(LAST_REQUEST_MS, () => this.#controller.abort());
    await working;
    last.cancel();
  }

  proceed(): void {
    this.isHeld = false;
    this.#controller = new AbortController();
  }
}
