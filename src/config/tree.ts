// A YAML value that remembers where each of its parts was written.

import type { Place } from './problem.ts';

export type PathPart = string | number;
export type Path = readonly PathPart[];

export interface TreeEntry {
  readonly key: Place;
  readonly tree: Tree;
}

export type Tree =
  | {
      readonly kind: 'scalar';
      readonly place: Place;
      readonly value: unknown;
      /** What was written could not be read and has been reported; the value is a stand-in. */
      readonly isBroken: boolean;
    }
  | {
      readonly kind: 'list';
      readonly place: Place;
      readonly items: readonly Tree[];
      /** Index of each item in the list as it was written; pruning leaves gaps. */
      readonly writtenAt: readonly number[];
    }
  | { readonly kind: 'map'; readonly place: Place; readonly entries: ReadonlyMap<string, TreeEntry> };

/** Plain objects and arrays, the form the schema reads. */
export function toPlain(tree: Tree): unknown {
  if (tree.kind === 'scalar') return tree.value;
  if (tree.kind === 'list') return tree.items.map(toPlain);
  return Object.fromEntries(Array.from(tree.entries, ([key, entry]) => [key, toPlain(entry.tree)]));
}

/** The part at `path`; undefined when it was not written. */
export function find(tree: Tree, path: Path): Tree | undefined {
  let at: Tree | undefined = tree;
  for (const part of path) at = at === undefined ? undefined : child(at, part);
  return at;
}

/** Where the value at `path` is, or the nearest written part around it. */
export function valuePlace(tree: Tree, path: Path): Place {
  let at = tree;
  for (const part of path) {
    const next = child(at, part);
    if (next === undefined) break;
    at = next;
  }
  return at.place;
}

/** Where the last key of `path` is; the value's place when that part has no key. */
export function keyPlace(tree: Tree, path: Path): Place {
  const parent = find(tree, path.slice(0, -1));
  const last = path.at(-1);
  const entry = parent?.kind === 'map' && last !== undefined ? parent.entries.get(String(last)) : undefined;
  return entry?.key ?? valuePlace(tree, path);
}

/**
 * The tree without the given parts, so that what is left can still be checked. A part that was never written is a
 * missing one: then what should have held it goes. Null when nothing is left.
 */
export function prune(tree: Tree, paths: readonly Path[]): Tree | null {
  const doomed = new Set(paths.map((path) => pathText(nearestRemovable(tree, path))));
  return pruneAt(tree, [], doomed);
}

/** The path in the whole tree of what has `path` in a pruned one. */
export function writtenPath(pruned: Tree, path: Path): Path {
  let at: Tree | undefined = pruned;
  return path.flatMap((part) => {
    const holder = at;
    at = at === undefined ? undefined : child(at, part);
    if (typeof part !== 'number' || holder === undefined) return [part];
    return holder.kind === 'list' ? [holder.writtenAt[part] ?? part] : [];
  });
}

/** The paths of all values that could not be read. */
export function brokenPaths(tree: Tree, path: Path = []): readonly Path[] {
  if (tree.kind === 'scalar') return tree.isBroken ? [path] : [];
  if (tree.kind === 'list') return tree.items.flatMap((item, index) => brokenPaths(item, [...path, index]));
  return Array.from(tree.entries).flatMap(([key, entry]) => brokenPaths(entry.tree, [...path, key]));
}

/** A value as it was written: the keys that lead to it, places in lists left out, and where it stands. */
export interface WrittenValue {
  readonly keys: readonly string[];
  readonly place: Place;
}

/** All single values of the tree, empty mappings and lists among them. */
export function writtenValues(tree: Tree, keys: readonly string[] = []): readonly WrittenValue[] {
  const inner =
    tree.kind === 'map'
      ? [...tree.entries].flatMap(([key, entry]) => writtenValues(entry.tree, [...keys, key]))
      : tree.kind === 'list'
        ? tree.items.flatMap((item) => writtenValues(item, keys))
        : [];
  return inner.length > 0 ? inner : [{ keys, place: tree.place }];
}

/** One string per path, for sets. */
export function pathText(path: Path): string {
  return path.join('\u0000');
}

function nearestRemovable(tree: Tree, path: Path): Path {
  return path.length === 0 || find(tree, path) !== undefined ? path : path.slice(0, -1);
}

function pruneAt(tree: Tree, path: Path, doomed: ReadonlySet<string>): Tree | null {
  if (doomed.has(pathText(path))) return null;
  if (tree.kind === 'scalar') return tree;
  if (tree.kind === 'list') {
    const items: Tree[] = [];
    const writtenAt: number[] = [];
    for (const [index, item] of tree.items.entries()) {
      const kept = pruneAt(item, [...path, index], doomed);
      if (kept === null) continue;
      items.push(kept);
      writtenAt.push(tree.writtenAt[index] ?? index);
    }
    return { ...tree, items, writtenAt };
  }
  const entries = new Map<string, TreeEntry>();
  for (const [key, entry] of tree.entries) {
    const kept = pruneAt(entry.tree, [...path, key], doomed);
    if (kept !== null) entries.set(key, { key: entry.key, tree: kept });
  }
  return { ...tree, entries };
}

function child(tree: Tree, part: PathPart): Tree | undefined {
  if (typeof part === 'string') return tree.kind === 'map' ? tree.entries.get(part)?.tree : undefined;
  // what is no list stands for the list of it
  return tree.kind === 'list' ? tree.items[part] : tree;
}
