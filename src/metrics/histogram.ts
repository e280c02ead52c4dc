// A histogram as Prometheus wants it, from cells in shared memory: the sum of all values, then how many are in each bucket.

import { BUCKETS, DURATION_BUCKETS_SECONDS } from '../shared/stripe.ts';
import type { Sample } from './source.ts';

const BOUNDS = DURATION_BUCKETS_SECONDS.map(String);

/** Buckets are kept apart in shared memory and summed up here. `sample`: with this label `le`, or without one. */
export function histogramSamples(
  metric: string,
  cell: (offset: number) => number,
  sample: (le: string | null, value: number) => Sample,
): Sample[] {
  const [bucketName, sumName, countName] = [`${metric}_bucket`, `${metric}_sum`, `${metric}_count`];
  const samples: Sample[] = [];
  let count = 0;
  for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
    count += cell(1 + bucket);
    samples.push({ ...sample(BOUNDS[bucket] ?? '+Inf', count), metricName: bucketName });
  }
  samples.push({ ...sample(null, cell(0)), metricName: sumName });
  samples.push({ ...sample(null, count), metricName: countName });
  return samples;
}
