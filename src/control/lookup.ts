// One look for servers: names asked of the system or of name servers, or a file of URLs. Rejects with what went wrong,
// in words; never an empty answer, and never later than LOOK_MS_MAX.

import { promises as dns } from 'node:dns';
import { readFile, stat } from 'node:fs/promises';
import { parseServerUrl, serverAt, serverNameOf } from '../config/address.ts';
import { WEIGHT_MAX } from '../config/limits.ts';
import type { DiscoveryConfig } from '../config/model.ts';
import type { FoundServer, Known } from './membership.ts';
import { searchNames } from './search-list.ts';

const QUERY_MS = 2000;
const TRIES = 2;
/** For all the questions of one look together; a start and a reload wait for the first looks. */
const LOOK_MS_MAX = 10_000;
const FILE_BYTES_MAX = 1024 * 1024;
/** So that an answer cannot fill the memory. How many are used is another matter: there is a limit over all pools. */
const FOUND_MAX = 4096;
/** Names of one SRV answer, each of which is a further question. */
const TARGETS_MAX = 1024;

/** What a look has found. */
export interface Found {
  /** One of each name. */
  readonly servers: readonly FoundServer[];
  /** Names in an SRV answer whose addresses could not be asked for now: what they had last stands. */
  readonly unknownTargets: readonly string[];
}

export type Lookup = (discovery: DiscoveryConfig, known: Known) => Promise<Found>;

/** Looks through these name servers; none: as the system does, with its hosts file and search list. */
export function createLookup(nameServers: readonly string[]): Lookup {
  return async (discovery, known) => {
    const { servers, unknownTargets } = await within(LOOK_MS_MAX, resolve(discovery, nameServers, known));
    if (servers.length === 0) throw new Error('no servers found');
    return { servers: bounded(distinct(servers), known), unknownTargets };
  };
}

function resolve(discovery: DiscoveryConfig, nameServers: readonly string[], known: Known): Promise<Found> {
  if (discovery.kind === 'file') return inFile(discovery.path);
  return inDns(discovery, nameServers.length > 0 ? new NameServers(nameServers) : new System(), known);
}

/** What nobody waits for any more may still go on: a question to the system cannot be taken back. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The one with the better place counts, then the heavier: two SRV records may say the same. */
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

function bounded(found: readonly FoundServer[], known: Known): readonly FoundServer[] {
  if (found.length <= FOUND_MAX) return found;
  const byName = found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return knownFirst(byName, ({ name }) => known.hasServer(name)).slice(0, FOUND_MAX);
}

/** So that what is cut are newcomers, and, in whatever order an answer comes, always the same ones. */
function knownFirst<T>(sorted: readonly T[], isKnown: (one: T) => boolean): readonly T[] {
  return [...sorted.filter(isKnown), ...sorted.filter((one) => !isKnown(one))];
}

type DnsDiscovery = Extract<DiscoveryConfig, { kind: 'dns' }>;
type SrvRecord = Awaited<ReturnType<typeof dns.resolveSrv>>[number];

/** Who answers questions about names. A family without addresses is an empty list; everything else rejects. */
interface Names {
  addresses(name: string, family: 4 | 6): Promise<readonly string[]>;
  srv(name: string): Promise<readonly SrvRecord[]>;
}

class NameServers implements Names {
  readonly #resolver = new dns.Resolver({ timeout: QUERY_MS, tries: TRIES });

  constructor(addresses: readonly string[]) {
    this.#resolver.setServers(addresses);
  }

  addresses(name: string, family: 4 | 6): Promise<readonly string[]> {
    return family === 4 ? this.#resolver.resolve4(name) : this.#resolver.resolve6(name);
  }

  srv(name: string): Promise<readonly SrvRecord[]> {
    return this.#resolver.resolveSrv(name);
  }
}

/** As every other program here finds names: hosts file, search list, and what else the machine is set up for. */
class System implements Names {
  readonly #resolver = new dns.Resolver({ timeout: QUERY_MS, tries: TRIES });

  async addresses(name: string, family: 4 | 6): Promise<readonly string[]> {
    const found = await dns.lookup(name, { all: true, family, order: 'verbatim' });
    return found.map(({ address }) => address);
  }

