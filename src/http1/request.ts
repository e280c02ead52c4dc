// Request head: bytes to RequestHead in one pass, strict; every ambiguity is a refusal (RFC 9112 sections 2 to 7).

import { COLON, CR, equalsIgnoreCase, LF, SLASH, SP, skipTarget, skipToken } from './bytes.ts';
import { Option, readConnection, recordConnectionNamed } from './connection.ts';
import { scanFields } from './field-lines.ts';
import { framing, readFraming } from './framing.ts';
import { isHost } from './host.ts';
import { Body, Field, type HeadLimits, INCOMPLETE, Refusal, type RequestHead } from './message.ts';
import { isIdempotentMethod, methodOf } from './method.ts';
import { isUpgradeValue } from './upgrade.ts';

/** Empty lines that may stand before a request line (RFC 9112 section 2.2 asks for at least one). */
export const LEADING_LINES_MAX = 2;

const VERSION_PREFIX = Buffer.from('HTTP/1.');
const DIGIT_0 = 0x30;
const DIGIT_1 = 0x31;
const DIGIT_9 = 0x39;
const ASTERISK = 0x2a;

/**
 * Parses the request head at begin..end. Returns the offset just past it, INCOMPLETE when more bytes are needed
 * (keep what is there and call again with more), or a Refusal as early as the bytes show it. `head` is meaningful
 * only after a positive result. Pure; allocates nothing for known methods and ordinary Connection fields.
 */
export function parseRequestHead(
  buffer: Buffer,
  begin: number,
  end: number,
  limits: HeadLimits,
  head: RequestHead,
): number {
  const limit = Math.min(end, begin + limits.headBytesMax);
  const lineEnd = readRequestLine(buffer, begin, limit, head);
  if (lineEnd < 0) return lineEnd;
  if (lineEnd === INCOMPLETE) return limit < end ? Refusal.targetTooLong : INCOMPLETE;
  const headEnd = scanFields(buffer, lineEnd, limit, limits, head.lines);
  if (headEnd < 0) return headEnd;
  if (headEnd === INCOMPLETE) return limit < end ? Refusal.headTooLarge : INCOMPLETE;
  head.fieldsBegin = lineEnd;
  head.fieldsEnd = headEnd - 2;
  const refusal = interpret(buffer, head);
  return refusal === 0 ? headEnd : refusal;
}

/** Method SP target SP version CRLF: offset past it, INCOMPLETE or a Refusal. */
function readRequestLine(buffer: Buffer, begin: number, limit: number, head: RequestHead): number {
  let position = skipEmptyLines(buffer, begin, limit);
  if (position < 0) return position;
  const methodBegin = position;
  head.lineBegin = position;
  position = skipToken(buffer, position, limit);
  if (position >= limit) return INCOMPLETE;
  if (buffer[position] !== SP) return Refusal.badMethod;
  if (position === methodBegin) return Refusal.badRequestLine;
  const method = methodOf(buffer, methodBegin, position);
  if (method === '') return Refusal.badMethod;
  head.method = method;
  head.isIdempotent = isIdempotentMethod(method);

  position += 1;
  const targetBegin = position;
  position = skipTarget(buffer, position, limit);
  if (position >= limit) return INCOMPLETE;
  if (buffer[position] !== SP) {
    const isLineEnd = buffer[position] === CR || buffer[position] === LF;
    return isLineEnd ? Refusal.badRequestLine : Refusal.badTarget;
  }
  if (position === targetBegin) return Refusal.badRequestLine;
  head.targetBegin = targetBegin;
  head.targetEnd = position;
  return readVersion(buffer, position + 1, limit, head);
}

function skipEmptyLines(buffer: Buffer, begin: number, limit: number): number {
  let position = begin;
  while (position < limit && buffer[position] === CR) {
    if (position - begin >= LEADING_LINES_MAX * 2) return Refusal.badRequestLine;
    if (position + 1 >= limit) return limit;
    if (buffer[position + 1] !== LF) return Refusal.badRequestLine;
    position += 2;
  }
  return position;
}

function readVersion(buffer: Buffer, begin: number, limit: number, head: RequestHead): number {
  for (let index = 0; index < VERSION_PREFIX.length; index += 1) {
    if (begin + index >= limit) return INCOMPLETE;
    if (buffer[begin + index] !== VERSION_PREFIX[index]) return Refusal.badVersion;
  }
  const position = begin + VERSION_PREFIX.length;
  if (position >= limit) return INCOMPLETE;
  const minor = buffer[position] as number;
  if (minor < DIGIT_0 || minor > DIGIT_9) return Refusal.badVersion;
  head.versionMinor = minor === DIGIT_0 ? 0 : 1;
  head.isVersion11 = minor === DIGIT_1;
  if (position + 1 >= limit) return INCOMPLETE;
  if (buffer[position + 1] !== CR) return Refusal.badRequestLine;
  if (position + 2 >= limit) return INCOMPLETE;
  if (buffer[position + 2] !== LF) return Refusal.badRequestLine;
  return position + 3;
}

