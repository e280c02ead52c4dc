// base64url (RFC 4648 section 5, no padding) between byte arrays, strict and without allocation. Only whole groups
// of three bytes, four characters: the cookies are sized to need nothing else, so every value has one spelling.

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', 'latin1');
const NOT_A_DIGIT = 255;
const DIGITS = new Uint8Array(256).fill(NOT_A_DIGIT);
for (let digit = 0; digit < 64; digit += 1) DIGITS[ALPHABET[digit] as number] = digit;

/** Writes `count` bytes (a multiple of 3) as count / 3 × 4 characters. */
export function encodeBase64url(bytes: Uint8Array, count: number, text: Uint8Array): void {
  let at = 0;
  for (let index = 0; index < count; index += 3) {
    const group =
      ((bytes[index] as number) << 16) | ((bytes[index + 1] as number) << 8) | (bytes[index + 2] as number);
    text[at] = ALPHABET[group >>> 18] as number;
    text[at + 1] = ALPHABET[(group >>> 12) & 63] as number;
    text[at + 2] = ALPHABET[(group >>> 6) & 63] as number;
    text[at + 3] = ALPHABET[group & 63] as number;
    at += 4;
  }
}

/** Reads `length` characters (a multiple of 4) from `begin` on. False when one is not of the alphabet. */
export function decodeBase64url(text: Uint8Array, length: number, bytes: Uint8Array, begin = 0): boolean {
  let at = 0;
  let seen = 0;
  for (let index = begin; index < begin + length; index += 4) {
    const a = DIGITS[text[index] as number] as number;
    const b = DIGITS[text[index + 1] as number] as number;
    const c = DIGITS[text[index + 2] as number] as number;
    const d = DIGITS[text[index + 3] as number] as number;
    seen |= a | b | c | d;
    bytes[at] = (a << 2) | (b >>> 4);
    bytes[at + 1] = (b << 4) | (c >>> 2);
    bytes[at + 2] = (c << 6) | d;
    at += 3;
  }
  return (seen & 0xc0) === 0;
}
