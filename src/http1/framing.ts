// Where a message's body ends (RFC 9112 section 6.3): the one place that decides it, for requests and responses.

import { COLON, COMMA, equalsIgnoreCase, SP, skipBlank, skipToken } from './bytes.ts';
import { Body, Field, type FieldLines, Refusal } from './message.ts';

/** Result of the last `readFraming` that did not refuse. One thread, one value: read it at once. */
export const framing: { body: Body; contentLength: number; line: string } = {
  body: Body.none,
  contentLength: 0,
  line: '',
};

/** Digits of 2^53-1; leading zeros count. */
const LENGTH_DIGITS_MAX = 16;

/**
 * Framing as the fields say, before status and method are considered. Returns 0 and fills `framing`, or a Refusal.
 * Body.length is kept for "Content-Length: 0"; Body.none means that no field says anything. A field with blanks that
 * servers read differently is marked as dropped, and `framing.line` says the same plainly.
 */
export function readFraming(buffer: Buffer, lines: FieldLines, versionMinor: number): number {
  let lengthAt = -1;
  let codingAt = -1;
  let lengthCount = 0;
  let codingCount = 0;
  for (let index = 0; index < lines.count; index += 1) {
    const field = lines.field[index];
    if (field === Field.contentLength) {
      lengthAt = index;
      lengthCount += 1;
    } else if (field === Field.transferEncoding) {
      codingAt = index;
      codingCount += 1;
    }
  }
  framing.body = Body.none;
  framing.contentLength = 0;
  framing.line = '';
  if (lengthCount > 0 && codingCount > 0) return Refusal.conflictingFraming;
  if (codingCount > 1 || (codingCount === 1 && versionMinor === 0)) return Refusal.badTransferEncoding;
  if (lengthCount > 1) return Refusal.badContentLength;
  if (codingAt >= 0) {
    const refusal = checkCoding(
      buffer,
      lines.valueBegin[codingAt] as number,
      lines.valueEnd[codingAt] as number,
    );
    if (refusal !== 0) return refusal;
    framing.body = Body.chunked;
    if (!isPlainlyWritten(buffer, lines, codingAt)) writeAnew(lines, codingAt, 'transfer-encoding: chunked');
  }
  if (lengthAt >= 0) {
    const begin = lines.valueBegin[lengthAt] as number;
    const length = contentLengthOf(buffer, begin, lines.valueEnd[lengthAt] as number);
    if (length < 0) return Refusal.badContentLength;
    framing.body = Body.length;
    framing.contentLength = length;
    if (!isPlainlyWritten(buffer, lines, lengthAt)) writeAnew(lines, lengthAt, `content-length: ${length}`);
  }
  return 0;
}

/** Drops the framing fields of a message that has no body whatever they say. */
export function dropFraming(lines: FieldLines, keepsLength: boolean): void {
  for (let index = 0; index < lines.count; index += 1) {
    const field = lines.field[index];
    const isDropped = field === Field.transferEncoding || (field === Field.contentLength && !keepsLength);
    if (isDropped) lines.field[index] = Field.dropped;
  }
}

function writeAnew(lines: FieldLines, index: number, line: string): void {
  lines.field[index] = Field.dropped;
  framing.line = `${line}\r\n`;
}

/**
 * Is the value preceded by nothing but spaces and followed by nothing? RFC 9110 allows tabs and trailing blanks, but
 * servers differ on them where it hurts: Node takes "chunked" with a tab behind for another coding (found by fuzz).
 * So they are read here, as the RFC asks, and never passed on.
 */
function isPlainlyWritten(buffer: Buffer, lines: FieldLines, index: number): boolean {
  let position = (lines.valueBegin[index] as number) - 1;
  while (buffer[position] === SP) position -= 1;
  return buffer[position] === COLON && lines.valueEnd[index] === (lines.lineEnd[index] as number) - 2;
}

/** Only digits, at most 2^53-1; -1 for anything else. */
function contentLengthOf(buffer: Buffer, begin: number, end: number): number {
  if (end === begin || end - begin > LENGTH_DIGITS_MAX) return -1;
  let length = 0;
  for (let position = begin; position < end; position += 1) {
    const digit = (buffer[position] as number) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    length = length * 10 + digit;
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1;
}

/**
 * 0 for exactly "chunked". A well-formed list of other codings, with chunked only at its end, is unknown to us;
 * everything else (chunked twice or not last, quotes, stray bytes) is an attack or a fault.
 */
function checkCoding(buffer: Buffer, begin: number, end: number): number {
  if (equalsIgnoreCase(buffer, begin, end, 'chunked')) return 0;
  let position = begin;
  for (;;) {
    const tokenBegin = skipBlank(buffer, position, end);
    const tokenEnd = skipToken(buffer, tokenBegin, end);
    if (tokenEnd === tokenBegin) return Refusal.badTransferEncoding;
    position = skipBlank(buffer, tokenEnd, end);
    if (position === end) return Refusal.unknownTransferCoding;
    if (buffer[position] !== COMMA) return Refusal.badTransferEncoding;
    if (equalsIgnoreCase(buffer, tokenBegin, tokenEnd, 'chunked')) return Refusal.badTransferEncoding;
    position += 1;
  }
}
