// Active checks of one server over time: when the next one runs, one at a time, and what it means for the verdict.

import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import type { Scheduled, Scheduler } from '../base/scheduler.ts';
import type { HealthConfig, ServerConfig } from '../config/model.ts';
import { Verdict } from '../shared/control.ts';
import type { Probe, ProbeFactory } from './probe.ts';
import type { ProbeOutcome } from './probe-outcome.ts';
import type { Road } from './road.ts';
import type { SelfReport } from './self-report.ts';
import { type CheckResult, ServerVerdict } from './verdict.ts';

/** Intervals vary by this share, so that checks of many servers and balancers do not march in step. */
const JITTER_SHARE = 0.1;
/** A refused check is repeated after this long; refused twice is down, whatever `fall` says. */
export const CONFIRM_MS = 50;
/** Pause between two checks of a server that is down while requests wait for it. */
export const HURRY_MS = 100;

/** Rules of a server without active checks; never reached. */
const NO_RULES = { rise: 1, fall: 1 } as const;

export interface WatchTools {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly createProbe: ProbeFactory;
  /** An HTTP reply came: what the server says of itself in it. */
  readonly onReport: (watch: ServerWatch, report: SelfReport) => void;
  /** The verdict may have changed. */
  readonly onVerdict: (watch: ServerWatch, reason: string) => void;
}

export class ServerWatch {
  readonly pool: string;
  readonly slot: number;
  readonly generation: number;
  readonly verdict: ServerVerdict;
  /** Finished checks by result; the monitor's business to keep and export. */
  readonly checks: Record<CheckResult, number>;
  server: ServerConfig;
  /** What the last finished check found, as text; empty before the first. */
  lastDetail = '';
  readonly #tools: WatchTools;
  #health: HealthConfig | null = null;
  /** What the probe was made of. */
  #asked = '';
  #probe: Probe | null = null;
  #timer: Scheduled | null = null;
  #running: Promise<void> | null = null;
  #isCertainWanted = false;
  /** Requests wait: the next success is enough. */
  #isWaitedFor = false;
  #checkedMs = 0;
  #isPaused = false;
  #isFirst = true;
  #isClosed = false;

  constructor(
    pool: string,
    slot: number,
    generation: number,
    server: ServerConfig,
    checks: Record<CheckResult, number>,
    tools: WatchTools,
  ) {
    this.checks = checks;
    this.pool = pool;
    this.slot = slot;
    this.generation = generation;
    this.server = server;
    this.#tools = tools;
    this.verdict = new ServerVerdict(NO_RULES, tools.clock.nowMs());
  }

  /**
   * Begins checking, or goes on with other settings. Null: no checks, the server counts as up. At a new address it is
   * as good as new: its first check decides alone.
   */
  configure(server: ServerConfig, health: HealthConfig | null, road: Road): void {
    const isMoved = server.url !== this.server.url;
    const asked = JSON.stringify([health, road]);
    const isSame = !isMoved && this.#probe !== null && asked === this.#asked;
    this.#asked = asked;
    this.#health = health;
    this.server = server;
    if (isMoved) this.#restart('it has a new address');
    if (isSame) return;
    this.#probe?.close();
    this.#probe = null;
    this.#cancel();
    if (health === null) {
      if (this.verdict.assumeUp(this.#tools.clock.nowMs()))
        this.#tools.onVerdict(this, 'health checks are off');
      return;
    }
    this.verdict.setRules(health);
    this.#probe = this.#tools.createProbe(server, health, road);
    this.checkNow(false);
  }

  /** In maintenance nothing is checked; afterwards the first check decides alone. */
  setPaused(isPaused: boolean): void {
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    this.#cancel();
    if (isPaused || this.#probe === null) return;
    this.#restart('maintenance is over');
    this.checkNow(false);
  }

  #restart(reason: string): void {
    if (this.verdict.restart(this.#tools.clock.nowMs())) this.#tools.onVerdict(this, reason);
  }

  /**
   * Checks without waiting for the interval. `isCertain`: there is other evidence against the server, so that one
   * failure suffices. While a check is running, the next one begins right after it.
   */
  checkNow(isCertain: boolean): void {
    this.#cancel();
    if (this.#probe === null || this.#isPaused || this.#isClosed) return;
    if (this.#running !== null) {
      this.#isCertainWanted ||= isCertain;
      return;
    }
    this.#running = this.#check(this.#probe, isCertain).finally(() => this.#afterCheck());
  }

  /** Requests wait for the server: if it is down, it is checked soon, and the first good connect brings it back. */
  hurry(): void {
    if (this.verdict.verdict !== Verdict.down) return;
    this.#isWaitedFor = true;
    const isDue = this.#tools.clock.nowMs() - this.#checkedMs >= HURRY_MS;
    if (isDue && this.#running === null) this.checkNow(false);
  }

  /** Ends checking; settles when the check under way is over. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancel();
    this.#probe?.close();
    await this.#running;
  }

  async #check(probe: Probe, isCertain: boolean): Promise<void> {
    const { clock } = this.#tools;
    const startMs = clock.nowMs();
    const { stoodStillMs } = clock;
    const outcome = await probe.check();
    const tookMs = clock.nowMs() - startMs;
    // A server that was removed, reconfigured or put into maintenance meanwhile was not judged by these rules.
    if (this.#isClosed || this.#isPaused || probe !== this.#probe) return;
    // who broke off while we stood still had every reason to
    const isOurs = outcome.result === 'failure' && !outcome.isReached && clock.stoodStillMs !== stoodStillMs;
    if (!isOurs || outcome.isRefused) this.#judge(outcome, isCertain);
    this.#schedule(outcome, isCertain, tookMs);
  }

  #judge(outcome: ProbeOutcome, isCertain: boolean): void {
    if (outcome.isOwnTrouble === true) return;
    this.checks[outcome.result] += 1;
    this.lastDetail = outcome.detail;
    const isWaitedFor = this.#isWaitedFor;
    this.#isWaitedFor = false;
    this.#checkedMs = this.#tools.clock.nowMs();
    if (outcome.report !== undefined) this.#tools.onReport(this, outcome.report);
    // an answer that is not good is no sign that the server cannot be reached
    const isSure = outcome.result === 'success' ? isWaitedFor : isCertain && !outcome.isReached;
    if (this.verdict.observe(outcome.result, this.#checkedMs, isSure)) {
      this.#tools.onVerdict(this, outcome.detail);
    }
  }

  #schedule(outcome: ProbeOutcome, wasCertain: boolean, tookMs: number): void {
    const intervalMs = this.#health?.intervalMs ?? 0;
    const isDoubtful = outcome.isRefused && this.verdict.streak > 0 && !wasCertain;
    const { random, scheduler } = this.#tools;
    const jitter = this.#isFirst ? random.next() : 1 + JITTER_SHARE * (2 * random.next() - 1);
    this.#isFirst = false;
    const delayMs = isDoubtful ? CONFIRM_MS : Math.max(0, intervalMs * jitter - tookMs);
    this.#timer = scheduler.after(delayMs, () => this.checkNow(isDoubtful));
  }

  /** A check asked for while one was running, or whose probe was replaced under it, begins now. */
  #afterCheck(): void {
    this.#running = null;
    const isCertain = this.#isCertainWanted;
    this.#isCertainWanted = false;
    if (isCertain || this.#timer === null) this.checkNow(isCertain);
  }

  #cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}
