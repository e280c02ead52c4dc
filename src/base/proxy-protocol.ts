// The PROXY protocol of HAProxy, versions 1 and 2: what stands before the first byte of a connection and says between whom
// it really is. Pure. https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt
//
//   v1  PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n          at most 107 bytes; TCP6 alike; or PROXY UNKNOWN ...\r\n
//   v2  12 bytes of signature | version, command | family | length (2) | addresses | TLVs
//
// Stricter than it is: a header is bounded, ports have no leading zeros, datagrams are refused. TLVs are not read.

import { isIPv4, isIPv6 } from 'node:net';
import { ipv6Groups, plainAddress } from './client-address.ts';

export type ProxyVersion = 'v1' | 'v2';

/** Between whom a connection is. Plain addresses (client-address.ts). */
export interface Ends {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** Longest header that is read, TLVs included: they carry certificates' names, not certificates. */
export const PROXY_HEADER_BYTES_MAX = 4096;
const V1_BYTES_MAX = 107;
const V1_BEGIN = Buffer.from('PROXY ', 'latin1');
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V2_HEAD_BYTES = 16;
const V2_LOCAL = 0x20;
const V2_PROXY = 0x21;
const V2_UNSPECIFIED = 0x00;
const V2_TCP4 = 0x11;
const V2_TCP6 = 0x21;
const V2_UNIX = 0x31;
const V2_UNIX_BYTES = 216;

export type ProxyHeader =
  /** `ends` null: nothing is said, the connection is what it looks like. */
  | { readonly kind: 'header'; readonly bytes: number; readonly ends: Ends | null }
  /** More bytes decide. */
  | { readonly kind: 'incomplete' }
  /** The connection does not begin with one. */
  | { readonly kind: 'absent' }
  | { readonly kind: 'refused'; readonly why: string };

const INCOMPLETE: ProxyHeader = { kind: 'incomplete' };
const ABSENT: ProxyHeader = { kind: 'absent' };

/** The header that the first bytes of a connection are. */
export function parseProxyHeader(buffer: Buffer): ProxyHeader {
  if (begins(buffer, V1_BEGIN)) return buffer.length < V1_BEGIN.length ? INCOMPLETE : parseV1(buffer);
  if (!begins(buffer, V2_SIGNATURE)) return ABSENT;
  return buffer.length < V2_HEAD_BYTES ? INCOMPLETE : parseV2(buffer);
}

/** As far as there are bytes. */
function begins(buffer: Buffer, signature: Buffer): boolean {
  const length = Math.min(buffer.length, signature.length);
  return buffer.compare(signature, 0, length, 0, length) === 0;
}

function parseV1(buffer: Buffer): ProxyHeader {
  const end = buffer.subarray(0, V1_BYTES_MAX).indexOf('\r\n');
  if (end < 0)
    return buffer.length < V1_BYTES_MAX ? INCOMPLETE : refused('no end of the line in its first 107 bytes');
  const line = buffer.toString('latin1', 0, end);
  if (/^PROXY UNKNOWN(?: [\x20-\x7e]*)?$/.test(line)) return { kind: 'header', bytes: end + 2, ends: null };
  const [, family, source = '', destination = '', from = '', to = ''] =
    /^PROXY TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) (\d{1,5}) (\d{1,5})$/.exec(line) ?? [];
  const isAddress = family === '4' ? isIPv4 : isIPv6;
  if (family === undefined || !isAddress(source) || !isAddress(destination))
    return refused('malformed line of version 1');
  if (!isPort(from) || !isPort(to)) return refused('malformed port in the line of version 1');
  return found(end + 2, source, Number(from), destination, Number(to));
}

function isPort(text: string): boolean {
  return String(Number(text)) === text && Number(text) <= 65_535;
}

