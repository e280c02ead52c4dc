// What real traffic met on a server, summed over the workers, as passive health wants it.

import type { PassiveTotals } from '../health/passive.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { CODE_CLASSES, Counter, PASSIVE_KINDS } from '../shared/stripe.ts';

/** Since the slot's generation began; the clients are those since the last call. Other 5xx speak neither for nor against. */
export function passiveTotals(shared: SharedState, slot: number): PassiveTotals {
  const passive = (kind: (typeof PASSIVE_KINDS)[number]): number =>
    shared.sumCounter(slot, Counter.passive + PASSIVE_KINDS.indexOf(kind));
  let successes = 0;
  for (let code = CODE_CLASSES.indexOf('1xx'); code <= CODE_CLASSES.indexOf('4xx'); code += 1) {
    successes += shared.sumCounter(slot, Counter.code + code);
  }
  return {
    connectFailures: passive('connect'),
    responseFailures: passive('response'),
    badStatuses: passive('status'),
    successes,
    clients: shared.control.takeFailingClients(slot),
  };
}
