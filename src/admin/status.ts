// The document of GET /api/status: what runs, as of now. Pure; read from the revision and shared memory.

import { hostname } from 'node:os';
import type { PolicyName, SessionState, StickyMode } from '../config/model.ts';
import type { Recent } from '../control/history.ts';
import { clientErrors, loadSkew, sessionSkew, totalRequests } from '../sessions/load.ts';
import type { Skew } from '../sessions/skew.ts';
import { MODE_NAMES, VERDICT_NAMES, WEIGHT_SCALE } from '../shared/control.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import {
  BUCKETS,
  CODE_CLASSES,
  Counter,
  DURATION_BUCKETS_SECONDS,
  END_REASONS,
  Gauge,
  LOST_REASONS,
  MOVE_REASONS,
  PoolCounter,
  SERVER_LOST_REASONS,
} from '../shared/stripe.ts';
import { hasEligible, type Summary, summarize } from './summary.ts';

export interface ServerStatus {
  readonly name: string;
  readonly url: string;
  readonly state: (typeof VERDICT_NAMES)[number];
  readonly mode: (typeof MODE_NAMES)[number];
  /** As configured or set by the operator. */
  readonly weight: number;
  /** What choosing uses at the moment: slow start lowers it. */
  readonly effectiveWeight: number;
  readonly backup: boolean;
  readonly sessions: number;
  /** Cookies given out that no client has shown yet. */
  readonly tentative: number;
  /** Sessions that only this server has, by its own report, although the pool's are shared. */
  readonly unbacked: number;
  readonly inFlight: number;
  readonly connections: { readonly active: number; readonly idle: number };
  readonly maxConnections: number;
  readonly maxSessions: number;
  readonly requests: number;
  /** Those of `requests` by class of the status: none, 1xx, 2xx, 3xx, 4xx, 5xx; none: ended without a response. */
  readonly codes: Readonly<Record<string, number>>;
  readonly failures: number;
  /** Requests by duration: how many fell into each bucket of `durationBoundsSeconds`, and last the longer ones. */
  readonly durations: readonly number[];
  readonly created: number;
  readonly ended: number;
  readonly lost: number;
  /** What the last health check found, as text; null: none yet or none wanted. */
  readonly check: string | null;
  /** Since when `state` stands; null: not watched yet. */
  readonly since: string | null;
}

export interface LoadSkewStatus {
  readonly ratio: number;
  readonly cv: number;
  readonly jain: number;
  readonly gini: number;
  readonly trough: number;
}

export interface SkewStatus extends LoadSkewStatus {
  readonly floor: number;
  readonly excess: number;
  readonly beyondChance: boolean;
}

export interface HotSessionStatus {
  /** Eight hex digits of the hashed session key. */
  readonly key: string;
  readonly server: string;
  readonly requestsPerSecond: number;
  readonly share: number;
}

export interface RebalanceStatus {
  readonly phase: string;
  /** Why it is in this phase, as text. */
  readonly why: string;
  readonly moved: number;
  readonly lastMoved: number;
}

export interface PoolStatus {
  readonly name: string;
  readonly policy: PolicyName;
  readonly sticky: StickyMode;
  readonly state: SessionState;
  readonly sessions: number;
  /** Requests routed to the pool since the start. */
  readonly requests: number;
  /** Those of them that went wrong for the client: 5xx of a server, our own replies, broken off. */
  readonly errors: number;
  /** Of about the last minute. */
  readonly recent: Recent;
  readonly skew: SkewStatus;
  /** By requests of the last minute, and by those in flight now. */
  readonly loadSkew: { readonly requests: LoadSkewStatus; readonly inFlight: LoadSkewStatus };
  /** How many equally busy sessions would be as uneven. */
  readonly sessionsEffective: number;
  readonly hottest: readonly HotSessionStatus[];
  /** By reason. */
  readonly moves: Readonly<Record<string, number>>;
  /** By reason, of all servers that the pool has or had. */
  readonly lost: Readonly<Record<string, number>>;
  /** What the rebalancer is at; null: the pool's sessions are not moved (state local, or no sessions). */
  readonly rebalance: RebalanceStatus | null;
  readonly servers: readonly ServerStatus[];
}

