// What the admin server sees of the running balancer.

import { controlSource, statusOf } from '../admin/control-source.ts';
import { startAdmin } from '../admin/server.ts';
import type { AdminSource } from '../admin/source.ts';
import { unreadyReasons } from '../admin/status.ts';
import { StartError } from '../control/start-error.ts';
import type { Balancer } from './balancer.ts';
import type { Predecessor } from './takeover/predecessor.ts';

export interface AdminHandle {
  readonly url: string;
  close(): Promise<void>;
}

/** Rejects with StartError when it cannot listen. */
export async function startAdminServer(
  balancer: Balancer,
  admin: { readonly host: string; readonly port: number; readonly token: string },
  predecessor: Predecessor,
): Promise<AdminHandle> {
  let url = '';
  const source: AdminSource = {
    ...controlSource(balancer.control),
    ready: () => readiness(balancer),
    reload: (by) => balancer.reload(by),
    takeOver: () => predecessor.answer(url),
  };
  const connectionsMax = balancer.descriptors?.adminConnections;
  const server = await startAdmin({
    ...admin,
    source,
    ...(connectionsMax === undefined ? {} : { connectionsMax }),
  });
  if (server.kind === 'failed') throw new StartError(`${server.message}; choose another port`);
  url = server.url;
  return server;
}

function readiness({ control, fleet }: Balancer): ReturnType<AdminSource['ready']> {
  if (control.isStopping) return { ok: false, reasons: ['stopping'] };
  const reasons = [
    ...(fleet.isServing ? [] : ['no thread accepts connections and answers them']),
    ...unreadyReasons(statusOf(control)),
  ];
  return { ok: reasons.length === 0, reasons };
}
