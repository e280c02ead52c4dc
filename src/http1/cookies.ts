// Cookie and Set-Cookie (RFC 6265) as byte ranges: finding one cookie's value, reading and writing Set-Cookie.

import { DOUBLE_QUOTE, EQUALS, equalsIgnoreCase, SEMICOLON, skipBlank, trimBlank } from './bytes.ts';
import { cookieDate } from './cookie-date.ts';

/** A cookie found by findCookie: one reusable object, valid until the next call. */
export class CookieRange {
  nameBegin = 0;
  nameEnd = 0;
  valueBegin = 0;
  /** Exclusive. Quotes around the value are left out. */
  valueEnd = 0;
}

const further = new CookieRange();

/**
 * Looks for the cookie `name` (its exact bytes: names are case-sensitive) in one Cookie field value. Fills `found`
 * with its first occurrence and returns how many there are: 0 leaves `found` untouched. Browsers send several when
 * they were set for different paths or domains. O(length), allocates nothing.
 */
export function findCookie(
  buffer: Buffer,
  begin: number,
  end: number,
  name: Uint8Array,
  found: CookieRange,
): number {
  let count = 0;
  let at = nextCookie(buffer, begin, end, name, found);
  while (at !== -1) {
    count += 1;
    at = nextCookie(buffer, at, end, name, further);
  }
  return count;
}

/**
 * As `findCookie`, one after the other: where to go on looking, -1 when there is none (`found` is left untouched). With
 * `isPrefix` the name may go on.
 */
export function nextCookie(
  buffer: Buffer,
  begin: number,
  end: number,
  name: Uint8Array,
  found: CookieRange,
  isPrefix = false,
): number {
  const length = name.length;
  let position = begin;
  while (position < end) {
    position = skipBlank(buffer, position, end);
    const nameBegin = position;
    let same = 0;
    while (same < length && position < end && buffer[position] === name[same]) {
      same += 1;
      position += 1;
    }
    if (isPrefix && same === length) position = endOfName(buffer, position, end);
    const nameEnd = position;
    const equals = same === length && length > 0 ? skipBlank(buffer, position, end) : end;
    const isMatch = equals < end && buffer[equals] === EQUALS;
    if (isMatch) position = equals;
    while (position < end && buffer[position] !== SEMICOLON) position += 1;
    if (isMatch) {
      found.nameBegin = nameBegin;
      found.nameEnd = nameEnd;
      setValue(buffer, equals + 1, position, found);
      return position + 1;
    }
    position += 1;
  }
  return -1;
}

function endOfName(buffer: Buffer, begin: number, end: number): number {
  let position = begin;
  while (position < end && buffer[position] !== EQUALS && buffer[position] !== SEMICOLON) position += 1;
  return trimBlank(buffer, begin, position);
}

/** Trims blanks, then one pair of quotes. */
function setValue(buffer: Buffer, begin: number, end: number, range: CookieRange): void {
  const valueBegin = skipBlank(buffer, begin, end);
  const valueEnd = trimBlank(buffer, valueBegin, end);
  const isQuoted =
    valueEnd - valueBegin >= 2 &&
    buffer[valueBegin] === DOUBLE_QUOTE &&
    buffer[valueEnd - 1] === DOUBLE_QUOTE;
  range.valueBegin = isQuoted ? valueBegin + 1 : valueBegin;
  range.valueEnd = isQuoted ? valueEnd - 1 : valueEnd;
}

/** What one Set-Cookie value says: one reusable object, valid until the next call. */
export class SetCookie extends CookieRange {
  /** With the name they are what tells cookies apart. Begin and end are the same where there is none. */
  domainBegin = 0;
  domainEnd = 0;
  pathBegin = 0;
  pathEnd = 0;
  /** The cookie is being deleted: empty value, Max-Age of zero or less, or Expires not after now. */
  isDeletion = false;
}

/**
 * Reads one Set-Cookie field value. `nowMs` is the wall-clock time that Expires is held against. Returns false when
 * there is no name: browsers would ignore or misread such a line. Max-Age wins over Expires, the last of each counts.
 */
