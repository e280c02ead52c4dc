// The admin server of an embedded balancer: the same API, page and metrics as the standalone program's, when `admin` is
// in the configuration. The command line works with it too.

import { type AdminServer, startAdmin } from '../admin/server.ts';
import type { AdminSource } from '../admin/source.ts';
import type { HoldfastConfig } from '../config/model.ts';

/** null: none is configured. Rejects when it cannot listen. */
export async function openAdmin(
  admin: HoldfastConfig['admin'],
  source: AdminSource,
  onError: (error: Error) => void,
): Promise<AdminServer | null> {
  if (admin === null) return null;
  const server = await startAdmin({ ...admin, source, onError });
  if (server.kind === 'failed') throw new Error(`${server.message}; choose another port`);
  return server;
}
