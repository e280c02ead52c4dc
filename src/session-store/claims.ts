// Claims sessions of the store for this server, and answers those who wait to read a session.
import type { Clock } from '../base/clock.ts';
import type { Scheduler } from '../base/scheduler.ts';
import type { Backing } from './backing.ts';
import type { Copies } from './copies.ts';
import { Copy, type Found, type Reader } from './copy.ts';
import type { Outcome } from './operations.ts';
import { setNewest } from './set-newest.ts';
import type { StoreLine } from './store-line.ts';

/** What Claims works with. */
export interface ClaimsParts {
  readonly copies: Copies;
  readonly line: StoreLine;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly backing: Backing;
  /** How long a session that is not here is waited for. */
  readonly loadTimeoutMs: number;
  /** When a claim that is sent now is to come at the latest, by the store's clock; 0: not known. */
  readonly claimUntilMs: () => number;
  /** A version that another server made. */
  readonly onVersion: (version: number) => void;
  /** There is one copy more. */
  readonly onClaimed: () => void;
  /** The copy that was waited for is gone: from the beginning. */
  readonly readAgain: (key: string, done: (found: Found) => void) => void;
}

/**
 * So long what has come is read before the store is said not to answer: when this process stood still, timers come first and
 * answers after them.
 */
const LOOK_MS = 20;
/** How often a store that is being refilled is asked again for a session. */
const AGAIN_MS = 50;
/** An id that the store does not know is not asked for again so long. */
const UNKNOWN_MS = 500;
const UNKNOWN_MAX = 10_000;

type Claimed = Outcome & { readonly kind: 'claimed' };

export class Claims {
  loads = 0;
  takeovers = 0;
  /** Ids the store did not know, and until when that is believed. */
  readonly #unknown = new Map<string, number>();
  readonly #parts: ClaimsParts;

  constructor(parts: ClaimsParts) {
    this.#parts = parts;
  }

  /** Somebody makes a session of this id. */
  noteKnown(key: string): void {
    this.#unknown.delete(key);
  }

  /** Asks the store for a session that is not here. */
  load(key: string, done: (found: Found) => void): void {
    const until = this.#unknown.get(key);
    if (until !== undefined) {
      if (until > this.#parts.clock.nowMs()) {
        done({ kind: 'unknown' });
        return;
      }
      this.#unknown.delete(key);
    }
    const { loadTimeoutMs } = this.#parts;
    if (!this.#parts.line.answersWithin(loadTimeoutMs)) {
      this.#lookAgain(key, done);
      return;
    }
    const copy = new Copy(key, 'loading');
    this.#parts.copies.add(copy);
    this.wait(copy, done, loadTimeoutMs);
    this.loads += 1;
    this.claim(copy);
  }

  /** Tells `done` when the copy can be read, after `limitMs` at the latest. */
  wait(copy: Copy, done: (found: Found) => void, limitMs: number): void {
    const { scheduler, clock } = this.#parts;
    const askedMs = clock.nowMs();
    const look = (): void => {
      const leftMs = limitMs - (clock.nowMs() - askedMs);
      // Late, we stood still, and the store gets as much longer. Early, the timer counts from before we stood still.
      reader.timer = scheduler.after(LOOK_MS + Math.min(limitMs, Math.abs(leftMs)), () =>
        this.#giveUp(copy, reader),
      );
    };
    const reader: Reader = { done, timer: scheduler.after(limitMs, look) };
    copy.readers.push(reader);
  }

