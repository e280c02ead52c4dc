// The kinds of single values a configuration is made of. Each reads what was written, refuses it in words a person
// can act on, and carries what the manual and the JSON Schema say about it.

import {
  BYTES_PATTERN,
  DURATION_PATTERN,
  formatBytes,
  formatDuration,
  formatPercent,
  PERCENT_PATTERN,
  parseBytes,
  parseDuration,
  parsePercent,
} from '../base/units.ts';
import { didYouMeanOurs } from './suggest.ts';
import type { Leaf, Reading, Shown, Substitution } from './table.ts';

/** Stands for a secret in what is printed. */
const HIDDEN = '***';

/** A leaf from a reading function. `write` turns a value back; absent: it is written as it is. */
export function leaf<In, Out>(
  shown: Shown,
  readValue: (written: unknown) => Reading<Out>,
  write: (value: Out) => unknown = (value) => value,
): Leaf<In | Substitution, Out, ''> {
  return { form: 'leaf', shown, unit: '', read: readValue, write };
}

/** Milliseconds. */
export function duration(minMs: number, maxMs: number): Leaf<string | 0, number, 'Ms'> {
  const allowed = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  const milliseconds = leaf<string | 0, number>(
    { kind: 'duration', type: ['string', 'integer'], pattern: DURATION_PATTERN, range: allowed },
    (written) => {
      const example = formatDuration(Math.min(Math.max(5_000, minMs), maxMs));
      if (typeof written === 'number' && written !== 0) {
        return { refused: `is ${written} without a unit, write ${written}s or ${written}ms` };
      }
      const value = parseDuration(String(written));
      if (value === null || typeof written === 'boolean') {
        return { refused: `must be a duration such as ${example}, not ${shownValue(written)}` };
      }
      return value < minMs || value > maxMs
        ? { refused: `must be ${allowed}, not ${shownValue(written)}` }
        : { value };
    },
    formatDuration,
  );
  return { ...milliseconds, unit: 'Ms' };
}

/** Bytes. `zeroIsOff` lets 0 through below the smallest size. */
export function size(
  minBytes: number,
  maxBytes: number,
  zeroIsOff = false,
): Leaf<string | number, number, ''> {
  const allowed = `${zeroIsOff ? '0 or ' : ''}from ${formatBytes(minBytes)} to ${formatBytes(maxBytes)}`;
  return leaf(
    { kind: 'size', type: ['string', 'integer'], pattern: BYTES_PATTERN, range: allowed },
    (written) => {
      const isText = typeof written === 'string' || typeof written === 'number';
      const value = isText ? parseBytes(String(written)) : null;
      if (value === null)
        return { refused: `must be a size such as 64KiB, 1MiB or 10MB, not ${shownValue(written)}` };
      if (zeroIsOff && value === 0) return { value };
      return value < minBytes || value > maxBytes
        ? { refused: `must be ${allowed}, not ${shownValue(written)}` }
        : { value };
    },
    (bytes) => (bytes === 0 ? 0 : formatBytes(bytes)),
  );
}

/** A share 0..1 written as `20%`. */
export function percent(minPercent: number, maxPercent: number): Leaf<string | 0, number, ''> {
  const allowed = `from ${minPercent}% to ${maxPercent}%`;
  return leaf(
    { kind: 'percent', type: ['string', 'integer'], pattern: PERCENT_PATTERN, range: allowed },
    (written) => {
      const value = written === 0 ? 0 : typeof written === 'string' ? parsePercent(written) : null;
      if (value === null) return { refused: `must be a percentage such as 20%, not ${shownValue(written)}` };
      const isInside = value >= minPercent / 100 && value <= maxPercent / 100;
      return isInside ? { value } : { refused: `must be ${allowed}, not ${shownValue(written)}` };
    },
    formatPercent,
  );
}

export function integer(min: number, max: number): Leaf<number | Substitution, number, ''> {
  const allowed = `a whole number from ${min} to ${max}`;
  return leaf(
    { kind: 'integer', type: 'integer', minimum: min, maximum: max, range: `from ${min} to ${max}` },
    (written) => {
      const value = toNumber(written);
      const isInside = value !== null && Number.isInteger(value) && value >= min && value <= max;
      return isInside ? { value } : { refused: `must be ${allowed}, not ${shownValue(written)}` };
    },
  );
}

