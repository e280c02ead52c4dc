// Runs the experiments and reports: those with many users one after the other, those with few side by side. A cell
// that fails is reported as failed, the others go on; Ctrl-C stops what is under way, cleans up, and reports what there is.

import { withCodeCache } from '../demo/child.ts';
import { redisMissing } from '../demo/redis-servers.ts';
import { packageVersion } from '../src/base/version.ts';
import { runCell } from './cell.ts';
import {
  type Cell,
  cellMs,
  expectedMs,
  isLight,
  LANES,
  type LabOptions,
  planCell,
  selectCells,
} from './cells.ts';
import { worst } from './check.ts';
import { machineOf, untilQuiet } from './machine.ts';
import { beforeOf, type CellOutcome, checksOf, type LabReport, verdictOf } from './outcome.ts';
import { Progress, type Screen } from './progress.ts';
import { deviationText, outcomeMark, repeatText, summaryText } from './report-markdown.ts';
import { TimeAllowed } from './time-allowed.ts';
import { writeReport } from './write-report.ts';

/** How the run ended, for the exit status. */
export interface LabEnd {
  readonly report: LabReport;
  /** Nothing failed and nothing is outside its bracket. */
  readonly isGood: boolean;
}

/** Above this the machine has no time left: the next cell waits for it, and one outside its bracket is run once more. */
const BUSY_SHARE_MAX = 0.85;
/** A cell waits until others leave so much of the machine. */
const IDLE_SHARE_MIN = 0.5;

/** Runs the selected cells, writes the report into `directory` and prints as it goes. */
export async function runLab(
  options: LabOptions,
  directory: string,
  screen: Screen,
  signal: AbortSignal,
): Promise<LabEnd> {
  const cells = selectCells(options);
  const beganMs = performance.now();
  const date = new Date().toISOString();
  const totalMs = expectedMs(cells, options);
  const time = new TimeAllowed(totalMs, options.quick, beganMs);
  screen.write(
    `${cells.length} cells, about ${minutesText(totalMs)} on two idle cores, at most ${minutesText(time.allowedMs)}; Ctrl-C stops and reports\n`,
  );
  const run = new LabRun(options, cells, time, new Progress(screen, cells.length, totalMs), signal);
  // Every cell starts the same programs.
  const outcomes = await withCodeCache(() => run.all());
  const report: LabReport = {
    version: packageVersion(),
    date,
    machine: machineOf(),
    options,
    outcomes,
    tookMs: performance.now() - beganMs,
    wasStopped: signal.aborted,
  };
  const folder = await writeReport(report, directory);
  screen.write(
    `\n${summaryText(report)}; ${minutesText(report.tookMs)}\nreport: ${folder}/report.html (also .md, .json)\n`,
  );
  const verdicts = outcomes.map(verdictOf);
  return { report, isGood: !verdicts.includes('failed') && !verdicts.includes('outside') };
}

class LabRun {
  readonly #options: LabOptions;
  readonly #cells: readonly Cell[];
  readonly #time: TimeAllowed;
  readonly #progress: Progress;
  readonly #signal: AbortSignal;
  readonly #redisMissing: string | null;
  readonly #outcomes = new Map<Cell, CellOutcome>();

  constructor(
    options: LabOptions,
    cells: readonly Cell[],
    time: TimeAllowed,
    progress: Progress,
    signal: AbortSignal,
  ) {
    this.#options = options;
    this.#cells = cells;
    this.#time = time;
    this.#progress = progress;
    this.#signal = signal;
    this.#redisMissing = cells.some(({ architecture }) => architecture.store === 'redis')
      ? redisMissing()
      : null;
  }

  /** Outcomes in the order of the cells, as far as it came. */
  async all(): Promise<readonly CellOutcome[]> {
    await this.#lane(this.#cells.filter((cell) => !isLight(cell)).values());
    const light = this.#cells.filter(isLight).values();
    // One iterator for all lanes: each takes the next cell when it has finished one.
    await Promise.all(Array.from({ length: LANES }, () => this.#lane(light)));
    this.#progress.finish();
    return this.#cells.flatMap((cell) => this.#outcomes.get(cell) ?? []);
  }

  async #lane(cells: IterableIterator<Cell>): Promise<void> {
    let isBusy = true;
    for (const cell of cells) {
      if (this.#signal.aborted) return;
      if (isBusy && !isLight(cell)) await this.#untilQuiet(cell);
      const beganMs = performance.now();
      this.#progress.begin(titleOf(cell));
      const outcome = await this.#run(cell);
      this.#time.done(cellMs(cell, this.#options));
      if (this.#signal.aborted) return;
      this.#outcomes.set(cell, outcome);
      this.#progress.end(lineOf(outcome, performance.now() - beganMs));
      isBusy = outcome.type === 'done' && outcome.result.busyShare > BUSY_SHARE_MAX;
    }
  }

  async #untilQuiet(cell: Cell): Promise<void> {
    const waitableMs = this.#time.waitableMs(performance.now());
    if (waitableMs === 0) return;
    this.#progress.begin(`${titleOf(cell)}: waiting for the machine`);
    this.#time.waited(await untilQuiet(IDLE_SHARE_MIN, waitableMs, this.#signal));
  }

  async #run(cell: Cell): Promise<CellOutcome> {
    if (cell.architecture.store === 'redis' && this.#redisMissing !== null)
      return { type: 'skipped', cell, reason: this.#redisMissing };
    if (this.#time.isOver(performance.now()))
      return { type: 'failed', cell, reason: `not run: ${minutesText(this.#time.allowedMs)} were over` };
    try {
      const plan = planCell(cell, this.#options);
      const first = await runCell(plan, this.#signal);
      // Other programs had the machine: what is measured then is them. Both measurements are reported.
      const isSpoilt = worst(first.checks) === 'outside' && first.busyShare > BUSY_SHARE_MAX;
      if (!isSpoilt || this.#time.spareMs(performance.now()) < cellMs(cell, this.#options))
        return { type: 'done', cell, result: first, before: null };
      const { checks, busyShare } = first;
      return { type: 'done', cell, result: await runCell(plan, this.#signal), before: { checks, busyShare } };
    } catch (error) {
      return { type: 'failed', cell, reason: error instanceof Error ? error.message : String(error) };
    }
  }
}

function titleOf({ architecture, fault }: Cell): string {
  return `${architecture.name} × ${fault}`;
}

function minutesText(ms: number): string {
  return ms < 100_000 ? `${Math.ceil(ms / 1000)} s` : `${(ms / 60_000).toFixed(1)} min`;
}

function lineOf(outcome: CellOutcome, tookMs: number): string {
  const head = `${outcomeMark(outcome).padEnd(11)} ${titleOf(outcome.cell).padEnd(34)} ${(tookMs / 1000).toFixed(1).padStart(5)} s`;
  if (outcome.type !== 'done') return `${head}  ${outcome.reason}`;
  const wrong = checksOf(outcome).filter(({ verdict }) => verdict !== 'inside');
  const before = beforeOf(outcome);
  const again = before === null ? [] : [repeatText(before, outcome.result)];
  return [
    head,
    ...again.map((text) => `            ${text}`),
    ...wrong.map((one) => `            ${deviationText(one)}`),
  ].join('\n');
}