export interface StatusDocument {
  readonly version: string;
  readonly revision: number;
  readonly threads: number;
  readonly uptimeSeconds: number;
  readonly host: string;
  readonly summary: Summary;
  readonly sessionTable: { readonly entries: number; readonly capacity: number };
  /** Upper bounds of the buckets of every server's `durations`. */
  readonly durationBoundsSeconds: readonly number[];
  readonly pools: readonly PoolStatus[];
}

/** What the document needs beside the revision and shared memory; HealthMonitor and Sweeper fit as they are. */
export interface StatusFacts {
  readonly version: string;
  readonly threads: number;
  readonly uptimeSeconds: number;
  readonly health: {
    lastCheck(slot: number): { readonly detail: string; readonly sinceWallMs: number } | null;
  };
  readonly sweep: {
    readonly report: { readonly entries: number };
    recentRequests(slot: number): number;
    effectiveSessions(pool: string): number;
    hottest(pool: string): readonly {
      readonly key: string;
      readonly slot: number;
      readonly requestsPerSecond: number;
      readonly share: number;
    }[];
  };
  /** Rebalancer fits; absent: nothing is moved. */
  readonly rebalance?: { report(pool: string): RebalanceStatus | null };
  /** Requests and errors of about the last minute, by number of the pool. Absent: not known. */
  readonly recent?: (pool: number) => Recent;
  /** Weight that the operator has set on the slot; null: the configured one stands. */
  readonly operatorWeight?: (slot: number) => number | null;
}

/** O(servers × threads). */
export function buildStatus(revision: Revision, shared: SharedState, facts: StatusFacts): StatusDocument {
  const pools = revision.pools.map((pool) => buildPool(pool, shared, facts));
  return {
    version: facts.version,
    host: hostname(),
    summary: summarize(pools),
    revision: revision.number,
    threads: facts.threads,
    uptimeSeconds: rounded(facts.uptimeSeconds, 1),
    sessionTable: { entries: facts.sweep.report.entries, capacity: shared.table.capacity },
    durationBoundsSeconds: DURATION_BUCKETS_SECONDS,
    pools,
  };
}

/** Why the balancer is not ready: a sentence for each pool without an eligible server; none: it is ready. */
export function unreadyReasons(status: StatusDocument): readonly string[] {
  return status.pools
    .filter((pool) => !hasEligible(pool))
    .map((pool) => `pool ${pool.name} has no eligible server`);
}

function buildPool(pool: PoolRevision, shared: SharedState, facts: StatusFacts): PoolStatus {
  const { config } = pool;
  const { sweep } = facts;
  const servers = config.servers.flatMap((_server, index) => buildServer(pool, index, shared, facts) ?? []);
  const recent = (slot: number): number => sweep.recentRequests(slot);
  return {
    name: config.name,
    policy: config.policy,
    sticky: config.sticky.mode,
    state: config.state,
    sessions: servers.reduce((sum, server) => sum + server.sessions, 0),
    requests: shared.sumPoolCounter(pool.id, PoolCounter.requests),
    errors: clientErrors(shared, pool.id),
    recent: facts.recent?.(pool.id) ?? { seconds: 0, requests: 0, errors: 0 },
    skew: buildSkew(pool, shared),
    loadSkew: {
      requests: evenness(loadSkew(pool, shared, 'requests', recent)),
      inFlight: evenness(loadSkew(pool, shared, 'in_flight', recent)),
    },
    sessionsEffective: rounded(sweep.effectiveSessions(config.name), 1),
    hottest: sweep.hottest(config.name).map(({ key, slot, requestsPerSecond, share }) => ({
      key,
      server: config.servers[pool.slots.indexOf(slot)]?.name ?? '',
      requestsPerSecond: rounded(requestsPerSecond, 3),
      share: rounded(share, 6),
    })),
    moves: byReason(MOVE_REASONS, pool, shared, PoolCounter.moves),
    lost: byReason(LOST_REASONS, pool, shared, PoolCounter.lost),
    rebalance: buildRebalance(config.name, facts),
    servers,
  };
}