/** A real number; `zeroIsOff` lets 0 through below `min`, `isAbove` leaves `min` itself out. */
export function decimal(
  min: number,
  max: number,
  options: { zeroIsOff?: boolean; isAbove?: boolean } = {},
): Leaf<number | Substitution, number, ''> {
  const { zeroIsOff = false, isAbove = false } = options;
  const range = isAbove ? `above ${min} and at most ${max}` : `from ${min} to ${max}`;
  const allowed = zeroIsOff ? `0 (off) or ${range}` : range;
  return leaf({ kind: 'number', type: 'number', range: allowed }, (written) => {
    const value = toNumber(written);
    const isOff = zeroIsOff && value === 0;
    const isInside = value !== null && value <= max && (isAbove ? value > min : value >= min);
    return value !== null && (isOff || isInside)
      ? { value }
      : { refused: `must be a number ${allowed}, not ${shownValue(written)}` };
  });
}

export function flag(): Leaf<boolean | Substitution, boolean, ''> {
  return leaf({ kind: 'boolean', type: 'boolean' }, (written) => {
    if (written === true || written === 'true') return { value: true };
    if (written === false || written === 'false') return { value: false };
    return { refused: `must be true or false, not ${shownValue(written)}` };
  });
}

export function flagOrAuto(): Leaf<boolean | 'auto' | Substitution, boolean | 'auto', ''> {
  return leaf<boolean | 'auto', boolean | 'auto'>(
    { kind: 'boolean or auto', enum: [true, false, 'auto'] },
    (written) => {
      if (written === true || written === 'true') return { value: true };
      if (written === false || written === 'false') return { value: false };
      if (written === 'auto') return { value: 'auto' };
      return { refused: `must be true, false or auto, not ${shownValue(written)}` };
    },
  );
}

/** null is auto. */
export function integerOrAuto(
  min: number,
  max: number,
): Leaf<number | 'auto' | Substitution, number | null, ''> {
  const forms = [{ type: 'integer', minimum: min, maximum: max }, { const: 'auto' }];
  return leaf(
    { kind: 'integer or auto', anyOf: forms, range: `from ${min} to ${max}` },
    (written) => {
      if (written === 'auto') return { value: null };
      const value = toNumber(written);
      const isInside = value !== null && Number.isInteger(value) && value >= min && value <= max;
      return isInside
        ? { value }
        : { refused: `must be auto or a whole number from ${min} to ${max}, not ${shownValue(written)}` };
    },
    (value) => value ?? 'auto',
  );
}

/** One word of a list. YAML tools of version 1.1 turn on and off into booleans; both are understood. */
export function choice<const T extends string>(allowed: readonly T[]): Leaf<T | Substitution, T, ''> {
  return leaf({ kind: 'word', enum: allowed }, (written) => {
    const word = written === false ? 'off' : written === true ? 'on' : written;
    const value = allowed.find((candidate) => candidate === word);
    if (value !== undefined) return { value };
    const nearest = typeof word === 'string' ? didYouMeanOurs(word, allowed) : '';
    return { refused: `must be ${oneOf(allowed)}, not ${shownValue(written)}${nearest}` };
  });
}

/** One word of a list, or off: null. */
export function choiceOrOff<const T extends string>(
  allowed: readonly T[],
): Leaf<T | 'off' | Substitution, T | null, ''> {
  const word = choice([...allowed, 'off']);
  const readWord = (written: unknown): Reading<T | null> => {
    const reading = word.read(written);
    if ('refused' in reading) return reading;
    return { value: allowed.find((candidate) => candidate === reading.value) ?? null };
  };
  return leaf(word.shown, readWord, (value) => value ?? 'off');
}

export function onOrOff(): Leaf<'off' | 'on' | Substitution, boolean, ''> {
  const word = choice(['off', 'on']);
  const readWord = (written: unknown): Reading<boolean> => {
    const reading = word.read(written);
    return 'refused' in reading ? reading : { value: reading.value === 'on' };
  };
  return leaf(word.shown, readWord, (isOn) => (isOn ? 'on' : 'off'));
}

