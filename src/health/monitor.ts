// Health of every server of the running revision: active checks, workers' hints, passive signals -> control cells.

import type { Clock } from '../base/clock.ts';
import { type Random, SeededRandom, unpredictableSeed } from '../base/random.ts';
import { type Scheduled, type Scheduler, systemScheduler } from '../base/scheduler.ts';
import type { ServerConfig } from '../config/model.ts';
import { Mode, type VERDICT_NAMES, Verdict } from '../shared/control.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { PassiveHealth, type PassiveTotals } from './passive.ts';
import { createProbe, type ProbeFactory } from './probe.ts';
import type { SelfReport } from './self-report.ts';
import { ServerWatch } from './server-watch.ts';
import { type CheckResult, verdictName } from './verdict.ts';

/** How often hints, modes and passive signals are looked at: 20 times a second, a few cells per server. */
const POLL_MS = 50;

export type VerdictName = (typeof VERDICT_NAMES)[number];

/** One change of a server's verdict, for the event stream. */
export interface HealthTransition {
  readonly pool: string;
  readonly server: string;
  readonly slot: number;
  readonly from: VerdictName;
  readonly to: VerdictName;
  readonly reason: string;
  readonly wallMs: number;
}

/** The part of pino's logger that this room uses. */
export interface HealthLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface HealthMonitorOptions {
  readonly shared: SharedState;
  readonly clock: Clock;
  readonly log: HealthLog;
  readonly onTransition: (transition: HealthTransition) => void;
  readonly scheduler?: Scheduler;
  readonly random?: Random;
  readonly createProbe?: ProbeFactory;
  /** What a server says of itself, with every reply to a check. */
  readonly onReport?: (slot: number, report: SelfReport) => void;
  /** Totals of what real traffic met on a slot since its generation began; absent: no passive health. */
  readonly passiveTotals?: (slot: number) => PassiveTotals;
}

/** What has been counted of a server; goes on when the server was removed and comes back. */
interface Tally {
  readonly generation: number;
  readonly checks: Record<CheckResult, number>;
  readonly transitions: Record<VerdictName, number>;
}

interface Watched {
  readonly watch: ServerWatch;
  /** What the control cell was last set to. */
  reported: Verdict;
  readonly tally: Tally;
}

export class HealthMonitor {
  readonly #shared: SharedState;
  readonly #clock: Clock;
  readonly #log: HealthLog;
  readonly #onTransition: (transition: HealthTransition) => void;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #createProbe: ProbeFactory;
  readonly #onReport: ((slot: number, report: SelfReport) => void) | undefined;
  readonly #passive: PassiveHealth | null;
  readonly #watched = new Map<number, Watched>();
  /** By slot, of servers that were removed as well. */
  readonly #tallies = new Map<number, Tally>();
  readonly #closing = new Set<Promise<void>>();
  #timer: Scheduled | null = null;

  constructor(options: HealthMonitorOptions) {
    this.#shared = options.shared;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onTransition = options.onTransition;
    this.#onReport = options.onReport;
    this.#scheduler = options.scheduler ?? systemScheduler;
    this.#random = options.random ?? new SeededRandom(unpredictableSeed());
    this.#createProbe = options.createProbe ?? createProbe;
    this.#passive = options.passiveTotals === undefined ? null : new PassiveHealth(options.passiveTotals);
  }

