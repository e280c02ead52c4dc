// Host and authority syntax (RFC 3986 section 3.2.2), narrower than the RFC where servers disagree.

import { COLON, DOT, HEX, HOST } from './bytes.ts';

/** Longest host name in bytes, port not counted (RFC 1035). */
export const HOST_BYTES_MAX = 255;

/**
 * Is this a host with an optional port: name, IPv4 or [IPv6], then ":" and 1 to 65535 or nothing (RFC 3986 section
 * 3.2.3 allows an empty port)? Refused on purpose: empty host, userinfo, percent-encoding, sub-delimiters, zone ids, IPvFuture.
 */
export function isHost(buffer: Buffer, begin: number, end: number): boolean {
  if (begin === end) return false;
  let position = begin | 0;
  if (buffer[begin] === 0x5b) {
    const close = buffer.indexOf(0x5d, begin);
    if (close < 0 || close >= end || !isIpv6(buffer, begin + 1, close)) return false;
    position = close + 1;
  } else {
    const table = HOST;
    while (position < end && table[buffer[position] as number] === 1) position = (position + 1) | 0;
    if (position === begin || position - begin > HOST_BYTES_MAX) return false;
  }
  return position === end || isPort(buffer, position, end);
}

function isPort(buffer: Buffer, begin: number, end: number): boolean {
  const digits = end - begin - 1;
  if (buffer[begin] !== COLON || digits > 5) return false;
  if (digits === 0) return true;
  const port = decimalOf(buffer, begin + 1, end);
  return port >= 1 && port <= 65535;
}

/** Value of a range of digits only, -1 otherwise. */
function decimalOf(buffer: Buffer, begin: number, end: number): number {
  let value = 0;
  for (let position = begin; position < end; position += 1) {
    const digit = (buffer[position] as number) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/** Up to eight groups of one to four hex digits, at most one "::", an IPv4 address allowed for the last two. */
function isIpv6(buffer: Buffer, begin: number, end: number): boolean {
  let groups = 0;
  let isShortened = false;
  let position = begin;
  if (buffer[begin] === COLON) {
    if (buffer[begin + 1] !== COLON) return false;
    isShortened = true;
    position = begin + 2;
  }
  while (position < end) {
    const groupBegin = position;
    while (position < end && HEX[buffer[position] as number] !== 255) position += 1;
    if (position < end && buffer[position] === DOT) {
      if (!isIpv4(buffer, groupBegin, end)) return false;
      groups += 2;
      break;
    }
    if (position === groupBegin || position - groupBegin > 4) return false;
    groups += 1;
    if (position === end) break;
    if (buffer[position] !== COLON) return false;
    position += 1;
    if (position < end && buffer[position] === COLON) {
      if (isShortened) return false;
      isShortened = true;
      position += 1;
    } else if (position === end) {
      return false;
    }
  }
  return isShortened ? groups <= 7 : groups === 8;
}

function isIpv4(buffer: Buffer, begin: number, end: number): boolean {
  let parts = 0;
  let partBegin = begin;
  for (let position = begin; position <= end; position += 1) {
    if (position < end && buffer[position] !== DOT) continue;
    const length = position - partBegin;
    if (length < 1 || length > 3) return false;
    const value = decimalOf(buffer, partBegin, position);
    if (value < 0 || value > 255) return false;
    parts += 1;
    partBegin = position + 1;
  }
  return parts === 4;
}
