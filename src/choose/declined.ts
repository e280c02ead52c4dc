// A session that a failure has driven from its home to a server which answers 503: that server has not taken it. Where any
// server can serve any session it is one that cannot load it, as while the store of sessions is away. It stays with the home
// it had, whose memory may be the only place where it is, and is served there as soon as that is up again.

import type { Affinity } from './affinity.ts';
import type { Ledger } from './ledger.ts';
import { indexOfSlot, type PoolPlan } from './plan.ts';

const UNAVAILABLE = 503;

/** Moves the session back to the home that it has left with this exchange when the answer says that it was declined. */
export function giveBackDeclined(plan: PoolPlan, affinity: Affinity, ledger: Ledger, status: number): void {
  if (status !== UNAVAILABLE || plan.config.state !== 'shared' || !ledger.holdsEntry(affinity)) return;
  const index = indexOfSlot(plan, affinity.leftSlot);
  if (index !== -1 && ledger.move(plan, affinity, index)) affinity.isCookieDue = false;
}