function byReason(
  reasons: readonly string[],
  pool: PoolRevision,
  shared: SharedState,
  offset: number,
): Record<string, number> {
  return Object.fromEntries(
    reasons.map((reason, index) => [reason, shared.sumPoolCounter(pool.id, offset + index)]),
  );
}

function buildRebalance(pool: string, facts: StatusFacts): RebalanceStatus | null {
  const report = facts.rebalance?.report(pool) ?? null;
  if (report === null) return null;
  const { phase, why, moved, lastMoved } = report;
  return { phase, why, moved, lastMoved };
}

function buildSkew(pool: PoolRevision, shared: SharedState): SkewStatus {
  const skew = sessionSkew(pool, shared);
  return {
    ...evenness(skew),
    floor: rounded(skew.floor, 4),
    excess: rounded(skew.excess, 4),
    beyondChance: skew.isBeyondChance,
  };
}

function evenness({ ratio, cv, jain, gini, trough }: Skew): LoadSkewStatus {
  return {
    ratio: rounded(ratio, 4),
    cv: rounded(cv, 4),
    jain: rounded(jain, 4),
    gini: rounded(gini, 4),
    trough: rounded(trough, 4),
  };
}

function buildServer(
  pool: PoolRevision,
  index: number,
  shared: SharedState,
  facts: StatusFacts,
): ServerStatus | null {
  const server = pool.config.servers[index];
  const slot = pool.slots[index];
  if (server === undefined || slot === undefined) return null;
  const { control } = shared;
  const check = facts.health.lastCheck(slot);
  return {
    name: server.name,
    url: server.url,
    state: VERDICT_NAMES[control.verdict(slot)],
    mode: MODE_NAMES[control.operatorMode(slot) as 0 | 1 | 2],
    weight: facts.operatorWeight?.(slot) ?? server.weight,
    effectiveWeight: control.weight(slot) / WEIGHT_SCALE,
    backup: server.backup,
    sessions: control.sessions(slot),
    tentative: control.tentative(slot),
    unbacked: control.unbacked(slot),
    inFlight: Math.max(0, shared.inFlight(slot)),
    connections: {
      active: Math.max(0, shared.sumGauge(slot, Gauge.upstreamActive)),
      idle: Math.max(0, shared.sumGauge(slot, Gauge.upstreamIdle)),
    },
    maxConnections: server.maxConnections,
    maxSessions: server.maxSessions,
    requests: totalRequests(shared, slot),
    codes: Object.fromEntries(
      CODE_CLASSES.map((name, index) => [name, shared.sumCounter(slot, Counter.code + index)]),
    ),
    failures: shared.sumCounter(slot, Counter.failures),
    durations: Array.from({ length: BUCKETS }, (_, bucket) =>
      shared.sumCounter(slot, Counter.durationSum + 1 + bucket),
    ),
    created: shared.sumCounter(slot, Counter.created),
    ended: sumCounters(shared, slot, Counter.ended, END_REASONS.length),
    lost: sumCounters(shared, slot, Counter.lost, SERVER_LOST_REASONS.length),
    check: check === null || check.detail === '' ? null : check.detail,
    since: check === null ? null : new Date(check.sinceWallMs).toISOString(),
  };
}

function sumCounters(shared: SharedState, slot: number, offset: number, count: number): number {
  let sum = 0;
  for (let index = 0; index < count; index += 1) sum += shared.sumCounter(slot, offset + index);
  return sum;
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
