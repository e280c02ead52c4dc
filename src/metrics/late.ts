// Metrics as main makes them at its start: what it takes to show them is loaded for the first page, since no client waits for that.

import type { Metrics } from './registry.ts';
import type { MetricsSource } from './source.ts';

/** As createMetrics. */
export function lateMetrics(source: MetricsSource): Metrics {
  let metrics: Promise<Metrics> | null = null;
  const load = async (): Promise<Metrics> => (await import('./registry.ts')).createMetrics(source);
  return {
    async render(accept) {
      metrics ??= load();
      return (await metrics).render(accept);
    },
  };
}
