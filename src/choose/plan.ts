// One pool of one revision, prepared for choosing: names are resolved to places and slots once, here.
//
// "Index" is always a server's place in config.servers; "slot" its place in shared memory.

import { createHash } from 'node:crypto';
import { assert } from '../base/assert.ts';
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
import { type AdoptedCookie, adoptedCookies } from './adopted-cookies.ts';
import { Candidates } from './candidates.ts';
import { type KeySource, keySources } from './key-sources.ts';
import { derivePoolKeys, type OpeningKeys, type PoolKeys } from './keys.ts';
import { REFERENCE_BYTES } from './own-cookie-parts.ts';
import type { Policy } from './policies/policy.ts';
import { createPolicy } from './policies/registry.ts';
import type { RankedServers } from './rendezvous.ts';

const RESPONSE_HEADER_COUNT_MAX = 256;

/** Where a request's session key comes from. */
export const Source = { none: 0, ownCookie: 1, named: 2, address: 3 } as const;
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
  readonly sessionsMax: Int32Array;
  readonly hasSessionLimits: boolean;
  /** What former cookie-hash cookies range over: primaries of weight above 0, and all others. */
  readonly hashRange: Int32Array;
  readonly hashRest: Int32Array;
  /** Per-server hash words from pool name and server name: equal on all balancers with this secret. */
  readonly seedLow: Int32Array;
  readonly seedHigh: Int32Array;
  readonly policy: Policy;
  /** Who may be chosen: this thread's own. */
  readonly candidates: Candidates;
  /** Of the first secret: what is written now. */
  readonly keys: OpeningKeys;
  /** Of every secret, the first one first: what is read. */
  readonly openers: readonly OpeningKeys[];
  /** What the balancer's cookie calls each server: the same on all balancers, whatever the secret. */
  readonly references: readonly Uint8Array[];
  readonly source: Source;
  /** New keys go where rendezvous hashing says; otherwise where the policy says. */
  readonly isHashed: boolean;
  /** A request whose home has too many in flight is served elsewhere. */
  readonly isBoundByRequests: boolean;
  /** The application sets the key with its response (application cookies, learn). */
  readonly learns: boolean;
  /** Where a request may name its session, in order; with Source.named. */
  readonly sources: readonly KeySource[];
  /** One of them is a cookie. */
  readonly readsCookies: boolean;
  /** Sessions begin in answers that name them in a header, and end by DELETE. */
  readonly learnsHeaders: boolean;
  /** Cookies of the balancer that was here before; none for most. */
  readonly adopted: readonly AdoptedCookie[];
  /** The balancer's own: the first is what is set, all are read: see `cookieAliases`. */
  readonly cookieNames: readonly Uint8Array[];
  /** A session whose home is gone is not moved: its client is told, and begins another. Of those that the application names. */
  readonly losesSessions: boolean;
  /** The balancer's cookie is written again when it is older. */
  readonly renewMs: number;
  readonly cookieAttributes: SetCookieAttributes;
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
  const openers = revision.keys.map((secret) => openingKeys(config, derivePoolKeys(secret, config.name)));
  const [keys] = openers;
  assert(keys !== undefined, 'a pool has at least one secret');
  const isRanged = (server: ServerConfig): boolean => !server.backup && server.weight > 0;
  const weights = Float64Array.from(servers, (server) => server.weight * WEIGHT_SCALE);
  const connectionsMax = Int32Array.from(servers, (server) => server.maxConnections);
  const sessionsMax = Int32Array.from(servers, (server) => server.maxSessions);
  return {
    id: revision.id,
    config,
    slots: Int32Array.from(revision.slots),
    homes: Int32Array.from(revision.slots, (slot, index) => packHome(slot, revision.generations[index] ?? 0)),
    indexBySlot: indexSlots(revision.slots),
    primaries: placesOf(servers, (server) => !server.backup),
    backups: placesOf(servers, (server) => server.backup),
    connectionsMax,
    sessionsMax,
    hasSessionLimits: sessionsMax.some((most) => most > 0),
    candidates: new Candidates(sessionsMax),
    hashRange: placesOf(servers, isRanged),
    hashRest: placesOf(servers, (server) => !isRanged(server)),
    seedLow: keys.seedLow,
    seedHigh: keys.seedHigh,
    rankWeights: keys.rankWeights,
    hasEqualWeights: keys.hasEqualWeights,
    policy: createPolicy(config.policy, weights, random),
    keys,
    responseLimits: {
      headBytesMax: config.limits.responseHeadBytes,
      headerCountMax: RESPONSE_HEADER_COUNT_MAX,
      watched,
    },
    openers,
    references: servers.map((server) => referenceOf(config.name, server.name)),
    adopted: adoptedCookies(config.sticky, servers),
    losesSessions: config.state === 'local' && config.sticky.whenLost === 404,
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
  const names = [...config.pools.flatMap((pool) => headersOf(keySources(pool.sticky))), ...limits];
  return [...new Set(names)].filter((name) => name !== '');
}

/** Names of the headers among the sources. */
export function headersOf(sources: readonly KeySource[]): readonly string[] {
  return sources.flatMap(({ kind, name }) => (kind === 'header' ? [name] : []));
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

/** Names the server in the balancer's cookie, where it is sealed. */
function referenceOf(pool: string, server: string): Uint8Array {
  return createHash('sha256').update(`${pool}\0${server}`).digest().subarray(0, REFERENCE_BYTES);
}

function openingKeys(config: PoolConfig, keys: PoolKeys): OpeningKeys {
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
  return { ...keys, seedLow, seedHigh, rankWeights, hasEqualWeights: new Set(rankWeights).size <= 1 };
}

function readSticky(
  sticky: StickyConfig,
): Pick<
  PoolPlan,
  | 'source'
  | 'isHashed'
  | 'isBoundByRequests'
  | 'learns'
  | 'sources'
  | 'readsCookies'
  | 'learnsHeaders'
  | 'cookieNames'
  | 'renewMs'
  | 'cookieAttributes'
  | 'addressMask'
> {
  const sources = keySources(sticky);
  const source = sourceOf(sticky);
  const learns = source === Source.named && sticky.mode !== 'header-hash';
  return {
    source,
    sources,
    readsCookies: sources.some(({ kind }) => kind === 'cookie'),
    isBoundByRequests:
      sticky.bound.by === 'requests' && sticky.bound.factor > 0 && sticky.mode !== 'cookie-pin',
    isHashed:
      sticky.mode === 'header-hash' || sticky.mode === 'address-hash' || sticky.mode === 'cookie-hash',
    learns,
    learnsHeaders: learns && sources.some(({ kind }) => kind === 'header'),
    cookieNames: [sticky.cookie, ...sticky.cookieAliases].map((name) => Buffer.from(name, 'latin1')),
    renewMs: renewalOf(sticky),
    cookieAttributes: readAttributes(sticky),
    addressMask: new AddressMask(sticky.mask),
  };
}

/**
 * A cookie says when it was written, not when it was last shown: between two renewals another balancer takes its user
 * for idle by as much. An eighth of idle is rare enough to cost nothing. With maxAge the browser forgets a cookie that
 * is not renewed, so that an active user has to be given it well before.
 */
function renewalOf({ idleMs, attributes }: StickyConfig): number {
  return Math.min(idleMs / 8, (attributes.maxAgeMs ?? Number.POSITIVE_INFINITY) / 4);
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
      return sticky.cookieOwner === 'balancer' ? Source.ownCookie : Source.named;
    case 'learn':
    case 'header-hash':
      return Source.named;
    case 'address-hash':
      return Source.address;
  }
}
