// YAML text to a tree with places: syntax, duplicate keys, aliases, merge keys and environment substitution.

import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
  Scalar,
  type YAMLError,
  type YAMLMap,
  type YAMLWarning,
} from 'yaml';
import type { Files } from '../tls/files.ts';
import { type Place, type Problem, sortProblems } from './problem.ts';
import { substitute } from './substitute.ts';
import type { Tree, TreeEntry } from './tree.ts';

/** A configuration is written by people; a larger one is a mistake. */
export const TEXT_LENGTH_MAX = 4 * 1024 * 1024;
/** How far around an error its cause is looked for. */
const NEAR_LENGTH = 120;
const DEPTH_MAX = 32;
/** Values after aliases are expanded, so that nine lines of aliases to aliases cannot fill the memory. */
const VALUES_MAX = 200_000;

export interface SourceOptions {
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where the files that it names are looked at; absent: they are not. */
  readonly files?: Files;
}

/** The tree is null when the text is not YAML with a mapping at its root. */
export function readSource(
  text: string,
  options: SourceOptions,
): { tree: Tree | null; problems: readonly Problem[] } {
  const reader = new SourceReader(text.startsWith('\uFEFF') ? text.slice(1) : text, options);
  const tree = reader.read();
  return { tree, problems: sortProblems(reader.problems) };
}

class TooMuch extends Error {}

class SourceReader {
  readonly problems: Problem[] = [];
  private readonly text: string;
  private readonly options: SourceOptions;
  private readonly lines = new LineCounter();
  private readonly anchors = new Map<string, Node>();
  private valueCount = 0;

  constructor(text: string, options: SourceOptions) {
    this.text = text;
    this.options = options;
  }

  read(): Tree | null {
    if (this.text.length > TEXT_LENGTH_MAX) {
      return this.fail(
        0,
        `the file is larger than ${TEXT_LENGTH_MAX} characters, a configuration must be smaller`,
      );
    }
    const root = this.parse();
    if (this.problems.length > 0) return null;
    if (root === null || (isScalar(root) && root.value === null)) {
      return this.fail(0, 'the file is empty, expected at least "pools:"');
    }
    if (!isMap(root)) {
      return this.fail(
        root.range?.[0] ?? 0,
        `the file must hold keys such as "listen:" and "pools:", not ${describe(root)}`,
      );
    }
    try {
      return this.tree(root, 0);
    } catch (error) {
      if (error instanceof TooMuch) return null;
      throw error;
    }
  }

  private parse(): ParsedNode | null {
    try {
      const document = parseDocument(this.text, {
        lineCounter: this.lines,
        prettyErrors: false,
        uniqueKeys: false,
        logLevel: 'error',
        version: '1.2',
      });
      this.failSyntax([...document.errors, ...document.warnings]);
      return document.contents;
    } catch (error) {
      // the library recurses; nothing else it throws on text is known
      if (!(error instanceof RangeError)) throw error;
      return this.fail(0, 'the file is nested too deeply to be read');
    }
  }

  /** One slip makes the parser stumble several times; the first of a line tells. */
  private failSyntax(errors: readonly (YAMLError | YAMLWarning)[]): void {
    const seen = new Set<number>();
    for (const error of errors) {
      const [offset] = error.pos;
      const place = this.place(offset);
      const message = `${syntaxMessage(error)}${this.substitutionHint(offset)}`;
      const source = this.text.split('\n', place.line)[place.line - 1]?.trimEnd() ?? '';
      if (!seen.has(place.line)) this.problems.push({ file: this.options.file, ...place, message, source });
      seen.add(place.line);
    }
  }

