// Keeps the store's record of each session as this server has it: sends changes one at a time for each session, the
// latest state only, waits for the store's word, and after the store was away finds out what it lacks.
import type { Clock } from '../base/clock.ts';
import type { Scheduler } from '../base/scheduler.ts';
import type { Copies } from './copies.ts';
import type { Changed, Copy, Waiter } from './copy.ts';
import type { Operation, Outcome } from './operations.ts';
import { Rejected } from './rejected.ts';
import type { StoreLine } from './store-line.ts';

/** What Backing works with. */
export interface BackingParts {
  readonly copies: Copies;
  readonly line: StoreLine;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  /** How long a change waits for the store's word. */
  readonly ackTimeoutMs: number;
  readonly whenStoreIsAway: 'serve' | 'refuse';
  /** Notices that this process stood still. */
  readonly noteTime: () => void;
  /** The set of data that the store has, as far as is known. */
  readonly dataSet: () => string | null;
  /** When a claim that is sent now is to come at the latest; 0: not known. */
  readonly claimUntilMs: () => number;
  /** The store has another one by now. */
  readonly onOtherData: () => void;
  /** The store has said something of a copy that others wait to read; or it is gone. */
  readonly onSettled: (copy: Copy) => void;
}

/** Operations of the backlog under way at once; what requests wait for comes on top. */
const WINDOW = 64;
/** How long an emptied store is waited for until what it does not have counts as unknown. */
export const REFILL_MS = 5000;
/** Pause after the store refused something. */
const RETRY_MS = 500;

export class Backing {
  /** Rises with each connection, and whenever the store may have lost something. */
  epoch = 1;
  refused = 0;
  lost = 0;
  /** Copies dropped to save memory, after the store has said that it has them. */
  dropped = 0;
  /** Sessions and tombstones that only this server has, for all it knows. */
  readonly #unbacked = new Set<Copy>();
  #unbackedWalk: Iterator<Copy> = this.#unbacked.values();
  readonly #parts: BackingParts;
  readonly #rejected: Rejected;
  /** A copy not confirmed since this epoch may be another's without our having heard. */
  #sureSince = 0;
  #checks: Iterator<Copy> | null = null;
  #isPaused = false;
  #isStopping = false;
  #inBacklog = 0;

  constructor(parts: BackingParts) {
    this.#parts = parts;
    this.#rejected = new Rejected(parts.clock);
  }

  /** Sessions that the store has refused again and again. */
  get rejected(): number {
    return this.#rejected.size;
  }

  /** The store has refused it again and again, and is not asked for now. */
  rests(copy: Copy): boolean {
    return this.#rejected.rests(copy);
  }

  /** Changes that somebody was told are made and that the store has not confirmed. */
  get unbacked(): number {
    return this.#unbacked.size;
  }