function parseV2(buffer: Buffer): ProxyHeader {
  const command = buffer[12] as number;
  const family = buffer[13] as number;
  const length = buffer.readUInt16BE(14);
  const bytes = V2_HEAD_BYTES + length;
  if (command !== V2_LOCAL && command !== V2_PROXY) return refused('unknown version or command');
  if (bytes > PROXY_HEADER_BYTES_MAX) return refused(`${bytes} bytes, at most ${PROXY_HEADER_BYTES_MAX}`);
  // section 2.2: what a connection of the peer's own says of family and addresses is passed over
  const addressBytes = command === V2_LOCAL ? 0 : ADDRESS_BYTES.get(family);
  if (addressBytes === undefined) return refused('unknown family, or datagrams');
  if (length < addressBytes) return refused('shorter than its addresses');
  if (buffer.length < bytes) return INCOMPLETE;
  // the socket of a process of the peer's machine says nothing here, as little as no family
  if (command === V2_LOCAL || (family !== V2_TCP4 && family !== V2_TCP6))
    return { kind: 'header', bytes, ends: null };
  const size = family === V2_TCP4 ? 4 : 16;
  const ports = V2_HEAD_BYTES + 2 * size;
  return found(
    bytes,
    textOf(buffer.subarray(V2_HEAD_BYTES, V2_HEAD_BYTES + size)),
    buffer.readUInt16BE(ports),
    textOf(buffer.subarray(V2_HEAD_BYTES + size, ports)),
    buffer.readUInt16BE(ports + 2),
  );
}

const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [V2_UNSPECIFIED, 0],
  [V2_TCP4, 12],
  [V2_TCP6, 36],
  [V2_UNIX, V2_UNIX_BYTES],
]);

function textOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  return Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(2 * group).toString(16)).join(':');
}

function found(bytes: number, source: string, port: number, destination: string, to: number): ProxyHeader {
  const ends = {
    address: plainAddress(source),
    port,
    localAddress: plainAddress(destination),
    localPort: to,
  };
  return { kind: 'header', bytes, ends };
}

function refused(why: string): ProxyHeader {
  return { kind: 'refused', why };
}

/** What we send, as latin1 text. Null: the connection is our own, as a check's is. */
export function formatProxyHeader(version: ProxyVersion, ends: Ends | null): string {
  return version === 'v1' ? formatV1(ends) : formatV2(ends);
}

function formatV1(ends: Ends | null): string {
  if (ends === null) return 'PROXY UNKNOWN\r\n';
  const { address, localAddress, port, localPort } = ends;
  return isIpv6(ends)
    ? `PROXY TCP6 ${asIpv6(address)} ${asIpv6(localAddress)} ${port} ${localPort}\r\n`
    : `PROXY TCP4 ${address} ${localAddress} ${port} ${localPort}\r\n`;
}

function formatV2(ends: Ends | null): string {
  const signature = V2_SIGNATURE.toString('latin1');
  if (ends === null) return signature + String.fromCharCode(V2_LOCAL, V2_UNSPECIFIED, 0, 0);
  const is6 = isIpv6(ends);
  const addresses = [ends.address, ends.localAddress].flatMap((text) =>
    is6 ? bytesOf6(text) : bytesOf4(text),
  );
  const rest = [...addresses, ...twoBytes(ends.port), ...twoBytes(ends.localPort)];
  const head = [V2_PROXY, is6 ? V2_TCP6 : V2_TCP4, ...twoBytes(rest.length)];
  return signature + String.fromCharCode(...head, ...rest);
}

/** Both ends are written in one family. */
function isIpv6({ address, localAddress }: Ends): boolean {
  return address.includes(':') || localAddress.includes(':');
}

/** An IPv4 address as IPv6 writes it (RFC 4291 section 2.5.5.2). */
function asIpv6(address: string): string {
  return address.includes(':') ? address : `::ffff:${address}`;
}

function bytesOf4(address: string): number[] {
  return address.split('.').map(Number);
}

function bytesOf6(address: string): number[] {
  return (ipv6Groups(asIpv6(address)) ?? []).flatMap(twoBytes);
}

function twoBytes(value: number): number[] {
  return [value >> 8, value & 255];
}
