// Once in a while: is the store the one it was, does it still have what it had, and what of the copies is over?
import type { Clock } from '../base/clock.ts';
import type { Scheduled, Scheduler } from '../base/scheduler.ts';
import type { Backing } from './backing.ts';
import type { Copies } from './copies.ts';
import type { Copy } from './copy.ts';
import type { Outcome } from './operations.ts';
import type { StoreLine } from './store-line.ts';

/** What Upkeep works with. */
export interface UpkeepParts {
  readonly copies: Copies;
  readonly line: StoreLine;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly backing: Backing;
  /** Ends copies whose time is over; true when this one was. */
  readonly expire: (copy: Copy) => boolean;
}

const TICK_MS = 1000;
/** An answer is never under way for so long: a clock that is behind by more has been set back. */
const SET_BACK_MS = 60_000;
/** A process that stood still so long may have lost sessions to others without hearing of it. */
export const STALL_MS = 2500;
/** Copies looked at in one tick, unless there are more tombstones than that to drop. */
const LOOKS = 2000;
/** Copies compared with the store in one tick. */
const SAMPLES = 3;
/** Tombstones kept here at most; beyond that those the store has go first. */
const ENDED_MAX = 20_000;

export class Upkeep {
  readonly #parts: UpkeepParts;
  #dataSet: string | null = null;
  #run: string | null = null;
  /** The store's clock less ours, at most: its answer took a while. */
  #aheadMs: number | null = null;
  #isRefilling = false;
  #isAsking = false;
  #mustCompare = false;
  #aliveAtMs: number;
  #round: Iterator<Copy>;
  #tick: Scheduled;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
    this.#aliveAtMs = parts.clock.nowMs();
    this.#round = parts.copies.values();
    this.#tick = parts.scheduler.after(TICK_MS, () => this.#ticked());
  }

  /** A connection to the store is there. */
  connected(mayHaveMissed: boolean): void {
    this.noteTime();
    this.#mustCompare = true;
    this.#parts.backing.connected(mayHaveMissed);
    this.#isAsking = false;
    this.#ask();
  }

  /** Notices that the process stood still: it ticks every second otherwise. Cheap; called with each read. */
  noteTime(): void {
    const nowMs = this.#parts.clock.nowMs();
    const isStalled = nowMs - this.#aliveAtMs > STALL_MS;
    if (!isStalled) return;
    this.#aliveAtMs = nowMs;
    this.#parts.backing.stalled();
  }

  /** The set of data that the store had when it was asked last; null before. */
  get dataSet(): string | null {
    return this.#dataSet;
  }

  /** The store has said that it has another set of data. */
  askNow(): void {
    this.#ask();
  }

  /** What the store's clock will say `afterMs` from now, or a little less; 0 until it has been heard. */
  storeMs(afterMs: number): number {
    return this.#aheadMs === null ? 0 : Math.floor(this.#parts.clock.nowMs() + this.#aheadMs + afterMs);
  }

  end(): void {
    this.#tick.cancel();
  }

  #ticked(): void {
    this.noteTime();
    this.#aliveAtMs = this.#parts.clock.nowMs();
    this.#tick = this.#parts.scheduler.after(TICK_MS, () => this.#ticked());
    this.#look();
    this.#ask();
    this.#parts.backing.pump();
  }

  #ask(): void {
    const { backing, line } = this.#parts;
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#isRefilling &&= backing.isBusy;
    line.send({ kind: 'hello', isRefilling: this.#isRefilling }, (outcome) => {
      this.#isAsking = false;
      if (outcome.kind === 'hello') this.#heard(outcome);
    });
  }

  #heard({ dataSet, run, storeMs }: Outcome & { readonly kind: 'hello' }): void {
    this.noteTime();
    const { backing } = this.#parts;
    const isEmptied = this.#dataSet !== null && dataSet !== this.#dataSet;
    const isOther = this.#run !== null && run !== this.#run;
    this.#dataSet = dataSet;
    const aheadMs = storeMs - this.#parts.clock.nowMs();
    const isSetBack = this.#aheadMs !== null && this.#aheadMs - aheadMs > SET_BACK_MS;
    this.#aheadMs = isOther || isSetBack ? aheadMs : Math.max(aheadMs, this.#aheadMs ?? aheadMs);
    this.#run = run;
    if (isEmptied) {
      this.#isRefilling = true;
      backing.allIsLost();
    } else if (isOther || this.#mustCompare) {
      // where it does not say which process it is, it may be another at each connection
      if (isOther || run === null) backing.endAgain();
      backing.compare();
    }
    this.#mustCompare = false;
  }

  /** Expires copies, drops tombstones and compares a few with the store. */
  #look(): void {
    const { copies, backing, line } = this.#parts;
    let samples = line.answersWithin(TICK_MS) ? SAMPLES : 0;
    const tooMany = copies.size - copies.owned - ENDED_MAX;
    for (let looks = Math.min(Math.max(LOOKS, tooMany), copies.size); looks > 0; looks -= 1) {
      const next = this.#round.next();
      if (next.done === true) {
        this.#round = copies.values();
        continue;
      }
      const copy = next.value;
      if (this.#parts.expire(copy)) continue;
      if (copy.state === 'ended' && copy.isBacked && copies.size - copies.owned > ENDED_MAX)
        copies.remove(copy);
      if (samples === 0 || copy.state !== 'owned' || !copy.isBacked) continue;
      samples -= 1;
      backing.check(copy);
    }
  }
}
