// The sweep: main walks the session table in short slices, counts sessions by home, expires them, finds the hottest.
//
// How a count stays right while sessions come and go during the walk:
//
//   1. D = sum of all threads' session deltas, per slot
//   2. a new epoch begins; entries made from now on carry it
//   3. the walk counts every entry that does not carry the epoch, and settles it
//   4. publish (counted, D, left): sessions now = counted + (deltas now - D)
//
// Entries made after 2 are skipped by 3 and are part of the deltas after 1. What slips between (an entry made just before
// 2) is counted twice until the next pass, which counts afresh. One that ends before the walk comes to it is taken off
// twice until then; how many have left since 1 is published too, for limits, which must not be exceeded.
// Entries expired by the walk are not counted and change no delta.

import type { Clock } from '../base/clock.ts';
import { type Scheduled, type Scheduler, systemScheduler } from '../base/scheduler.ts';
import type { StickyConfig } from '../config/model.ts';
import { SLOTS_MAX } from '../shared/limits.ts';
import type { Revision } from '../shared/revision.ts';
import { homeGeneration, homeSlot } from '../shared/session-table.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { Counter, END_REASONS, type EndReason, Gauge } from '../shared/stripe.ts';
import { ALIAS_LOOKS, OVER_MS } from '../shared/sweep-slice.ts';
import { createTally, NEVER, RATE_SMOOTHING_SECONDS, type SweepTally } from '../shared/sweep-tally.ts';
import { type HotSession, Hottest } from './hottest.ts';
import { RequestWindow } from './load.ts';

/** Entries looked at between two looks at the clock: about 0.1 ms. */
const SLICE_ENTRIES = 8_192;
/** Main's other work waits at most this long for a slice. */
const SLICE_MS = 5;
/** A client that has not shown our cookie again for so long is not coming back. Other keys are as good as any. */
export const TENTATIVE_IDLE_MS_MAX = 60_000;
/** A session seen so much later than a value of it has been shown a newer one. */
const NEWER_MS = 10_000;
const HOTTEST_MAX = 16;
/** Values of each session, on average, from which on the application is taken to renew them without end; at least so many in all. */
const VALUES_MANY = 16;
const VALUES_MIN = 1_000;
const EPOCH_MAX = 255;

/** What `onRenewals` is to say. */
export const RENEWALS =
  'the application gives each session another id again and again: each one has to be learned, and after a restart or at another balancer nobody knows it; use mode cookie-hash without "cookie", so that the balancer sets its own';

/** What the last finished pass found in the whole table. */
export interface SweepReport {
  /** Used entries, tentative ones and those of removed servers included. */
  readonly entries: number;
  /** Removed for having been idle or too old, tentative ones not counted. */
  readonly expired: number;
  /** Main's time. */
  readonly busyMs: number;
  readonly finishedMs: number;
  /** Passes finished so far; 0: none yet, all else is zero. */
  readonly passes: number;
}

export interface SweeperOptions {
  readonly shared: SharedState;
  readonly clock: Clock;
  readonly scheduler?: Scheduler;
  /** From the end of one pass to the begin of the next. */
  readonly everyMs?: number;
  /** A pass has just been published. */
  readonly onPass?: (report: SweepReport) => void;
  /** Sessions of the pool have that many values each: once for each pool. */
  readonly onRenewals?: (pool: string, values: number) => void;
}

interface SweptPool {
  readonly name: string;
  readonly slots: readonly number[];
  readonly hottest: Hottest;
  report: readonly HotSession[];
  effective: number;
}

export class Sweeper {
  readonly #shared: SharedState;
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #everyMs: number;
  readonly #onPass: (report: SweepReport) => void;
  readonly #onRenewals: (pool: string, values: number) => void;
  /** Pools of which it has been told. */
  readonly #renewing = new Set<string>();
  readonly #tally: SweepTally = createTally(SLICE_ENTRIES);
  readonly #deltaAtBegin = new Int32Array(SLOTS_MAX);
  readonly #leftAtBegin = new Int32Array(SLOTS_MAX);
  readonly #requests = new RequestWindow();
  readonly #poolOf: (SweptPool | undefined)[] = [];
  #pools: readonly SweptPool[] = [];
  /** Next entry to look at; -1 between two passes. */
  #next = -1;
  #expired = 0;
  #busyMs = 0;
  #report: SweepReport = { entries: 0, expired: 0, busyMs: 0, finishedMs: 0, passes: 0 };
  #timer: Scheduled | null = null;

  constructor(options: SweeperOptions) {
    this.#shared = options.shared;
    this.#clock = options.clock;
    this.#scheduler = options.scheduler ?? systemScheduler;
    this.#everyMs = options.everyMs ?? 1_000;
    this.#onPass = options.onPass ?? (() => undefined);
    this.#onRenewals = options.onRenewals ?? (() => undefined);
  }

  get report(): SweepReport {
    return this.#report;
  }

