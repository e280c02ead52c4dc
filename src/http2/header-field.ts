// One header field as HPACK's tables keep it: checked once, and ready as a line of HTTP/1, however often it is referred to.

import { COLON, isBlank, TOKEN, VALUE } from '../http1/bytes.ts';

/** Added to the length of name and value: what an entry counts for (RFC 7541 section 4.1). */
export const ENTRY_BYTES = 32;

export class HeaderField {
  readonly name: string;
  readonly value: string;
  /** As HPACK counts it. */
  readonly bytes: number;
  /** Name and value may stand in HTTP/2 (RFC 9113 section 8.2.1), and so in HTTP/1. */
  readonly isValid: boolean;
  readonly isPseudo: boolean;
  /** `name: value` CRLF. */
  readonly line: string;

  constructor(name: string, value: string) {
    this.name = name;
    this.value = value;
    this.bytes = name.length + value.length + ENTRY_BYTES;
    this.isPseudo = name.charCodeAt(0) === COLON;
    this.isValid = isFieldName(name, this.isPseudo ? 1 : 0) && isFieldValue(value);
    this.line = `${name}: ${value}\r\n`;
  }
}

/** Token bytes without capitals. */
function isFieldName(name: string, begin: number): boolean {
  if (name.length === begin) return false;
  for (let at = begin; at < name.length; at += 1) {
    const byte = name.charCodeAt(at);
    if (TOKEN[byte] !== 1 || (byte >= 0x41 && byte <= 0x5a)) return false;
  }
  return true;
}

/** No control bytes, and no blanks around it. */
function isFieldValue(value: string): boolean {
  for (let at = 0; at < value.length; at += 1) if (VALUE[value.charCodeAt(at)] !== 1) return false;
  return !isBlank(value.charCodeAt(0)) && !isBlank(value.charCodeAt(value.length - 1));
}
