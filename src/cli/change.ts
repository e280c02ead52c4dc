// `holdfast ready | maintenance | weight`: one change of one server.

import { setTimeout as pause } from 'node:timers/promises';
import type { ServerStatus } from '../admin/status.ts';
import { systemClock } from '../base/clock.ts';
import type { AdminCommandOptions, ServerPath } from './admin-access.ts';
import { type AdminClient, AdminFailure, type ServerChange, withAdmin } from './admin-client.ts';
import { EXIT_LATE, EXIT_OK } from './exit.ts';
import { counted, print, remark } from './output.ts';

/** How often a server is looked at that is waited for. */
const POLL_MS = 200;

/** Returns the exit status. */
export function changeServer(
  given: ServerPath,
  change: ServerChange,
  options: AdminCommandOptions,
): Promise<number> {
  return withAdmin(options, async (client) => {
    const path = await client.whole(given);
    const server = await client.change(path, change);
    print([describeServer(path, server)], { pool: path.pool, server }, options.json);
    if (server.mode !== 'ready' || server.weight === 0) await warnOfNobody(client, path.pool);
    return EXIT_OK;
  });
}

/** `ready --wait`: returns when the server takes part, or at the deadline (null: none) with a status of its own. */
export function readyServer(
  given: ServerPath,
  options: AdminCommandOptions,
  deadlineMs: number | null,
): Promise<number> {
  return withAdmin(options, async (client) => {
    const path = await client.whole(given);
    const beganMs = systemClock.nowMs();
    let server = await client.change(path, { mode: 'ready' });
    while (server.mode === 'ready' && server.state !== 'up') {
      const leftMs = deadlineMs === null ? POLL_MS : beganMs + deadlineMs - systemClock.nowMs();
      if (leftMs <= 0) break;
      await pause(Math.min(POLL_MS, leftMs));
      server = await client.server(path);
    }
    print([describeServer(path, server)], { pool: path.pool, server }, options.json);
    if (server.mode === 'ready' && server.state === 'up') return EXIT_OK;
    const why = server.mode === 'ready' ? (server.check ?? server.state) : `it was set to ${server.mode}`;
    remark(`${path.pool}/${path.server} takes no part: ${why}`);
    return EXIT_LATE;
  });
}

/** Says so on standard error when the pool has nobody left who takes new sessions. */
export async function warnOfNobody(client: AdminClient, pool: string): Promise<void> {
  const servers = await serversOf(client, pool);
  if (servers === null) return;
  if (servers.some(({ mode, state, weight }) => mode === 'ready' && state === 'up' && weight > 0)) return;
  remark(`warning: pool ${pool} has no server for new sessions now: their requests get 503`);
}

/** null where the balancer cannot be asked: the change has been made, and that is what the command says. */
async function serversOf(client: AdminClient, pool: string): Promise<readonly ServerStatus[] | null> {
  try {
    const { pools } = await client.status();
    return pools.find(({ name }) => name === pool)?.servers ?? null;
  } catch (error) {
    if (error instanceof AdminFailure) return null;
    throw error;
  }
}

/** `shop/a: ready, up, weight 1, 12 sessions, 0 requests in flight`. */
export function describeServer({ pool }: ServerPath, server: ServerStatus): string {
  const facts = [
    server.mode,
    server.state,
    `weight ${server.weight}`,
    counted(server.sessions, 'session'),
    `${counted(server.inFlight, 'request')} in flight`,
  ];
  return `${pool}/${server.name}: ${facts.join(', ')}`;
}
