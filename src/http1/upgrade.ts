// The Upgrade field's syntax (RFC 9110 section 7.8): a list of protocol names with optional versions.

import { COMMA, SLASH, skipBlank, skipToken } from './bytes.ts';

/** Is this a list of `token` or `token/token`, without empty elements? */
export function isUpgradeValue(buffer: Buffer, begin: number, end: number): boolean {
  let position = begin;
  for (;;) {
    const nameBegin = skipBlank(buffer, position, end);
    position = skipToken(buffer, nameBegin, end);
    if (position === nameBegin) return false;
    if (position < end && buffer[position] === SLASH) {
      const versionBegin = position + 1;
      position = skipToken(buffer, versionBegin, end);
      if (position === versionBegin) return false;
    }
    position = skipBlank(buffer, position, end);
    if (position === end) return true;
    if (buffer[position] !== COMMA) return false;
    position += 1;
  }
}
