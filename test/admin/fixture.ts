// A supervisor that the admin server can be tried against, over shared memory without threads.

import type { AdminSource } from '../../src/admin/source.ts';
import { buildStatus, unreadyReasons } from '../../src/admin/status.ts';
import type { ChangeEvent, ServerChange } from '../../src/control/results.ts';
import { createMetrics, type Metrics } from '../../src/metrics/registry.ts';
import { Balancer, POOL } from '../metrics/fixture.ts';

/** A supervisor that remembers what it was asked for. */
export class Source implements AdminSource {
  readonly balancer: Balancer = new Balancer();
  readonly #metrics: Metrics = createMetrics(this.balancer);
  readonly calls: string[] = [];
  readonly listeners: Set<(event: ChangeEvent) => void> = new Set<(event: ChangeEvent) => void>();
  isBroken: boolean = false;
  reloadResult: ReturnType<AdminSource['reload']> = {
    ok: true,
    revision: 2,
    changes: ['pool shop: server d added'],
  };

  constructor() {
    this.balancer.apply(POOL);
  }

  status(): ReturnType<AdminSource['status']> {
    const { current, shared, sweep, health } = this.balancer;
    if (current === null) throw new Error('no revision');
    return buildStatus(current, shared, {
      version: '0.1.0',
      threads: 2,
      uptimeSeconds: 12.54,
      health,
      sweep,
    });
  }
  metrics(accept: string): ReturnType<AdminSource['metrics']> {
    return this.#metrics.render(accept);
  }
  ready(): ReturnType<AdminSource['ready']> {
    const reasons = unreadyReasons(this.status());
    return { ok: reasons.length === 0, reasons };
  }
  setServer(pool: string, server: string, change: ServerChange): ReturnType<AdminSource['setServer']> {
    if (pool !== 'shop' || server !== 'a')
      return { ok: false, code: 'not-found', message: `no server ${pool}/${server}` };
    this.calls.push(JSON.stringify(change));
    return { ok: true };
  }
  reload(): ReturnType<AdminSource['reload']> {
    if (this.isBroken) throw new Error('secret detail');
    this.calls.push('reload');
    return this.reloadResult;
  }
  history(): ReturnType<AdminSource['history']> {
    return { pools: [] };
  }
  recentEvents(): ReturnType<AdminSource['recentEvents']> {
    return [];
  }
  subscribe(listener: (event: ChangeEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
