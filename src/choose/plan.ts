// One pool of one revision, prepared for choosing: names are resolved to places and slots once, here.
//
// "Index" is always a server's place in config.servers; "slot" its place in shared memory.

import { AddressMask } from '../base/client-address.ts';
import { hashBytes, hashed } from '../base/hash.ts';
import type { Random } from '../base/random.ts';
import type { HoldfastConfig, PoolConfig, ServerConfig, StickyConfig } from '../config/model.ts';
import type { CookieAttributes as SetCookieAttributes } from '../http1/cookies.ts';
import type { HeadLimits } from '../http1/message.ts';
import { WEIGHT_SCALE } from '../shared/control.ts';
import { SLOTS_MAX } from '../shared/limits.ts';
import type { PoolRevision } from '../shared/revision.ts';
import { packHome } from '../shared/session-table.ts';
import { derivePoolKeys, type PoolKeys } from './keys.ts';
import type { Policy } from './policies/policy.ts';
import { createPolicy } from './policies/registry.ts';
import type { RankedServers } from './rendezvous.ts';

const RESPONSE_HEADER_COUNT_MAX = 256;

/** Where a request's session key comes from. */
export const Source = { none: 0, ownCookie: 1, applicationCookie: 2, header: 3, address: 4 } as const;
export type Source = (typeof Source)[keyof typeof Source];

export interface PoolPlan extends RankedServers {
  readonly id: number;
  readonly config: PoolConfig;
  readonly slots: Int32Array;
  /** packHome(slot, generation) of each server. */
  readonly homes: Int32Array;
  /** Index of each slot, -1 for slots of other pools. */
  readonly indexBySlot: Int16Array;
  readonly primaries: Int32Array;
  readonly backups: Int32Array;
  /** 0 = no limit. */
  readonly connectionsMax: Int32Array;
  /** Servers that a minted cookie-hash cookie ranges over: primaries of weight above 0, whatever their health. */
  readonly hashRange: Int32Array;
  /** All others; cookies that name one of them say so (see hash-cookie.ts). */
  readonly hashRest: Int32Array;
  /** 1 for the members of hashRange. */
  readonly isInHashRange: Uint8Array;
  /** Per-server hash words from pool name and server name: equal on all balancers with this secret. */
  readonly seedLow: Int32Array;
  readonly seedHigh: Int32Array;
  readonly policy: Policy;
  readonly keys: PoolKeys;
  readonly source: Source;
  /** The balancer's cookie is a sealed reference (cookie-pin), not a hash. */
  readonly isPin: boolean;
  /** New keys go where rendezvous hashing says; otherwise where the policy says. */
  readonly isHashed: boolean;
  /** The application sets the key with its response (application cookies, learn). */
  readonly learns: boolean;
  readonly cookieName: Uint8Array;
  readonly cookieAttributes: SetCookieAttributes;
  /** Lower case; empty when the mode reads no header. */
  readonly headerName: string;
  /** Of a response's head. */
  readonly responseLimits: HeadLimits;
  /** What counts as one client where the address is the key. */
  readonly addressMask: AddressMask;
}

/** `watched`: headers to record in responses (see watchedHeaders). */
export function compilePool(
  revision: PoolRevision,
  random: Random,
  watched: readonly string[] = [],
): PoolPlan {
  const { config } = revision;
  const { servers } = config;
  const keys = derivePoolKeys(revision.key, config.name);
  const isRanged = (server: ServerConfig): boolean => !server.backup && server.weight > 0;
  const weights = Float64Array.from(servers, (server) => server.weight * WEIGHT_SCALE);
  return {
    id: revision.id,
    config,
    slots: Int32Array.from(revision.slots),
    homes: Int32Array.from(revision.slots, (slot, index) => packHome(slot, revision.generations[index] ?? 0)),
    indexBySlot: indexSlots(revision.slots),
    primaries: placesOf(servers, (server) => !server.backup),
    backups: placesOf(servers, (server) => server.backup),
    connectionsMax: Int32Array.from(servers, (server) => server.maxConnections),
    hashRange: placesOf(servers, isRanged),
    hashRest: placesOf(servers, (server) => !isRanged(server)),
    isInHashRange: Uint8Array.from(servers, (server) => (isRanged(server) ? 1 : 0)),
    ...rankServers(config, keys),
    policy: createPolicy(config.policy, weights, random),
    keys,
    responseLimits: {
      headBytesMax: config.limits.responseHeadBytes,
      headerCountMax: RESPONSE_HEADER_COUNT_MAX,
      watched,
    },
    ...readSticky(config.sticky),
  };
}