  /** A comparison with the store, or writing what it lacks, is under way. */
  get isBusy(): boolean {
    if (this.#checks !== null) return true;
    for (const copy of this.#unbacked) if (!this.rests(copy)) return true;
    return false;
  }

  /** Sends what the store does not have of this copy, and tells `done` what became of it. */
  change(copy: Copy, done: (changed: Changed) => void): void {
    const { line, scheduler, ackTimeoutMs } = this.#parts;
    const isAway = !line.answersWithin(ackTimeoutMs);
    if (isAway || this.rests(copy)) {
      this.#owe(copy);
      if (isAway) line.noteAway();
      done(this.#parts.whenStoreIsAway === 'serve' ? 'unbacked' : 'away');
      return;
    }
    const waiter: Waiter = {
      version: copy.version,
      done,
      timer: scheduler.after(ackTimeoutMs, () => {
        copy.waiters.splice(copy.waiters.indexOf(waiter), 1);
        line.noteAway();
        this.#giveUp(copy, waiter);
      }),
    };
    copy.waiters.push(waiter);
    this.push(copy);
  }

  /** Sends what the store does not have of this copy, unless something is under way. */
  push(copy: Copy): void {
    this.#parts.noteTime();
    if (copy.isSending || copy.isBacked || copy.state === 'loading' || this.rests(copy)) return;
    const lifeMs = this.#lifeMs(copy);
    if (copy.state === 'ended') this.#send(copy, { kind: 'destroy', key: copy.key, lifeMs });
    else {
      const { key, tenure, version, data } = copy;
      const isUnsure = copy.sureIn < this.#sureSince;
      const dataSet = this.#parts.dataSet();
      const untilMs = this.#parts.claimUntilMs();
      this.#send(copy, { kind: 'write', key, tenure, version, data, lifeMs, isUnsure, dataSet, untilMs });
    }
  }

  /** Renews the life of the record, and learns whether it is still ours. */
  check(copy: Copy): void {
    if (copy.state !== 'owned' || !copy.isBacked) this.push(copy);
    else if (!copy.isSending && !this.rests(copy)) {
      const { key, tenure, version } = copy;
      this.#send(copy, { kind: 'touch', key, tenure, version, lifeMs: this.#lifeMs(copy) });
    }
  }

  /** Others were told that they have the session. */
  noticed(copy: Copy, tenure: number): void {
    copy.noticed = Math.max(copy.noticed, tenure);
    if (!copy.isSending && tenure > copy.tenure) this.#settle(copy, true);
  }

  /** The session was destroyed, here or elsewhere, and the store knows. */
  ended(copy: Copy): void {
    copy.state = 'ended';
    copy.data = '';
    copy.version = Math.max(1, copy.version);
    copy.backed = copy.version;
    this.isSquare(copy);
    this.#parts.copies.recount(copy);
    this.#answer(copy, copy.version, 'ended');
    this.#parts.onSettled(copy);
  }

  /** The store does not have this copy, or an older one. */
  isBehind(copy: Copy): void {
    copy.backed = 0;
    this.#owe(copy);
    this.push(copy);
  }

  /** The store may be one with data from before, in which what has ended still lives. */
  endAgain(): void {
    for (const copy of this.#parts.copies.values()) {
      if (copy.state !== 'ended') continue;
      copy.backed = 0;
      this.#owe(copy);
    }
  }

  /** Forgets the copy. Whoever waits for a change of it hears `why`. */
  drop(copy: Copy, why: Changed): void {
    this.#parts.copies.remove(copy);
    this.isSquare(copy);
    this.#answer(copy, Number.POSITIVE_INFINITY, why);
    this.#parts.onSettled(copy);
  }

  /** The store has lost everything: whatever is here is the only copy, for all that is known. */
  allIsLost(): void {
    for (const copy of this.#parts.copies.values()) {
      if (copy.state === 'loading') continue;
      copy.backed = 0;
      this.#owe(copy);
    }
    this.compare();
  }

  /** This process stood still for so long that others may have taken its sessions. */
  stalled(): void {
    this.#sureSince = this.epoch + 1;
    this.compare();
  }

  /** There is a new connection. `mayHaveMissed`: the store may have gone on without us, and given sessions to others. */
  connected(mayHaveMissed: boolean): void {
    this.epoch += 1;
    if (mayHaveMissed) this.#sureSince = this.epoch;
  }

  /** The store may have lost something, or this server a notice: asks for each session. */
  compare(): void {
    this.epoch += 1;
    this.#checks = this.#parts.copies.values();
    this.pump();
  }

  /** Sends the backlog on: first what only this server has, then comparisons. */
  pump(): void {
    const { line, ackTimeoutMs } = this.#parts;
    if (this.#isPaused || !line.answersWithin(ackTimeoutMs)) return;
    this.#sendUnbacked();
    while (this.#checks !== null && this.#inBacklog < WINDOW) {
      const next = this.#checks.next();
      if (next.done === true) this.#checks = null;
      else if (next.value.checkedIn !== this.epoch && next.value.isBacked)
        this.#inTurn(next.value, () => this.check(next.value));
    }
  }

  /** From now on lives are written exactly; all of them, once. */
  beginStop(): void {
    this.#isStopping = true;
    this.compare();
  }

  /**
   * Goes on where it was: a walk from the beginning would pass by everything that has been sent, again and again, when a
   * hundred thousand are written back.
   */
  #sendUnbacked(): void {
    for (let left = this.#unbacked.size; left > 0 && this.#inBacklog < WINDOW; left -= 1) {
      let next = this.#unbackedWalk.next();
      if (next.done === true) {
        this.#unbackedWalk = this.#unbacked.values();
        next = this.#unbackedWalk.next();
      }
      if (next.done === true) return;
      const copy = next.value;
      this.#inTurn(copy, () => this.push(copy));
    }
  }

  #inTurn(copy: Copy, send: () => void): void {
    if (copy.isSending) return;
    send();
    if (copy.isSending) {
      copy.isInBacklog = true;
      this.#inBacklog += 1;
    }
  }

  #lifeMs(copy: Copy): number {
    return copy.lifeMs(this.#parts.clock.nowMs(), this.#isStopping || copy.isLeaving);
  }

  #send(copy: Copy, operation: Operation & { readonly kind: 'write' | 'touch' | 'destroy' }): void {
    const { epoch } = this;
    const { version } = copy;
    const nowMs = this.#parts.clock.nowMs();
    const wasUp = this.#parts.line.isUp;
    copy.isSending = true;
    this.#parts.line.send(operation, (outcome) => {
      copy.isSending = false;
      if (copy.isInBacklog) this.#inBacklog -= 1;
      copy.isInBacklog = false;
      if (this.#parts.copies.get(copy.key) === copy) {
        if (outcome.kind === 'accepted') {
          copy.keptUntilMs = nowMs + operation.lifeMs;
          copy.checkedIn = epoch;
          if (outcome.isUnsure !== true) copy.sureIn = epoch;
          this.#rejected.forget(copy);
        } else if (outcome.kind === 'failed' && wasUp) this.#rejected.note(copy, outcome.why);
        this.#answered(copy, operation.kind, version, outcome);
      }
      this.pump();
    });
  }

  #answered(copy: Copy, kind: Operation['kind'], version: number, outcome: Outcome): void {
    switch (outcome.kind) {
      case 'accepted':
        this.#accepted(copy, kind, version, outcome);
        break;
      case 'behind':
        if (copy.noticed > copy.tenure) {
          this.#lost(copy);
          return;
        }
        this.isBehind(copy);
        break;
      case 'stale':
        copy.noticed = Math.max(copy.noticed, copy.tenure + 1, outcome.tenure);
        if (kind !== 'write' || copy.state !== 'owned') break;
        this.#refused(copy);
        return;
      case 'destroyed':
        this.ended(copy);
        return;
      case 'late':
        this.#owe(copy);
        this.#parts.onOtherData();
        return;
      default:
        this.#failed(copy, outcome);
        return;
    }
    this.#settle(copy, outcome.kind !== 'stale');
  }

  #accepted(
    copy: Copy,
    kind: Operation['kind'],
    sentVersion: number,
    outcome: Outcome & { readonly kind: 'accepted' },
  ): void {
    if (kind !== 'destroy') copy.tenure = Math.max(copy.tenure, outcome.tenure);
    if (kind === 'touch') return;
    copy.backed = Math.max(copy.backed, sentVersion);
    this.#answer(copy, copy.backed, 'backed');
  }

  #refused(copy: Copy): void {
    this.refused += 1;
    this.drop(copy, 'conflict');
  }

  #failed(copy: Copy, outcome: Outcome): void {
    for (const waiter of copy.waiters.splice(0)) {
      waiter.timer.cancel();
      this.#giveUp(copy, waiter);
    }
    if (!copy.isBacked) this.#owe(copy);
    const isUp = this.#parts.line.answersWithin(Number.POSITIVE_INFINITY);
    if (outcome.kind === 'failed' && isUp && !this.rests(copy)) this.#pause();
    this.#parts.onSettled(copy);
  }

  #pause(): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#parts.scheduler.after(RETRY_MS, () => {
      this.#isPaused = false;
      this.pump();
    });
  }

  /** What follows from where the copy stands now that nothing is under way. */
  #settle(copy: Copy, isFresh: boolean): void {
    if (copy.state === 'owned' && copy.noticed > copy.tenure && copy.tenure > 0 && copy.isBacked) {
      this.#lost(copy);
      return;
    }
    if (copy.isLeaving && copy.isBacked && copy.checkedIn === this.epoch) {
      this.dropped += 1;
      this.#parts.copies.drop(copy);
      this.drop(copy, 'conflict');
      return;
    }
    // What was under way when the stop began has told no exact life.
    if (this.#isStopping && copy.isBacked && copy.checkedIn !== this.epoch) this.check(copy);
    if (copy.isBacked) this.isSquare(copy);
    else if (isFresh || copy.noticed > copy.tenure) this.push(copy);
    this.#parts.onSettled(copy);
  }

  #lost(copy: Copy): void {
    this.lost += 1;
    this.drop(copy, 'conflict');
  }

  #owe(copy: Copy): void {
    copy.isUnbacked = true;
    this.#unbacked.add(copy);
  }

  /** The store has everything of this copy, or the copy is no longer ours to write. */
  isSquare(copy: Copy): void {
    copy.isUnbacked = false;
    this.#unbacked.delete(copy);
    this.#rejected.forget(copy);
  }

  #giveUp(copy: Copy, waiter: Waiter): void {
    this.#owe(copy);
    waiter.done(this.#parts.whenStoreIsAway === 'serve' ? 'unbacked' : 'away');
  }

  #answer(copy: Copy, upTo: number, changed: Changed): void {
    const due = copy.waiters.filter(({ version }) => version <= upTo);
    copy.waiters = copy.waiters.filter(({ version }) => version > upTo);
    for (const waiter of due) {
      waiter.timer.cancel();
      waiter.done(changed);
    }
  }
}
