// Responses of a process that is being replaced: each waits until the next process knows how it stands with the session
// that the response may have begun, moved or ended. Who has the response may come back at once, and to that process.

import type { Affinity } from '../choose/affinity.ts';

/** A client's connection: nothing is sent on it from the one call to the other. */
export interface Withholdable {
  withhold(): void;
  release(): void;
}

export class TakeoverBarrier {
  readonly #tell: (keys: readonly number[]) => void;
  /** Not told yet, low and high words. */
  #keys: number[] = [];
  /** Wait for the answer to the last `tell`. */
  #asked: Withholdable[] = [];
  /** Wait for the next. */
  #waiting: Withholdable[] = [];

  /** `tell` is called again only after `successorKnows`. */
  constructor(tell: (keys: readonly number[]) => void) {
    this.#tell = tell;
  }

  /** The response head is about to be read: it may end the session, or give it another key. */
  note(affinity: Affinity): void {
    if (affinity.hasKey) this.#keys.push(affinity.keyLow, affinity.keyHigh);
  }

  /** The head has been read. Without a session there is nothing to wait for. */
  hold(client: Withholdable, affinity: Affinity): void {
    if (!affinity.hasKey) return;
    this.note(affinity);
    for (let at = 0; at < 2 * affinity.saidCount; at += 1) this.#keys.push(affinity.said[at] as number);
    client.withhold();
    this.#waiting.push(client);
    if (this.#asked.length === 0) this.#ask();
  }

  #ask(): void {
    const keys = this.#keys;
    this.#keys = [];
    this.#asked = this.#waiting;
    this.#waiting = [];
    this.#tell(keys);
  }

  successorKnows(): void {
    const known = this.#asked;
    this.#asked = [];
    for (const client of known) client.release();
    if (this.#waiting.length > 0) this.#ask();
  }

  /** Nobody takes over after all. */
  lift(): void {
    const withheld = [...this.#asked, ...this.#waiting];
    this.#asked = [];
    this.#waiting = [];
    this.#keys = [];
    for (const client of withheld) client.release();
  }
}