  async srv(name: string): Promise<readonly SrvRecord[]> {
    let first: unknown = null;
    for (const candidate of await searchNames(name)) {
      try {
        return await this.#resolver.resolveSrv(candidate);
      } catch (error) {
        first ??= error;
        if (!isNone(error)) throw error;
      }
    }
    throw first;
  }
}

async function inDns({ name, port, type }: DnsDiscovery, names: Names, known: Known): Promise<Found> {
  if (type === 'SRV') return inSrv(names, name, known);
  const addresses = await names.addresses(name, type === 'A' ? 4 : 6);
  const servers = addresses.map((address) => ({ ...at(address, port ?? 0), ...PLAIN }));
  return { servers, unknownTargets: [] };
}

const PLAIN = { weight: 1, backup: false, target: null } as const;

/**
 * RFC 2782: the lowest priority serves; the others are for when none of it can. A weight of 0 is a small one, the
 * target "." says that there is no such service. One name that is wrong or does not answer spoils none of the others.
 */
async function inSrv(names: Names, name: string, known: Known): Promise<Found> {
  const records = (await names.srv(name)).filter(({ name: target, port }) => isHost(target) && port > 0);
  const targets = askedFor(
    records.map((record) => record.name),
    known,
  );
  const asked = await Promise.all(
    targets.map(async (target) => ({ target, ...(await addressesOf(names, target)) })),
  );
  const answers = new Map(asked.map((answer) => [answer.target, answer]));
  const first = Math.min(...records.map(({ priority }) => priority));
  const servers = records.flatMap(({ name: target, port, priority, weight: written }) => {
    const weight = Math.min(WEIGHT_MAX, Math.max(1, written));
    const backup = priority > first;
    const { addresses = [] } = answers.get(target) ?? {};
    return addresses.map((address) => ({ ...at(address, port), weight, backup, target }));
  });
  const failed = asked.filter(({ error }) => error !== null);
  if (servers.length === 0 && failed[0] !== undefined) throw failed[0].error;
  return {
    servers,
    unknownTargets: failed.filter(({ error }) => !isNone(error)).map(({ target }) => target),
  };
}

/** Each name once, as many as are asked for. */
export function askedFor(targets: readonly string[], known: Known): readonly string[] {
  const sorted = [...new Set(targets)].toSorted();
  return knownFirst(sorted, (target) => known.hasTarget(target)).slice(0, TARGETS_MAX);
}

function isHost(target: string): boolean {
  return target !== '' && target !== '.';
}

/** IPv4, or IPv6 where the name has nothing else. That a question fails says nothing of what the name has. */
async function addressesOf(
  names: Names,
  name: string,
): Promise<{ readonly addresses: readonly string[]; readonly error: unknown }> {
  try {
    const addresses = await names.addresses(name, 4).catch((error: unknown) => {
      if (!isNone(error)) throw error;
      return names.addresses(name, 6);
    });
    return { addresses, error: null };
  } catch (error) {
    return { addresses: [], error };
  }
}

/** An answer: there is nothing, or there can be nothing, under this name. */
function isNone(error: unknown): boolean {
  const none: readonly unknown[] = [dns.NODATA, dns.NOTFOUND, dns.BADNAME];
  return error instanceof Error && 'code' in error && none.includes(error.code);
}

function at(host: string, port: number): Omit<FoundServer, 'weight' | 'backup' | 'target'> {
  const server = serverAt(host, port);
  return { name: serverNameOf(server), ...server };
}

async function inFile(path: string): Promise<Found> {
  const { size, isFile } = await stat(path).then((found) => ({ size: found.size, isFile: found.isFile() }));
  // a pipe or a device may have no end, and reading one may never begin
  if (!isFile) throw new Error('not a file');
  if (size > FILE_BYTES_MAX) throw new Error(`the file is larger than ${FILE_BYTES_MAX} bytes`);
  return { servers: parseServerList(await readFile(path, 'utf8')), unknownTargets: [] };
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
    const name = serverNameOf(parsed);
    found.set(name, { name, ...parsed, ...PLAIN });
  }
  return [...found.values()];
}
