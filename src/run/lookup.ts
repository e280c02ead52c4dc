// One look for servers: a DNS query, or a file of URLs. Rejects with what went wrong, in words; never an empty answer.

import { promises as dns } from 'node:dns';
import { readFile } from 'node:fs/promises';
import { formatHostPort, parseServerUrl } from '../config/address.ts';
import type { DiscoveryConfig } from '../config/model.ts';
import type { FoundServer } from './membership.ts';

const QUERY_MS = 2000;
const TRIES = 2;
const FILE_BYTES_MAX = 1024 * 1024;
/** As many as a pool may have. */
const FOUND_MAX = 1024;
const WEIGHT_MAX = 1000;

export type Lookup = (discovery: DiscoveryConfig) => Promise<readonly FoundServer[]>;

/** Looks through these name servers; none: the system's. Names in /etc/hosts are not looked at. */
export function createLookup(nameServers: readonly string[]): Lookup {
  return async (discovery) => {
    const found =
      discovery.kind === 'file' ? await inFile(discovery.path) : await inDns(discovery, nameServers);
    if (found.length === 0) throw new Error('no servers found');
    return distinct(found).slice(0, FOUND_MAX);
  };
}

/** One of each name: two SRV records may say the same. The one with the better place counts, then the heavier. */
function distinct(found: readonly FoundServer[]): readonly FoundServer[] {
  const best = new Map<string, FoundServer>();
  for (const server of found) {
    const other = best.get(server.name);
    const isBetter =
      other === undefined ||
      (other.backup && !server.backup) ||
      (other.backup === server.backup && server.weight > other.weight);
    if (isBetter) best.set(server.name, server);
  }
  return [...best.values()];
}

type DnsDiscovery = Extract<DiscoveryConfig, { kind: 'dns' }>;

async function inDns(
  { name, port, type }: DnsDiscovery,
  nameServers: readonly string[],
): Promise<readonly FoundServer[]> {
  const resolver = new dns.Resolver({ timeout: QUERY_MS, tries: TRIES });
  if (nameServers.length > 0) resolver.setServers(nameServers);
  if (type === 'SRV') return inSrv(resolver, name);
  const addresses = await (type === 'A' ? resolver.resolve4(name) : resolver.resolve6(name));
  return addresses.map((address) => serverAt(address, port ?? 0, 1, false));
}

/** RFC 2782: the lowest priority serves; the others are for when none of it can. A weight of 0 is a small one. */
async function inSrv(resolver: dns.Resolver, name: string): Promise<readonly FoundServer[]> {
  const records = await resolver.resolveSrv(name);
  const first = Math.min(...records.map(({ priority }) => priority));
  const found = await Promise.all(
    records.map(async (record) => {
      const weight = Math.min(WEIGHT_MAX, Math.max(1, record.weight));
      const addresses = await addressesOf(resolver, record.name);
      return addresses.map((address) => serverAt(address, record.port, weight, record.priority > first));
    }),
  );
  return found.flat();
}

/** IPv4, or IPv6 where the name has nothing else. That a question fails says nothing of what the name has. */
async function addressesOf(resolver: dns.Resolver, name: string): Promise<readonly string[]> {
  try {
    return await resolver.resolve4(name);
  } catch (error) {
    const hasNone = error instanceof Error && 'code' in error && error.code === dns.NODATA;
    if (!hasNone) throw error;
    return resolver.resolve6(name);
  }
}

function serverAt(host: string, port: number, weight: number, backup: boolean): FoundServer {
  const name = formatHostPort({ host, port });
  return { name, url: `http://${name}`, host, port, weight, backup };
}

async function inFile(path: string): Promise<readonly FoundServer[]> {
  const text = await readFile(path, 'utf8');
  if (text.length > FILE_BYTES_MAX) throw new Error(`the file is larger than ${FILE_BYTES_MAX} bytes`);
  return parseServerList(text);
}

/** A URL per line, or a YAML list of URLs. One line that is none spoils the whole: better the last good list. */
export function parseServerList(text: string): readonly FoundServer[] {
  const found = new Map<string, FoundServer>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const item = line
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .replace(/^-\s+/, '');
    const url = /^(["'])(.*)\1$/.exec(item)?.[2] ?? item;
    if (url === '') continue;
    const parsed = parseServerUrl(url);
    if ('refused' in parsed) throw new Error(`line ${index + 1}: ${parsed.refused}`);
    const name = formatHostPort(parsed);
    found.set(name, { name, ...parsed, weight: 1, backup: false });
  }
  return [...found.values()];
}