  /**
   * Watches the servers of this revision. A server that keeps slot and generation keeps its verdict and counts,
   * a new one and one with a new address start with a check at once, a removed one is no longer checked.
   */
  apply(revision: Revision): void {
    const present = new Set<number>();
    for (const pool of revision.pools) {
      pool.slots.forEach((slot, index) => {
        present.add(slot);
        this.#applyServer(pool, slot, index);
      });
      this.#passive?.applyPool(pool, this.#clock.nowMs());
    }
    for (const slot of [...this.#watched.keys()]) if (!present.has(slot)) this.#forget(slot);
    this.#passive?.keepPools(new Set(revision.pools.map((pool) => pool.config.name)));
    this.#timer ??= this.#scheduler.after(POLL_MS, () => this.#poll());
  }

  /** Runs a check of the server at once, unless it is in maintenance or its pool has no checks. */
  checkNow(slot: number): void {
    this.#watched.get(slot)?.watch.checkNow(false);
  }

  /** The operator has changed the mode: one who comes back from maintenance is not up until a check has said so. */
  modeChanged(slot: number): void {
    this.#watched.get(slot)?.watch.setPaused(this.#shared.control.mode(slot) === Mode.maintenance);
  }

  /** Finished active checks of the server by result, since it came. */
  checks(slot: number): Readonly<Record<CheckResult, number>> {
    return this.#watched.get(slot)?.watch.checks ?? { success: 0, failure: 0, timeout: 0 };
  }

  /** Changes of the server's verdict by the new one, since it came. */
  transitions(slot: number): Readonly<Record<VerdictName, number>> {
    return this.#watched.get(slot)?.tally.transitions ?? noTransitions();
  }

  /** What the last check found and since when the verdict stands (wall time); null for an unknown slot. */
  lastCheck(slot: number): { readonly detail: string; readonly sinceWallMs: number } | null {
    const watch = this.#watched.get(slot)?.watch;
    if (watch === undefined) return null;
    const ageMs = this.#clock.nowMs() - watch.verdict.sinceMs;
    return { detail: watch.lastDetail, sinceWallMs: this.#clock.wallMs() - ageMs };
  }

  /** Ends all checks; settles when none is under way. */
  async stop(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    for (const slot of [...this.#watched.keys()]) this.#forget(slot);
    await Promise.all(this.#closing);
  }

  #applyServer(pool: PoolRevision, slot: number, index: number): void {
    const server = pool.config.servers[index];
    const generation = pool.generations[index];
    if (server === undefined || generation === undefined) return;
    const old = this.#watched.get(slot);
    const isKept = old?.watch.generation === generation;
    if (old !== undefined && !isKept) this.#forget(slot);
    if (isKept && old !== undefined && old.watch.server.url !== server.url) this.#acquit(old);
    const watched =
      isKept && old !== undefined ? old : this.#begin(pool.config.name, slot, generation, server);
    watched.watch.setPaused(this.#shared.control.mode(slot) === Mode.maintenance);
    const { health, protocol, sendProxyProtocol, secure } = pool.config;
    watched.watch.configure(server, health, { protocol, sendProxyProtocol, secure });
    if (!isKept) this.#tell(watched, watched.watch.verdict.verdict);
  }

  #begin(pool: string, slot: number, generation: number, server: ServerConfig): Watched {
    const known = this.#tallies.get(slot);
    const tally = known?.generation === generation ? known : newTally(generation);
    this.#tallies.set(slot, tally);
    const watch = new ServerWatch(pool, slot, generation, server, tally.checks, {
      clock: this.#clock,
      scheduler: this.#scheduler,
      random: this.#random,
      createProbe: this.#createProbe,
      onVerdict: (changed, reason) => this.#afterVerdict(changed, reason),
      onReport: (reporting, report) => this.#onReport?.(reporting.slot, report),
    });
    const watched: Watched = { watch, reported: Verdict.starting, tally };
    this.#shared.control.takeConnectFailure(slot);
    this.#watched.set(slot, watched);
    return watched;
  }

  #forget(slot: number): void {
    const watched = this.#watched.get(slot);
    if (watched === undefined) return;
    this.#watched.delete(slot);
    const closing = watched.watch.close();
    this.#closing.add(closing);
    closing.finally(() => this.#closing.delete(closing)).catch(() => undefined);
  }

  /** The regular look at what others have written. */
  #poll(): void {
    this.#timer = this.#scheduler.after(POLL_MS, () => this.#poll());
    const { control } = this.#shared;
    for (const [slot, { watch }] of this.#watched) {
      watch.setPaused(control.mode(slot) === Mode.maintenance);
      if (control.takeConnectFailure(slot) && watch.verdict.verdict !== Verdict.down) watch.checkNow(true);
      if (control.takeWanted(slot)) watch.hurry();
    }
    this.#applyPassive();
  }

  #applyPassive(): void {
    if (this.#passive === null) return;
    const nowMs = this.#clock.nowMs();
    const changes = this.#passive.poll(nowMs, (slot) => this.#isInService(slot));
    for (const change of changes) {
      const watched = this.#watched.get(change.slot);
      if (watched?.watch.verdict.setEjected(change.isEjected, nowMs))
        this.#afterVerdict(watched.watch, change.reason);
    }
  }

  #isInService(slot: number): boolean {
    const verdict = this.#watched.get(slot)?.watch.verdict.verdict;
    const isWell = verdict === Verdict.up || verdict === Verdict.ejected;
    return isWell && this.#shared.control.mode(slot) === Mode.ready;
  }

  #afterVerdict(watch: ServerWatch, reason: string): void {
    const watched = this.#watched.get(watch.slot);
    if (watched === undefined || watched.watch !== watch) return;
    this.#clearPassive(watched);
    const from = verdictName(watched.reported);
    const to = verdictName(watch.verdict.verdict);
    if (from === to) return;
    this.#tell(watched, watch.verdict.verdict);
    watched.tally.transitions[to] += 1;
    const { pool, slot } = watch;
    const server = watch.server.name;
    const isBad = to === 'down' || to === 'ejected';
    this.#log[isBad ? 'warn' : 'info'](
      { pool, server, from, to, reason },
      `server ${pool}/${server} is ${to}`,
    );
    this.#onTransition({ pool, server, slot, from, to, reason, wallMs: this.#clock.wallMs() });
  }

  /** A server that was down and answers its checks again is not held to what failed while it went down. */
  #clearPassive({ watch, reported }: Watched): void {
    const { verdict } = watch;
    if (reported === Verdict.down && verdict.verdict !== Verdict.down) this.#acquit({ watch });
  }

  #acquit({ watch }: Pick<Watched, 'watch'>): void {
    const nowMs = this.#clock.nowMs();
    this.#passive?.forget(watch.slot, nowMs);
    this.#shared.forgetFailing(watch.slot);
    watch.verdict.setEjected(false, nowMs);
  }

  #tell(watched: Watched, verdict: Verdict): void {
    const { control } = this.#shared;
    const { slot } = watched.watch;
    watched.reported = verdict;
    if (verdict === Verdict.down) control.setDownSince(slot, this.#clock.nowMs());
    control.setVerdict(slot, verdict);
  }
}

function newTally(generation: number): Tally {
  return { generation, checks: { success: 0, failure: 0, timeout: 0 }, transitions: noTransitions() };
}

function noTransitions(): Record<VerdictName, number> {
  return { starting: 0, up: 0, down: 0, ejected: 0 };
}
