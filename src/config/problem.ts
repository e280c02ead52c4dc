// A problem of a configuration: where it is and what to do about it. Values, never exceptions.

import { beginningOf, printable, widthOf } from '../base/printable.ts';

export interface Problem {
  readonly file: string;
  /** From 1; 0 when the file as a whole is meant, because it could not be read. */
  readonly line: number;
  /** From 1 (0 as above), counted in UTF-16 units as editors do. */
  readonly column: number;
  /** Lower case, one line, without the place. */
  readonly message: string;
  /** The line as it is written, where the text is not YAML: reading it is how the slip is found. */
  readonly source?: string;
}

/** A point in the text, both numbers from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** `FILE:LINE:COLUMN: message`, the form editors and terminals make clickable. */
export function formatProblem(problem: Problem): string {
  if (problem.line === 0) return `${problem.file}: ${problem.message}`;
  return `${problem.file}:${problem.line}:${problem.column}: ${problem.message}`;
}

const SHOWN_COLUMNS_MAX = 160;

/** As formatProblem, and where the text is not YAML the line below it, with a mark under the place. */
export function problemLines(problem: Problem): readonly string[] {
  const { source, column } = problem;
  const said = printable(formatProblem(problem));
  if (source === undefined) return [said];
  const shown = (text: string): string =>
    beginningOf(printable(text.replaceAll('\t', ' ')), SHOWN_COLUMNS_MAX);
  const before = widthOf(shown(source.slice(0, column - 1)));
  return [said, `    ${shown(source)}`, `    ${' '.repeat(Math.min(before, SHOWN_COLUMNS_MAX - 1))}^`];
}

/** What is allowed, and perhaps not meant. */
export function warningLines(warning: Problem): readonly string[] {
  return problemLines({ ...warning, message: `warning: ${warning.message}` });
}

/** In reading order; what is said twice about one place is kept once. */
export function sortProblems(problems: readonly Problem[]): readonly Problem[] {
  const sorted = problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
  const seen = new Set<string>();
  return sorted.filter((problem) => {
    const text = formatProblem(problem);
    if (seen.has(text)) return false;
    seen.add(text);
    return true;
  });
}
