// Plain values to what the table of keys makes of them, or to everything that is wrong with them.

import { shownValue } from './leaf.ts';
import { didYouMeanOurs } from './suggest.ts';
import {
  type Either,
  type Key,
  type Leaf,
  type List,
  type Mapping,
  modelName,
  type Names,
  type Short,
  type Type,
  type ValueOf,
} from './table.ts';
import type { Path } from './tree.ts';

/** One thing wrong, or suspicious: where, and the sentence. */
export interface Issue {
  readonly severity: 'error' | 'warning';
  readonly path: Path;
  /** `holder`: nothing was written at the path. */
  readonly at: 'value' | 'key' | 'holder';
  readonly message: string;
}

export interface Read<Out> {
  /** Undefined exactly when there are errors. */
  readonly value: Out | undefined;
  readonly issues: readonly Issue[];
}

/** Reports every problem, not the first alone. */
export function read<T extends Type>(type: T, written: unknown): Read<ValueOf<T>> {
  const reader = new Reader();
  const value = reader.read(type, written, []);
  const isGood = reader.issues.every(({ severity }) => severity !== 'error');
  // the compiler cannot follow a value through the table it was read by
  return { value: isGood ? (value as ValueOf<T>) : undefined, issues: reader.issues };
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

/** What is wrong becomes undefined, and is in `issues`. */
class Reader {
  readonly issues: Issue[] = [];

  read(type: Type, written: unknown, path: Path): unknown {
    switch (type.form) {
      case 'leaf':
        return this.#leaf(type, written, path);
      case 'mapping':
        return this.#mapping(type, written, path, Object.keys(type.keys));
      case 'list':
        return this.#list(type, written, path);
      case 'names':
        return this.#names(type, written, path);
      case 'short':
        return this.#short(type, written, path);
      case 'either':
        return this.#either(type, written, path);
    }
  }

  #leaf(type: Leaf, written: unknown, path: Path): unknown {
    const reading = type.read(written);
    if ('refused' in reading) {
      this.#refuse(path, reading.refused);
      return undefined;
    }
    if (reading.warning !== undefined)
      this.issues.push({ severity: 'warning', path, at: 'value', message: reading.warning });
    return reading.value;
  }

  /** `known`: keys that are allowed in this place, in this mapping or in another one. */
  #mapping(type: Mapping, written: unknown, path: Path, known: readonly string[]): unknown {
    if (!isMap(written)) return this.#wrongShape(path, 'a mapping of keys', written);
    const values = Object.entries(type.keys).map(([name, field]): readonly [string, unknown] => [
      modelName(name, field),
      this.#key(field, Object.hasOwn(written, name) ? written[name] : undefined, [...path, name]),
    ]);
    for (const name of Object.keys(written))
      if (!Object.hasOwn(type.keys, name))
        this.#unknown(path, name, known.includes(name) ? Object.keys(type.keys) : known);
    return Object.fromEntries(values);
  }

  #key(field: Key, written: unknown, path: Path): unknown {
    if (written !== undefined) return this.read(field.type, written, path);
    if (field.presence === 'preset') return this.read(field.type, field.preset, path);
    if (field.presence === 'required') this.#error(path, 'holder', ` is required${inside(path)}`);
    return null;
  }

  #list(type: List, written: unknown, path: Path): unknown {
    if (!Array.isArray(written)) {
      if (!type.mayBeAlone) return this.#wrongShape(path, 'a list', written);
      return [this.read(type.item, written, path)];
    }
    if (written.length < type.min) this.#refuse(path, 'must not be empty');
    if (written.length > type.max) this.#refuse(path, `must have at most ${type.max} entries`);
    return written.map((item, index) => this.read(type.item, item, [...path, index]));
  }

  #names(type: Names, written: unknown, path: Path): unknown {
    if (!isMap(written)) return this.#wrongShape(path, 'a mapping of keys', written);
    return Object.fromEntries(
      Object.entries(written).map(([name, item]) => [name, this.read(type.item, item, [...path, name])]),
    );
  }

  #short(type: Short, written: unknown, path: Path): unknown {
    const value = this.#leaf(type.leaf, written, path);
    const long = value === undefined ? null : type.long(value);
    return long === null ? null : this.read(type.type, long, path);
  }

  #either(type: Either, written: unknown, path: Path): unknown {
    if (isMap(written)) {
      const mappings = type.forms.filter((form) => form.form === 'mapping');
      const [meant] = mappings.toSorted(
        (first, second) => misfits(first, written) - misfits(second, written),
      );
      const allowed = new Set(mappings.flatMap(({ keys }) => Object.keys(keys)));
      if (meant !== undefined) return this.#mapping(meant, written, path, [...allowed]);
    }
    const short = type.forms.find((form) => form.form === 'short');
    if (short === undefined) return this.#wrongShape(path, 'a mapping of keys', written);
    const reading = short.leaf.read(written);
    if (!('refused' in reading)) return this.#short(short, written, path);
    const isOneOfMany = /^must be [^"]* or /.test(reading.refused);
    const opening = `must be a mapping of keys${isOneOfMany ? ', ' : ' or '}`;
    this.#refuse(path, reading.refused.replace(/^must be /, opening) + meantKey(short, written));
    return undefined;
  }

  #wrongShape(path: Path, wanted: string, written: unknown): undefined {
    this.#refuse(path, `must be ${wanted}, not ${shownValue(written)}`);
  }

  #unknown(holder: Path, name: string, allowed: readonly string[]): void {
    const path = [...holder, name];
    const nearest = didYouMeanOurs(name, allowed);
    const instead = nearest === '' ? `, allowed: ${allowed.join(', ')}` : nearest;
    const message = `unknown key "${name}"${inside(path)}${instead}`;
    this.issues.push({ severity: 'error', path, at: 'key', message });
  }

  /** What follows the subject: ` must be …`, or `: ` and a sentence of its own. */
  #refuse(path: Path, refused: string): void {
    this.#error(path, 'value', refused.startsWith(': ') ? refused : ` ${refused}`);
  }

  #error(path: Path, at: Issue['at'], predicate: string): void {
    this.issues.push({ severity: 'error', path, at, message: `${subject(path)}${predicate}` });
  }
}

/** Keys too many and too few, if what is written is meant for this mapping. */
function misfits({ keys }: Mapping, written: Readonly<Record<string, unknown>>): number {
  const unknown = Object.keys(written).filter((name) => !Object.hasOwn(keys, name));
  const missing = Object.entries(keys).filter(
    ([name, { presence }]) => presence === 'required' && !Object.hasOwn(written, name),
  );
  return unknown.length + missing.length;
}

function inside(path: Path): string {
  return path.length === 1 ? '' : ` in ${subject(path.slice(0, -1))}`;
}

/** `sticky: cookie-hash` means `{ mode: cookie-hash }`. */
function meantKey({ meant }: Short, value: unknown): string {
  if (meant === null || typeof value !== 'string' || !meant[1].test(value)) return '';
  return `, write { ${meant[0]}: ${JSON.stringify(value)} }`;
}

function isMap(written: unknown): written is Readonly<Record<string, unknown>> {
  return typeof written === 'object' && written !== null && !Array.isArray(written);
}
