// Runs the experiments one after the other and reports. A cell that fails is reported as failed, the others go on;
// Ctrl-C stops the cell under way, cleans up, and reports what there is.

import { packageVersion } from '../base/version.ts';
import { redisMissing } from '../demo/redis-servers.ts';
import { runCell } from './cell.ts';
import { type Cell, expectedMs, type LabOptions, planCell, selectCells } from './cells.ts';
import { worst } from './check.ts';
import { machineOf, untilQuiet } from './machine.ts';
import { type CellOutcome, checksOf, type LabReport, verdictOf } from './outcome.ts';
import { Progress, type Screen } from './progress.ts';
import { deviationText, outcomeMark, summaryText } from './report-markdown.ts';
import { writeReport } from './write-report.ts';

/** How the run ended, for the exit status. */
export interface LabEnd {
  readonly report: LabReport;
  /** Nothing failed and nothing is outside its bracket. */
  readonly isGood: boolean;
}

/** Above this the machine has no time left, and a cell outside its bracket is run once more. */
const BUSY_SHARE_MAX = 0.85;
/** A cell waits until others leave so much of the machine, for so long, and all cells together for so long. */
const IDLE_SHARE_MIN = 0.5;
const QUIET_MS_MAX = 8000;
const QUIET_MS_IN_ALL = 60_000;
const QUIET_MS_IN_QUICK = 12_000;
/** Cells run once more in one run: each takes up to half a minute. */
const REPEATS_MAX = 4;

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
  const missing = cells.some(({ architecture }) => architecture.store === 'redis') ? redisMissing() : null;
  const totalMs = expectedMs(cells, options);
  screen.write(`${cells.length} cells, about ${Math.ceil(totalMs / 60_000)} min; Ctrl-C stops and reports\n`);
  const progress = new Progress(screen, cells.length, totalMs);
  const outcomes: CellOutcome[] = [];
  let repeats = 0;
  let quietMsLeft = options.quick ? QUIET_MS_IN_QUICK : QUIET_MS_IN_ALL;
  const mayRepeat = (): boolean => {
    repeats += 1;
    return repeats <= REPEATS_MAX;
  };
  for (const cell of cells) {
    if (signal.aborted) break;
    progress.begin(`${titleOf(cell)}: waiting for the machine`);
    quietMsLeft -= await untilQuiet(IDLE_SHARE_MIN, Math.min(QUIET_MS_MAX, quietMsLeft), signal);
    progress.begin(titleOf(cell));
    const cellBeganMs = performance.now();
    const outcome = await runOne(cell, options, missing, mayRepeat, signal);
    if (signal.aborted) break;
    outcomes.push(outcome);
    progress.end(lineOf(outcome, performance.now() - cellBeganMs));
  }
  progress.finish();
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
  screen.write(`\n${summaryText(report)}\nreport: ${folder}/report.html (also .md, .json)\n`);
  const verdicts = outcomes.map(verdictOf);
  return { report, isGood: !verdicts.includes('failed') && !verdicts.includes('outside') };
}

async function runOne(
  cell: Cell,
  options: LabOptions,
  redisIsMissing: string | null,
  mayRepeat: () => boolean,
  signal: AbortSignal,
): Promise<CellOutcome> {
  if (cell.architecture.store === 'redis' && redisIsMissing !== null)
    return { type: 'skipped', cell, reason: redisIsMissing };
  try {
    const plan = planCell(cell, options);
    const first = await runCell(plan, signal);
    // Other programs had the machine: what is measured then is them.
    const isSpoilt = worst(first.checks) === 'outside' && first.busyShare > BUSY_SHARE_MAX;
    const result = isSpoilt && mayRepeat() ? await runCell(plan, signal) : first;
    return { type: 'done', cell, result };
  } catch (error) {
    return { type: 'failed', cell, reason: error instanceof Error ? error.message : String(error) };
  }
}

function titleOf({ architecture, fault }: Cell): string {
  return `${architecture.name} × ${fault}`;
}

function lineOf(outcome: CellOutcome, tookMs: number): string {
  const head = `${outcomeMark(outcome).padEnd(11)} ${titleOf(outcome.cell).padEnd(34)} ${(tookMs / 1000).toFixed(1).padStart(5)} s`;
  if (outcome.type !== 'done') return `${head}  ${outcome.reason}`;
  const wrong = checksOf(outcome).filter(({ verdict }) => verdict !== 'inside');
  return [head, ...wrong.map((one) => `            ${deviationText(one)}`)].join('\n');
}
