// The health of a pool on a manual clock, with checks that answer as a test says.

import { ManualClock } from '../../src/base/clock.ts';
import { SeededRandom } from '../../src/base/random.ts';
import { ManualScheduler } from '../../src/base/scheduler.ts';
import type { HealthConfig, ServerConfig } from '../../src/config/model.ts';
import { HealthMonitor } from '../../src/health/monitor.ts';
import type { PassiveTotals } from '../../src/health/passive.ts';
import type { ProbeOutcome } from '../../src/health/probe-outcome.ts';
import { type MODE_NAMES, Mode, VERDICT_NAMES } from '../../src/shared/control.ts';
import type { Revision } from '../../src/shared/revision.ts';
import { SharedState } from '../../src/shared/shared-state.ts';
import { type PoolText, Revisions, slotOf } from './revision.ts';

export const HEALTH = 'health: { path: /healthz, interval: 2s, timeout: 1s, rise: 2, fall: 3 }';
export const POOL: PoolText = { more: HEALTH, servers: ['a=http://127.0.0.1:1', 'b=http://127.0.0.1:2'] };
export const GOOD: ProbeOutcome = { result: 'success', isRefused: false, detail: 'status 200' };
export const BAD: ProbeOutcome = { result: 'failure', isRefused: false, detail: 'status 500' };
export const REFUSED: ProbeOutcome = { result: 'failure', isRefused: true, detail: 'refused' };

export class HealthScene {
  readonly clock = new ManualClock();
  readonly scheduler = new ManualScheduler(this.clock);
  readonly shared = SharedState.create(1, 100, this.clock.nowMs());
  readonly revisions = new Revisions(this.shared);
  readonly transitions: string[] = [];
  /** When which server was checked, ms since the beginning. */
  readonly checked: string[] = [];
  readonly answers = new Map<string, ProbeOutcome | Promise<ProbeOutcome>>();
  readonly passive = new Map<number, PassiveTotals>();
  readonly monitor = new HealthMonitor({
    shared: this.shared,
    clock: this.clock,
    scheduler: this.scheduler,
    random: new SeededRandom(1),
    log: { info: () => undefined, warn: () => undefined },
    onTransition: ({ server, from, to }) => this.transitions.push(`${server} ${from}>${to}`),
    createProbe: (server: ServerConfig, _health: HealthConfig) => ({
      check: async () => {
        this.checked.push(`${server.name}@${Math.round(this.clock.nowMs() - this.beginMs)}`);
        return this.answers.get(server.name) ?? GOOD;
      },
      close: () => undefined,
    }),
    passiveTotals: (slot) =>
      this.passive.get(slot) ?? {
        connectFailures: 0,
        responseFailures: 0,
        badStatuses: 0,
        successes: 0,
        clients: 0b111,
      },
  });
  readonly beginMs = this.clock.nowMs();
  revision!: Revision;

  async apply(...pools: readonly PoolText[]): Promise<void> {
    this.revision = this.revisions.next(...pools);
    this.monitor.apply(this.revision);
    await settle();
  }

  /** Moves time in steps small enough for promises to keep up. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 10) {
      this.scheduler.advance(Math.min(10, left));
      await settle();
    }
  }

  slot(name: string): number {
    return slotOf(this.revision, `shop/${name}`);
  }

  verdict(name: string): string {
    return VERDICT_NAMES[this.shared.control.verdict(this.slot(name))];
  }

  setMode(name: string, mode: (typeof MODE_NAMES)[number]): void {
    this.shared.control.setMode(this.slot(name), Mode[mode]);
  }
}

export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
}
