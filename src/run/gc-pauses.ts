// How long the calling thread stands still to collect garbage, as V8 tells it.

import {
  constants,
  type PerformanceEntry,
  type PerformanceNodeEntry,
  PerformanceObserver,
} from 'node:perf_hooks';
import type { Stripe } from '../shared/stripe.ts';

/** Counts each pause from now on, as long as the thread lives. */
export function observeGcPauses(stripe: Pick<Stripe, 'observeGcPause'>): void {
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      stripe.observeGcPause(isMinor(entry) ? 'minor' : 'major', entry.duration / 1000);
  }).observe({ entryTypes: ['gc'] });
}

function isMinor(entry: PerformanceEntry): boolean {
  return (entry as PerformanceNodeEntry).detail.kind === constants.NODE_PERFORMANCE_GC_MINOR;
}
