// YAML text to the checked, frozen configuration, or to everything that is wrong with it.

import { allowedKeys } from './allowed-keys.ts';
import { buildConfig } from './build.ts';
import { crossCheck } from './cross-checks.ts';
import { type Finding, findings } from './issues.ts';
import type { HoldfastConfig } from './model.ts';
import { type Problem, sortProblems } from './problem.ts';
import type { Remark } from './remarks.ts';
import { configSchema, type Written } from './schema.ts';
import { readSource, type SourceOptions } from './source.ts';
import { find, keyPlace, type Path, pathText, prune, type Tree, toPlain, valuePlace } from './tree.ts';

export type { Problem, SourceOptions };

export interface Loaded {
  /** Null exactly when there are problems. Deep frozen. */
  readonly config: HoldfastConfig | null;
  /** Every problem at once, in reading order. */
  readonly problems: readonly Problem[];
  /** What works but is probably not meant, in reading order. */
  readonly warnings: readonly Problem[];
}

/** Leaving out what is wrong can take what holds it along, level by level. */
const PRUNE_ROUNDS_MAX = 12;

/** Pure: reads no file and no environment but what it is given. Cost is linear in the text. */
export function loadConfig(text: string, options: SourceOptions): Loaded {
  const { tree, problems } = readSource(text, options);
  if (tree === null) return { config: null, problems, warnings: [] };
  const { written, found } = readSchema(tree);
  const remarks = written === null ? [] : relevant(crossCheck(written, poolNames(tree)), found);
  const all = [
    ...problems,
    ...found.map(({ place, message }) => ({ file: options.file, ...place, message })),
  ];
  all.push(...ofSeverity('error', remarks, tree, options.file));
  const warnings = sortProblems(ofSeverity('warning', remarks, tree, options.file));
  const isGood = all.length === 0 && written !== null;
  return { config: isGood ? buildConfig(written) : null, problems: sortProblems(all), warnings };
}

/** What the schema makes of the tree; where parts are wrong, of the rest, so that the rest is checked too. */
function readSchema(tree: Tree): { written: Written | null; found: readonly Finding[] } {
  let found: readonly Finding[] | null = null;
  let rest: Tree | null = tree;
  for (let round = 0; round < PRUNE_ROUNDS_MAX && rest !== null; round += 1) {
    const result = configSchema.safeParse(toPlain(rest));
    if (result.success) return { written: result.data, found: found ?? [] };
    const here = findings(result.error.issues, rest, allowedKeys);
    found ??= here;
    rest = prune(
      rest,
      here.map(({ path }) => path),
    );
  }
  return { written: null, found: found ?? [] };
}

/** Remarks that rest on something already reported would only confuse. */
function relevant(remarks: readonly Remark[], found: readonly Finding[]): readonly Remark[] {
  const wrong = found.map(({ path }) => pathText(path));
  const isWrong = (path: Path) =>
    wrong.some(
      (text) =>
        `${pathText(path)}\u0000`.startsWith(`${text}\u0000`) || text.startsWith(`${pathText(path)}\u0000`),
    );
  return remarks.filter(({ involves }) => !involves.some(isWrong));
}

function ofSeverity(
  severity: Remark['severity'],
  remarks: readonly Remark[],
  tree: Tree,
  file: string,
): readonly Problem[] {
  return remarks
    .filter((remark) => remark.severity === severity)
    .map(({ path, at, message }) => ({
      file,
      ...(at === 'key' ? keyPlace(tree, path) : valuePlace(tree, path)),
      message,
    }));
}

function poolNames(tree: Tree): readonly string[] {
  const pools = find(tree, ['pools']);
  return pools?.kind === 'map' ? [...pools.entries.keys()] : [];
}
