// A place on a server: one of its maxConnections, over all threads.

import type { Affinity } from '../choose/affinity.ts';
import { indexOfSlot, type PoolPlan } from '../choose/plan.ts';
import { Gauge } from '../shared/stripe.ts';
import type { ExchangeServices } from './services.ts';

/**
 * Chooses a server and takes a place on it. Results as those of Chooser.choose: another thread may have taken the last
 * place since the choice was made, which counting first and looking after shows; then all are busy.
 */
export function reserveCapacity(
  services: ExchangeServices,
  plan: PoolPlan,
  affinity: Affinity,
  tried: readonly number[],
  nowMs: number,
): number {
  const slot = services.chooser.choose(plan, affinity, tried, nowMs);
  if (slot < 0) return slot;
  const connectionsMax = plan.connectionsMax[indexOfSlot(plan, slot)] as number;
  if (connectionsMax === 0) {
    services.own.addGauge(slot, Gauge.inFlight, 1);
    return slot;
  }
  services.own.addGaugeInOrder(slot, Gauge.inFlight, 1);
  if (services.shared.inFlightInOrder(slot) <= connectionsMax) return slot;
  releaseCapacity(services, slot);
  affinity.failure = 'busy';
  return -1;
}

export function releaseCapacity(services: ExchangeServices, slot: number): void {
  services.own.addGauge(slot, Gauge.inFlight, -1);
}
