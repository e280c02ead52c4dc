// The Forwarded field (RFC 7239): for each hop a list of pairs, the last hop last.
//
//   Forwarded: for=192.0.2.43;proto=https, for="[2001:db8::17]:4711"

/** What one hop says: the node it had the request from, and how. '' for what it does not say. */
export interface ForwardedHop {
  readonly node: string;
  readonly scheme: string;
}

const PAIR =
  /[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([!#$%&'*+.^_`|~0-9A-Za-z:[\]-]+))[ \t]*([;,]|$)/y;

/** The hops in a value, several lines joined with commas; empty when it is not well formed. */
export function forwardedHops(value: string): readonly ForwardedHop[] {
  const hops: ForwardedHop[] = [];
  const pairs = new Map<string, string>();
  PAIR.lastIndex = 0;
  while (PAIR.lastIndex < value.length) {
    const match = PAIR.exec(value);
    if (match === null) return [];
    const [, name = '', quoted, token = '', separator] = match;
    pairs.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? token);
    if (separator === ';') continue;
    hops.push({ node: pairs.get('for') ?? '', scheme: pairs.get('proto') ?? '' });
    pairs.clear();
  }
  return hops;
}

/** A node as the field writes it: an IPv6 address in brackets and quotes. */
export function forwardedNode(address: string): string {
  if (address === '') return 'unknown';
  return address.includes(':') ? `"[${address}]"` : address;
}
