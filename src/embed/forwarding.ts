// The header fields that a request goes to its server with: hop-by-hop fields gone, forwarding fields ours or, from
// a trusted peer, continued. Same rules as proxy/request-lines.ts, on node:http's terms.

import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { type Heads, linesWithout } from './heads.ts';

/** What is known of the client's side of a request. */
export interface ClientFacts {
  /** Address of the client as far as it can be believed. */
  readonly address: string;
  /** The client spoke TLS, to this server or to a trusted peer before it. */
  readonly isSecure: boolean;
}

/** Header fields as http.request takes them. */
export type OutgoingFields = Record<string, string | string[]>;

const FORWARDING: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'forwarded',
  'x-request-id',
]);
/** http-proxy looks these up in lower case. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);
const MAPPED_IPV4 = '::ffff:';

/** Reads peer, scheme and, behind trusted peers, what they say of the client. */
export function clientFacts(message: IncomingMessage, isTrusted: (address: string) => boolean): ClientFacts {
  const peer = peerAddress(message.socket);
  const isTls = 'encrypted' in message.socket;
  if (!isTrusted(peer)) return { address: peer, isSecure: isTls };
  const proto = fieldText(message.headers['x-forwarded-proto']).trim().toLowerCase();
  return { address: believedAddress(message, peer, isTrusted), isSecure: isTls || proto === 'https' };
}

/** The rightmost address of X-Forwarded-For that is not trusted itself. */
function believedAddress(
  message: IncomingMessage,
  peer: string,
  isTrusted: (address: string) => boolean,
): string {
  let client = peer;
  for (const part of fieldText(message.headers['x-forwarded-for']).split(',').reverse()) {
    const address = part.trim();
    if (address === '') continue;
    client = address;
    if (!isTrusted(address)) break;
  }
  return client;
}

/** Fields for the server, from the request that `heads` has just parsed. */
export function outgoingFields(
  message: IncomingMessage,
  heads: Heads,
  isTrusted: (address: string) => boolean,
): OutgoingFields {
  const { request } = heads;
  const peer = peerAddress(message.socket);
  const host = heads.text(request.hostBegin, request.hostEnd) || localAuthority(message.socket);
  const isBelieved = isTrusted(peer) && Object.keys(message.headers).some((name) => FORWARDING.has(name));
  const fields: OutgoingFields = {};
  const names = new Map<string, string>();
  for (const [name, value] of linesWithout(message.rawHeaders, heads.requestCuts())) {
    const lower = name.toLowerCase();
    // node:http has answered Expect: 100-continue already
    if (lower === 'expect' || lower === 'host' || (FORWARDING.has(lower) && !isBelieved)) continue;
    if (lower === 'x-forwarded-for') continue;
    const key = names.get(lower) ?? (FRAMING.has(lower) ? lower : name);
    names.set(lower, key);
    const earlier = fields[key];
    fields[key] = earlier === undefined ? value : [earlier, value].flat();
  }
  fields['host'] = host;
  const before = isBelieved ? fieldText(message.headers['x-forwarded-for']) : '';
  fields['x-forwarded-for'] = before === '' ? peer : `${before}, ${peer}`;
  const added = {
    'x-forwarded-proto': 'encrypted' in message.socket ? 'https' : 'http',
    'x-forwarded-host': host,
    'x-forwarded-port': String(message.socket.localPort ?? 0),
    'x-request-id': randomUUID(),
  };
  for (const [name, value] of Object.entries(added)) if (!names.has(name)) fields[name] = value;
  return fields;
}

/** Without the prefix of an IPv4 address in IPv6. */
export function peerAddress(socket: Socket): string {
  const address = socket.remoteAddress ?? '';
  return address.startsWith(MAPPED_IPV4) ? address.slice(MAPPED_IPV4.length) : address;
}

function localAuthority(socket: Socket): string {
  const address = socket.localAddress ?? 'localhost';
  return `${address.includes(':') ? `[${address}]` : address}:${socket.localPort ?? 0}`;
}

function fieldText(value: string | readonly string[] | undefined): string {
  return typeof value === 'string' ? value : (value?.join(', ') ?? '');
}
