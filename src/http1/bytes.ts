// The byte classes of RFC 9110 and 9112 as 256-entry tables: one indexed read answers "may this byte stand here".

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const DOUBLE_QUOTE = 0x22;
export const COMMA = 0x2c;
export const DASH = 0x2d;
export const DOT = 0x2e;
export const SLASH = 0x2f;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const EQUALS = 0x3d;
export const BACKSLASH = 0x5c;
export const UNDERSCORE = 0x5f;

/** 1 for a byte of a token (RFC 9110 section 5.6.2): method, field name, Connection option. */
export const TOKEN: Uint8Array = classOf("!#$%&'*+-.^_`|~0123456789", 'az', 'AZ');

/** 1 for a byte of a field value: HTAB, SP, VCHAR and obs-text. Zero for CR, LF, NUL, DEL and all other controls. */
export const VALUE: Uint8Array = valueClass();

/** 1 for a byte of a request target: visible ASCII except "#", which no target may carry. */
export const TARGET: Uint8Array = classOf('', '!"', '$~');

/** 1 for a byte of a registered name as we accept it: no percent-encoding and no sub-delimiters. */
export const HOST: Uint8Array = classOf('-._~', '09', 'az', 'AZ');

/** Value of a hexadecimal digit, 255 for any other byte. */
export const HEX: Uint8Array = hexTable();

/** Lower case for A to Z, every other byte as it is. */
export const LOWER: Uint8Array = lowerTable();

/** Like LOWER, and "_" becomes "-": servers of the CGI family take the two for the same letter. */
export const FOLD: Uint8Array = foldTable();

/** Are these bytes that text, letter case aside? `text` must be lower case. */
export function equalsIgnoreCase(buffer: Buffer, begin: number, end: number, text: string): boolean {
  const length = text.length;
  if (end - begin !== length) return false;
  const lower = LOWER;
  for (let index = 0; index < length; index = (index + 1) | 0) {
    if (lower[buffer[(begin + index) | 0] as number] !== text.charCodeAt(index)) return false;
  }
  return true;
}

/** Are these bytes exactly that text? */
export function equalsExact(buffer: Buffer, begin: number, end: number, text: string): boolean {
  if (end - begin !== text.length) return false;
  for (let index = 0; index < text.length; index += 1) {
    if (buffer[begin + index] !== text.charCodeAt(index)) return false;
  }
  return true;
}

/** Do the bytes begin..end begin with these? */
export function beginsWith(text: Uint8Array, buffer: Buffer, begin: number, end: number): boolean {
  if (end - begin < text.length) return false;
  for (let index = 0; index < text.length; index += 1)
    if (buffer[begin + index] !== text[index]) return false;
  return true;
}

/** First offset from `begin` on that holds neither space nor tab; `end` when there is none. */
export function skipBlank(buffer: Buffer, begin: number, end: number): number {
  let position = begin;
  while (position < end && (buffer[position] === SP || buffer[position] === HTAB)) position += 1;
  return position;
}

/** End of the range without the spaces and tabs at its end. */
export function trimBlank(buffer: Buffer, begin: number, end: number): number {
  let position = end;
  while (position > begin && (buffer[position - 1] === SP || buffer[position - 1] === HTAB)) position -= 1;
  return position;
}

/** First offset from `begin` on that holds no token byte; `end` when there is none. */
export function skipToken(buffer: Buffer, begin: number, end: number): number {
  const table = TOKEN; // imported and module-level tables are looked up again in each turn: half the speed
  let position = begin | 0;
  while (position < end && table[buffer[position] as number] === 1) position = (position + 1) | 0;
  return position;
}

/** First offset from `begin` on that holds no target byte; `end` when there is none. */
export function skipTarget(buffer: Buffer, begin: number, end: number): number {
  const table = TARGET;
  let position = begin | 0;
  while (position < end && table[buffer[position] as number] === 1) position = (position + 1) | 0;
  return position;
}

/**
 * First offset from `begin` on that holds no field value byte; `end` when there is none. Eight bytes a step, in
 * 32-bit arithmetic and with a local table: 0.6 ns a byte instead of 1.7 (measured on 1 KB of values).
 */
export function skipValue(buffer: Buffer, begin: number, end: number): number {
  const table = VALUE;
  const blockEnd = (end - 8) | 0;
  let position = begin | 0;
  while (
    position <= blockEnd &&
    ((table[buffer[position] as number] as number) &
      (table[buffer[(position + 1) | 0] as number] as number) &
      (table[buffer[(position + 2) | 0] as number] as number) &
      (table[buffer[(position + 3) | 0] as number] as number) &
      (table[buffer[(position + 4) | 0] as number] as number) &
      (table[buffer[(position + 5) | 0] as number] as number) &
      (table[buffer[(position + 6) | 0] as number] as number) &
      (table[buffer[(position + 7) | 0] as number] as number)) ===
      1
  ) {
    position = (position + 8) | 0;
  }
  while (position < end && table[buffer[position] as number] === 1) position = (position + 1) | 0;
  return position;
}

/** Text of bytes without the blanks around it. `trim` takes 0xa0 as well, which UTF-8 ends "à" with. */
export function withoutBlanks(text: string): string {
  let begin = 0;
  let end = text.length;
  while (begin < end && isBlank(text.charCodeAt(begin))) begin += 1;
  while (end > begin && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(begin, end);
}

/** OWS of RFC 9110 section 5.6.3. */
export function isBlank(byte: number): boolean {
  return byte === SP || byte === HTAB;
}

function classOf(single: string, ...ranges: readonly string[]): Uint8Array {
  const table = new Uint8Array(256);
  for (let index = 0; index < single.length; index += 1) table[single.charCodeAt(index)] = 1;
  for (const range of ranges) table.fill(1, range.charCodeAt(0), range.charCodeAt(1) + 1);
  return table;
}

function valueClass(): Uint8Array {
  const table = new Uint8Array(256).fill(1, 0x20);
  table[HTAB] = 1;
  table[0x7f] = 0;
  return table;
}

function hexTable(): Uint8Array {
  const table = new Uint8Array(256).fill(255);
  for (let value = 0; value < 16; value += 1) {
    table[value.toString(16).charCodeAt(0)] = value;
    table[value.toString(16).toUpperCase().charCodeAt(0)] = value;
  }
  return table;
}

function lowerTable(): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte));
}

function foldTable(): Uint8Array {
  const table = lowerTable();
  table[UNDERSCORE] = DASH;
  return table;
}
