// One exchange's wait for a server: whether it may wait, until when, and what it comes to when the time is over.
//
//   busy                       a place at a server, or at the home: up to queue.timeout
//   full                       the end of a session, so that a server takes another: up to queue.timeout
//   no-server                  somebody that is up again: up to queue.whenDown; main is asked to look
//   home-down                  the home: until it has been down for queue.whenDown. A restart is waited for, a server
//                              that stays away or is in maintenance is refused at once; main is asked to look
//   session-lost               it never comes back: its client is told at once
//   paced                      its turn to move comes later than anybody would wait: refused at once

import type { FailureKind } from '../base/failure.ts';
import type { Affinity } from '../choose/affinity.ts';
import type { PoolPlan } from '../choose/plan.ts';
import { type ControlCells, Mode, Verdict } from '../shared/control.ts';
import type { Waiter, WaitQueue } from './wait-queue.ts';

export class ServerWait {
  isQueued = false;
  /** It has not been queued before. */
  isFirst = true;
  untilMs = 0;
  /** What it comes to when nothing changes. */
  failure: FailureKind = 'no-server';
  /** How the last attempt has failed: where nobody is left that is more to the point than "no server". */
  lastFailure: FailureKind | null = null;
  #beganMs = 0;

  reset(): void {
    this.isQueued = false;
    this.isFirst = true;
    this.untilMs = 0;
    this.lastFailure = null;
    this.#beganMs = 0;
  }

  /** `choose` has found nobody. Null: it waits now, or goes on waiting; otherwise the failure. */
  begin(
    queue: WaitQueue,
    waiter: Waiter,
    plan: PoolPlan,
    affinity: Affinity,
    control: ControlCells,
    nowMs: number,
  ): FailureKind | null {
    const { failure } = affinity;
    if (failure === 'session-lost') return failure;
    if (failure === 'paced') return 'home-down';
    const isBusy = failure === 'busy' || failure === 'full';
    const isHomeDown = failure === 'home-down';
    this.failure = isBusy ? 'queue-timeout' : isHomeDown ? 'home-down' : (this.lastFailure ?? 'no-server');
    if (!isBusy) wantServers(plan, isHomeDown ? affinity.homeSlot : ALL, control);
    if (this.isFirst) this.#beganMs = nowMs;
    const { timeoutMs, whenDownMs } = plan.config.queue;
    this.untilMs = this.#beganMs + (isBusy ? timeoutMs : whenDownMs);
    if (isHomeDown) this.untilMs -= awayForMs(affinity.homeSlot, control, this.#beganMs);
    if (!isBusy && nowMs >= this.untilMs) return this.failure;
    if (!queue.add(waiter)) return isBusy ? 'queue-full' : this.failure;
    this.isQueued = true;
    return null;
  }
}

/** For how long the home had been gone by then; one that is only refusing connections is not yet. */
function awayForMs(slot: number, control: ControlCells, nowMs: number): number {
  if (control.mode(slot) === Mode.maintenance) return Number.POSITIVE_INFINITY;
  return control.verdict(slot) === Verdict.down ? Math.max(0, control.downForMs(slot, nowMs)) : 0;
}

const ALL = -1;

function wantServers(plan: PoolPlan, slot: number, control: ControlCells): void {
  if (slot !== ALL) control.want(slot);
  else for (const any of plan.slots) control.want(any);
}
