// `holdfast sessions`: how sessions are spread over the servers, and the busiest of them.

import type { PoolStatus } from '../admin/status.ts';
import type { AdminCommandOptions } from './admin-access.ts';
import { AdminRefusal, unknownPool, withAdmin } from './admin-client.ts';
import { EXIT_OK } from './exit.ts';
import { counted, print, standardOutput } from './output.ts';
import type { Line } from './screen.ts';
import { type Column, formatTable } from './table.ts';

const SERVER_COLUMNS: readonly Column[] = [
  { heading: 'SERVER' },
  { heading: 'WEIGHT', isLeftOut: 1 },
  { heading: 'SESSIONS' },
  { heading: 'SHARE' },
  { heading: 'CREATED', isLeftOut: 3 },
  { heading: 'ENDED', isLeftOut: 3 },
  { heading: 'LOST', isLeftOut: 2 },
];
const HOT_COLUMNS: readonly Column[] = ['KEY', 'SERVER', 'REQUESTS/S', 'SHARE'].map((heading) => ({
  heading,
}));

/** `pool` null: all pools. Returns the exit status. */
export function showSessions(
  pool: string | null,
  top: number,
  options: AdminCommandOptions,
): Promise<number> {
  return withAdmin(options, async (client) => {
    const status = await client.status();
    const pools = status.pools.filter(({ name }) => pool === null || name === pool);
    if (pool !== null && pools.length === 0) throw new AdminRefusal('not-found', unknownPool(status, pool));
    const lines = pools.flatMap((found, index) => [
      ...(index === 0 ? [] : ['']),
      ...describePool(found, top, standardOutput().columns),
    ]);
    print(
      lines,
      { sessionTable: status.sessionTable, pools: pools.map((found) => facts(found, top)) },
      options.json,
    );
    return EXIT_OK;
  });
}

function describePool(pool: PoolStatus, top: number, room: number): readonly Line[] {
  const { skew, sessions } = pool;
  const share = (count: number): string =>
    sessions === 0 ? '-' : `${((100 * count) / sessions).toFixed(1)}%`;
  const hottest = pool.hottest.slice(0, top);
  return [
    `pool ${pool.name}: ${counted(sessions, 'session')}, sticky ${pool.sticky}, state ${pool.state}`,
    `skew ${skew.ratio.toFixed(3)} (by chance ${skew.floor.toFixed(3)}), cv ${skew.cv.toFixed(3)}, ` +
      `Jain ${skew.jain.toFixed(3)}, Gini ${skew.gini.toFixed(3)}`,
    `skew of load: by requests ${pool.loadSkew.requests.ratio.toFixed(3)}, ` +
      `in flight ${pool.loadSkew.inFlight.ratio.toFixed(3)}`,
    ...formatTable(
      SERVER_COLUMNS,
      pool.servers.map(({ name, weight, sessions: held, created, ended, lost }) => [
        name,
        weight,
        held,
        share(held),
        created,
        ended,
        lost,
      ]),
      room,
    ),
    ...(hottest.length === 0
      ? []
      : [
          'hottest:',
          ...formatTable(
            HOT_COLUMNS,
            hottest.map((hot) => [
              hot.key,
              hot.server,
              hot.requestsPerSecond.toFixed(2),
              `${(100 * hot.share).toFixed(1)}%`,
            ]),
            room,
          ),
        ]),
  ];
}

function facts(pool: PoolStatus, top: number): object {
  const { name, sessions, skew, loadSkew, sessionsEffective, moves, lost: lostBy } = pool;
  return {
    name,
    sessions,
    skew,
    loadSkew,
    sessionsEffective,
    moves,
    lost: lostBy,
    servers: pool.servers.map(({ name: server, weight, sessions: held, created, ended, lost }) => ({
      name: server,
      weight,
      sessions: held,
      created,
      ended,
      lost,
    })),
    hottest: pool.hottest.slice(0, top),
  };
}
