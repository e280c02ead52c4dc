// Exchanges of one pool on one thread that wait for a server with a free connection: first in, first out.

import type { Exchange } from './exchange.ts';

export class WaitQueue {
  sizeMax: number;
  readonly #waiting: Exchange[] = [];
  #isServing = false;
  #isStillBusy = false;

  constructor(sizeMax: number) {
    this.sizeMax = sizeMax;
  }

  get length(): number {
    return this.#waiting.length;
  }

  /** False when the queue is full. One that was just tried and found all servers busy keeps its place. */
  add(exchange: Exchange): boolean {
    if (this.#isServing) {
      this.#isStillBusy = true;
      this.#waiting.unshift(exchange);
      return true;
    }
    if (this.#waiting.length >= this.sizeMax) return false;
    this.#waiting.push(exchange);
    return true;
  }

  remove(exchange: Exchange): void {
    const index = this.#waiting.indexOf(exchange);
    if (index >= 0) this.#waiting.splice(index, 1);
  }

  /** A connection may be free: the longest waiting go first, until one finds all servers busy again. */
  serve(nowMs: number): void {
    if (this.#isServing) return;
    this.#isServing = true;
    this.#isStillBusy = false;
    while (!this.#isStillBusy) {
      const exchange = this.#waiting.shift();
      if (exchange === undefined) break;
      exchange.retryFromQueue(nowMs);
    }
    this.#isServing = false;
  }
}