  /** Sessions with the highest request rates of the pool, hottest first; empty for an unknown pool. */
  hottest(pool: string): readonly HotSession[] {
    return this.#find(pool)?.report ?? [];
  }

  /** How many equally busy sessions would be as uneven as the pool's: (sum of rates)^2 / sum of squares. */
  effectiveSessions(pool: string): number {
    return this.#find(pool)?.effective ?? 0;
  }

  /** Requests of the slot over about the last minute. */
  recentRequests(slot: number): number {
    return this.#requests.recent(slot);
  }

  /** Servers and limits are now these. A pass under way begins again. */
  apply(revision: Revision): void {
    const tally = this.#tally;
    tally.generation.fill(-1);
    tally.strangerIdleTenths = 0;
    this.#poolOf.length = 0;
    this.#next = -1;
    this.#pools = revision.pools.map((pool) => {
      const { name, sticky } = pool.config;
      const known = this.#find(name);
      const swept: SweptPool = {
        name,
        slots: pool.slots,
        hottest: new Hottest(HOTTEST_MAX),
        report: known?.report ?? [],
        effective: known?.effective ?? 0,
      };
      const idleTenths = tenths(sticky.idleMs);
      tally.strangerIdleTenths = Math.max(tally.strangerIdleTenths, idleTenths);
      pool.slots.forEach((slot, index) => {
        this.#poolOf[slot] = swept;
        tally.generation[slot] = pool.generations[index] ?? -1;
        tally.idleTenths[slot] = idleTenths;
        tally.tentativeIdleTenths[slot] = setsCookie(sticky)
          ? Math.min(idleTenths, tenths(TENTATIVE_IDLE_MS_MAX))
          : idleTenths;
        tally.lifeTenths[slot] = tenths(sticky.lifeMs);
      });
      return swept;
    });
  }

  /** Begins to sweep regularly. What is there is counted when this returns: who places sessions knows who is full. */
  start(): void {
    if (this.#timer !== null) return;
    this.sweepNow();
    this.#timer = this.#scheduler.after(this.#everyMs, () => this.#run());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Goes on with the pass, or begins one, for about `budgetMs`; true when it is finished and published. */
  step(budgetMs: number): boolean {
    const beginMs = this.#clock.nowMs();
    if (this.#next < 0) this.#begin(beginMs);
    const { capacity } = this.#shared.table;
    let nowMs = beginMs;
    do {
      this.#slice(Math.min(capacity, this.#next + SLICE_ENTRIES));
      nowMs = this.#clock.nowMs();
    } while (this.#next < capacity && nowMs - beginMs < budgetMs);
    this.#busyMs += nowMs - beginMs;
    if (this.#next < capacity) return false;
    this.#publish(nowMs);
    return true;
  }

  /** A whole new pass in one go: for start, stop and tests. */
  sweepNow(): void {
    this.#next = -1;
    this.step(Number.POSITIVE_INFINITY);
  }

  #run(): void {
    const isFinished = this.step(SLICE_MS);
    this.#timer = this.#scheduler.after(isFinished ? this.#everyMs : 0, () => this.#run());
  }

  #begin(nowMs: number): void {
    const { control } = this.#shared;
    const tally = this.#tally;
    for (const pool of this.#pools) {
      pool.hottest.clear();
      for (const slot of pool.slots) {
        this.#deltaAtBegin[slot] = this.#shared.sumGauge(slot, Gauge.sessionDelta);
        this.#leftAtBegin[slot] = this.#shared.sumGauge(slot, Gauge.sessionsLeft);
      }
    }
    tally.epoch = (control.sweepEpoch() % EPOCH_MAX) + 1;
    control.setSweepEpoch(tally.epoch);
    tally.nowMs = nowMs;
    tally.entries = 0;
    for (const perSlot of [
      tally.sessions,
      tally.tentative,
      tally.aliases,
      tally.rateSum,
      tally.rateSquares,
      tally.hotAbove,
    ]) {
      perSlot.fill(0);
    }
    this.#expired = 0;
    this.#busyMs = 0;
    this.#next = 0;
  }

  #slice(end: number): void {
    const tally = this.#tally;
    this.#shared.table.sweepSlice(this.#next, end, tally);
    this.#next = end;
    for (let index = 0; index < tally.expiredCount; index += 1) this.#expire(tally.expired[index] ?? 0);
    for (let index = 0; index < tally.hotCount; index += 1) this.#offerHot(tally.hot[index] ?? 0);
    for (const pool of this.#pools) {
      const { floor } = pool.hottest;
      for (const slot of pool.slots) tally.hotAbove[slot] = floor;
    }
  }

  /** Looks again before removing: a request may have come since the slice saw the entry. */
  #expire(entry: number): void {
    const { own, table } = this.#shared;
    if (table.marks.isAlias(entry)) {
      this.#expireAlias(entry);
      return;
    }
    const home = table.home(entry);
    const slot = homeSlot(home);
    const isTentative = table.isTentative(entry);
    const reason = this.#endReason(entry, slot, homeGeneration(home), isTentative);
    if (reason === null || !table.remove(entry, table.keyLow(entry), table.keyHigh(entry))) return;
    // A stranger's slot belongs to another server by now, and a tentative session never began.
    if (isTentative || this.#tally.generation[slot] !== homeGeneration(home)) return;
    own.count(slot, Counter.ended + END_REASONS.indexOf(reason));
    this.#expired += 1;
  }

  #expireAlias(entry: number): void {
    const { table } = this.#shared;
    const { nowMs, idleTenths } = this.#tally;
    if (table.marks.isOver(entry)) {
      const isLate = nowMs - table.seenMs(entry) > OVER_MS && table.busy(entry) === 0;
      if (isLate) table.remove(entry, table.keyLow(entry), table.keyHigh(entry));
      return;
    }
    const idleMs = (idleTenths[homeSlot(table.home(entry))] ?? NEVER) * 100;
    const lookMs = idleMs / ALIAS_LOOKS;
    if (this.#isNewestInUse(entry, Math.min(NEWER_MS, lookMs / 4))) table.see(entry, nowMs);
    // what was seen last between two looks may have been in use until the second
    else if (nowMs - table.seenMs(entry) > idleMs + lookMs)
      table.remove(entry, table.keyLow(entry), table.keyHigh(entry));
  }

  /** The session has something open, and no newer value has been seen: its client will show this one after it. */
  #isNewestInUse(alias: number, withinMs: number): boolean {
    const { table } = this.#shared;
    const session = table.find(table.marks.aliasLow(alias), table.marks.aliasHigh(alias));
    if (session === -1 || table.busy(session) === 0) return false;
    return table.seenMs(session) - table.seenMs(alias) <= withinMs;
  }

  #endReason(entry: number, slot: number, generation: number, isTentative: boolean): EndReason | null {
    const { table } = this.#shared;
    const { nowMs, generation: generations, lifeTenths, strangerIdleTenths } = this.#tally;
    const isStranger = generations[slot] !== generation;
    if (!isStranger && nowMs - table.createdMs(entry) > (lifeTenths[slot] ?? NEVER) * 100) return 'life';
    const limits = isTentative ? this.#tally.tentativeIdleTenths : this.#tally.idleTenths;
    const idleTenths = isStranger ? strangerIdleTenths : (limits[slot] ?? NEVER);
    return table.busy(entry) <= 0 && nowMs - table.seenMs(entry) > idleTenths * 100 ? 'idle' : null;
  }

  #offerHot(entry: number): void {
    const { table } = this.#shared;
    const slot = homeSlot(table.home(entry));
    const ageSeconds = (this.#tally.nowMs - table.createdMs(entry)) / 1_000;
    const rate = table.requests(entry) / (ageSeconds + RATE_SMOOTHING_SECONDS);
    this.#poolOf[slot]?.hottest.offer(table.keyLow(entry), slot, rate);
  }

  #publish(nowMs: number): void {
    const tally = this.#tally;
    for (const pool of this.#pools) {
      let rate = 0;
      let squares = 0;
      for (const slot of pool.slots) {
        rate += tally.rateSum[slot] ?? 0;
        squares += tally.rateSquares[slot] ?? 0;
        const left = this.#shared.sumGauge(slot, Gauge.sessionsLeft) - (this.#leftAtBegin[slot] ?? 0);
        this.#shared.control.publishSweep(
          slot,
          tally.sessions[slot] ?? 0,
          tally.tentative[slot] ?? 0,
          this.#deltaAtBegin[slot] ?? 0,
          left,
        );
      }
      this.#noteRenewals(pool);
      pool.report = pool.hottest.report(rate);
      pool.effective = squares > 0 ? (rate * rate) / squares : 0;
    }
    this.#requests.sample(
      this.#shared,
      this.#pools.flatMap((pool) => pool.slots),
    );
    this.#next = -1;
    const passes = this.#report.passes + 1;
    const { entries } = tally;
    this.#report = { entries, expired: this.#expired, busyMs: this.#busyMs, finishedMs: nowMs, passes };
    this.#onPass(this.#report);
  }

  #noteRenewals({ name, slots }: SweptPool): void {
    const sumOf = (counts: Int32Array): number => slots.reduce((sum, slot) => sum + (counts[slot] ?? 0), 0);
    const values = sumOf(this.#tally.aliases);
    const each = Math.floor(values / Math.max(1, sumOf(this.#tally.sessions)));
    if (values < VALUES_MIN || each < VALUES_MANY || this.#renewing.has(name)) return;
    this.#renewing.add(name);
    this.#onRenewals(name, each);
  }

  #find(name: string): SweptPool | undefined {
    return this.#pools.find((pool) => pool.name === name);
  }
}

/** Is the key the balancer's own cookie, given to whoever asks? */
export function setsCookie({ mode, cookieOwner }: StickyConfig): boolean {
  return mode === 'cookie-pin' || (mode === 'cookie-hash' && cookieOwner === 'balancer');
}

function tenths(ms: number): number {
  return Math.ceil(ms / 100);
}
