// What the terminal shows: lines of spans, cut to its width and coloured where it has colours.
//
//   what is said ──> spans ──> cut: `…` stands where a line goes on ──> text, with colour or without

import { beginningOf, printable, widthOf } from '../base/printable.ts';

const ESCAPES = { good: '\x1b[32m', warn: '\x1b[33m', bad: '\x1b[1;31m', soft: '\x1b[2m' } as const;
const PLAIN = '\x1b[0m';

/** Never the only sign: the words say it as well. */
export type Tone = keyof typeof ESCAPES;

export interface Span {
  readonly text: string;
  readonly tone?: Tone | null;
}

export type Line = string | readonly Span[];

/** What a terminal can show. */
export interface Screen {
  /** Of a line; infinite where nobody says, as in a file. */
  readonly columns: number;
  readonly hasColours: boolean;
}

/** COLUMNS goes first; a terminal that does not know its width says 0. Colours as Node.js finds them: not with NO_COLOR, not in a file. */
export function screenOf(stream: NodeJS.WriteStream, columnsWanted: string | undefined): Screen {
  const wanted = Number(columnsWanted);
  const columns = wanted > 0 ? wanted : stream.isTTY ? stream.columns : 0;
  return {
    columns: columns > 0 ? columns : Number.POSITIVE_INFINITY,
    hasColours: stream.isTTY && stream.hasColors(),
  };
}

export function spansOf(line: Line): readonly Span[] {
  return typeof line === 'string' ? [{ text: line }] : line;
}

/** Whatever a server or a user has put into a name or a reason, it stays text. */
export function textOf(line: Line, hasColours: boolean): string {
  return spansOf(line)
    .map(({ text, tone = null }) => {
      const safe = printable(text);
      return hasColours && tone !== null && safe !== '' ? `${ESCAPES[tone]}${safe}${PLAIN}` : safe;
    })
    .join('');
}

/** No line wraps and no row scrolls away: the last line says what is below. Pure. */
export function fitted(lines: readonly Line[], columns: number, rows: number): readonly Line[] {
  const shown = lines.length <= rows ? lines : lines.slice(0, Math.max(1, rows - 1));
  const more = lines.length > shown.length ? [`… ${lines.length - shown.length} lines more`] : [];
  return [...shown, ...more].map((line) => cutLine(line, columns));
}

function cutLine(line: Line, columns: number): Line {
  const spans = spansOf(line).map((span) => ({ ...span, text: printable(span.text) }));
  if (spans.reduce((sum, { text }) => sum + widthOf(text), 0) <= columns) return line;
  let left = columns;
  const kept: Span[] = [];
  for (const span of spans) {
    const width = widthOf(span.text);
    kept.push(width < left ? span : { ...span, text: cut(span.text, left, true) });
    if (width >= left) break;
    left -= width;
  }
  return kept;
}

/** Printable text, at most so many columns of it, the last one `…` where there was more, or `goesOn`. */
export function cut(text: string, columns: number, goesOn = false): string {
  if (widthOf(text) <= columns && !goesOn) return text;
  return columns < 1 ? '' : `${beginningOf(text, columns - 1)}…`;
}
