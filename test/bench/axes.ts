/** What is made larger in the scaling bench, one thing at a time, and what is asked for at each of its points. */
import { SCENARIOS, type Scenario } from './scenarios.ts';

export type Point = {
  /** Position on the axis. */
  readonly at: number;
  readonly scenario: Scenario;
  readonly connections: number;
  readonly servers: number;
};

export type Axis = {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  /** Proxies that pass bytes on have no servers to choose among and no heads to read, but cost something at each of the others. */
  readonly withFloor: boolean;
  readonly points: readonly Point[];
};

const SMALL = SCENARIOS.find(({ name }) => name === 'small') as Scenario;
const CONNECTIONS = 64;
const SERVERS = 2;
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
    withFloor: true,
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
    withFloor: true,
    points: [
      { at: 1, scenario: closing(), connections: CONNECTIONS, servers: SERVERS },
      { at: 1000, scenario: SMALL, connections: CONNECTIONS, servers: SERVERS },
    ],
  },
  {
    name: 'head',
    title: 'Length of the request head',
    unit: 'bytes',
    withFloor: true,
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
    withFloor: true,
    points: [100, 1000, 10_000, 100_000, 1_000_000, 10_000_000].map((at) => ({
      at,
      scenario: { ...SMALL, path: `/generate/${at}` },
      connections: at < LARGE_BYTES ? CONNECTIONS : CONNECTIONS_LARGE,
      servers: SERVERS,
    })),
  },
  {
    name: 'servers',
    title: 'Servers of the pool',
    unit: 'servers',
    withFloor: false,
    points: [2, 200, 1000].map((at) => ({ at, scenario: SMALL, connections: CONNECTIONS, servers: at })),
  },
];

function closing(): Scenario {
  return { ...SMALL, headers: [...SMALL.headers, ['Connection', 'close']] };
}

/** The first and the last point of it. */
export function endsOf(axis: Axis): Axis {
  return { ...axis, points: [axis.points[0], axis.points.at(-1)].filter((point) => point !== undefined) };
}
