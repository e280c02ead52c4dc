// The header section of requests and responses: one pass that checks every byte and records the lines we care about.

import { COLON, CR, HTAB, LF, LOWER, SP, TOKEN, trimBlank } from './bytes.ts';
import { fieldOfName, LOOKALIKE, MAY_BE_RECORDED, nameSlot, UNINTERESTING } from './field-names.ts';
import {
  Field,
  type FieldLines,
  HEADER_COUNT_MAX,
  type HeadLimits,
  NOT_WATCHED,
  Refusal,
} from './message.ts';
import { memoryOf, skipValueIn } from './words.ts';

// Constants of the module itself are part of the machine code; imported ones are fetched at every use.
const token = TOKEN;
const mayBeRecorded = MAY_BE_RECORDED;
const notRecorded = UNINTERESTING;
const cr = CR;
const lf = LF;
const colon = COLON;

/** The bytes ended before the header section did. */
export const RAN_OUT = 0;

/**
 * Scans header lines from `begin` to the empty line. Returns the offset just past the empty line, RAN_OUT when
 * `limit` came first, or a Refusal. Lines that end, start or contain anything but CRLF, token ":" value are refused,
 * so no obs-fold, no bare CR or LF, no white space before a colon.
 */
export function scanFields(
  buffer: Buffer,
  begin: number,
  limit: number,
  limits: HeadLimits,
  lines: FieldLines,
): number {
  // structure: long function because the line loop is the codec's hot path and every part moves its one cursor
  const countMax = Math.min(limits.headerCountMax, HEADER_COUNT_MAX);
  const hasWatched = limits.watched.length > 0;
  const memory = memoryOf(buffer);
  const base = buffer.byteOffset | 0;
  let position = begin | 0;
  let count = 0;
  let recorded = 0;
  for (;;) {
    if (position >= limit) return RAN_OUT;
    if (buffer[position] === cr) {
      if (position + 1 >= limit) return RAN_OUT;
      if (buffer[position + 1] !== lf) return Refusal.badHeader;
      lines.count = recorded;
      return position + 2;
    }
    count += 1;
    if (count > countMax) return Refusal.tooManyHeaders;

    const lineBegin = position;
    while (position < limit && token[buffer[position] as number] === 1) position = (position + 1) | 0;
    if (position >= limit) return RAN_OUT;
    if (buffer[position] !== colon || position === lineBegin) return Refusal.badHeader;
    const nameEnd = position;
    let field: number = notRecorded;
    if (mayBeRecorded[nameSlot(nameEnd - lineBegin, buffer[lineBegin] as number)] === 1) {
      field = fieldOfName(buffer, lineBegin, nameEnd);
      if (field === LOOKALIKE) return Refusal.badHeader;
    }

    position += 1;
    position = (skipValueIn(memory, (base + position) | 0, (base + limit) | 0) - base) | 0;
    if (position >= limit) return RAN_OUT;
    if (buffer[position] !== cr) return Refusal.badHeader;
    const valueLimit = position;
    position += 1;
    if (position >= limit) return RAN_OUT;
    if (buffer[position] !== lf) return Refusal.badHeader;
    position += 1;

    let watchedIndex = NOT_WATCHED;
    if (hasWatched) {
      watchedIndex = indexOfWatched(buffer, lineBegin, nameEnd, limits.watched);
      if (field === notRecorded && watchedIndex !== NOT_WATCHED) field = Field.watched;
    }
    if (field !== notRecorded) {
      let valueBegin = nameEnd + 1;
      while (valueBegin < valueLimit && (buffer[valueBegin] === SP || buffer[valueBegin] === HTAB)) {
        valueBegin += 1;
      }
      lines.field[recorded] = field;
      lines.lineBegin[recorded] = lineBegin;
      lines.valueBegin[recorded] = valueBegin;
      lines.valueEnd[recorded] = trimBlank(buffer, valueBegin, valueLimit);
      lines.lineEnd[recorded] = position;
      lines.watchedIndex[recorded] = watchedIndex;
      recorded += 1;
    }
  }
}

function indexOfWatched(buffer: Buffer, begin: number, end: number, watched: readonly string[]): number {
  const length = end - begin;
  for (let index = 0; index < watched.length; index += 1) {
    const name = watched[index] as string;
    if (name.length !== length) continue;
    let same = 0;
    while (same < length && LOWER[buffer[begin + same] as number] === name.charCodeAt(same)) same += 1;
    if (same === length) return index;
  }
  return NOT_WATCHED;
}
