// `holdfast ready | maintenance | weight`: one change of one server.

import type { ServerStatus } from '../admin/status.ts';
import type { AdminCommandOptions, ServerPath } from './admin-access.ts';
import { type ServerChange, withAdmin } from './admin-client.ts';
import { EXIT_OK } from './exit.ts';
import { counted, print } from './output.ts';

/** Returns the exit status. */
export function changeServer(
  path: ServerPath,
  change: ServerChange,
  options: AdminCommandOptions,
): Promise<number> {
  return withAdmin(options, async (client) => {
    const server = await client.change(path, change);
    print([describeServer(path, server)], { pool: path.pool, server }, options.json);
    return EXIT_OK;
  });
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