/** Text that passes `check`, which returns null or the refusal. A `secret` is never repeated in a message. */
export function text(
  kind: string,
  check: (value: string) => string | null,
  secret = false,
): Leaf<string, string, ''> {
  const readText = (written: unknown): Reading<string> => {
    if (typeof written !== 'string') {
      const what = secret ? 'this value' : shownValue(written);
      return { refused: `must be text, not ${what}${isScalar(written) ? ', put it in quotes' : ''}` };
    }
    const refused = check(written);
    return refused === null ? { value: written } : { refused };
  };
  return secret
    ? leaf({ kind, type: 'string', writeOnly: true }, readText, hide)
    : leaf({ kind, type: 'string' }, readText);
}

function hide(secret: string): string {
  return secret === '' ? '' : HIDDEN;
}

/** One text that passes `check`, or a list of several; never repeated in a message. Empty ones are left out. */
export function secrets(
  max: number,
  check: (value: string) => string | null,
): Leaf<string | readonly string[], readonly string[], ''> {
  const one = { type: 'string' };
  const forms = [one, { type: 'array', items: one, minItems: 1, maxItems: max }];
  const readAll = (written: unknown): Reading<readonly string[]> => {
    const list: readonly unknown[] = Array.isArray(written) ? written : [written];
    if (list.length === 0 || list.length > max) return { refused: `must be text or a list of 1 to ${max}` };
    const value: string[] = [];
    for (const item of list) {
      if (typeof item !== 'string')
        return { refused: `must be text, not this value${isScalar(item) ? ', put it in quotes' : ''}` };
      const refused = check(item);
      if (refused !== null) return { refused };
      if (item !== '') value.push(item);
    }
    return { value };
  };
  return leaf({ kind: 'text or list', anyOf: forms, writeOnly: true }, readAll, (all) =>
    all.length > 1 ? all.map(hide) : hide(all[0] ?? ''),
  );
}

export type StatusRange = readonly [from: number, to: number];

/** `200`, `200-399` or a list of both. */
export function statusRanges(): Leaf<
  string | number | readonly (string | number)[],
  readonly StatusRange[],
  ''
> {
  const one = { type: ['string', 'integer'] };
  return leaf(
    { kind: 'status ranges', anyOf: [one, { type: 'array', items: one, minItems: 1 }] },
    (written) => {
      const list: readonly unknown[] = Array.isArray(written) ? written : [written];
      if (list.length === 0) return { refused: 'must name at least one status, such as 200-399' };
      const ranges: StatusRange[] = [];
      for (const item of list) {
        const range = parseStatusRange(item);
        if (range === null) {
          return {
            refused: `must be status codes such as 200-399 or [200, 301-303], not ${shownValue(item)}`,
          };
        }
        ranges.push(range);
      }
      return { value: ranges };
    },
    (ranges) => ranges.map(([from, to]) => (from === to ? from : `${from}-${to}`)),
  );
}

function parseStatusRange(item: unknown): StatusRange | null {
  const match = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(isScalar(item) ? String(item) : '');
  if (match === null) return null;
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  return from <= to ? [from, to] : null;
}

/** What was written, short enough for one line. */
export function shownValue(written: unknown): string {
  if (written === null) return 'nothing';
  if (Array.isArray(written)) return 'a list';
  if (typeof written === 'object') return 'a mapping';
  if (typeof written !== 'string') return String(written);
  return JSON.stringify(written.length > 60 ? `${written.slice(0, 57)}...` : written);
}

export function oneOf(allowed: readonly string[]): string {
  if (allowed.length === 1) return String(allowed[0]);
  return `${allowed.slice(0, -1).join(', ')} or ${allowed.at(-1)}`;
}

export function isScalar(written: unknown): boolean {
  return typeof written === 'string' || typeof written === 'number' || typeof written === 'boolean';
}

/** Numbers also come as text, out of the environment. */
function toNumber(written: unknown): number | null {
  if (typeof written === 'number') return Number.isFinite(written) ? written : null;
  return typeof written === 'string' && /^-?\d{1,15}(\.\d{1,15})?$/.test(written) ? Number(written) : null;
}
