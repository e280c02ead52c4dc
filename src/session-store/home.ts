// The sessions that live at this server: the protocol, without promises, sockets and a clock of its own. Whoever drives
// it gives time, timers and a link to the store; the seeded simulation gives scripted ones.
import type { Clock } from '../base/clock.ts';
import type { Scheduler } from '../base/scheduler.ts';
import { Backing, REFILL_MS } from './backing.ts';
import { Claims } from './claims.ts';
import { Copies, type CopyLimits } from './copies.ts';
import { type Changed, Copy, DROP_RULES, type DropRules, type Found } from './copy.ts';
import type { StoreLink } from './operations.ts';
import { StoreLine } from './store-line.ts';
import { Upkeep } from './upkeep.ts';

export interface HomeOptions {
  readonly ackTimeoutMs: number;
  /** How long a session that is not here is waited for. */
  readonly loadTimeoutMs: number;
  readonly whenStoreIsAway: 'serve' | 'refuse';
  readonly limits: CopyLimits;
}

export interface HomeParts {
  readonly link: StoreLink;
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly options: HomeOptions;
  /** Tests plant faults here. */
  readonly dropRules?: DropRules;
}

/** Counts since the start, but for `sessions`, `bytes`, `unbacked`, `rejected` and `backlog`, which are as it is now. */
export interface HomeCounts {
  /** Sessions whose home is here. */
  readonly sessions: number;
  readonly bytes: number;
  /** Changes that only this server has. */
  readonly unbacked: number;
  /** Of these, such that the store has refused again and again: tried once a minute. */
  readonly rejected: number;
  /** Operations under way. */
  readonly backlog: number;
  /** Reads answered from memory. */
  readonly hits: number;
  /** Sessions asked of the store. */
  readonly loads: number;
  /** Of these, sessions that were another server's. */
  readonly takeovers: number;
  /** Writes refused because another server had the session by then. */
  readonly refused: number;
  /** Sessions that went to another server. */
  readonly lost: number;
  /** Copies dropped to keep the limits. */
  readonly dropped: number;
  readonly expired: number;
  readonly operations: number;
  readonly storeAwaySeconds: number;
}

/** Longest life of a tombstone, and the shortest. */
const TOMBSTONE_MS_MAX = 86_400_000;
const TOMBSTONE_MS_MIN = 600_000;
/**
 * So many ends in that time of what nobody here knew. Beyond that their tombstones stand as long as an emptied store is waited
 * for: whoever comes without a cookie and asks to be logged out makes one, and must fill neither the store nor this memory.
 */
const STRANGERS_MAX = 10_000;
const DROP_LOOKS = 200;
const STOP_POLL_MS = 10;

export class Home {
  readonly #options: HomeOptions;
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #line: StoreLine;
  readonly #copies: Copies;
  readonly #backing: Backing;
  readonly #upkeep: Upkeep;
  readonly #claims: Claims;
  readonly #mustAsk: boolean;
  /** Highest version made or seen here: of two that this process makes, the later is always the higher. */
  #version = 0;
  #hits = 0;
  #expired = 0;
  /** Ends of what nobody here knew since then. */
  #strangers = 0;
  #strangersSinceMs = 0;

