// The link to the store with a memory: how long it has been silent, and how long it has been away in all.
import type { Clock } from '../base/clock.ts';
import type { Operation, Outcome, StoreLink } from './operations.ts';

/** Operations under way, and what their age says of the store. Replies come in the order of the operations. */
export class StoreLine {
  readonly #link: StoreLink;
  readonly #clock: Clock;
  /** Times when the operations under way were sent, oldest first. */
  readonly #sent = new Map<number, number>();
  #operations = 0;
  #awaySinceMs: number | null = null;
  #awayMs = 0;

  constructor(link: StoreLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  get isUp(): boolean {
    return this.#link.isUp;
  }

  get underWay(): number {
    return this.#sent.size;
  }

  /** Operations sent since the start. */
  get operations(): number {
    return this.#operations;
  }

  get awaySeconds(): number {
    const now = this.#awaySinceMs === null ? 0 : this.#clock.nowMs() - this.#awaySinceMs;
    return (this.#awayMs + now) / 1000;
  }

  /** True while the store is connected and nothing has waited for it longer than this. */
  answersWithin(limitMs: number): boolean {
    if (!this.#link.isUp) return false;
    const oldestMs = this.#sent.values().next().value;
    return oldestMs === undefined || this.#clock.nowMs() - oldestMs < limitMs;
  }

  /** From now on, until a reply comes, the store counts as away. */
  noteAway(): void {
    this.#awaySinceMs ??= this.#clock.nowMs();
  }

  noteBack(): void {
    if (this.#awaySinceMs !== null) this.#awayMs += this.#clock.nowMs() - this.#awaySinceMs;
    this.#awaySinceMs = null;
  }

  send(operation: Operation, reply: (outcome: Outcome) => void): void {
    this.#operations += 1;
    const number = this.#operations;
    this.#sent.set(number, this.#clock.nowMs());
    this.#link.send(operation, (outcome) => {
      this.#sent.delete(number);
      if (outcome.kind === 'failed') this.noteAway();
      else this.noteBack();
      reply(outcome);
    });
  }
}
