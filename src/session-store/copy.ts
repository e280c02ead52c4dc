// One session at one server.
//
//   (absent) --get--> loading --claimed--> owned, backed <--accepted-- owned, unbacked
//      ^                 |                   |   |  \__ no answer in time, or the store lost it __^
//      |<---- unknown ---'                   |   '--destroy--> ended (a tombstone of its own)
//      '<-- lost: told of, or refused by, a higher tenure; expired; dropped to save memory (backed only)
import type { Scheduled } from '../base/scheduler.ts';

/** Answer to whoever reads. `away`: the store must be asked and does not answer. */
export type Found =
  | { readonly kind: 'found'; readonly data: string }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'away' };

/**
 * What became of a change. backed: the store has it. unbacked: only this server has it until the store answers.
 * conflict: another server has the session. ended: it was destroyed. away: refused, as configured.
 */
export type Changed = 'backed' | 'unbacked' | 'conflict' | 'ended' | 'away';

/** Somebody who waits for a session to be read. */
export interface Reader {
  readonly done: (found: Found) => void;
  timer: Scheduled;
}

/** Somebody who waits until the store has a version. */
export interface Waiter {
  readonly version: number;
  readonly done: (changed: Changed) => void;
  readonly timer: Scheduled;
}

/** A session as this server knows it. Written by Home alone. */
export class Copy {
  readonly key: string;
  state: 'loading' | 'owned' | 'ended';
  /** 0: made here, the store has not said yet which tenure that is. */
  tenure = 0;
  version = 0;
  /** The version that the store has. */
  backed = 0;
  data = '';
  /** Monotonic time; the session is over from then on. */
  expiresAtMs = 0;
  ttlMs = 0;
  /** Until when the store keeps it, as far as it was told. */
  keptUntilMs = 0;
  /** Highest tenure that others were told to have. */
  noticed = 0;
  /** In which connection the store last confirmed that this server has the session. */
  checkedIn = 0;
  /** The same, but for what it confirmed for want of anything else. Made here: when it was made. */
  sureIn = 0;
  /** The balancer said that the session has just moved here: claimed again before it is read. */
  isDoubted = false;
  /** One operation is under way. */
  isSending = false;
  /** That operation counts against the window of the backlog. */
  isInBacklog = false;
  /** Somebody was told that the change is made although the store has not confirmed it. */
  isUnbacked = false;
  /** To be dropped once the store says that it has it. */
  isLeaving = false;
  /** Bytes it was last counted for (Copies). */
  counted = 0;
  readers: Reader[] = [];
  waiters: Waiter[] = [];

  constructor(key: string, state: Copy['state']) {
    this.key = key;
    this.state = state;
  }

  /** The store has the latest of it. */
  get isBacked(): boolean {
    return this.backed === this.version;
  }

  /** Bytes it counts for against the limits, keys and objects roughly included. */
  get bytes(): number {
    return this.state === 'owned' ? this.data.length + COPY_BYTES : 0;
  }

  /** The store would let go of it too early, or much too late, if it were not told. */
  get mustTell(): boolean {
    const spareMs = this.keptUntilMs - this.expiresAtMs;
    return spareMs < 0 || spareMs > 2 * TOUCH_PART * this.ttlMs;
  }

  /** How long the store shall keep it. A little more than the rest, since it hears only of every tenth touch. */
  lifeMs(nowMs: number, isExact: boolean): number {
    return Math.max(0, Math.ceil(this.expiresAtMs - nowMs + (isExact ? 0 : this.ttlMs * TOUCH_PART)));
  }
}

/** Part of the time to live that may pass until the store hears of a touch. */
export const TOUCH_PART = 0.1;
/** What a copy takes beside its data, about. */
export const COPY_BYTES = 400;

/** Which copies may be dropped to save memory, and whether the store is asked first if it has them. */
export interface DropRules {
  readonly mayDrop: (copy: Copy) => boolean;
  readonly mustAsk: boolean;
}

export const DROP_RULES: DropRules = {
  mayDrop: (copy) => copy.state === 'owned' && copy.isBacked && !copy.isUnbacked,
  mustAsk: true,
};
