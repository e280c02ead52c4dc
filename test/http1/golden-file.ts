// Reads goldens/*.md: "## title", prose, a fenced input block (its first word is the kind), a fenced result block.

import fs from 'node:fs';
import path from 'node:path';
import { unescapeBytes } from './render.ts';

export interface GoldenCase {
  readonly title: string;
  readonly kind: string;
  /** Words `key=value` after the kind. */
  readonly options: ReadonlyMap<string, string>;
  readonly bytes: Buffer;
  readonly expected: string;
}

export const GOLDENS = path.join(import.meta.dirname, 'goldens');

const CASE =
  /^## (.+)\n((?:(?!## |```).*\n)*)```(\S+)(.*)\n((?:(?!```).*\n)*)```\n\n```result\n((?:(?!```).*\n)*)```\n/gm;

export function readGoldens(file: string): GoldenCase[] {
  const text = fs.readFileSync(path.join(GOLDENS, file), 'utf8');
  const cases = [...text.matchAll(CASE)].map(
    ([, title, prose, kind, options, input, expected]): GoldenCase => {
      if (prose?.trim() === '') throw new Error(`${file}: "${title}" has no prose`);
      const pairs = options!.trim().split(' ').filter(Boolean);
      return {
        title: title!,
        kind: kind!,
        options: new Map(pairs.map((pair) => pair.split('=', 2) as [string, string])),
        bytes: unescapeBytes(input!),
        expected: expected!.trimEnd(),
      };
    },
  );
  const headings = text.match(/^## /gm)?.length ?? 0;
  if (cases.length !== headings)
    throw new Error(`${file}: ${headings} headings but ${cases.length} whole cases`);
  return cases;
}

/** Writes new results into a file, in the order of its cases: `UPDATE=1`, then read the diff. */
export function writeResults(file: string, results: readonly string[]): void {
  const where = path.join(GOLDENS, file);
  let index = 0;
  const text = fs.readFileSync(where, 'utf8').replace(/```result\n(?:(?!```).*\n)*```\n/g, () => {
    const result = results[index];
    index += 1;
    return `\`\`\`result\n${result}\n\`\`\`\n`;
  });
  fs.writeFileSync(where, text);
}
