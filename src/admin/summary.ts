// How the balancer is, in one word and the reasons for it: the same for `status`, the page and whoever reads the API. Pure.
//
//   failing    clients get errors: a pool without an eligible server, or FAILING_SHARE of its requests went wrong
//   degraded   a server is down or ejected, or has sessions without a backup, or some requests went wrong
//   well       neither; what the operator has drained is as wanted

import type { Recent } from '../control/history.ts';

/** From this share on errors are no exceptions any more. */
const FAILING_SHARE = 0.01;

/** What is looked at of a pool; the status document's fits. */
export interface SummarizedPool {
  readonly name: string;
  readonly recent: Recent;
  readonly servers: readonly {
    readonly name: string;
    readonly state: string;
    readonly mode: string;
    readonly weight: number;
    readonly check: string | null;
    readonly since: string | null;
    /** Whose home it is. */
    readonly sessions: number;
    /** Sessions that it alone has, although any server could serve them. */
    readonly unbacked: number;
  }[];
}

export interface Problem {
  readonly state: 'failing' | 'degraded';
  readonly pool: string;
  /** Null: the pool as a whole. */
  readonly server: string | null;
  /** Without the names: `down (connection refused)`, `61 of 512 requests went wrong in the last minute (12 %)`. */
  readonly text: string;
  /** ISO 8601; null: not known. */
  readonly since: string | null;
  /** Whose home cannot serve them at present. */
  readonly sessions: number;
}

export interface Summary {
  readonly state: 'well' | 'degraded' | 'failing';
  /** The worst first. */
  readonly problems: readonly Problem[];
}

export function summarize(pools: readonly SummarizedPool[]): Summary {
  const problems = pools.flatMap((pool) => [
    ...problemsOf(pool),
    ...serverProblems(pool),
    ...backupProblems(pool),
  ]);
  problems.sort((a, b) => Number(b.state === 'failing') - Number(a.state === 'failing'));
  return { state: problems[0]?.state ?? 'well', problems };
}

/** Whether a server of the pool may get new sessions. */
export function hasEligible({ servers }: Pick<SummarizedPool, 'servers'>): boolean {
  return servers.some(({ state, mode, weight }) => state === 'up' && mode === 'ready' && weight > 0);
}

function problemsOf(pool: SummarizedPool): Problem[] {
  const { name, servers, recent } = pool;
  const problems: Problem[] = [];
  const of = { pool: name, server: null };
  if (!hasEligible(pool)) {
    const since = servers
      .flatMap((server) => (server.state === 'up' ? [] : (server.since ?? [])))
      .sort()
      .at(-1);
    const sessions = servers.reduce((sum, server) => sum + (isOut(server) ? server.sessions : 0), 0);
    const text = `no server can take new requests${affecting(sessions)}`;
    problems.push({ ...of, state: 'failing', text, since: since ?? null, sessions });
  }
  if (recent.errors > 0) {
    const share = recent.errors / Math.max(recent.requests, recent.errors);
    const during =
      recent.seconds >= 55
        ? 'the last minute'
        : `the last ${Math.max(1, Math.round(recent.seconds))} seconds`;
    const counts = `${recent.errors} of ${recent.requests} requests`;
    const state = share >= FAILING_SHARE ? 'failing' : 'degraded';
    problems.push({
      ...of,
      state,
      text: `${counts} went wrong in ${during} (${percent(share)})`,
      since: null,
      sessions: 0,
    });
  }
  return problems;
}

function serverProblems({ name, servers }: SummarizedPool): Problem[] {
  return servers.flatMap((server) => {
    const { state, mode, check, since } = server;
    if ((state !== 'down' && state !== 'ejected') || mode === 'maintenance') return [];
    const why = check === null ? '' : ` (${check})`;
    const sessions = isOut(server) ? server.sessions : 0;
    const text = `${state}${why}${affecting(sessions)}`;
    return [{ state: 'degraded' as const, pool: name, server: server.name, text, since, sessions }];
  });
}

/** Who stopped such a server would log users out. Of one that is down nothing is known. */
function backupProblems({ name, servers }: SummarizedPool): Problem[] {
  return servers
    .filter((server) => server.unbacked > 0 && !isOut(server))
    .map(({ name: server, unbacked }) => {
      const text = `has ${unbacked} session${unbacked === 1 ? '' : 's'} without a backup`;
      return { state: 'degraded', pool: name, server, text, since: null, sessions: 0 };
    });
}

/** It cannot serve the sessions that it has; one that is ejected can, and so can one that is drained. */
function isOut({ state, mode }: SummarizedPool['servers'][number]): boolean {
  return state === 'down' || mode === 'maintenance';
}

function affecting(sessions: number): string {
  return sessions === 0 ? '' : `, ${sessions} session${sessions === 1 ? '' : 's'} affected`;
}

function percent(share: number): string {
  const value = share * 100;
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toPrecision(1)} %`;
}
