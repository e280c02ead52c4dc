// Aligned tables for the terminal: numbers to the right, words to the left. Where there is not enough room, first columns
// that matter least go, as long as those left would be cut to nothing, then the longest words are cut. Pure.

import { printable, widthOf } from '../base/printable.ts';
import { cut, type Line, type Span } from './screen.ts';

const GAP = '  ';
/** So much of a column of words is always shown. */
const WORD_MIN = 10;

export type Cell = string | number | Span;

export interface Column {
  readonly heading: string;
  /** Left out where there is no room, the highest first; absent: never. */
  readonly isLeftOut?: number;
}

interface Shown {
  readonly heading: string;
  readonly cells: readonly Span[];
  readonly isNumeric: boolean;
  readonly isLeftOut: number;
  width: number;
}

/** Lines, each without a line feed. A column is numeric when all its cells are numbers. `room`: columns of the terminal. */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  room: number = Number.POSITIVE_INFINITY,
): readonly Line[] {
  const all = columns.map(({ heading, isLeftOut = 0 }, at): Shown => {
    const cells = rows.map((row) => spanOf(row[at] ?? ''));
    const width = Math.max(heading.length, ...cells.map(({ text }) => widthOf(text)));
    return { heading, cells, isNumeric: rows.every((row) => typeof row[at] === 'number'), isLeftOut, width };
  });
  const shown = narrowed(all, room);
  const heads = shown.map((column): Span => ({ text: padded(column.heading, column), tone: 'soft' }));
  const lines = rows.map((_, row) => shown.map((column) => paddedSpan(column.cells[row] as Span, column)));
  return [heads, ...lines].map(joined);
}

function narrowed(all: readonly Shown[], room: number): readonly Shown[] {
  let shown = all;
  const least = (): number => total(shown.map((column) => leastOf(column)));
  while (least() > room) {
    const first = Math.max(...shown.map(({ isLeftOut }) => isLeftOut));
    if (first === 0) break;
    shown = shown.filter(({ isLeftOut }) => isLeftOut < first);
  }
  for (let over = total(shown.map(({ width }) => width)) - room; over > 0; ) {
    const widest = shown.reduce((a, b) => (slack(b) > slack(a) ? b : a));
    if (slack(widest) <= 0) break;
    widest.width -= 1;
    over -= 1;
  }
  return shown;
}

function leastOf(column: Shown): number {
  return column.isNumeric ? column.width : Math.min(column.width, Math.max(WORD_MIN, column.heading.length));
}

/** How much of it may still be cut off, the longest column most. */
function slack(column: Shown): number {
  return column.width > leastOf(column) ? column.width : 0;
}

function total(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1);
}

function paddedSpan({ text, tone = null }: Span, column: Shown): Span {
  return { text: padded(cut(text, column.width), column), tone };
}

function padded(text: string, { width, isNumeric }: Shown): string {
  const room = ' '.repeat(Math.max(0, width - widthOf(text)));
  return isNumeric ? `${room}${text}` : `${text}${room}`;
}

/** A line without what nobody sees at its end. */
function joined(spans: readonly Span[]): Line {
  const last = spans.findLastIndex(({ text }) => text.trim() !== '');
  return spans.slice(0, last + 1).flatMap((span, at) => {
    const text = at === last ? span.text.trimEnd() : span.text;
    return at === 0 ? [{ ...span, text }] : [{ text: GAP }, { ...span, text }];
  });
}

/** As it will be shown, and as wide. */
function spanOf(cell: Cell): Span {
  const span: Span = typeof cell === 'object' ? cell : { text: String(cell) };
  return { ...span, text: printable(span.text) };
}
