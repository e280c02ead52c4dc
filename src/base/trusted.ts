// Peers whose forwarding headers are believed: addresses against a list of networks.

import { BlockList, isIP, isIPv4 } from 'node:net';

/** Answers kept; a proxy's peers are few, a public listener's are not. */
const ANSWERS_MAX = 10_000;

/**
 * A test for addresses as node:net writes them; IPv4 peers of a dual-stack listener count as IPv4. `cidrs` are checked
 * already: `10.0.0.0/8`, `::1`. Answers are remembered, so that a call costs one look-up. Anything that is not an
 * address is not trusted.
 */
export function compileTrusted(cidrs: readonly string[]): (address: string) => boolean {
  if (cidrs.length === 0) return () => false;
  const networks = new BlockList();
  for (const cidr of cidrs) addNetwork(networks, cidr);
  const answers = new Map<string, boolean>();
  return (address) => {
    const known = answers.get(address);
    if (known !== undefined) return known;
    const answer = isIn(networks, address);
    if (answers.size >= ANSWERS_MAX) answers.clear();
    answers.set(address, answer);
    return answer;
  };
}

function addNetwork(networks: BlockList, cidr: string): void {
  const slash = cidr.indexOf('/');
  const address = slash === -1 ? cidr : cidr.slice(0, slash);
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  if (slash === -1) networks.addAddress(address, family);
  else networks.addSubnet(address, Number(cidr.slice(slash + 1)), family);
}

/** BlockList itself reads IPv4 addresses in IPv6 notation as what they are. */
function isIn(networks: BlockList, address: string): boolean {
  const version = isIP(address);
  return version !== 0 && networks.check(address, version === 4 ? 'ipv4' : 'ipv6');
}
