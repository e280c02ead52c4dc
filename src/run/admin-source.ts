// What the admin server sees of the running balancer.

import { startAdmin } from '../admin/server.ts';
import type { AdminSource, TakeoverResult } from '../admin/source.ts';
import { buildStatus, type StatusDocument, unreadyReasons } from '../admin/status.ts';
import { systemClock } from '../base/clock.ts';
import type { ChangeEvent } from '../control/results.ts';
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
  const takeOver = (): Promise<TakeoverResult> => predecessor.answer(url);
  const source = { ...adminSource(balancer), takeOver };
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

function adminSource(balancer: Balancer): AdminSource {
  const { options, shared, health, sweeper } = balancer;
  const status = (): StatusDocument =>
    buildStatus(balancer.revision, shared, {
      version: options.version,
      threads: balancer.threads,
      uptimeSeconds: (systemClock.nowMs() - balancer.startedMs) / 1000,
      health,
      sweep: sweeper,
      rebalance: balancer.sessionControl.rebalancer,
      operatorWeight: (slot) => balancer.slots.operatorWeight(slot),
    });
  return {
    status,
    metrics: (accept) => balancer.metrics.render(accept),
    ready: () => {
      if (balancer.isStopping) return { ok: false, reasons: ['stopping'] };
      const reasons = [
        ...(balancer.fleet.isServing ? [] : ['no thread accepts connections and answers them']),
        ...unreadyReasons(status()),
      ];
      return { ok: reasons.length === 0, reasons };
    },
    setServer: (pool, server, change) => {
      if (balancer.changeServer(pool, server, change)) return { ok: true };
      return { ok: false, code: 'not-found', message: `there is no server ${server} in a pool ${pool}` };
    },
    reload: () => balancer.reload(),
    plan: (pool, action, server, weight) => balancer.sessionControl.plan(pool, action, server, weight),
    explain: (pool, question) => balancer.sessionControl.explain(pool, question),
    subscribe: (listener: (event: ChangeEvent) => void) => balancer.subscribe(listener),
  };
}
