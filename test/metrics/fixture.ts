// A small running balancer as metrics and admin see it: shared memory with figures in it, no threads.

import { ManualClock } from '../../src/base/clock.ts';
import type { MetricsSource } from '../../src/metrics/source.ts';
import { Sweeper } from '../../src/sessions/sweep.ts';
import { Verdict } from '../../src/shared/control.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { packHome } from '../../src/shared/session-table.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { type PoolText, Revisions, slotOf } from '../support/revision.ts';

export const POOL = {
  more: 'sticky: { mode: cookie-hash }',
  servers: ['a=http://127.0.0.1:1 weight:2', 'b=http://127.0.0.1:2', 'c=http://127.0.0.1:3 mode:drain'],
} as const;

export class Balancer implements MetricsSource {
  readonly version = '0.1.0';
  readonly clock: ManualClock = new ManualClock();
  readonly shared: SharedState = SharedState.create(2, 1_000, this.clock.nowMs());
  readonly workers: readonly SharedState[] = [0, 1].map((worker) =>
    SharedState.attach(this.shared.handles(), worker),
  );
  readonly revisions: Revisions = new Revisions(this.shared);
  readonly sweep: Sweeper = new Sweeper({ shared: this.shared, clock: this.clock });
  readonly health = {
    checks: () => ({ success: 7, failure: 2, timeout: 1 }),
    transitions: () => ({ starting: 0, up: 1, down: 0, ejected: 0 }),
    lastCheck: () => ({ detail: 'status 200', sinceWallMs: 1_700_000_000_000 }),
  };
  readonly rebalance = {
    report: () => ({
      phase: 'running',
      why: 'ratio 1.300 is not below start 1.25',
      moved: 7,
      lastMoved: 3,
      cycles: 9,
    }),
  };
  readonly orders = () => ({ issued: 2, refused: 1, unreachable: 0, failed: 0 });
  readonly certificates = () => [
    { listener: '127.0.0.1:0', name: 'localhost', notAfterMs: 1_800_000_000_000 },
  ];
  current: Revision | null = null;
  #made = 0;

  revision(): Revision | null {
    return this.current;
  }
  threads(): number {
    return 2;
  }
  reloads(): { success: number; failure: number } {
    return { success: 3, failure: 1 };
  }
  discovery() {
    return [{ pool: 'shop', source: 'dns A shop.internal', servers: 3, failures: 1 }];
  }
  descriptors(): { open: number; limit: number } {
    return { open: 61, limit: 1024 };
  }
  accessLogDropped(): number {
    return 5;
  }
  workerRestarts(): number {
    return 4;
  }

  /** The next revision, its servers up. */
  apply(...pools: readonly PoolText[]): Revision {
    this.revisions.listener = '{ address: 127.0.0.1:0, tls: { selfSigned: true } }';
    this.current = this.revisions.next(...pools);
    for (const slot of this.current.pools.flatMap((pool) => pool.slots))
      this.shared.control.setVerdict(slot, Verdict.up);
    this.sweep.apply(this.current);
    return this.current;
  }

  slot(path: string): number {
    if (this.current === null) throw new Error('no revision yet');
    return slotOf(this.current, path);
  }

  place(path: string, count: number, tentative = false): void {
    const slot = this.slot(path);
    const home = packHome(slot, this.shared.control.generation(slot));
    for (let index = 0; index < count; index += 1) {
      this.#made += 1;
      this.shared.table.insert(this.#made * 7_919, this.#made, home, this.clock.nowMs(), 0, tentative);
    }
  }
}
