// YAML text to the checked, frozen configuration, or to everything that is wrong with it.

import { buildConfig } from './build.ts';
import { crossCheck } from './cross-checks.ts';
import type { HoldfastConfig } from './model.ts';
import { type Place, type Problem, sortProblems } from './problem.ts';
import { type Issue, read } from './read.ts';
import type { Remark } from './remarks.ts';
import { configSchema, type Written } from './schema.ts';
import { readSource, type SourceOptions } from './source.ts';
import {
  brokenPaths,
  find,
  keyPlace,
  type Path,
  pathText,
  prune,
  type Tree,
  toPlain,
  valuePlace,
  type WrittenValue,
  writtenPath,
  writtenValues,
} from './tree.ts';

export type { Problem, SourceOptions, WrittenValue };

export interface Loaded {
  /** Null exactly when there are problems. Deep frozen. */
  readonly config: HoldfastConfig | null;
  /** Every problem at once, in reading order. */
  readonly problems: readonly Problem[];
  /** What works but is probably not meant, in reading order. */
  readonly warnings: readonly Problem[];
  /** What was written, defaults not included. */
  readonly written: readonly WrittenValue[];
}

/** Leaving out what is wrong can take what holds it along, level by level. */
const PRUNE_ROUNDS_MAX = 12;

/** Pure: reads no file and no environment but what it is given. Cost is linear in the text. */
export function loadConfig(text: string, options: SourceOptions): Loaded {
  const { tree, problems } = readSource(text, options);
  if (tree === null) return { config: null, problems, warnings: [], written: [] };
  const broken = brokenPaths(tree).map(pathText);
  const { written, rest, found, suspicious } = readTree(tree);
  const remarks =
    written === null
      ? []
      : relevant(crossCheck(written, poolNames(tree), options.files ?? null), rest, found, broken);
  const toProblem = (remark: Remark) => ({ file: options.file, ...placed(remark, rest) });
  const errors = [
    ...problems,
    ...found
      .filter(({ path }) => !broken.includes(pathText(path)))
      .map((issue) => ({ file: options.file, ...placeOf(issue, tree), message: issue.message })),
    ...remarks.filter(({ severity }) => severity === 'error').map(toProblem),
  ];
  const warnings = [
    ...suspicious.map((issue) => ({ file: options.file, ...placeOf(issue, rest), message: issue.message })),
    ...remarks.filter(({ severity }) => severity === 'warning').map(toProblem),
  ];
  const isGood = errors.length === 0 && written !== null;
  return {
    config: isGood ? buildConfig(written) : null,
    problems: sortProblems(errors),
    warnings: sortProblems(warnings),
    written: writtenValues(tree),
  };
}

interface TreeReading {
  /** Null when so much is wrong that nothing is left to check. */
  readonly written: Written | null;
  /** The tree `written` was made of. */
  readonly rest: Tree;
  /** What was wrong with the whole tree. */
  readonly found: readonly Issue[];
  /** Warnings, by their place in the rest. */
  readonly suspicious: readonly Issue[];
}

/** What the table of keys makes of the tree; where parts are wrong, of the rest, so that the rest is checked too. */
function readTree(tree: Tree): TreeReading {
  let found: readonly Issue[] | null = null;
  let rest = tree;
  for (let round = 0; round < PRUNE_ROUNDS_MAX; round += 1) {
    const { value, issues } = read(configSchema, toPlain(rest));
    if (value !== undefined) return { written: value, rest, found: found ?? [], suspicious: issues };
    const here = issues.filter(({ severity }) => severity === 'error');
    found ??= here;
    const pruned = prune(
      rest,
      here.map(({ path }) => path),
    );
    if (pruned === null) break;
    rest = pruned;
  }
  return { written: null, rest: tree, found: found ?? [], suspicious: [] };
}

function placeOf({ at, path }: Issue, tree: Tree): Place {
  if (at === 'key') return keyPlace(tree, path);
  if (at === 'value') return valuePlace(tree, path);
  const holder = path.slice(0, -1);
  return typeof holder.at(-1) === 'string' ? keyPlace(tree, holder) : valuePlace(tree, holder);
}

/** Remarks that rest on something already reported would only confuse. */
function relevant(
  remarks: readonly Remark[],
  rest: Tree,
  found: readonly Issue[],
  broken: readonly string[],
): readonly Remark[] {
  const wrong = [...found.map(({ path }) => pathText(path)), ...broken];
  const isWrong = (path: Path) => {
    const text = pathText(writtenPath(rest, path));
    return wrong.some((other) => isWithin(text, other) || isWithin(other, text));
  };
  return remarks.filter(
    ({ path, involves }) => !involves.some(isWrong) && !broken.includes(pathText(writtenPath(rest, path))),
  );
}

function isWithin(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(`${outer}\u0000`);
}

function placed({ path, at, message, other }: Remark, rest: Tree): Place & { readonly message: string } {
  const place = at === 'key' ? keyPlace(rest, path) : valuePlace(rest, path);
  if (other === undefined) return { ...place, message };
  return { ...place, message: message.replace('{line}', String(valuePlace(rest, other).line)) };
}

function poolNames(tree: Tree): readonly string[] {
  const pools = find(tree, ['pools']);
  return pools?.kind === 'map' ? [...pools.entries.keys()] : [];
}
