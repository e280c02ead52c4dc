// The kinds of values that are addresses: where to listen, where a server is, whom to trust, whom to ask for names.

import { isIP } from 'node:net';
import {
  type HostPort,
  parseCidr,
  parseListenAddress,
  parseServerUrl,
  parseSocketPath,
  type Refused,
  type ServerAddress,
} from './address.ts';
import { isScalar, leaf, shownValue, text } from './leaf.ts';
import type { Leaf, Reading } from './table.ts';

export interface WrittenAddress extends HostPort {
  readonly address: string;
}

export function listenAddress(): Leaf<string, WrittenAddress, ''> {
  return leaf({ kind: 'address', type: 'string' }, readListenAddress, ({ address }) => address);
}

function readListenAddress(written: unknown): Reading<WrittenAddress> {
  // `listen: 8080` is a number to YAML
  const parsed = isScalar(written)
    ? parseListenAddress(String(written))
    : { refused: `${shownValue(written)} is not an address` };
  return 'refused' in parsed ? ownWords(parsed.refused) : { value: { ...parsed, address: String(written) } };
}

export interface WrittenListen extends WrittenAddress {
  readonly socketPath: string | null;
}

/** As listenAddress, or `unix:/path`. */
export function listenerAddress(): Leaf<string, WrittenListen, ''> {
  const readAddress = (written: unknown): Reading<WrittenListen> => {
    const address = String(written);
    const unix = isScalar(written) ? parseSocketPath(address) : null;
    if (unix !== null && 'refused' in unix) return ownWords(unix.refused);
    if (unix !== null) return { value: { host: '', port: 0, address, ...unix } };
    const read = readListenAddress(written);
    return 'refused' in read ? read : { value: { ...read.value, socketPath: null } };
  };
  return leaf({ kind: 'address', type: 'string' }, readAddress, ({ address }) => address);
}

export function serverUrl(): Leaf<string, ServerAddress, ''> {
  return leaf(
    { kind: 'URL', type: 'string', format: 'uri' },
    (written) => {
      const parsed = isScalar(written)
        ? parseServerUrl(String(written))
        : { refused: `${shownValue(written)} is not a URL` };
      return 'refused' in parsed ? ownWords(parsed.refused) : { value: parsed };
    },
    ({ url }) => url,
  );
}

export function cidr(): Leaf<string, string, ''> {
  return leaf({ kind: 'IP or CIDR', type: 'string' }, (written) => {
    const parsed = isScalar(written)
      ? parseCidr(String(written))
      : { refused: `${shownValue(written)} is not an IP address or CIDR such as 10.0.0.0/8` };
    if ('refused' in parsed) return ownWords(parsed.refused);
    if (!parsed.isLoose) return { value: parsed.cidr };
    const warning = `"${written}" has address bits beyond its prefix length, they are ignored`;
    return { value: parsed.cidr, warning };
  });
}

/** `127.0.0.1`, `127.0.0.1:5353`, `::1` or `[::1]:5353`, as node:dns takes it. */
export function nameServer(): Leaf<string, string, ''> {
  return text('address', (value) => {
    const match = /^(?:\[([^\]]+)\](?::\d{1,5})?|([^:]+)(?::\d{1,5})?)$/.exec(value);
    const host = isIP(value) > 0 ? value : (match?.[1] ?? match?.[2] ?? '');
    return isIP(host) > 0
      ? null
      : `must be an IP address such as 127.0.0.1:5353, not ${JSON.stringify(value)}`;
  });
}

/** Values with a grammar of their own say themselves what is wrong: `"url": port 0 is not …`. */
function ownWords(refused: string): Refused {
  return { refused: `: ${refused}` };
}