export function parseSetCookie(
  buffer: Buffer,
  begin: number,
  end: number,
  nowMs: number,
  out: SetCookie,
): boolean {
  const pairEnd = endOfPart(buffer, begin, end);
  const equals = buffer.indexOf(EQUALS, begin);
  if (equals < 0 || equals >= pairEnd) return false;
  out.nameBegin = skipBlank(buffer, begin, equals);
  out.nameEnd = trimBlank(buffer, out.nameBegin, equals);
  if (out.nameBegin === out.nameEnd) return false;
  setValue(buffer, equals + 1, pairEnd, out);

  out.domainBegin = out.domainEnd = out.pathBegin = out.pathEnd = 0;
  let maxAge = Number.NaN;
  let expiresMs = Number.NaN;
  let position = pairEnd + 1;
  while (position < end) {
    const partEnd = endOfPart(buffer, position, end);
    const nameBegin = skipBlank(buffer, position, partEnd);
    const at = buffer.indexOf(EQUALS, nameBegin);
    if (at >= 0 && at < partEnd) {
      const nameEnd = trimBlank(buffer, nameBegin, at);
      if (equalsIgnoreCase(buffer, nameBegin, nameEnd, 'max-age'))
        maxAge = maxAgeOf(buffer, at + 1, partEnd, maxAge);
      else if (equalsIgnoreCase(buffer, nameBegin, nameEnd, 'expires'))
        expiresMs = dateOf(buffer, at + 1, partEnd, expiresMs);
      else if (equalsIgnoreCase(buffer, nameBegin, nameEnd, 'domain')) {
        out.domainBegin = skipBlank(buffer, at + 1, partEnd);
        out.domainEnd = trimBlank(buffer, out.domainBegin, partEnd);
      } else if (equalsIgnoreCase(buffer, nameBegin, nameEnd, 'path')) {
        out.pathBegin = skipBlank(buffer, at + 1, partEnd);
        out.pathEnd = trimBlank(buffer, out.pathBegin, partEnd);
      }
    }
    position = partEnd + 1;
  }
  const isExpired = Number.isNaN(maxAge) ? expiresMs <= nowMs : maxAge <= 0;
  out.isDeletion = isExpired || out.valueBegin === out.valueEnd;
  return true;
}

function endOfPart(buffer: Buffer, begin: number, end: number): number {
  let position = begin;
  while (position < end && buffer[position] !== SEMICOLON) position += 1;
  return position;
}

/** Seconds; `former` when it is no whole number (RFC 6265 section 5.2.2: such an attribute is ignored). */
function maxAgeOf(buffer: Buffer, begin: number, end: number, former: number): number {
  const text = buffer.toString('latin1', begin, end).trim();
  return /^-?\d+$/.test(text) ? Number(text) : former;
}

/** Milliseconds since 1970; `former` when it is no date (section 5.2.1). */
function dateOf(buffer: Buffer, begin: number, end: number, former: number): number {
  const ms = cookieDate(buffer.toString('latin1', begin, end));
  return Number.isNaN(ms) ? former : ms;
}

/** Attributes of the cookie that the balancer sets. */
export interface CookieAttributes {
  readonly path?: string | undefined;
  readonly domain?: string | undefined;
  /** Seconds; left out: a session cookie. */
  readonly maxAge?: number | undefined;
  readonly httpOnly?: boolean | undefined;
  readonly sameSite?: 'Lax' | 'Strict' | 'None' | undefined;
  readonly partitioned?: boolean | undefined;
}

/**
 * One Set-Cookie field value. Values are checked where the configuration is: nothing is escaped here.
 * `isSecure`: write Secure; the caller resolves `secure: auto` by the client's scheme.
 */
export function formatSetCookie(
  name: string,
  value: string,
  attributes: CookieAttributes,
  isSecure: boolean,
): string {
  let text = `${name}=${value}`;
  if (attributes.maxAge !== undefined) text += `; Max-Age=${attributes.maxAge}`;
  if (attributes.domain !== undefined) text += `; Domain=${attributes.domain}`;
  if (attributes.path !== undefined) text += `; Path=${attributes.path}`;
  if (attributes.httpOnly === true) text += '; HttpOnly';
  if (isSecure) text += '; Secure';
  if (attributes.sameSite !== undefined) text += `; SameSite=${attributes.sameSite}`;
  if (attributes.partitioned === true) text += '; Partitioned';
  return text;
}
