// Per-server control cells: written by main, read by every worker.
//
//   cell [ slot × CELLS + name ]   Int32
//
// Verdict and mode are separate on purpose: health never overwrites what the operator asked for. What a server says
// of itself is a third thing; `mode` is what follows from both, so that workers read one cell.
//
// What is asked of every candidate of every request is read plainly: a cell is never torn, no answer depends on the order of two
// of them, and Atomics.load is a call of its own (60 instructions).

import { SLOTS_MAX } from './limits.ts';

/** What health says. `starting` (no check finished yet) takes no traffic while any server of the pool is up. */
export const Verdict = { starting: 0, up: 1, down: 2, ejected: 3 } as const;
export type Verdict = (typeof Verdict)[keyof typeof Verdict];
export const VERDICT_NAMES = ['starting', 'up', 'down', 'ejected'] as const;

/** What the operator says, or the server of itself; full is never the operator's: as drain, but sessions stay. */
export const Mode = { ready: 0, drain: 1, maintenance: 2, full: 3 } as const;
export type Mode = (typeof Mode)[keyof typeof Mode];
export const MODE_NAMES = ['ready', 'drain', 'maintenance'] as const;
/** Also those that only a server's own report can bring about. */
export const EFFECTIVE_MODE_NAMES = [...MODE_NAMES, 'full'] as const;

/** What a server says of itself in its health reply. */
export const Report = { ready: 0, drain: 1, full: 2 } as const;
export type Report = (typeof Report)[keyof typeof Report];
export const REPORT_NAMES = ['ready', 'drain', 'full'] as const;

/** Weights in shared memory are in thousandths, so that slow start can scale them. */
export const WEIGHT_SCALE = 1000;

const Cell = {
  generation: 0,
  verdict: 1,
  mode: 2,
  weight: 3,
  sessions: 4,
  tentative: 5,
  placedBase: 6,
  reportFailed: 7,
  operatorMode: 8,
  report: 9,
  wanted: 10,
  failingClients: 11,
  downSince: 12,
  unbacked: 13,
  placedBaseMost: 14,
} as const;
const CELLS = 15;
/** Unit of `downSince`, which goes round after thirteen years: only differences count. */
const SINCE_MS = 100;

const Global = { revision: 0, sweepEpoch: 1, eligibility: 2 } as const;
const GLOBALS = 16;

