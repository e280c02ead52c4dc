// What the schema finds, said as problems with places.

import type * as z from 'zod';
import { shownValue } from './leaf.ts';
import type { Place } from './problem.ts';
import { didYouMean } from './suggest.ts';
import { find, keyPlace, type Path, type PathPart, type Tree, toPlain, valuePlace } from './tree.ts';

type Issue = z.core.$ZodIssue;

/** One thing wrong: what to leave out so that the rest can be checked, where it is, and the sentence. */
export interface Finding {
  readonly path: Path;
  readonly place: Place;
  readonly message: string;
}

/** `keysAt` lists the keys the schema allows at a path, for suggestions. */
export function findings(
  issues: readonly Issue[],
  tree: Tree,
  keysAt: (path: Path) => readonly string[],
): readonly Finding[] {
  return issues.flatMap((issue) => findingsOf(issue, [], tree, keysAt));
}

/** The last key with its index, in quotes: `"servers[2]"`, `"weight"`. */
export function subject(path: Path): string {
  const from = path.findLastIndex((part) => typeof part === 'string');
  if (from < 0) return 'the file';
  return `"${path
    .slice(from)
    .map((part) => (typeof part === 'number' ? `[${part}]` : part))
    .join('')}"`;
}

function findingsOf(
  issue: Issue,
  above: Path,
  tree: Tree,
  keysAt: (path: Path) => readonly string[],
): readonly Finding[] {
  const path: Path = [...above, ...issue.path.filter(isPathPart)];
  const written = find(tree, path);
  if (issue.code === 'invalid_union') {
    return branch(issue.errors, written, path.at(-1)).flatMap((inner) =>
      findingsOf(inner, path, tree, keysAt),
    );
  }
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => unknownKey([...path, key], tree, keysAt(path)));
  }
  if (written === undefined) {
    const holder = path.slice(0, -1);
    const inside = holder.length === 0 ? '' : ` in ${subject(holder)}`;
    return [{ path, place: placeOfHolder(tree, holder), message: `${subject(path)} is required${inside}` }];
  }
  return [{ path, place: valuePlace(tree, path), message: `${subject(path)}${predicate(issue, written)}` }];
}

/** What follows the subject: ` must be …`, or `: ` and a sentence of its own. */
function predicate(issue: Issue, written: Tree): string {
  switch (issue.code) {
    case 'custom':
      return issue.message.startsWith(': ') ? issue.message : ` ${issue.message}`;
    case 'invalid_type': {
      const wanted = issue.expected === 'array' ? 'a list' : 'a mapping of keys';
      return ` must be ${wanted}, not ${shownValue(toPlain(written))}`;
    }
    case 'too_small':
      return ' must not be empty';
    case 'too_big':
      return ` must have at most ${issue.maximum} entries`;
    default:
      return ` is not valid: ${issue.message}`;
  }
}

/** Of the forms a value may have, the one its author seems to have meant. */
function branch(
  branches: readonly (readonly Issue[])[],
  written: Tree | undefined,
  key: PathPart | undefined,
): readonly Issue[] {
  const fitting = branches.filter(
    (issues) => !issues.some((issue) => issue.path.length === 0 && isShape(issue)),
  );
  const [fits] = fitting.toSorted((first, second) => unknownKeys(first) - unknownKeys(second));
  if (written !== undefined && written.kind !== 'scalar' && fits !== undefined) return fits;
  const words =
    branches.find((issues) => issues.some((issue) => issue.code === 'custom' && issue.path.length === 0)) ??
    [];
  const first = words[0];
  if (first === undefined) return branches[0] ?? [];
  const isOneOfMany = /^must be [^"]* or /.test(first.message);
  const opening = `must be a mapping of keys${isOneOfMany ? ', ' : ' or '}`;
  const message = first.message.replace(/^must be /, opening) + meant(written, key);
  return [{ ...first, message }];
}

/** The key of a mapping whose value is written alone: `sticky: cookie-hash` means `{ mode: cookie-hash }`. */
const KEYS_MEANT: Readonly<Record<string, readonly [key: string, value: RegExp]>> = {
  sticky: ['mode', /^(cookie-hash|cookie-pin|learn|header-hash|address-hash)$/],
  admin: ['address', /:\d{1,5}$/],
  health: ['path', /^\//],
};

function meant(written: Tree | undefined, holder: PathPart | undefined): string {
  const [key, form] = KEYS_MEANT[String(holder)] ?? [];
  const value = written === undefined ? null : toPlain(written);
  if (key === undefined || form === undefined || typeof value !== 'string' || !form.test(value)) return '';
  return `, write { ${key}: ${JSON.stringify(value)} }`;
}

/** Keys at the top that this form does not have. */
function unknownKeys(issues: readonly Issue[]): number {
  return issues.reduce(
    (sum, issue) =>
      sum + (issue.code === 'unrecognized_keys' && issue.path.length === 0 ? issue.keys.length : 0),
    0,
  );
}

/** The value as a whole was of the wrong shape for this form. */
function isShape(issue: Issue): boolean {
  return issue.code === 'custom' || issue.code === 'invalid_type' || issue.code === 'invalid_union';
}

function unknownKey(path: Path, tree: Tree, allowed: readonly string[]): Finding {
  const key = String(path.at(-1));
  const holder = path.slice(0, -1);
  const inside = holder.length === 0 ? '' : ` in ${subject(holder)}`;
  const nearest = didYouMean(key, allowed);
  const list = nearest === '' ? `, allowed: ${allowed.join(', ')}` : nearest;
  return { path, place: keyPlace(tree, path), message: `unknown key "${key}"${inside}${list}` };
}

function placeOfHolder(tree: Tree, holder: Path): Place {
  return typeof holder.at(-1) === 'string' ? keyPlace(tree, holder) : valuePlace(tree, holder);
}

function isPathPart(part: PropertyKey): part is PathPart {
  return typeof part !== 'symbol';
}
