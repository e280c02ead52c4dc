// What a whole run leaves behind, cell by cell. Pure.
import { ARCHITECTURES, type Architecture } from './architectures.ts';
import type { CellResult } from './cell.ts';
import type { Cell, LabOptions } from './cells.ts';
import { type Check, worst } from './check.ts';
import type { Fault } from './faults.ts';
import type { Machine } from './machine.ts';

/** A measurement that was taken again, because other programs had the machine. */
export interface Spoilt {
  readonly checks: readonly Check[];
  /** Part of all cores' time that was in use. */
  readonly busyShare: number;
}

/** How one cell ended. */
export type CellOutcome =
  | {
      readonly type: 'done';
      readonly cell: Cell;
      readonly result: CellResult;
      /** What was measured before `result`; null: it was measured once. */
      readonly before: Spoilt | null;
    }
  | { readonly type: 'failed'; readonly cell: Cell; readonly reason: string }
  | { readonly type: 'skipped'; readonly cell: Cell; readonly reason: string };

export interface LabReport {
  readonly version: string;
  /** ISO 8601 date of the begin. */
  readonly date: string;
  readonly machine: Machine;
  readonly options: LabOptions;
  readonly outcomes: readonly CellOutcome[];
  readonly tookMs: number;
  /** Ctrl-C ended the run before its end. */
  readonly wasStopped: boolean;
}

/** Numbers of cells by how they ended. */
export interface Summary {
  readonly cells: number;
  readonly checks: number;
  readonly inside: number;
  readonly explained: number;
  readonly outside: number;
  readonly failed: number;
  readonly skipped: number;
  /** Cells that were measured a second time. */
  readonly repeated: number;
}

export function summaryOf({ outcomes }: LabReport): Summary {
  const verdicts = outcomes.map(verdictOf);
  const count = (wanted: string): number => verdicts.filter((verdict) => verdict === wanted).length;
  return {
    cells: outcomes.length,
    checks: outcomes.reduce((sum, outcome) => sum + checksOf(outcome).length, 0),
    inside: count('inside'),
    explained: count('explained'),
    outside: count('outside'),
    failed: count('failed'),
    skipped: count('skipped'),
    repeated: outcomes.filter((outcome) => beforeOf(outcome) !== null).length,
  };
}

/** A cell's verdict: the worst of its checks, or why there are none. */
export function verdictOf(outcome: CellOutcome): 'inside' | 'explained' | 'outside' | 'failed' | 'skipped' {
  return outcome.type === 'done' ? worst(outcome.result.checks) : outcome.type;
}

export function checksOf(outcome: CellOutcome): readonly Check[] {
  return outcome.type === 'done' ? outcome.result.checks : [];
}

/** The first measurement of a cell that was measured twice; null otherwise. */
export function beforeOf(outcome: CellOutcome): Spoilt | null {
  return outcome.type === 'done' ? outcome.before : null;
}

/** The finished cell of that architecture and fault; null when there is none. */
export function resultOf({ outcomes }: LabReport, name: string, fault: Fault): CellResult | null {
  for (const outcome of outcomes) {
    if (outcome.cell.architecture.name !== name || outcome.cell.fault !== fault) continue;
    return outcome.type === 'done' ? outcome.result : null;
  }
  return null;
}

/** Architectures with at least one finished cell, in the order of the table. */
export function architecturesIn({ outcomes }: LabReport): readonly Architecture[] {
  return ARCHITECTURES.filter((architecture) =>
    outcomes.some(({ type, cell }) => type === 'done' && cell.architecture.name === architecture.name),
  );
}

/** A number as the reader of a table wants it. */
export function valueText(value: number, unit: Check['unit']): string {
  if (value === Infinity) return '∞';
  if (unit === 'share') return `${trimmed(value * 100, 1)} %`;
  if (unit === 'ms') return value >= 1000 ? `${trimmed(value / 1000, 2)} s` : `${trimmed(value, 1)} ms`;
  if (unit === 'ratio') return trimmed(value, 3);
  if (unit === 'bytes') return `${trimmed(value, 0)} B`;
  return trimmed(value, 1);
}

/** A bracket: one value where both ends are the same. */
export function bracketText({ low, high, unit }: Pick<Check, 'low' | 'high' | 'unit'>): string {
  if (low === high) return valueText(low, unit);
  if (high === Infinity) return `≥ ${valueText(low, unit)}`;
  return `${valueText(low, unit)} … ${valueText(high, unit)}`;
}

function trimmed(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}
