// How long a server may let us wait for its response head, however busily it sends everything else: the time runs from
// the end of the request, and interim responses (1xx, which are not passed on) have a limit.

import type { Scheduled } from '../base/scheduler.ts';
import type { Guard } from './guard.ts';

export class AnswerWatch {
  readonly #guard: Guard;
  #timer: Scheduled | null = null;
  #interimLeft: number;

  /** `interimResponses`: of all attempts together. */
  constructor(guard: Guard, interimResponses: number) {
    this.#guard = guard;
    this.#interimLeft = interimResponses;
  }

  /** The whole request has gone out: `onLate` runs unless the watch is stopped before. */
  begin(responseMs: number, onLate: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#guard.after(responseMs, onLate);
  }

  /** False: there were as many already as may be. */
  mayInterim(): boolean {
    this.#interimLeft -= 1;
    return this.#interimLeft >= 0;
  }

  /** The head is there, or nobody waits for it any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
