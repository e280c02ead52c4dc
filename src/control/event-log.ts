// The last events, for who comes later: a page that has just been opened, `holdfast events`.

import type { ChangeEvent } from './results.ts';

export const EVENTS_KEPT = 500;

/** A change, when it was (ISO 8601), and its number since the start. */
export type KeptEvent = ChangeEvent & { readonly at: string; readonly number: number };

export class EventLog {
  readonly #kept: KeptEvent[] = [];
  #count = 0;

  /** Returns it with its time and number. */
  add(event: ChangeEvent, wallMs: number): KeptEvent {
    this.#count += 1;
    const kept = { at: new Date(wallMs).toISOString(), number: this.#count, ...event };
    this.#kept.push(kept);
    if (this.#kept.length > EVENTS_KEPT) this.#kept.shift();
    return kept;
  }

  /** Oldest first. */
  get recent(): readonly KeptEvent[] {
    return this.#kept;
  }
}
