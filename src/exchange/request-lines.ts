// The head sent to the server: the client's head with ranges cut out and our lines added, as one latin1 string.

import { plainAddress } from '../base/client-address.ts';
import { latin1 } from '../base/latin1.ts';
import { fillRandomBytes } from '../base/random.ts';
import { forwardedNode } from '../http1/forwarded.ts';
import { FORWARDING_CUT, isLeftOut } from '../http1/hop-by-hop.ts';
import { Field, type FieldLines, type RequestHead } from '../http1/message.ts';
import { hopsOf, joinedValues, type Peer } from './believed.ts';

/** What the forwarding lines need to know about the connection. */
export interface Forwarding extends Peer {
  /** Ready-made lines for an untrusted peer: x-forwarded-for, -proto and -port. */
  readonly forwardingLines: string;
  readonly localPort: number;
  /** Stands in for the Host that an HTTP/1.0 client did not send. */
  readonly listenAuthority: string;
  /** Number of its stream in HTTP/2; 0: it came by HTTP/1. */
  readonly streamId: number;
  /** Host of the last request. */
  lastHost: string;
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

/** Longer ones of trusted peers are cut where we say them ourselves. */
const ID_CHARS_MAX = 256;

/** The id under which a request went on, out of its own head: a trusted peer's or ours. '' when it has none. */
export function requestIdIn(headText: string): string {
  const id = ownLine(headText, 'x-request-id: ') || (/^x-request-id:([^\r\n]*)/im.exec(headText)?.[1] ?? '');
  return id.trim().slice(0, ID_CHARS_MAX);
}

/** Value of a line that we added ourselves: always in lower case, after the client's own lines. */
export function ownLine(headText: string, name: string): string {
  const at = headText.lastIndexOf(`\r\n${name}`);
  if (at < 0) return '';
  const begin = at + 2 + name.length;
  return headText.slice(begin, headText.indexOf('\r\n', begin));
}

/** The id of a request that does not go on: the one that a trusted peer gives it, or a new one. */
export function requestIdOf(
  buffer: Buffer,
  head: RequestHead,
  { isTrusted }: Pick<Peer, 'isTrusted'>,
): string {
  const said = isTrusted ? joinedValues(buffer, head, Field.requestId) : '';
  return said === '' ? nextRequestId() : said.slice(0, ID_CHARS_MAX);
}

/** Forwarding lines of an untrusted peer, made once per connection. */
export function forwardingLines(
  peerAddress: string,
  scheme: Forwarding['scheme'],
  localPort: number,
): string {
  return `x-forwarded-for: ${peerAddress}\r\nx-forwarded-proto: ${scheme}\r\nx-forwarded-port: ${localPort}\r\n`;
}

/**
 * The request head for the server. `upgrade`: pass the upgrade on. `isSecure`: the client's connection, as far as is
 * believed. `via`: our name in Via; null: none is added.
 */
export function requestLines(
  buffer: Buffer,
  head: RequestHead,
  forwarding: Forwarding,
  upgrade: boolean,
  isSecure: boolean,
  via: string | null,
): string {
  const { lines } = head;
  const { isTrusted } = forwarding;
  // The usual request line, origin-form and HTTP/1.1, is passed on as it came, in one piece with what follows.
  const isUsual = !head.isAbsoluteForm && head.isVersion11 && head.strippedBytes === 0;
  let text = isUsual ? '' : firstLine(buffer, head);
  let copiedTo = isUsual ? head.lineBegin : head.fieldsBegin;
  for (let index = 0; index < lines.count; index += 1) {
    const field = lines.field[index] as number;
    if (!isLeftOut(field, isTrusted) && !(field === Field.host && head.isAbsoluteForm)) continue;
    const lineBegin = lines.lineBegin[index] as number;
    if (lineBegin > copiedTo) text += latin1(buffer, copiedTo, lineBegin);
    copiedTo = lines.lineEnd[index] as number;
  }
  if (head.fieldsEnd > copiedTo) text += latin1(buffer, copiedTo, head.fieldsEnd);
  text += head.framingLine;
  const host =
    head.hostEnd > head.hostBegin ? hostText(buffer, head, forwarding) : forwarding.listenAuthority;
  if (head.isAbsoluteForm || head.hostEnd === head.hostBegin) text += `host: ${host}\r\n`;
  text += addedLines(buffer, head, forwarding, host, isSecure, via);
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
  const noPath = head.method === 'OPTIONS' && head.strippedBytes === 0 ? '*' : '/';
  const pathBegin = head.pathBegin + head.strippedBytes;
  const path = head.pathEnd > pathBegin ? latin1(buffer, pathBegin, head.pathEnd) : noPath;
  const slash = path.startsWith('?') ? '/' : '';
  return `${head.method} ${slash}${path} HTTP/1.1\r\n`;
}

/** By the version that the request came with, for the name that was asked for last: it changes with a reload only. */
const viaLines = { name: '', minor0: '', minor1: '', http2: '' };

function viaLine(minor: number, name: string, streamId: number): string {
  if (name !== viaLines.name) {
    viaLines.name = name;
    viaLines.minor0 = `via: 1.0 ${name}\r\n`;
    viaLines.minor1 = `via: 1.1 ${name}\r\n`;
    viaLines.http2 = `via: 2.0 ${name}\r\n`;
  }
  if (streamId > 0) return viaLines.http2;
  return minor === 0 ? viaLines.minor0 : viaLines.minor1;
}

/** What we add to say where the request came from and which way. A trusted peer's own fields have been left in. */
function addedLines(
  buffer: Buffer,
  head: RequestHead,
  forwarding: Forwarding,
  host: string,
  isSecure: boolean,
  via: string | null,
): string {
  const way = via === null ? '' : viaLine(head.versionMinor, via, forwarding.streamId);
  let forwards = head.maxForwards > 0 ? `max-forwards: ${head.maxForwards - 1}\r\n` : '';
  if (head.strippedBytes > 0)
    forwards += `x-forwarded-prefix: ${latin1(buffer, head.pathBegin, head.pathBegin + head.strippedBytes)}\r\n`;
  if (forwarding.isTrusted && saysWhence(head.lines))
    return trustedLines(buffer, head, forwarding, host, isSecure) + way + forwards;
  return `${way}${forwards}${forwarding.forwardingLines}x-forwarded-host: ${host}\r\nx-request-id: ${nextRequestId()}\r\n`;
}

function saysWhence({ field, count }: FieldLines): boolean {
  for (let index = 0; index < count; index += 1)
    if (FORWARDING_CUT[field[index] as number] === 1) return true;
  return false;
}

/** The fields that are added where a trusted peer has left them out, by number: a bit of its own for each. */
const COMPLETED: Readonly<Record<number, number>> = Object.fromEntries(
  [Field.forwarded, Field.forwardedProto, Field.forwardedHost, Field.forwardedPort, Field.requestId].map(
    (field, at) => [field, 1 << at],
  ),
);

/** A trusted peer's own fields have passed through; what it left out is added, its address is appended. */
function trustedLines(
  buffer: Buffer,
  head: RequestHead,
  forwarding: Forwarding,
  host: string,
  isSecure: boolean,
): string {
  const { lines } = head;
  const { peerAddress } = forwarding;
  let present = 0;
  for (let index = 0; index < lines.count; index += 1)
    present |= COMPLETED[lines.field[index] as number] ?? 0;
  const has = (field: Field): boolean => (present & (COMPLETED[field] ?? 0)) !== 0;
  let text = `x-forwarded-for: ${chainBefore(buffer, head)}${peerAddress}\r\n`;
  if (has(Field.forwarded)) {
    const before = joinedValues(buffer, head, Field.forwarded);
    text += `forwarded: ${before === '' ? '' : `${before}, `}for=${forwardedNode(peerAddress)}\r\n`;
  }
  if (!has(Field.forwardedProto)) text += `x-forwarded-proto: ${isSecure ? 'https' : 'http'}\r\n`;
  if (!has(Field.forwardedHost)) text += `x-forwarded-host: ${host}\r\n`;
  if (!has(Field.forwardedPort)) text += `x-forwarded-port: ${forwarding.localPort}\r\n`;
  if (!has(Field.requestId)) text += `x-request-id: ${nextRequestId()}\r\n`;
  return text;
}

/** What stands before the peer in X-Forwarded-For: its own list as it is, or the nodes that Forwarded names. */
function chainBefore(buffer: Buffer, head: RequestHead): string {
  const own = joinedValues(buffer, head, Field.forwardedFor);
  if (own !== '') return `${own}, `;
  return hopsOf(buffer, head)
    .map(({ node }) => `${plainAddress(node) || 'unknown'}, `)
    .join('');
}

/** RFC 6455 section 4.1: the one upgrade that passes. Anything else is forwarded as a request without upgrade. */
export function asksForWebSocket(buffer: Buffer, head: RequestHead): boolean {
  if (head.upgradeEnd === head.upgradeBegin) return false;
  return latin1(buffer, head.upgradeBegin, head.upgradeEnd).toLowerCase() === 'websocket';
}
