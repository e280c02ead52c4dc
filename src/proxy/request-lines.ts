// The head sent to the server: the client's head with ranges cut out and our lines added, as one latin1 string.

import { latin1 } from '../base/latin1.ts';
import { fillRandomBytes } from '../base/random.ts';
import { REQUEST_CUT } from '../http1/hop-by-hop.ts';
import { Field, type RequestHead } from '../http1/message.ts';

/** What the forwarding lines need to know about the connection. */
export interface Forwarding {
  /** Address of the peer, without the IPv4-mapped prefix. */
  readonly peerAddress: string;
  /** Ready-made lines for an untrusted peer: x-forwarded-for, -proto and -port. */
  readonly forwardingLines: string;
  /** The peer's own forwarding fields are believed. */
  readonly isTrusted: boolean;
  readonly localPort: number;
  /** Host of the last request. */
  lastHost: string;
}

/** Fields that an untrusted client may not set; a trusted one's pass through, and -for is appended to. */
const FORWARDING_CUT = new Uint8Array(256);
for (const field of [
  Field.forwardedFor,
  Field.forwardedProto,
  Field.forwardedHost,
  Field.forwardedPort,
  Field.forwarded,
  Field.requestId,
]) {
  FORWARDING_CUT[field] = 1;
}

const REQUEST_ID_PREFIX_BYTES = 8;
const idPrefixBytes = Buffer.alloc(REQUEST_ID_PREFIX_BYTES);
fillRandomBytes(idPrefixBytes, 0, REQUEST_ID_PREFIX_BYTES);
const idPrefix = idPrefixBytes.toString('hex');
let idCounter = 0;

/** Unique over threads and restarts: 64 random bits of this thread and a counter. */
function nextRequestId(): string {
  idCounter += 1;
  return `${idPrefix}-${idCounter}`;
}

/** Forwarding lines of an untrusted peer, made once per connection. */
export function forwardingLines(peerAddress: string, localPort: number): string {
  return `x-forwarded-for: ${peerAddress}\r\nx-forwarded-proto: http\r\nx-forwarded-port: ${localPort}\r\n`;
}

/**
 * The request head for the server. `upgrade`: pass the upgrade on. `serverAuthority` stands in for the Host that an
 * HTTP/1.0 client did not send.
 */
export function requestLines(
  buffer: Buffer,
  head: RequestHead,
  forwarding: Forwarding,
  upgrade: boolean,
  serverAuthority: string,
): string {
  const { lines } = head;
  const { isTrusted } = forwarding;
  // The usual request line, origin-form and HTTP/1.1, is passed on as it came, in one piece with what follows.
  const isUsual = !head.isAbsoluteForm && head.isVersion11;
  let text = isUsual ? '' : firstLine(buffer, head);
  let copiedTo = isUsual ? head.lineBegin : head.fieldsBegin;
  let hasForwarding = false;
  for (let index = 0; index < lines.count; index += 1) {
    const field = lines.field[index] as number;
    if (FORWARDING_CUT[field] === 1) hasForwarding = true;
    const isCut =
      REQUEST_CUT[field] === 1 ||
      (field === Field.host && head.isAbsoluteForm) ||
      (FORWARDING_CUT[field] === 1 && (!isTrusted || field === Field.forwardedFor));
    if (!isCut) continue;
    const lineBegin = lines.lineBegin[index] as number;
    if (lineBegin > copiedTo) text += latin1(buffer, copiedTo, lineBegin);
    copiedTo = lines.lineEnd[index] as number;
  }
  if (head.fieldsEnd > copiedTo) text += latin1(buffer, copiedTo, head.fieldsEnd);
  text += head.framingLine;
  const host = head.hostEnd > head.hostBegin ? hostText(buffer, head, forwarding) : serverAuthority;
  if (head.isAbsoluteForm || head.hostEnd === head.hostBegin) text += `host: ${host}\r\n`;
  text +=
    isTrusted && hasForwarding ? trustedLines(buffer, head, forwarding, host) : ownLines(forwarding, host);
  if (upgrade)
    text += `connection: upgrade\r\nupgrade: ${latin1(buffer, head.upgradeBegin, head.upgradeEnd)}\r\n`;
  return `${text}\r\n`;
}

