// Addresses of clients: one spelling for each, whoever wrote it, and what counts as one client.

import { isIPv4, isIPv6 } from 'node:net';

const GROUPS = 8;
/** Longest text that can be an address with quotes, brackets, zone and port. */
const TEXT_CHARS_MAX = 128;

/**
 * The address in that text as RFC 5952 writes it; an IPv4 address in IPv6 (RFC 4291 section 2.5.5.2) as IPv4. Read are
 * the spellings of X-Forwarded-For and of RFC 7239 nodes: with a port, in brackets, in quotes, with a zone. '' when
 * there is no address in it: `unknown`, an obfuscated name, anything else.
 */
export function plainAddress(text: string): string {
  if (isIPv4(text)) return text;
  if (text.length > TEXT_CHARS_MAX) return '';
  const match =
    /^\s*"?(?:\[([0-9a-fA-F:.]+)(?:%[^\]]*)?\]|(\d+\.\d+\.\d+\.\d+)|([0-9a-fA-F:.]+)(?:%[^"\s]*)?)(?::[\w.-]*)?"?\s*$/.exec(
      text,
    );
  if (match === null) return '';
  const [, bracketed, ipv4, bare] = match;
  if (ipv4 !== undefined) return isIPv4(ipv4) ? ipv4 : '';
  const groups = ipv6Groups(bracketed ?? bare ?? '');
  return groups === null ? '' : formatIpv6(groups);
}

/** What counts as one client: that many leading bits of an address. */
export class AddressMask {
  readonly #ipv4Bits: number;
  readonly #ipv6Bits: number;

  constructor({ ipv4, ipv6 }: { readonly ipv4: number; readonly ipv6: number }) {
    this.#ipv4Bits = ipv4;
    this.#ipv6Bits = ipv6;
  }

  /** The network of a plain address, written as an address; text that is no address comes back as it is. */
  of(address: string): string {
    const groups = address.includes(':') ? ipv6Groups(address) : null;
    if (groups === null) return this.#ipv4Bits === 32 || !isIPv4(address) ? address : this.#ofIpv4(address);
    if (isMapped(groups)) return this.of(formatIpv6(groups));
    return formatIpv6(masked(groups, 16, this.#ipv6Bits));
  }

  #ofIpv4(address: string): string {
    return masked(address.split('.').map(Number), 8, this.#ipv4Bits).join('.');
  }
}

/** An IPv4 address is one client; of an IPv6 address the first 64 bits are, for a customer has all of the rest. */
export const ONE_CLIENT: AddressMask = new AddressMask({ ipv4: 32, ipv6: 64 });

function masked(parts: readonly number[], partBits: number, bits: number): number[] {
  return parts.map((part, index) => {
    const kept = Math.min(Math.max(bits - index * partBits, 0), partBits);
    return part & ~((1 << (partBits - kept)) - 1);
  });
}

/** The eight groups of an IPv6 address without a zone; null when it is none. */
export function ipv6Groups(text: string): number[] | null {
  if (!isIPv6(text)) return null;
  const zone = text.indexOf('%');
  const [head = '', tail] = (zone < 0 ? text : text.slice(0, zone)).split('::');
  const before = groupsOf(head);
  const after = groupsOf(tail ?? '');
  const zeros = Array.from({ length: GROUPS - before.length - after.length }, () => 0);
  return [...before, ...zeros, ...after];
}

/** Groups of one side of "::", an IPv4 address at the end included. */
function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}

function isMapped(groups: readonly number[]): boolean {
  return groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
}

/** RFC 5952: lower case, no leading zeros, "::" for the first longest run of two zero groups or more. */
function formatIpv6(groups: readonly number[]): string {
  const [, , , , , , high = 0, low = 0] = groups;
  if (isMapped(groups)) return [high >> 8, high & 255, low >> 8, low & 255].join('.');
  let runAt = -1;
  let runLength = 1;
  for (let at = 0; at < GROUPS; at += 1) {
    let length = 0;
    while (groups[at + length] === 0) length += 1;
    if (length > runLength) [runAt, runLength] = [at, length];
  }
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  return runAt < 0
    ? text(groups)
    : `${text(groups.slice(0, runAt))}::${text(groups.slice(runAt + runLength))}`;
}
