// The metrics as a page for people: docs/metrics.md, held to the catalogue by a test.

import { CATALOGUE, METRIC_NAMES } from './catalogue.ts';

/** docs/metrics.md, generated: `node src/metrics/write-docs.ts` writes it, a test compares. */
export function metricsManual(): string {
  const rows = METRIC_NAMES.map((name) => {
    const { type, labels, help } = CATALOGUE[name];
    return `| \`${name}\` | ${type} | ${labels.map((label) => `\`${label}\``).join(', ')} | ${help} |`;
  });
  return [
    '# Metrics',
    '',
    '<!-- Generated from src/metrics/catalogue.ts by src/metrics/write-docs.ts. Do not edit. -->',
    '',
    'Served at `GET /metrics` of the admin address, in the Prometheus text format, or as OpenMetrics when the `Accept`',
    'header asks for it. Series of a server disappear when a reload removes it. Beside these there are the',
    '`process_*` and `nodejs_*` metrics of prom-client for the main thread.',
    '',
    '| name | type | labels | meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