/** Place in the configuration of the server in `slot`, -1 when it is not of this plan. */
export function indexOfSlot(plan: PoolPlan, slot: number): number {
  return plan.indexBySlot[slot] ?? -1;
}

/** Names of the headers that session keys and rate limits are read from, lower case: what the codec has to watch for. */
export function watchedHeaders(config: HoldfastConfig): readonly string[] {
  const limits = [...config.routes, ...config.listen].map(({ rateLimit }) =>
    rateLimit?.key.kind === 'header' ? rateLimit.key.name.toLowerCase() : '',
  );
  const names = [...config.pools.map((pool) => headerNameOf(pool.sticky)), ...limits];
  return [...new Set(names)].filter((name) => name !== '');
}

function placesOf(servers: readonly ServerConfig[], accept: (server: ServerConfig) => boolean): Int32Array {
  return Int32Array.from(servers.flatMap((server, index) => (accept(server) ? [index] : [])));
}

function indexSlots(slots: readonly number[]): Int16Array {
  const indices = new Int16Array(SLOTS_MAX).fill(-1);
  slots.forEach((slot, index) => {
    indices[slot] = index;
  });
  return indices;
}

function rankServers(config: PoolConfig, keys: PoolKeys): RankedServers {
  const { servers } = config;
  const seedLow = new Int32Array(servers.length);
  const seedHigh = new Int32Array(servers.length);
  servers.forEach((server, index) => {
    const name = Buffer.from(`${config.name}\0${server.name}`, 'utf8');
    hashBytes(keys.hash, name, 0, name.length);
    seedLow[index] = hashed.low;
    seedHigh[index] = hashed.high;
  });
  const rankWeights = Float64Array.from(servers, (server) => (server.weight > 0 ? server.weight : 1));
  return { seedLow, seedHigh, rankWeights, hasEqualWeights: new Set(rankWeights).size <= 1 };
}

function readSticky(
  sticky: StickyConfig,
): Pick<
  PoolPlan,
  | 'source'
  | 'isPin'
  | 'isHashed'
  | 'learns'
  | 'cookieName'
  | 'cookieAttributes'
  | 'headerName'
  | 'addressMask'
> {
  const source = sourceOf(sticky);
  return {
    source,
    isPin: sticky.mode === 'cookie-pin',
    isHashed:
      sticky.mode === 'header-hash' || sticky.mode === 'address-hash' || sticky.mode === 'cookie-hash',
    learns: source === Source.applicationCookie || sticky.mode === 'learn',
    cookieName: Buffer.from(sticky.cookie, 'latin1'),
    cookieAttributes: readAttributes(sticky),
    headerName: headerNameOf(sticky),
    addressMask: new AddressMask(sticky.mask),
  };
}

function readAttributes({ attributes }: StickyConfig): SetCookieAttributes {
  return {
    path: attributes.path,
    domain: attributes.domain ?? undefined,
    maxAge: attributes.maxAgeMs === null ? undefined : Math.floor(attributes.maxAgeMs / 1000),
    httpOnly: attributes.httpOnly,
    sameSite: attributes.sameSite ?? undefined,
    partitioned: attributes.partitioned,
  };
}

function sourceOf(sticky: StickyConfig): Source {
  switch (sticky.mode) {
    case 'none':
      return Source.none;
    case 'cookie-pin':
      return Source.ownCookie;
    case 'cookie-hash':
      return sticky.cookieOwner === 'balancer' ? Source.ownCookie : Source.applicationCookie;
    case 'learn':
      return sticky.header === null ? Source.applicationCookie : Source.header;
    case 'header-hash':
      return Source.header;
    case 'address-hash':
      return Source.address;
  }
}

function headerNameOf(sticky: StickyConfig): string {
  return sticky.mode === 'header-hash' || sticky.mode === 'learn' ? (sticky.header ?? '') : '';
}
