// All timeouts of one thread: a list walked every tick. Setting a deadline is one field write, which is what the
// hot path does several times per exchange; the walk costs about 2 ns per connection and tick, less than any
// wheel that has to move entries (measured with 10 000 connections: 0.02 % of one core).

import type { TurnClock } from '../base/clock.ts';

/** How late a deadline may fire, ms. */
export const TICK_MS = 100;

/** A timer as late as this waits for events that come without a pause: one of them brings the tick. */
const OVERDUE_MS = TICK_MS + 20;

/** What must not wait for the next tick is done after this. */
const SOON_MS = 1;

/** No deadline. */
export const NEVER = Number.POSITIVE_INFINITY;

export interface DeadlineOwner {
  /** On the thread's clock; NEVER = none. Written by the owner at any time. */
  deadlineMs: number;
  /** Position in the list; written by Deadlines only. */
  deadlineIndex: number;
  /** The deadline has passed. The owner sets a new one or NEVER before this returns. */
  onDeadline(nowMs: number): void;
}

export class Deadlines {
  readonly #clock: TurnClock;
  readonly #owners: DeadlineOwner[] = [];
  #timer: NodeJS.Timeout | null = null;
  #tickedMs = 0;
  #stoodStillMs = 0;
  readonly #onTick: (nowMs: number) => void;
  readonly #beat: () => void;

  /** `onTick` runs after each walk, for other work of the same coarseness; `beat` after each deadline that has fired. */
  constructor(clock: TurnClock, onTick: (nowMs: number) => void, beat: () => void = () => undefined) {
    this.#clock = clock;
    this.#onTick = onTick;
    this.#beat = beat;
  }

  start(): void {
    this.#tickedMs = this.#clock.turn();
    this.#stoodStillMs = this.#clock.stoodStillMs;
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /**
   * A late tick means that this thread did not run (stopped, starved, collecting garbage), and what was waited for may lie
   * there unread: every deadline waits for so much longer. Where the clock stood still as well, one tick is enough to read it.
   */
  #tick(): void {
    const nowMs = this.#clock.turn();
    const { stoodStillMs } = this.#clock;
    const isAfterStill = stoodStillMs !== this.#stoodStillMs;
    this.#stoodStillMs = stoodStillMs;
    const lateMs = Math.max(nowMs - this.#tickedMs - TICK_MS, isAfterStill ? 2 * TICK_MS : 0);
    if (lateMs > TICK_MS) for (const owner of this.#owners) owner.deadlineMs += lateMs;
    this.walk();
  }

  /** Between events. */
  step(nowMs: number): void {
    if (this.#timer !== null && nowMs - this.#tickedMs >= OVERDUE_MS) this.#tick();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Runs `task` in about a millisecond. */
  soon(task: () => void): void {
    setTimeout(task, SOON_MS);
  }

  /** Owners in the list. */
  get count(): number {
    return this.#owners.length;
  }

  /** The thread's clock. */
  get clock(): TurnClock {
    return this.#clock;
  }

  add(owner: DeadlineOwner): void {
    owner.deadlineIndex = this.#owners.length;
    this.#owners.push(owner);
  }

  /** Ignores an owner that is not (or no longer) in the list. */
  remove(owner: DeadlineOwner): void {
    const index = owner.deadlineIndex;
    if (index < 0) return;
    owner.deadlineIndex = -1;
    const last = this.#owners.pop();
    if (last === undefined || last === owner) return;
    this.#owners[index] = last;
    last.deadlineIndex = index;
  }

  /** Fires what is due. An owner removed by another's callback is skipped; one moved forward fires next tick. */
  walk(): void {
    const nowMs = this.#clock.tick();
    this.#tickedMs = nowMs;
    for (let index = this.#owners.length - 1; index >= 0; index -= 1) {
      const owner = this.#owners[index];
      if (owner === undefined || owner.deadlineMs > nowMs) continue;
      owner.onDeadline(nowMs);
      this.#beat();
    }
    this.#onTick(nowMs);
  }
}