  /** `{ name: ${NAME} }` ends at the first brace for YAML. */
  private substitutionHint(offset: number): string {
    const begin = Math.max(this.text.lastIndexOf('\n', offset - 1) + 1, offset - NEAR_LENGTH);
    const [line = ''] = this.text.slice(begin, offset + NEAR_LENGTH).split('\n');
    return /[[{,:]\s*[^"'\s]*\$\{/.test(line) ? '; within { } and [ ] put quotes around a substitution' : '';
  }

  private tree(node: Node, depth: number): Tree {
    const offset = node.range?.[0] ?? 0;
    this.valueCount += 1;
    if (this.valueCount > VALUES_MAX)
      this.giveUp(offset, `the file holds more than ${VALUES_MAX} values once aliases are expanded`);
    if (depth > DEPTH_MAX)
      this.giveUp(offset, `values are nested more than ${DEPTH_MAX} deep, or an alias contains itself`);
    if (isAlias(node)) {
      const target = this.anchors.get(node.source);
      if (target !== undefined) return this.tree(target, depth + 1);
      this.fail(offset, `alias *${node.source} has no anchor &${node.source} before it`);
      return { kind: 'scalar', place: this.place(offset), value: null, isBroken: true };
    }
    const anchor = 'anchor' in node && typeof node.anchor === 'string' ? node.anchor : undefined;
    if (anchor !== undefined) this.anchors.set(anchor, node);
    const place = this.place(offset);
    if (isMap(node)) return { kind: 'map', place, entries: this.entries(node, depth) };
    if (isSeq(node)) {
      const items = node.items.map((item) => this.item(item, offset, depth));
      return { kind: 'list', place, items, writtenAt: items.map((_, index) => index) };
    }
    if (isScalar(node)) return this.scalar(node, offset, place);
    return { kind: 'scalar', place, value: null, isBroken: false };
  }

  private item(item: unknown, offset: number, depth: number): Tree {
    if (isNode(item)) return this.tree(item, depth + 1);
    return { kind: 'scalar', place: this.place(offset), value: null, isBroken: false };
  }

  private entries(map: YAMLMap, depth: number): ReadonlyMap<string, TreeEntry> {
    const entries = new Map<string, TreeEntry>();
    const merged = new Map<string, TreeEntry>();
    for (const pair of map.items) {
      const keyOffset = isNode(pair.key) ? (pair.key.range?.[0] ?? 0) : (map.range?.[0] ?? 0);
      const key = this.place(keyOffset);
      if (!isScalar(pair.key)) {
        this.fail(keyOffset, 'a key must be plain text');
        continue;
      }
      const name =
        typeof pair.key.value === 'string' ? pair.key.value : (pair.key.source ?? String(pair.key.value));
      const tree: Tree = isNode(pair.value)
        ? this.tree(pair.value, depth + 1)
        : { kind: 'scalar', place: key, value: null, isBroken: false };
      const earlier = entries.get(name);
      if (name === '<<' && pair.key.type === Scalar.PLAIN) {
        this.merge(tree, merged);
      } else if (earlier !== undefined) {
        this.fail(keyOffset, `key "${name}" is written twice, first in line ${earlier.key.line}`);
      } else if (name === '__proto__') {
        this.fail(keyOffset, `"${name}" is not allowed as a key`);
      } else {
        entries.set(name, { key, tree });
      }
    }
    for (const [name, entry] of merged) if (!entries.has(name)) entries.set(name, entry);
    return entries;
  }

  /** `<<: *base` brings in the keys of another mapping; keys written beside it win. */
  private merge(tree: Tree, into: Map<string, TreeEntry>): void {
    const sources = tree.kind === 'list' ? tree.items : [tree];
    for (const source of sources) {
      if (source.kind !== 'map') {
        this.problems.push({
          file: this.options.file,
          ...source.place,
          message: '"<<" must name a mapping or a list of them',
        });
        continue;
      }
      for (const [name, entry] of source.entries) if (!into.has(name)) into.set(name, entry);
    }
  }

  private scalar(node: Scalar, offset: number, place: Place): Tree {
    if (typeof node.value !== 'string') return { kind: 'scalar', place, value: node.value, isBroken: false };
    const { text, problems } = substitute(node.value, this.options.env);
    let from = offset;
    for (const problem of problems) {
      from = this.sourceOffset(problem.written, from, node);
      this.fail(from, problem.message);
      from += problem.written.length;
    }
    return { kind: 'scalar', place, value: text, isBroken: problems.length > 0 };
  }

  /** Escapes and folding move characters, so the place is looked up in the source itself. */
  private sourceOffset(wanted: string, from: number, node: Scalar): number {
    const found = this.text.indexOf(wanted, from);
    return found >= 0 && found < (node.range?.[1] ?? 0) ? found : from;
  }

  private place(offset: number): Place {
    const { line, col } = this.lines.linePos(offset);
    return line === 0 ? { line: 1, column: 1 } : { line, column: col };
  }

  private fail(offset: number, message: string): null {
    this.problems.push({ file: this.options.file, ...this.place(offset), message });
    return null;
  }

  private giveUp(offset: number, message: string): never {
    this.fail(offset, message);
    throw new TooMuch(message);
  }
}

function isNode(value: unknown): value is Node {
  return isScalar(value) || isMap(value) || isSeq(value) || isAlias(value);
}

function describe(node: Node): string {
  if (isSeq(node)) return 'a list';
  return isAlias(node) ? 'an alias' : 'a single value';
}

function syntaxMessage(error: { readonly code: string; readonly message: string }): string {
  if (error.code === 'TAB_AS_INDENT') return 'a tab is used for indentation, YAML allows only spaces';
  if (error.code === 'MULTIPLE_DOCS') return 'the file holds more than one document ("---"), expected one';
  // the parser recurses, and turns the overflow into an error of its own
  if (error.message.includes('call stack')) return 'values are nested too deeply to be read';
  const [firstLine = 'not valid YAML'] = error.message.split('\n');
  return `not valid YAML: ${firstLine.charAt(0).toLowerCase()}${firstLine.slice(1)}`;
}
