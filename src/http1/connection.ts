// The Connection field: its options as flags, and the lines it names for removal (RFC 9110 section 7.6.1).

import { COMMA, EQUALS, equalsIgnoreCase, LF, LOWER, skipBlank, skipToken, trimBlank } from './bytes.ts';
import { FIELD_NAMES } from './field-names.ts';
import { Field, type FieldLines, NOT_WATCHED, Refusal } from './message.ts';

/** Options of Connection, as bits; `named` says that further names are listed. */
export const Option = { close: 1, keepAlive: 2, upgrade: 4, named: 8 } as const;
export type Option = (typeof Option)[keyof typeof Option];

/** Most names, beside close, keep-alive and upgrade, that the Connection fields of one head may list. */
export const CONNECTION_NAMES_MAX = 32;

/** Unrecorded end-to-end fields that naming in Connection must not remove: what servers rely on for safety. */
const PROTECTED: ReadonlySet<string> = new Set([
  'authorization',
  'www-authenticate',
  'content-encoding',
  'content-range',
  'origin',
  'strict-transport-security',
  'content-security-policy',
]);

/** Reads one Connection value: Option bits, or Refusal.badConnection when it is not a list of tokens. */
export function readConnection(buffer: Buffer, begin: number, end: number): number {
  let options = 0;
  let position = begin;
  for (;;) {
    position = skipBlank(buffer, position, end);
    const tokenBegin = position;
    position = skipToken(buffer, position, end);
    if (position > tokenBegin) options |= optionOf(buffer, tokenBegin, position);
    position = skipBlank(buffer, position, end);
    if (position === end) return options;
    if (buffer[position] !== COMMA) return Refusal.badConnection;
    position += 1;
  }
}

function optionOf(buffer: Buffer, begin: number, end: number): number {
  if (equalsIgnoreCase(buffer, begin, end, 'keep-alive')) return Option.keepAlive;
  if (equalsIgnoreCase(buffer, begin, end, 'close')) return Option.close;
  if (equalsIgnoreCase(buffer, begin, end, 'upgrade')) return Option.upgrade;
  return Option.named;
}

/**
 * The rare path: records as Field.dropped the so far unrecorded lines that a Connection field names.
 * Lines recorded already are either dropped anyway or are what the balancer relies on: naming them changes nothing.
 * Returns 0 or Refusal.badConnection. Allocates; O(header lines) after that.
 */
export function recordConnectionNamed(
  buffer: Buffer,
  fieldsBegin: number,
  fieldsEnd: number,
  lines: FieldLines,
): number {
  const names = removableNames(buffer, lines);
  if (names === null) return Refusal.badConnection;
  if (names.size === 0) return 0;
  let next = 0;
  let position = fieldsBegin;
  while (position < fieldsEnd) {
    const lineEnd = buffer.indexOf(LF, position) + 1;
    if (next < lines.count && lines.lineBegin[next] === position) {
      next += 1;
    } else {
      const nameEnd = skipToken(buffer, position, lineEnd);
      if (names.has(lowerText(buffer, position, nameEnd))) {
        insertLine(buffer, lines, next, position, nameEnd, lineEnd);
        next += 1;
      }
    }
    position = lineEnd;
  }
  return 0;
}

/** Lower-case names listed in all Connection fields that may be removed; null when there are too many. */
function removableNames(buffer: Buffer, lines: FieldLines): Set<string> | null {
  const names = new Set<string>();
  let count = 0;
  for (let index = 0; index < lines.count; index += 1) {
    if (lines.field[index] !== Field.connection) continue;
    const end = lines.valueEnd[index] as number;
    let position = lines.valueBegin[index] as number;
    while (position < end) {
      const tokenEnd = skipToken(buffer, position, end);
      if (tokenEnd > position) {
        if (optionOf(buffer, position, tokenEnd) === Option.named) {
          count += 1;
          if (count > CONNECTION_NAMES_MAX) return null;
          const name = lowerText(buffer, position, tokenEnd);
          if (isRemovable(name)) names.add(name);
        }
        position = tokenEnd;
      } else {
        position += 1;
      }
    }
  }
  return names;
}

function isRemovable(name: string): boolean {
  return !(Object.hasOwn(FIELD_NAMES, name) || PROTECTED.has(name) || name.startsWith('x-forwarded-'));
}

/** Makes room at that index and records the line there, so that the lines stay in the order of the bytes. */
function insertLine(
  buffer: Buffer,
  lines: FieldLines,
  at: number,
  begin: number,
  nameEnd: number,
  end: number,
): void {
  const { field, lineBegin, valueBegin, valueEnd, lineEnd, watchedIndex, count } = lines;
  for (const column of [field, lineBegin, valueBegin, valueEnd, lineEnd, watchedIndex]) {
    column.copyWithin(at + 1, at, count);
  }
  const value = skipBlank(buffer, nameEnd + 1, end - 2);
  field[at] = Field.dropped;
  lineBegin[at] = begin;
  valueBegin[at] = value;
  valueEnd[at] = trimBlank(buffer, value, end - 2);
  lineEnd[at] = end;
  watchedIndex[at] = NOT_WATCHED;
  lines.count = count + 1;
}

function lowerText(buffer: Buffer, begin: number, end: number): string {
  let text = '';
  for (let index = begin; index < end; index += 1)
    text += String.fromCharCode(LOWER[buffer[index] as number] as number);
  return text;
}

/** Does a Keep-Alive value carry `timeout=N`? Its milliseconds, 0 when absent or malformed. */
export function keepAliveTimeoutMs(buffer: Buffer, begin: number, end: number): number {
  let position = begin;
  while (position < end) {
    position = skipBlank(buffer, position, end);
    const nameEnd = skipToken(buffer, position, end);
    if (equalsIgnoreCase(buffer, position, nameEnd, 'timeout') && buffer[nameEnd] === EQUALS) {
      return secondsAt(buffer, nameEnd + 1, end) * 1000;
    }
    while (position < end && buffer[position] !== COMMA) position += 1;
    position += 1;
  }
  return 0;
}

/** Digits from `begin` on, at most six of them: a longer hint than eleven days is no hint. */
function secondsAt(buffer: Buffer, begin: number, end: number): number {
  let seconds = 0;
  const limit = Math.min(end, begin + 6);
  for (let position = begin; position < limit; position += 1) {
    const digit = (buffer[position] as number) - 0x30;
    if (digit < 0 || digit > 9) return seconds;
    seconds = seconds * 10 + digit;
  }
  return seconds;
}