/** A client asks for the same host again and again: the string is made once. */
function hostText(buffer: Buffer, head: RequestHead, forwarding: Forwarding): string {
  const { hostBegin, hostEnd } = head;
  const last = forwarding.lastHost;
  let index = hostEnd - hostBegin === last.length ? 0 : -1;
  while (index >= 0 && index < last.length) {
    index = buffer[hostBegin + index] === last.charCodeAt(index) ? index + 1 : -1;
  }
  if (index < 0) forwarding.lastHost = latin1(buffer, hostBegin, hostEnd);
  return forwarding.lastHost;
}

function firstLine(buffer: Buffer, head: RequestHead): string {
  // RFC 9112 section 3.2.4: an absolute-form OPTIONS without a path asks about the server as a whole.
  const noPath = head.method === 'OPTIONS' ? '*' : '/';
  const path = head.pathEnd > head.pathBegin ? latin1(buffer, head.pathBegin, head.pathEnd) : noPath;
  return `${head.method} ${path} HTTP/1.1\r\n`;
}

/** Nothing to believe: all lines are ours. */
function ownLines(forwarding: Forwarding, host: string): string {
  return `${forwarding.forwardingLines}x-forwarded-host: ${host}\r\nx-request-id: ${nextRequestId()}\r\n`;
}

/** A trusted peer's own fields have passed through; what it left out is added, its address is appended. */
function trustedLines(buffer: Buffer, head: RequestHead, forwarding: Forwarding, host: string): string {
  const { lines } = head;
  let addresses = '';
  let present = 0;
  for (let index = 0; index < lines.count; index += 1) {
    const field = lines.field[index] as number;
    present |= 1 << field;
    if (field !== Field.forwardedFor) continue;
    const value = latin1(buffer, lines.valueBegin[index] as number, lines.valueEnd[index] as number);
    addresses += value === '' ? '' : `${value}, `;
  }
  let text = `x-forwarded-for: ${addresses}${forwarding.peerAddress}\r\n`;
  if ((present & (1 << Field.forwardedProto)) === 0) text += 'x-forwarded-proto: http\r\n';
  if ((present & (1 << Field.forwardedHost)) === 0) text += `x-forwarded-host: ${host}\r\n`;
  if ((present & (1 << Field.forwardedPort)) === 0) text += `x-forwarded-port: ${forwarding.localPort}\r\n`;
  if ((present & (1 << Field.requestId)) === 0) text += `x-request-id: ${nextRequestId()}\r\n`;
  return text;
}

/**
 * The client's address as far as it can be believed: the peer, or behind trusted peers the rightmost address of
 * X-Forwarded-For that is not trusted itself.
 */
export function clientAddressOf(
  buffer: Buffer,
  head: RequestHead,
  forwarding: Forwarding,
  isTrustedAddress: (address: string) => boolean,
): string {
  if (!forwarding.isTrusted) return forwarding.peerAddress;
  const { lines } = head;
  let client = forwarding.peerAddress;
  for (let index = lines.count - 1; index >= 0; index -= 1) {
    if (lines.field[index] !== Field.forwardedFor) continue;
    const value = latin1(buffer, lines.valueBegin[index] as number, lines.valueEnd[index] as number);
    const addresses = value.split(',');
    for (let position = addresses.length - 1; position >= 0; position -= 1) {
      const address = (addresses[position] ?? '').trim();
      if (address === '') continue;
      client = address;
      if (!isTrustedAddress(address)) return client;
    }
  }
  return client;
}

/** RFC 6455 section 4.1: the one upgrade that passes. Anything else is forwarded as a request without upgrade. */
export function isWebSocket(buffer: Buffer, head: RequestHead): boolean {
  return latin1(buffer, head.upgradeBegin, head.upgradeEnd).toLowerCase() === 'websocket';
}

/** What a trusted peer says of the client's scheme. */
export function isSecureClient(buffer: Buffer, head: RequestHead, forwarding: Forwarding): boolean {
  if (!forwarding.isTrusted) return false;
  const index = head.lines.indexOf(Field.forwardedProto);
  if (index < 0) return false;
  const begin = head.lines.valueBegin[index] as number;
  return latin1(buffer, begin, head.lines.valueEnd[index] as number).toLowerCase() === 'https';
}
