// Status documents to try the page's modules against.

import type { PoolStatus, ServerStatus, StatusDocument } from '../../../src/admin/status.ts';

const EVEN_LOAD = { ratio: 1, cv: 0, jain: 1, gini: 0, trough: 1 };
const BOUNDS = [0.001, 0.01, 0.1];

export function server(name: string, fields: Partial<ServerStatus> = {}): ServerStatus {
  return {
    name,
    url: `http://127.0.0.1/${name}`,
    state: 'up',
    mode: 'ready',
    weight: 1,
    effectiveWeight: 1,
    backup: false,
    sessions: 0,
    tentative: 0,
    unbacked: 0,
    inFlight: 0,
    connections: { active: 0, idle: 0 },
    maxConnections: 0,
    maxSessions: 0,
    requests: 0,
    codes: {},
    failures: 0,
    durations: [0, 0, 0, 0],
    created: 0,
    ended: 0,
    lost: 0,
    check: null,
    since: null,
    ...fields,
  };
}

export function pool(
  name: string,
  servers: readonly ServerStatus[],
  fields: Partial<PoolStatus> = {},
): PoolStatus {
  return {
    name,
    policy: 'least-sessions',
    sticky: 'cookie-hash',
    state: 'local',
    sessions: servers.reduce((sum, { sessions }) => sum + sessions, 0),
    requests: servers.reduce((sum, { requests }) => sum + requests, 0),
    errors: 0,
    recent: { seconds: 0, requests: 0, errors: 0 },
    skew: { ratio: 1, cv: 0, jain: 1, gini: 0, floor: 1.1, trough: 1, excess: 0, beyondChance: false },
    loadSkew: { requests: EVEN_LOAD, inFlight: EVEN_LOAD },
    sessionsEffective: 0,
    hottest: [],
    moves: {},
    lost: {},
    rebalance: null,
    servers,
    ...fields,
  };
}

export function status(pools: readonly PoolStatus[], fields: Partial<StatusDocument> = {}): StatusDocument {
  return {
    version: '0.1.0',
    host: 'here',
    summary: { state: 'well', problems: [] },
    revision: 1,
    threads: 1,
    uptimeSeconds: 100,
    sessionTable: { entries: 0, capacity: 1000 },
    durationBoundsSeconds: BOUNDS,
    pools,
    ...fields,
  };
}
