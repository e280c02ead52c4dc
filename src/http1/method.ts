// Request methods: known ones are interned so that comparing them is comparing references.

import { equalsExact } from './bytes.ts';

/** Longest method in bytes; a longer one is refused as a bad method. */
export const METHOD_BYTES_MAX = 32;

const KNOWN: readonly string[] = [
  'PUT',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'CONNECT',
  'TRACE',
  'PROPFIND',
  'PROPPATCH',
  'MKCOL',
  'COPY',
  'MOVE',
  'LOCK',
  'UNLOCK',
  'REPORT',
  'SEARCH',
  'QUERY',
  'PURGE',
];

/** The method at begin..end (token bytes), interned when known; '' when it is too long. */
export function methodOf(buffer: Buffer, begin: number, end: number): string {
  if (equalsExact(buffer, begin, end, 'GET')) return 'GET';
  if (equalsExact(buffer, begin, end, 'POST')) return 'POST';
  for (let index = 0; index < KNOWN.length; index += 1) {
    const method = KNOWN[index] as string;
    if (equalsExact(buffer, begin, end, method)) return method;
  }
  return end - begin > METHOD_BYTES_MAX ? '' : buffer.toString('latin1', begin, end);
}

/** Idempotent by RFC 9110 section 9.2.2. */
export function isIdempotentMethod(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'PUT':
    case 'DELETE':
    case 'OPTIONS':
    case 'TRACE':
      return true;
    default:
      return false;
  }
}
