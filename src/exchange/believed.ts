// What trusted peers say of the client: its address and its scheme. The one notion of who the client is, for affinity,
// limits, logs and forwarding, standalone and embedded.

import { plainAddress } from '../base/client-address.ts';
import { latin1 } from '../base/latin1.ts';
import { type ForwardedHop, forwardedHops } from '../http1/forwarded.ts';
import { Field, type RequestHead } from '../http1/message.ts';

/** Who sent a request to us. */
export interface Peer {
  /** Plain address (base/client-address.ts). */
  readonly peerAddress: string;
  /** The peer's own forwarding fields are believed. */
  readonly isTrusted: boolean;
  /** How it came to us. */
  readonly scheme: 'http' | 'https';
}

/** Whether an address belongs to a peer that is trusted. */
export type IsTrusted = (address: string) => boolean;

const NO_HOPS: readonly ForwardedHop[] = [];
/** Some proxies name the scheme of a WebSocket. */
const SECURE_SCHEMES: ReadonlySet<string> = new Set(['https', 'wss']);

/** Values of all lines of that field, in their order; '' when there is none. */
export function joinedValues(buffer: Buffer, { lines }: RequestHead, field: Field): string {
  let text = '';
  for (let index = 0; index < lines.count; index += 1) {
    if (lines.field[index] !== field) continue;
    const value = latin1(buffer, lines.valueBegin[index] as number, lines.valueEnd[index] as number);
    if (value !== '') text += text === '' ? value : `, ${value}`;
  }
  return text;
}

/**
 * The client's address as far as it can be believed: the peer, or behind trusted peers the rightmost address of
 * X-Forwarded-For, or else of Forwarded, that is not trusted itself. What is no address ends the chain.
 */
export function clientAddressOf(
  buffer: Buffer,
  head: RequestHead,
  { peerAddress, isTrusted }: Peer,
  isTrustedAddress: IsTrusted,
): string {
  if (!isTrusted) return peerAddress;
  const nodes = hopsOf(buffer, head).map(({ node }) => node);
  const at = clientPlace(nodes, isTrustedAddress);
  return at < 0 ? peerAddress : plainAddress(nodes[at] ?? '');
}

/** The client's scheme: that of the peer, or what a trusted peer says of it. */
export function isSecureClient(
  buffer: Buffer,
  head: RequestHead,
  { isTrusted, scheme }: Peer,
  isTrustedAddress: IsTrusted,
): boolean {
  if (!isTrusted) return scheme === 'https';
  const said = joinedValues(buffer, head, Field.forwardedProto);
  if (said !== '' && !said.includes(',')) return isSecure(said);
  const hops = hopsOf(buffer, head);
  const at = clientPlace(
    hops.map(({ node }) => node),
    isTrustedAddress,
  );
  // an index of -1 is a name to V8, looked up slowly, for each request of a trusted peer
  if (said === '') return isSecure((at < 0 ? '' : hops[at]?.scheme) || scheme);
  // one scheme for each hop: that of the client's. Otherwise the first, as applications read it.
  const schemes = said.split(',');
  return isSecure(schemes[schemes.length === hops.length && at >= 0 ? at : 0] ?? '');
}

/** Hops from left to right, the nearest last: as X-Forwarded-For has them, or else as Forwarded. */
export function hopsOf(buffer: Buffer, head: RequestHead): readonly ForwardedHop[] {
  const addresses = joinedValues(buffer, head, Field.forwardedFor);
  if (addresses !== '')
    return addresses
      .split(',')
      .filter((node) => node.trim() !== '')
      .map((node) => ({ node, scheme: '' }));
  const forwarded = joinedValues(buffer, head, Field.forwarded);
  return forwarded === '' ? NO_HOPS : forwardedHops(forwarded);
}

/** Place of the client among the hops, -1 for the peer itself. */
function clientPlace(nodes: readonly string[], isTrustedAddress: IsTrusted): number {
  let client = -1;
  for (let at = nodes.length - 1; at >= 0; at -= 1) {
    const address = plainAddress(nodes[at] ?? '');
    if (address === '') return client;
    client = at;
    if (!isTrustedAddress(address)) return client;
  }
  return client;
}

function isSecure(scheme: string): boolean {
  return SECURE_SCHEMES.has(scheme.trim().toLowerCase());
}
