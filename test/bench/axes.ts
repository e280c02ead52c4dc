/** What is made larger in the scaling bench, one thing at a time, and what is asked for at each of its points. */
import type { Peer } from './peer.ts';
import { HOLDFAST, holdfastBy } from './peer-holdfast.ts';
import { HAPROXY_TCP, RELAY } from './peers-floor.ts';
import { HAPROXY, HAPROXY_IN_TURN } from './peers-native.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

export type Point = {
  /** Position on the axis. */
  readonly at: number;
  readonly scenario: Scenario;
  readonly connections: number;
  readonly servers: number;
  /** Of the proxy, all on its core; absent: one. */
  readonly threads?: number;
};

export type Axis = {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly peers: readonly Peer[];
  /** The canned ones alone make bodies of any length, take them, and send messages back. */
  readonly servers: 'usual' | 'canned';
  /** One proxy after the other instead of in turn: what several of them ask a thousand servers for their health is much by itself. */
  readonly areAlone?: true;
  /** The requests are messages over upgraded connections. */
  readonly areMessages?: boolean;
  readonly points: readonly Point[];
};

/** Those that only pass bytes on have no servers to choose among, but cost something for all else. */
const WITH_FLOOR = [HOLDFAST, HAPROXY, HAPROXY_TCP, RELAY];
const SMALL = SCENARIOS.find(({ name }) => name === 'small') as Scenario;
const CONNECTIONS = 64;
const SERVERS = 2;
const BY_SERVERS: readonly Point[] = [2, 200, 1000].map((at) => ({
  at,
  scenario: SMALL,
  connections: CONNECTIONS,
  servers: at,
}));
/** Those that choose for each request. */
const POLICIES = ['round-robin', 'least-connections', 'random-two', 'least-time'] as const;
/** So many large bodies at once would none of them be whole when the run ends. */
const CONNECTIONS_LARGE = 4;
const LARGE_BYTES = 1_000_000;
/** Of a minimal request with the affinity cookie: what is added is one more cookie. */
const SMALL_HEAD_BYTES = 150;

export const AXES: readonly Axis[] = [
  {
    name: 'connections',
    title: 'Keep-alive connections of clients',
    unit: 'connections',
    peers: WITH_FLOOR,
    servers: 'usual',
    points: [16, 64, 256, 1000, 4000].map((at) => ({
      at,
      scenario: SMALL,
      connections: at,
      servers: SERVERS,
    })),
  },
  {
    name: 'arrivals',
    title: 'Requests of a connection (1: a new one for each)',
    unit: 'requests',
    peers: WITH_FLOOR,
    servers: 'usual',
    points: [
      { at: 1, scenario: closing(), connections: CONNECTIONS, servers: SERVERS },
      { at: 1000, scenario: SMALL, connections: CONNECTIONS, servers: SERVERS },
    ],
  },
  {
    name: 'head',
    title: 'Length of the request head',
    unit: 'bytes',
    peers: WITH_FLOOR,
    servers: 'usual',
    points: [200, 1000, 4000, 12_000].map((at) => ({
      at,
      scenario: { ...SMALL, cookies: `padding=${'p'.repeat(at - SMALL_HEAD_BYTES)}` },
      connections: CONNECTIONS,
      servers: SERVERS,
    })),
  },
  {
    name: 'body',
    title: 'Length of the response body',
    unit: 'bytes',
    peers: WITH_FLOOR,
    servers: 'canned',
    points: [100, 1000, 10_000, 100_000, 1_000_000, 10_000_000].map((at) => ({
      at,
      scenario: { ...SMALL, path: `/generate/${at}` },
      connections: connectionsFor(at),
      servers: SERVERS,
    })),
  },
  {
    name: 'upload',
    title: 'Length of the request body',
    unit: 'bytes',
    peers: WITH_FLOOR,
    servers: 'canned',
    points: [100, 1000, 10_000, 100_000, 1_000_000].map((at) => ({
      at,
      scenario: { ...SMALL, sentBytes: at },
      connections: connectionsFor(at),
      servers: SERVERS,
    })),
  },
  {
    name: 'messages',
    title: 'Length of a message over a WebSocket, sent and echoed',
    unit: 'bytes',
    peers: WITH_FLOOR,
    servers: 'canned',
    areMessages: true,
    points: [16, 256, 4096, 65_536].map((at) => ({
      at,
      scenario: { ...SMALL, sentBytes: at },
      connections: CONNECTIONS,
      servers: SERVERS,
    })),
  },
  {
    name: 'servers',
    title: 'Servers of the pool',
    unit: 'servers',
    peers: [HOLDFAST, HAPROXY],
    servers: 'usual',
    areAlone: true,
    points: BY_SERVERS,
  },
  {
    name: 'policies',
    title: 'Servers of a pool without affinity',
    unit: 'servers',
    peers: [...POLICIES.map(holdfastBy), HAPROXY_IN_TURN],
    servers: 'usual',
    areAlone: true,
    points: BY_SERVERS,
  },
  {
    name: 'threads',
    title: 'Threads, all on one core',
    unit: 'threads',
    peers: [HOLDFAST, HAPROXY],
    servers: 'usual',
    points: [1, 2].map((at) => ({
      at,
      scenario: SMALL,
      connections: CONNECTIONS,
      servers: SERVERS,
      threads: at,
    })),
  },
];

function connectionsFor(bodyBytes: number): number {
  return bodyBytes < LARGE_BYTES ? CONNECTIONS : CONNECTIONS_LARGE;
}

function closing(): Scenario {
  return { ...SMALL, headers: [...SMALL.headers, ['Connection', 'close']] };
}

/** The first and the last point of it. */
export function endsOf(axis: Axis): Axis {
  return { ...axis, points: [axis.points[0], axis.points.at(-1)].filter((point) => point !== undefined) };
}