/** What the recorded lines mean together: 0 or a Refusal. */
function interpret(buffer: Buffer, head: RequestHead): number {
  const lines = head.lines;
  let options = 0;
  let hostAt = -1;
  let upgradeAt = -1;
  let expectAt = -1;
  let upgradeCount = 0;
  for (let index = 0; index < lines.count; index += 1) {
    const field = lines.field[index];
    if (field === Field.host) {
      if (hostAt >= 0) return Refusal.badHost;
      hostAt = index;
    } else if (field === Field.connection) {
      const more = readConnection(buffer, lines.valueBegin[index] as number, lines.valueEnd[index] as number);
      if (more < 0) return more;
      options |= more;
    } else if (field === Field.upgrade) {
      upgradeAt = index;
      upgradeCount += 1;
    } else if (field === Field.expect) {
      if (expectAt >= 0) return Refusal.expectationFailed;
      expectAt = index;
    }
  }
  const refusal = readTarget(buffer, head, hostAt) || readFraming(buffer, lines, head.versionMinor);
  if (refusal !== 0) return refusal;
  head.body = framing.contentLength === 0 && framing.body === Body.length ? Body.none : framing.body;
  head.contentLength = framing.contentLength;
  head.framingLine = framing.line;
  head.keepAlive =
    (options & Option.close) === 0 && (head.versionMinor === 1 || (options & Option.keepAlive) !== 0);
  readMaxForwards(buffer, head);
  if (readExpect(buffer, head, expectAt) !== 0) return Refusal.expectationFailed;
  head.upgradeBegin = 0;
  head.upgradeEnd = 0;
  if ((options & Option.upgrade) !== 0 && upgradeCount > 0) {
    if (upgradeCount > 1 || readUpgrade(buffer, head, upgradeAt) !== 0) return Refusal.badUpgrade;
  }
  if ((options & Option.named) === 0) return 0;
  return recordConnectionNamed(buffer, head.fieldsBegin, head.fieldsEnd, lines);
}

/** Host rules and the four target forms (RFC 9112 section 3.2): 0 or a Refusal. */
function readTarget(buffer: Buffer, head: RequestHead, hostAt: number): number {
  if (head.method === 'CONNECT' || head.method === 'TRACE') return Refusal.methodNotAllowed;
  if (hostAt >= 0) {
    head.hostBegin = head.lines.valueBegin[hostAt] as number;
    head.hostEnd = head.lines.valueEnd[hostAt] as number;
    if (!isHost(buffer, head.hostBegin, head.hostEnd)) return Refusal.badHost;
    if (buffer[head.hostEnd - 1] === COLON) head.hostEnd -= 1;
  } else {
    if (head.versionMinor === 1) return Refusal.badHost;
    head.hostBegin = 0;
    head.hostEnd = 0;
  }
  head.isAbsoluteForm = false;
  head.pathBegin = head.targetBegin;
  head.pathEnd = head.targetEnd;
  const first = buffer[head.targetBegin];
  if (first === SLASH) return 0;
  if (first === ASTERISK) {
    return head.targetEnd - head.targetBegin === 1 && head.method === 'OPTIONS' ? 0 : Refusal.badTarget;
  }
  return readAbsoluteForm(buffer, head);
}

/** Absolute-form: its authority counts instead of Host. A query without a path is refused, as servers differ on it. */
function readAbsoluteForm(buffer: Buffer, head: RequestHead): number {
  const begin = head.targetBegin;
  const end = head.targetEnd;
  let authority = 0;
  if (end - begin > 7 && equalsIgnoreCase(buffer, begin, begin + 7, 'http://')) authority = begin + 7;
  else if (end - begin > 8 && equalsIgnoreCase(buffer, begin, begin + 8, 'https://')) authority = begin + 8;
  else return Refusal.badTarget;
  const slash = buffer.indexOf(SLASH, authority);
  const authorityEnd = slash < 0 || slash > end ? end : slash;
  if (!isHost(buffer, authority, authorityEnd)) return Refusal.badTarget;
  head.isAbsoluteForm = true;
  head.hostBegin = authority;
  head.hostEnd = buffer[authorityEnd - 1] === COLON ? authorityEnd - 1 : authorityEnd;
  head.pathBegin = authorityEnd;
  return 0;
}

/** An HTTP/1.0 expectation is ignored (RFC 9110 section 10.1.1), and so is one of a request without a body. */
function readExpect(buffer: Buffer, head: RequestHead, expectAt: number): number {
  head.expectsContinue = false;
  if (expectAt < 0) return 0;
  const begin = head.lines.valueBegin[expectAt] as number;
  if (!equalsIgnoreCase(buffer, begin, head.lines.valueEnd[expectAt] as number, '100-continue')) {
    return Refusal.expectationFailed;
  }
  head.expectsContinue = head.versionMinor === 1 && head.body !== Body.none;
  return 0;
}

/** The line of an OPTIONS is dropped: who passes the request on writes one less. Any other method takes no notice. */
function readMaxForwards(buffer: Buffer, head: RequestHead): void {
  head.maxForwards = -1;
  if (head.method !== 'OPTIONS') return;
  const { lines } = head;
  const index = lines.indexOf(Field.maxForwards);
  if (index < 0) return;
  const value = buffer.toString('latin1', lines.valueBegin[index] as number, lines.valueEnd[index] as number);
  if (!/^\d{1,9}$/.test(value)) return;
  head.maxForwards = Number(value);
  lines.field[index] = Field.dropped;
}

/** An upgrade asked in HTTP/1.0 or along with a body is ignored, as RFC 9110 section 7.8 allows. */
function readUpgrade(buffer: Buffer, head: RequestHead, upgradeAt: number): number {
  const begin = head.lines.valueBegin[upgradeAt] as number;
  const end = head.lines.valueEnd[upgradeAt] as number;
  if (!isUpgradeValue(buffer, begin, end)) return Refusal.badUpgrade;
  if (head.versionMinor === 0 || head.body !== Body.none) return 0;
  head.upgradeBegin = begin;
  head.upgradeEnd = end;
  return 0;
}