  #giveUp(copy: Copy, reader: Reader): void {
    copy.readers.splice(copy.readers.indexOf(reader), 1);
    this.#parts.line.noteAway();
    // What is here is better than nothing while the store does not answer.
    if (copy.state === 'owned' && !copy.isDoubted) reader.done({ kind: 'found', data: copy.data });
    else reader.done({ kind: copy.state === 'ended' ? 'unknown' : 'away' });
  }

  /** The store has been silent for too long, or its answer has not been read yet. */
  #lookAgain(key: string, done: (found: Found) => void): void {
    const { line, scheduler, clock, loadTimeoutMs } = this.#parts;
    line.noteAway();
    if (!line.isUp) {
      done({ kind: 'away' });
      return;
    }
    const askedMs = clock.nowMs();
    const look = (): void => {
      // a timer that counts from before we stood still comes at once, and nothing has been read by then
      if (clock.nowMs() - askedMs < LOOK_MS - 1) scheduler.after(LOOK_MS, look);
      else if (line.answersWithin(loadTimeoutMs)) this.#parts.readAgain(key, done);
      else done({ kind: 'away' });
    };
    scheduler.after(LOOK_MS, look);
  }

  /** Whoever waits for this copy can be answered now. */
  settled(copy: Copy): void {
    if (copy.readers.length === 0) return;
    if (this.#parts.copies.get(copy.key) !== copy) {
      for (const { done, timer } of copy.readers.splice(0)) {
        timer.cancel();
        this.#parts.readAgain(copy.key, done);
      }
    } else if (copy.state === 'owned') {
      if (!copy.isDoubted) this.answer(copy, { kind: 'found', data: copy.data });
      else if (!copy.isSending) this.claim(copy);
    } else if (copy.state === 'ended') this.answer(copy, { kind: 'unknown' });
  }

  /** Tells all who wait. */
  answer(copy: Copy, found: Found): void {
    for (const { done, timer } of copy.readers.splice(0)) {
      timer.cancel();
      done(found);
    }
  }

  /** The copy goes, and whoever waits for it hears `found`. */
  forget(copy: Copy, found: Found): void {
    this.#parts.copies.remove(copy);
    this.answer(copy, found);
  }

  /** For a moment the store need not be asked for this. */
  noteUnknown(key: string): void {
    setNewest(this.#unknown, key, this.#parts.clock.nowMs() + UNKNOWN_MS, UNKNOWN_MAX);
  }

  /** Makes this server the owner of the session. */
  claim(copy: Copy): void {
    const untilMs = this.#parts.claimUntilMs();
    // One that could come late must not be sent.
    if (untilMs === 0) {
      this.#claimAgain(copy);
      return;
    }
    copy.isSending = true;
    const { epoch } = this.#parts.backing;
    this.#parts.line.send({ kind: 'claim', key: copy.key, untilMs }, (outcome) => {
      copy.isSending = false;
      if (this.#parts.copies.get(copy.key) !== copy) return;
      if (copy.state === 'ended') this.#parts.backing.push(copy);
      else if (outcome.kind === 'again' || outcome.kind === 'late') this.#claimAgain(copy);
      else if (outcome.kind === 'claimed') this.#claimed(copy, outcome, epoch);
      else if (copy.state === 'owned') this.#notClaimed(copy, outcome);
      else {
        const isAway = outcome.kind === 'failed';
        if (!isAway) this.noteUnknown(copy.key);
        this.forget(copy, { kind: isAway ? 'away' : 'unknown' });
      }
    });
  }

  #claimAgain(copy: Copy): void {
    copy.isSending = true;
    this.#parts.scheduler.after(AGAIN_MS, () => {
      copy.isSending = false;
      if (this.#parts.copies.get(copy.key) !== copy) return;
      if (copy.state === 'ended') this.#parts.backing.push(copy);
      else if (copy.readers.length > 0 && this.#parts.line.answersWithin(this.#parts.loadTimeoutMs))
        this.claim(copy);
      else if (copy.state === 'loading') this.forget(copy, { kind: 'away' });
      else this.answer(copy, { kind: 'away' });
    });
  }

  /**
   * What is here is kept where it is still ours and newer than what the store had, or where a former owner that has not heard
   * that it is ours has written it back to a store that had lost it: its tenure is lower.
   */
  #claimed(copy: Copy, outcome: Claimed, epoch: number): void {
    if (outcome.tenure < copy.noticed) {
      this.answer(copy, { kind: 'found', data: outcome.data });
      this.#parts.backing.drop(copy, 'conflict');
      return;
    }
    const nowMs = this.#parts.clock.nowMs();
    const isLater = outcome.from !== null && copy.tenure > outcome.before;
    const isNewer =
      copy.state === 'owned' && (isLater || (outcome.from === null && copy.version > outcome.version));
    copy.state = 'owned';
    copy.isDoubted = false;
    copy.tenure = outcome.tenure;
    copy.backed = outcome.mustRewrite === true || isLater ? 0 : outcome.version;
    copy.checkedIn = epoch;
    copy.sureIn = epoch;
    this.#parts.onVersion(outcome.version);
    if (!isNewer) {
      copy.version = outcome.version;
      copy.data = outcome.data;
      copy.ttlMs = outcome.lifeMs;
      copy.expiresAtMs = nowMs + outcome.lifeMs;
      copy.keptUntilMs = copy.expiresAtMs;
      this.#parts.backing.isSquare(copy);
    }
    if (outcome.from !== null) this.takeovers += 1;
    this.#parts.copies.recount(copy);
    this.#parts.backing.push(copy);
    this.settled(copy);
    this.#parts.onClaimed();
  }

  /** What is here was to be claimed again: the store does not have it, or does not answer. */
  #notClaimed(copy: Copy, outcome: Outcome): void {
    if (outcome.kind === 'destroyed') this.#parts.backing.ended(copy);
    else if (outcome.kind === 'unknown') {
      copy.isDoubted = false;
      this.#parts.backing.isBehind(copy);
      this.settled(copy);
    } else this.answer(copy, { kind: 'away' });
  }
}