  constructor({ link, clock, scheduler, options, dropRules = DROP_RULES }: HomeParts) {
    this.#options = options;
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#line = new StoreLine(link, clock);
    this.#copies = new Copies(options.limits, dropRules.mayDrop);
    this.#mustAsk = dropRules.mustAsk;
    const { ackTimeoutMs, loadTimeoutMs, whenStoreIsAway } = options;
    const shared = { copies: this.#copies, line: this.#line, clock, scheduler };
    const claimUntilMs = (): number => this.#upkeep.storeMs(loadTimeoutMs);
    this.#backing = new Backing({
      ...shared,
      ackTimeoutMs,
      whenStoreIsAway,
      claimUntilMs,
      noteTime: () => this.#upkeep.noteTime(),
      dataSet: () => this.#upkeep.dataSet,
      onOtherData: () => this.#upkeep.askNow(),
      onSettled: (copy) => this.#claims.settled(copy),
    });
    this.#upkeep = new Upkeep({ ...shared, backing: this.#backing, expire: (copy) => this.#expire(copy) });
    this.#claims = new Claims({
      ...shared,
      backing: this.#backing,
      loadTimeoutMs,
      claimUntilMs,
      onVersion: (version) => {
        this.#version = Math.max(this.#version, version);
      },
      onClaimed: () => this.#dropExcess(),
      readAgain: (key, done) => this.get(key, done),
    });
  }

  /**
   * The session: at once when it is here, otherwise from the store, which makes this server its home. `isMoved`: the
   * balancer has just sent it here, so what is here from before may be old.
   */
  get(key: string, done: (found: Found) => void, isMoved = false): void {
    this.#upkeep.noteTime();
    const copy = this.#copies.use(key);
    if (isMoved && copy?.state === 'owned') copy.isDoubted = true;
    if (copy === undefined) this.#claims.load(key, done);
    else if (copy.state === 'loading') this.#claims.wait(copy, done, this.#options.loadTimeoutMs);
    else if (copy.state === 'ended' || this.#expire(copy)) done({ kind: 'unknown' });
    else if (this.#isCertain(copy)) {
      this.#hits += 1;
      done({ kind: 'found', data: copy.data });
    } else this.#readAfterCheck(copy, done);
  }

  /** Replaces or makes a session that lives `ttlMs` from now. */
  set(key: string, data: string, ttlMs: number, done: (changed: Changed) => void): void {
    let copy = this.#copies.use(key);
    if (copy?.state === 'loading') {
      this.#setAfterLoad(copy, data, ttlMs, done);
      return;
    }
    if (copy?.state === 'ended') {
      done('ended');
      return;
    }
    if (this.#mustRefuse()) {
      done('away');
      return;
    }
    if (copy === undefined) {
      copy = new Copy(key, 'owned');
      const { tenure = 0, sureIn = this.#backing.epoch } = this.#copies.dropped(key) ?? {};
      copy.tenure = tenure;
      copy.sureIn = sureIn;
      this.#claims.noteKnown(key);
      this.#copies.add(copy);
    }
    copy.data = data;
    copy.version = this.#nextVersion();
    copy.ttlMs = ttlMs;
    copy.expiresAtMs = this.#clock.nowMs() + ttlMs;
    this.#copies.recount(copy);
    this.#backing.change(copy, done);
    this.#dropExcess();
  }

  /** Renews the life of a session that is here; the store hears of it once in a tenth of that. */
  touch(key: string, ttlMs: number): void {
    const copy = this.#copies.use(key);
    if (copy?.state !== 'owned' || this.#expire(copy)) return;
    copy.ttlMs = ttlMs;
    copy.expiresAtMs = this.#clock.nowMs() + ttlMs;
    if (copy.mustTell && this.#line.answersWithin(this.#options.ackTimeoutMs)) this.#backing.check(copy);
  }

  /** Ends a session, wherever it lives. `isKnown`: there is one. */
  destroy(key: string, done: (changed: Changed) => void, isKnown = false): void {
    if (this.#mustRefuse()) {
      done('away');
      return;
    }
    const copy = this.#copies.use(key) ?? new Copy(key, 'ended');
    if (copy.state === 'ended' && copy.version > 0 && copy.isBacked) {
      done('backed');
      return;
    }
    const isStranger = copy.version === 0 && !isKnown && this.#copies.dropped(key) === undefined;
    this.#expiresAsTombstone(copy);
    if (isStranger && this.#areTooManyStrangers()) copy.expiresAtMs = this.#clock.nowMs() + REFILL_MS;
    copy.state = 'ended';
    copy.data = '';
    copy.version = this.#nextVersion();
    this.#copies.add(copy);
    this.#claims.settled(copy);
    this.#backing.change(copy, done);
  }

  /**
   * The link to the store is there (again). `mayHaveMissed`: there may have been notices while there was none. Not where the
   * store itself was gone.
   */
  connected(mayHaveMissed: boolean): void {
    this.#line.noteBack();
    this.#upkeep.connected(mayHaveMissed);
  }

  disconnected(): void {
    this.#line.noteAway();
  }

  /** Another server has taken a session; it has this tenure. */
  taken(key: string, tenure: number): void {
    const copy = this.#copies.get(key);
    if (copy !== undefined) this.#backing.noticed(copy, tenure);
  }

  /** Another server has destroyed a session. */
  ended(key: string): void {
    const copy = this.#copies.get(key);
    if (copy === undefined || copy.state === 'ended') return;
    this.#expiresAsTombstone(copy);
    this.#backing.ended(copy);
  }

  counts(): HomeCounts {
    return {
      sessions: this.#copies.owned,
      bytes: this.#copies.bytes,
      unbacked: this.#backing.unbacked,
      rejected: this.#backing.rejected,
      backlog: this.#line.underWay,
      hits: this.#hits,
      loads: this.#claims.loads,
      takeovers: this.#claims.takeovers,
      refused: this.#backing.refused,
      lost: this.#backing.lost,
      dropped: this.#backing.dropped,
      expired: this.#expired,
      operations: this.#line.operations,
      storeAwaySeconds: this.#line.awaySeconds,
    };
  }

  /**
   * Sessions here with their data, those excepted that are over. `isLeaving`: the store is being asked if it has it, so
   * that it may go. Copies are as they are when the caller comes to them.
   */
  *here(): Generator<{ readonly key: string; readonly data: string; readonly isLeaving: boolean }> {
    const nowMs = this.#clock.nowMs();
    for (const { key, state, data, expiresAtMs, isLeaving } of this.#copies.values())
      if (state === 'owned' && expiresAtMs > nowMs) yield { key, data, isLeaving };
  }

  /** Whether anything is known of the session here: a copy, a claim under way, a tombstone. */
  has(key: string): boolean {
    return this.#copies.get(key) !== undefined;
  }

  /** As this server has it, asking nobody; null when the session is not here, or is over. */
  dataOf(key: string): string | null {
    const copy = this.#copies.get(key);
    return copy?.state === 'owned' && copy.expiresAtMs > this.#clock.nowMs() ? copy.data : null;
  }

  /** Whether the store has the latest of the session; null when that is not here. */
  isBacked(key: string): boolean | null {
    const copy = this.#copies.get(key);
    return copy?.state === 'owned' ? copy.isBacked && !copy.isUnbacked : null;
  }

  /** Whether the session was destroyed as far as this server knows. */
  hasEnded(key: string): boolean {
    return this.#copies.get(key)?.state === 'ended';
  }

  /** Writes everything the store does not have, lives exactly, and calls `done` when that is done or the time is up. */
  stop(limitMs: number, done: () => void): void {
    this.#backing.beginStop();
    const endMs = this.#clock.nowMs() + limitMs;
    const look = (): void => {
      const isOver = !this.#backing.isBusy && this.#line.underWay === 0;
      if (isOver || this.#clock.nowMs() >= endMs) {
        this.#upkeep.end();
        done();
      } else {
        this.#backing.pump();
        this.#scheduler.after(STOP_POLL_MS, look);
      }
    };
    look();
  }

  /** The process is gone: no more timers. Simulations only. */
  crash(): void {
    this.#upkeep.end();
  }

  /** A copy that the store has confirmed since it may have lost it, or a notice of it. */
  #isCertain(copy: Copy): boolean {
    if (copy.isDoubted) return false;
    return (
      copy.checkedIn === this.#backing.epoch ||
      copy.tenure === 0 ||
      this.#backing.rests(copy) ||
      !this.#line.answersWithin(this.#options.ackTimeoutMs)
    );
  }

  #readAfterCheck(copy: Copy, done: (found: Found) => void): void {
    const { ackTimeoutMs, loadTimeoutMs } = this.#options;
    if (copy.isDoubted && !this.#line.answersWithin(loadTimeoutMs)) {
      done({ kind: 'away' });
      return;
    }
    this.#claims.wait(copy, done, copy.isDoubted ? loadTimeoutMs : ackTimeoutMs);
    if (!copy.isDoubted) this.#backing.check(copy);
    else if (!copy.isSending) this.#claims.claim(copy);
  }

  #setAfterLoad(copy: Copy, data: string, ttlMs: number, done: (changed: Changed) => void): void {
    const go = (): void => {
      // The store has not answered in time. What it says later is no longer heard.
      if (copy.state === 'loading' && this.#copies.get(copy.key) === copy)
        this.#claims.forget(copy, { kind: 'away' });
      this.set(copy.key, data, ttlMs, done);
    };
    this.#claims.wait(copy, go, this.#options.loadTimeoutMs);
  }

  #mustRefuse(): boolean {
    const { whenStoreIsAway, ackTimeoutMs } = this.#options;
    return whenStoreIsAway === 'refuse' && !this.#line.answersWithin(ackTimeoutMs);
  }

  /** True when the copy was over; it is gone then, and the store's record with it. */
  #expire(copy: Copy): boolean {
    if (copy.state === 'loading' || copy.expiresAtMs > this.#clock.nowMs()) return false;
    if (copy.state === 'owned') {
      this.#expired += 1;
      copy.isLeaving = true;
      if (this.#line.answersWithin(this.#options.ackTimeoutMs)) this.#backing.check(copy);
    }
    this.#claims.noteUnknown(copy.key);
    this.#backing.drop(copy, 'ended');
    return true;
  }

  #expiresAsTombstone(copy: Copy): void {
    const restMs = Math.max(copy.ttlMs, TOMBSTONE_MS_MIN);
    copy.expiresAtMs = this.#clock.nowMs() + Math.min(restMs, TOMBSTONE_MS_MAX);
  }

  #areTooManyStrangers(): boolean {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#strangersSinceMs >= TOMBSTONE_MS_MIN) {
      this.#strangersSinceMs = nowMs;
      this.#strangers = 0;
    }
    this.#strangers += 1;
    return this.#strangers > STRANGERS_MAX;
  }

  #nextVersion(): number {
    this.#version += 1;
    return this.#version;
  }

  #dropExcess(): void {
    if (this.#mustAsk && !this.#line.answersWithin(this.#options.ackTimeoutMs)) return;
    for (const copy of this.#copies.excess(DROP_LOOKS)) {
      copy.isLeaving = true;
      // The store also hears exactly how long the session lives, since nobody here will know.
      if (this.#mustAsk) this.#backing.check(copy);
      else this.#backing.drop(copy, 'conflict');
    }
  }
}
