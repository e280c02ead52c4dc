// Aligned tables for the terminal: numbers to the right, words to the left. Pure.

const GAP = '  ';

export type Cell = string | number;

/** Lines, each without a line feed. A column is numeric when all its cells are numbers. */
export function formatTable(
  headings: readonly string[],
  rows: readonly (readonly Cell[])[],
): readonly string[] {
  const isNumeric = headings.map((_, column) => rows.every((row) => typeof row[column] === 'number'));
  const texts = [headings, ...rows.map((row) => row.map(formatCell))];
  const widths = headings.map((_, column) => Math.max(...texts.map((row) => (row[column] ?? '').length)));
  return texts.map((row) =>
    row
      .map((text, column) =>
        isNumeric[column] ? text.padStart(widths[column] ?? 0) : text.padEnd(widths[column] ?? 0),
      )
      .join(GAP)
      .trimEnd(),
  );
}

function formatCell(cell: Cell): string {
  return typeof cell === 'string' ? cell : String(cell);
}
