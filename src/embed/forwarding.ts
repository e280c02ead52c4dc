// The header fields that a request goes to its server with: hop-by-hop fields gone, forwarding fields ours or, from
// a trusted peer, continued: what is left out and what is added is decided where it is standalone.

import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { plainAddress } from '../base/client-address.ts';
import { clientAddressOf, isSecureClient, type Peer } from '../proxy/believed.ts';
import { addedLines, forwardingLines } from '../proxy/request-lines.ts';
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

/** http-proxy looks these up in lower case. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);

/** Reads peer, scheme and, behind trusted peers, what they say of the client in the request that was just parsed. */
export function clientFacts(
  message: IncomingMessage,
  heads: Heads,
  isTrusted: (address: string) => boolean,
): ClientFacts {
  const { buffer, request } = heads;
  const peer = peerOf(message.socket, isTrusted);
  const isTls = 'encrypted' in message.socket;
  return {
    address: clientAddressOf(buffer, request, peer, isTrusted),
    isSecure: isTls || isSecureClient(buffer, request, peer, isTrusted),
  };
}

/** Fields for the server, from the request that `heads` has just parsed. */
export function outgoingFields(
  message: IncomingMessage,
  heads: Heads,
  isTrusted: (address: string) => boolean,
): OutgoingFields {
  const { buffer, request } = heads;
  const { socket } = message;
  const peer = peerOf(socket, isTrusted);
  const host = heads.text(request.hostBegin, request.hostEnd) || localAuthority(socket);
  const fields: OutgoingFields = {};
  const names = new Map<string, string>();
  for (const [name, value] of linesWithout(message.rawHeaders, heads.requestCuts(peer.isTrusted))) {
    const lower = name.toLowerCase();
    // node:http has answered Expect: 100-continue already
    if (lower === 'expect' || lower === 'host') continue;
    const key = names.get(lower) ?? (FRAMING.has(lower) ? lower : name);
    names.set(lower, key);
    const earlier = fields[key];
    fields[key] = earlier === undefined ? value : [earlier, value].flat();
  }
  fields['host'] = host;
  const scheme = 'encrypted' in socket ? 'https' : 'http';
  const localPort = socket.localPort ?? 0;
  const forwarding = {
    ...peer,
    scheme,
    localPort,
    listenAuthority: host,
    forwardingLines: forwardingLines(peer.peerAddress, scheme, localPort),
    lastHost: host,
  } as const;
  for (const line of addedLines(buffer, request, forwarding, host, isTrusted).split('\r\n').slice(0, -1)) {
    const colon = line.indexOf(': ');
    fields[line.slice(0, colon)] = line.slice(colon + 2);
  }
  return fields;
}

function peerOf(socket: Socket, isTrusted: (address: string) => boolean): Peer {
  const address = peerAddress(socket);
  return { peerAddress: address, isTrusted: isTrusted(address) };
}

/** '' where the socket has none. */
export function peerAddress(socket: Socket): string {
  return plainAddress(socket.remoteAddress ?? '');
}

function localAuthority(socket: Socket): string {
  const address = socket.localAddress ?? 'localhost';
  return `${address.includes(':') ? `[${address}]` : address}:${socket.localPort ?? 0}`;
}
