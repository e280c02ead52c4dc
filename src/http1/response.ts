// Response head: bytes to ResponseHead in one pass, as strict with servers as with clients.

import { CR, LF, SP, skipValue } from './bytes.ts';
import { keepAliveTimeoutMs, Option, readConnection, recordConnectionNamed } from './connection.ts';
import { scanFields } from './field-lines.ts';
import { dropFraming, framing, readFraming } from './framing.ts';
import { Body, Field, type HeadLimits, INCOMPLETE, Refusal, type ResponseHead } from './message.ts';

const VERSION_PREFIX = Buffer.from('HTTP/1.');
const DIGIT_0 = 0x30;

/**
 * Parses the response head at begin..end; results as those of parseRequestHead. `requestWasHead`: the response
 * answers a HEAD, so it has no body whatever its fields say. A head of status 1xx is a head like any other: the caller
 * parses on for the final one.
 */
export function parseResponseHead(
  buffer: Buffer,
  begin: number,
  end: number,
  limits: HeadLimits,
  requestWasHead: boolean,
  head: ResponseHead,
): number {
  const limit = Math.min(end, begin + limits.headBytesMax);
  const lineEnd = readStatusLine(buffer, begin, limit, head);
  if (lineEnd < 0) return lineEnd;
  if (lineEnd === INCOMPLETE) return limit < end ? Refusal.headTooLarge : INCOMPLETE;
  const headEnd = scanFields(buffer, lineEnd, limit, limits, head.lines);
  if (headEnd < 0) return headEnd;
  if (headEnd === INCOMPLETE) return limit < end ? Refusal.headTooLarge : INCOMPLETE;
  head.lineBegin = begin;
  head.fieldsBegin = lineEnd;
  head.fieldsEnd = headEnd - 2;
  const refusal = interpret(buffer, head, requestWasHead);
  return refusal === 0 ? headEnd : refusal;
}

/** Version SP status [SP reason] CRLF: offset past it, INCOMPLETE or a Refusal. */
function readStatusLine(buffer: Buffer, begin: number, limit: number, head: ResponseHead): number {
  for (let index = 0; index < VERSION_PREFIX.length; index += 1) {
    if (begin + index >= limit) return INCOMPLETE;
    if (buffer[begin + index] !== VERSION_PREFIX[index]) return Refusal.badStatusLine;
  }
  let position = begin + VERSION_PREFIX.length;
  // Minor version, SP and three digits are at hand together in practice: wait for them rather than step bytewise.
  if (position + 5 > limit) return INCOMPLETE;
  const minor = (buffer[position] as number) - DIGIT_0;
  if (minor < 0 || minor > 9 || buffer[position + 1] !== SP) return Refusal.badStatusLine;
  const hundreds = (buffer[position + 2] as number) - DIGIT_0;
  const tens = (buffer[position + 3] as number) - DIGIT_0;
  const ones = (buffer[position + 4] as number) - DIGIT_0;
  const isStatus = hundreds >= 1 && hundreds <= 5 && tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9;
  if (!isStatus) return Refusal.badStatusLine;
  head.versionMinor = minor === 0 ? 0 : 1;
  head.isVersion11 = minor === 1;
  head.status = hundreds * 100 + tens * 10 + ones;
  position += 5;
  if (position >= limit) return INCOMPLETE;
  if (buffer[position] === SP) position += 1;
  else if (buffer[position] !== CR) return Refusal.badStatusLine;
  head.reasonBegin = position;
  position = skipValue(buffer, position, limit);
  head.reasonEnd = position;
  if (position >= limit) return INCOMPLETE;
  if (buffer[position] !== CR) return Refusal.badStatusLine;
  if (position + 1 >= limit) return INCOMPLETE;
  if (buffer[position + 1] !== LF) return Refusal.badStatusLine;
  return position + 2;
}

/** What the recorded lines mean together: 0 or a Refusal. */
function interpret(buffer: Buffer, head: ResponseHead, requestWasHead: boolean): number {
  const lines = head.lines;
  let options = 0;
  let hasUpgrade = false;
  head.keepAliveHintMs = 0;
  for (let index = 0; index < lines.count; index += 1) {
    const field = lines.field[index];
    if (field === Field.connection) {
      const more = readConnection(buffer, lines.valueBegin[index] as number, lines.valueEnd[index] as number);
      if (more < 0) return more;
      options |= more;
    } else if (field === Field.upgrade) {
      hasUpgrade = true;
    } else if (field === Field.keepAlive) {
      const begin = lines.valueBegin[index] as number;
      head.keepAliveHintMs = keepAliveTimeoutMs(buffer, begin, lines.valueEnd[index] as number);
    }
  }
  const isBodiless = head.status < 200 || head.status === 204 || head.status === 304;
  const refusal = readFraming(buffer, lines, head.versionMinor);
  if (refusal !== 0 && !isBodiless) return refusal;
  head.framingLine = framing.line;
  const isInDoubt = isBodiless && ignoreFraming(head, refusal !== 0);
  applyFraming(head, !isBodiless && !requestWasHead);
  const isKept = !isInDoubt && (head.versionMinor === 1 || (options & Option.keepAlive) !== 0);
  head.keepAlive = isKept && (options & Option.close) === 0 && head.body !== Body.untilClose;
  head.isUpgrade = head.status === 101 && hasUpgrade && (options & Option.upgrade) !== 0;
  if ((options & Option.named) === 0) return 0;
  return recordConnectionNamed(buffer, head.fieldsBegin, head.fieldsEnd, lines);
}

/**
 * 1xx, 204 and 304 end with their head whatever it says of a body (RFC 9112 section 6.3, rule 1), and none of it is
 * passed on but the length in a 304, which is that of the response the client has. True when the server may have lost
 * step, so that nothing more is to be read from its connection.
 */
function ignoreFraming(head: ResponseHead, isMalformed: boolean): boolean {
  const keepsLength = head.status === 304 && framing.body === Body.length && !isMalformed;
  dropFraming(head.lines, keepsLength);
  if (!keepsLength) head.framingLine = '';
  return isMalformed || framing.body === Body.chunked || (!keepsLength && framing.contentLength > 0);
}

/** Turns what the fields say into the body there is (RFC 9112 section 6.3, rules 4 to 8). */
function applyFraming(head: ResponseHead, mayHaveBody: boolean): void {
  head.body = Body.none;
  head.contentLength = 0;
  if (!mayHaveBody) return;
  if (framing.body === Body.none) head.body = Body.untilClose;
  else if (framing.body === Body.chunked) head.body = Body.chunked;
  else if (framing.contentLength > 0) {
    head.body = Body.length;
    head.contentLength = framing.contentLength;
  }
}