export class ControlCells {
  readonly buffer: SharedArrayBuffer;
  readonly #globals: Int32Array;
  readonly #cells: Int32Array;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer((GLOBALS + SLOTS_MAX * CELLS) * 4);
    this.#globals = new Int32Array(this.buffer, 0, GLOBALS);
    this.#cells = new Int32Array(this.buffer, GLOBALS * 4);
  }

  verdict(slot: number): Verdict {
    return this.#cells[slot * CELLS + Cell.verdict] as Verdict;
  }

  setVerdict(slot: number, verdict: Verdict): void {
    this.#change(slot, Cell.verdict, verdict);
  }

  /** To be called before the verdict becomes down. */
  setDownSince(slot: number, nowMs: number): void {
    Atomics.store(this.#cells, slot * CELLS + Cell.downSince, Math.floor(nowMs / SINCE_MS) | 0);
  }

  /** For how long the server has been down, to a tenth of a second; means nothing of one that is not. */
  downForMs(slot: number, nowMs: number): number {
    const since = Atomics.load(this.#cells, slot * CELLS + Cell.downSince);
    return ((Math.floor(nowMs / SINCE_MS) - since) | 0) * SINCE_MS;
  }

  /** What counts: the operator's mode, or what the server reports where the operator's is ready. */
  mode(slot: number): Mode {
    return this.#cells[slot * CELLS + Cell.mode] as Mode;
  }

  /** The operator's own. */
  operatorMode(slot: number): Mode {
    return Atomics.load(this.#cells, slot * CELLS + Cell.operatorMode) as Mode;
  }

  setMode(slot: number, mode: Mode): void {
    Atomics.store(this.#cells, slot * CELLS + Cell.operatorMode, mode);
    this.#combine(slot);
  }

  report(slot: number): Report {
    return Atomics.load(this.#cells, slot * CELLS + Cell.report) as Report;
  }

  setReport(slot: number, report: Report): void {
    Atomics.store(this.#cells, slot * CELLS + Cell.report, report);
    this.#combine(slot);
  }

  /**
   * Sessions that only the server has, by its own report, although the pool's are shared. Above 0 its sessions are treated
   * as those of a pool whose state is local: nothing moves them while it lives.
   */
  unbacked(slot: number): number {
    return Atomics.load(this.#cells, slot * CELLS + Cell.unbacked);
  }

  setUnbacked(slot: number, sessions: number): void {
    Atomics.store(this.#cells, slot * CELLS + Cell.unbacked, sessions);
  }

  #combine(slot: number): void {
    const operator = this.operatorMode(slot);
    const report = this.report(slot);
    const reported = report === Report.drain ? Mode.drain : report === Report.full ? Mode.full : Mode.ready;
    this.#change(slot, Cell.mode, operator === Mode.ready ? reported : operator);
  }

  /** Effective weight in thousandths of a configured unit (slow start included); 0 takes no new sessions. */
  weight(slot: number): number {
    return this.#cells[slot * CELLS + Cell.weight] as number;
  }

  setWeight(slot: number, thousandths: number): void {
    this.#change(slot, Cell.weight, thousandths);
  }

  /** Writes what decides whether and how much a server is chosen; says so after it. */
  #change(slot: number, cell: number, value: number): void {
    if (Atomics.exchange(this.#cells, slot * CELLS + cell, value) !== value)
      Atomics.add(this.#globals, Global.eligibility, 1);
  }

  /** Another number whenever a verdict, mode or weight has changed. It may be an old one: ask `eligibilityInOrder` before reading those. */
  eligibility(): number {
    return this.#globals[Global.eligibility] as number;
  }

  /** What is read of verdicts, modes and weights from here on is at least as new. */
  eligibilityInOrder(): number {
    return Atomics.load(this.#globals, Global.eligibility);
  }

  /** Grows by one whenever a slot is given to another server; 1 .. 2^19 - 1, then starts over. */
  generation(slot: number): number {
    return this.#cells[slot * CELLS + Cell.generation] as number;
  }

  setGeneration(slot: number, generation: number): void {
    Atomics.store(this.#cells, slot * CELLS + Cell.generation, generation);
  }

  /** Sessions homed on the slot as of the last sweep, tentative ones not counted. */
  sessions(slot: number): number {
    return this.#cells[slot * CELLS + Cell.sessions] as number;
  }

  /** Sessions as of the last sweep whose client has not shown yet that it keeps cookies. */
  tentative(slot: number): number {
    return this.#cells[slot * CELLS + Cell.tentative] as number;
  }

  /** With the threads' session deltas of now: sessions there are, tentative ones included. One cell, so that it is never torn. */
  placedBase(slot: number): number {
    return this.#cells[slot * CELLS + Cell.placedBase] as number;
  }

  /** The same with all that left during the sweep, which may have seen some of them: never too few. */
  placedBaseMost(slot: number): number {
    return Atomics.load(this.#cells, slot * CELLS + Cell.placedBaseMost);
  }

  /**
   * Publishes what a finished sweep found for one slot. `deltaAtBegin`: sum of the threads' session deltas when it began;
   * `left`: sessions that left since.
   */
  publishSweep(slot: number, sessions: number, tentative: number, deltaAtBegin: number, left = 0): void {
    const base = sessions + tentative - deltaAtBegin;
    Atomics.store(this.#cells, slot * CELLS + Cell.sessions, sessions);
    Atomics.store(this.#cells, slot * CELLS + Cell.tentative, tentative);
    Atomics.store(this.#cells, slot * CELLS + Cell.placedBase, base);
    Atomics.store(this.#cells, slot * CELLS + Cell.placedBaseMost, base + left);
  }

  // Three hints go the other way: workers write them, main takes them.

  /** A connection to the slot was refused or could not be made: main checks the server at once. */
  reportConnectFailure(slot: number): void {
    Atomics.store(this.#cells, slot * CELLS + Cell.reportFailed, 1);
  }

  /** Reads and clears the hint. */
  takeConnectFailure(slot: number): boolean {
    return Atomics.exchange(this.#cells, slot * CELLS + Cell.reportFailed, 0) === 1;
  }

  /** A request waits for the slot's server, which is down: main looks soon whether it is back. */
  want(slot: number): void {
    Atomics.store(this.#cells, slot * CELLS + Cell.wanted, 1);
  }

  takeWanted(slot: number): boolean {
    return Atomics.exchange(this.#cells, slot * CELLS + Cell.wanted, 0) === 1;
  }

  /** The server failed a client: a bit for each, which some clients have in common. `bit`: 0..31. */
  noteFailingClient(slot: number, bit: number): void {
    Atomics.or(this.#cells, slot * CELLS + Cell.failingClients, 1 << bit);
  }

  /** The bits since the last time. */
  takeFailingClients(slot: number): number {
    return Atomics.exchange(this.#cells, slot * CELLS + Cell.failingClients, 0);
  }

  /** Identifies the running sweep, 1..255; entries born during it carry the same number and are left to the next. */
  sweepEpoch(): number {
    return Atomics.load(this.#globals, Global.sweepEpoch);
  }

  setSweepEpoch(epoch: number): void {
    Atomics.store(this.#globals, Global.sweepEpoch, epoch);
  }
}
