// Exchanges of one pool that wait for a server with a free connection: first in, first out.

import { type Scheduled, systemScheduler } from '../base/scheduler.ts';

/** A server may also become free by other means than an exchange that ends: it came back, or was allowed more. */
const POLL_MS = 100;

interface Waiting {
  /** A server may be free. False: still none. */
  readonly retry: () => boolean;
  readonly timer: Scheduled;
}

export class WaitList {
  sizeMax: number;
  #waiting: Waiting[] = [];
  #poll: Scheduled | null = null;
  #isServing = false;

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax;
  }

  /** False when the list is full. The returned function takes the exchange out again. */
  add(timeoutMs: number, retry: () => boolean, expire: () => void): (() => void) | false {
    if (this.#waiting.length >= this.sizeMax) return false;
    const waiting: Waiting = {
      retry,
      timer: systemScheduler.after(timeoutMs, () => {
        this.#remove(waiting);
        expire();
      }),
    };
    this.#waiting.push(waiting);
    this.#schedule();
    return () => this.#remove(waiting);
  }

  /** The longest waiting go first, until one finds all servers busy again. */
  serve(): void {
    // one that fails at once frees the next: this loop goes on with it, not a deeper one
    if (this.#isServing) return;
    this.#isServing = true;
    for (let first = this.#waiting[0]; first?.retry() === true; first = this.#waiting[0]) {
      this.#remove(first);
    }
    this.#isServing = false;
  }

  #remove(waiting: Waiting): void {
    waiting.timer.cancel();
    this.#waiting = this.#waiting.filter((other) => other !== waiting);
    if (this.#waiting.length > 0) return;
    this.#poll?.cancel();
    this.#poll = null;
  }

  #schedule(): void {
    this.#poll ??= systemScheduler.after(POLL_MS, () => {
      this.#poll = null;
      this.serve();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }
}
