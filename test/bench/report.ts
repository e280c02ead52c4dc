/** From samples to figures, and from figures to the table that a person reads. */
import type { Sample } from './load.ts';
import type { ScenarioName } from './scenarios.ts';
import { ratio, type Spread, spreadOf } from './statistics.ts';

/** All runs of one proxy in one scenario. */
export type Measured = {
  readonly peer: string;
  readonly scenario: ScenarioName;
  readonly samples: readonly Sample[];
};

/** How a proxy fared before the timing began. */
export type Entrant = {
  readonly name: string;
  readonly version: string | null;
  readonly sticky: string | null;
  readonly outcome: 'measured' | 'failed' | 'absent';
  readonly faults: readonly string[];
};

export type Figures = {
  readonly peer: string;
  readonly scenario: ScenarioName;
  readonly cpuMicros: Spread;
  readonly requestsPerSecond: Spread;
  readonly p50Micros: Spread;
  readonly p99Micros: Spread;
  readonly busy: Spread;
  readonly residentBytes: Spread;
  readonly residentPeakBytes: Spread;
  readonly errors: number;
  /** CPU per request as a multiple of that peer's; null when that peer was not measured. */
  readonly toHaproxy: number | null;
  readonly toHttpProxy: number | null;
};

/** Medians with their ranges, and the ratios to the two peers everybody knows. */
export function figuresOf(all: readonly Measured[]): readonly Figures[] {
  const cpu = ({ samples }: Measured): Spread =>
    spreadOf(samples.map((sample) => sample.cpuMicrosPerRequest));
  return all.map((measured) => {
    const { peer, scenario, samples } = measured;
    const spread = (pick: (sample: Sample) => number): Spread => spreadOf(samples.map(pick));
    const reference = (name: string): number | undefined => {
      const other = all.find((one) => one.peer === name && one.scenario === scenario);
      return other === undefined ? undefined : cpu(other).median;
    };
    const cpuMicros = cpu(measured);
    return {
      peer,
      scenario,
      cpuMicros,
      requestsPerSecond: spread((sample) => sample.requestsPerSecond),
      p50Micros: spread((sample) => sample.p50Micros),
      p99Micros: spread((sample) => sample.p99Micros),
      busy: spread((sample) => sample.busy),
      residentBytes: spread((sample) => sample.residentBytes),
      residentPeakBytes: spread((sample) => sample.residentPeakBytes),
      errors: samples.reduce((sum, sample) => sum + sample.errors, 0),
      toHaproxy: ratio(cpuMicros.median, reference('haproxy')),
      toHttpProxy: ratio(cpuMicros.median, reference('http-proxy')),
    };
  });
}

const TITLES = ['proxy', 'CPU µs/request', '(min..max)', '× haproxy', '× http-proxy', 'requests/s'].concat([
  'p50 ms',
  'p99 ms',
  'busy',
  'RSS MiB',
  'peak',
  'errors',
  'affinity',
]);

/** One scenario as an aligned Markdown table, cheapest first. */
export function tableOf(figures: readonly Figures[], entrants: readonly Entrant[]): string {
  const sorted = [...figures].sort((a, b) => a.cpuMicros.median - b.cpuMicros.median);
  const rows = sorted.map((one) => {
    const entrant = entrants.find((other) => other.name === one.peer);
    return [
      `${one.peer} ${entrant?.version ?? ''}`.trim(),
      one.cpuMicros.median.toFixed(1),
      `${one.cpuMicros.min.toFixed(1)}..${one.cpuMicros.max.toFixed(1)}`,
      one.toHaproxy?.toFixed(2) ?? '-',
      one.toHttpProxy?.toFixed(2) ?? '-',
      one.requestsPerSecond.median.toFixed(0),
      (one.p50Micros.median / 1000).toFixed(2),
      (one.p99Micros.median / 1000).toFixed(2),
      `${(one.busy.median * 100).toFixed(0)} %`,
      (one.residentBytes.median / 2 ** 20).toFixed(0),
      (one.residentPeakBytes.max / 2 ** 20).toFixed(0),
      String(one.errors),
      entrant?.sticky ?? 'none: targets in turn',
    ];
  });
  return markdownTable(TITLES, rows);
}

/** A Markdown table whose columns also line up as plain text: first and last to the left, the rest to the right. */
export function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const isLeft = (column: number): boolean => column === 0 || column === titles.length - 1;
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (isLeft(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => `${'-'.repeat(width + 1)}${isLeft(column) ? '-' : ':'}`).join('|')}|`;
  return [line(titles), rule, ...rows.map(line)].join('\n');
}

/** What became of the proxies that were not timed; empty when all were. */
export function absencesText(entrants: readonly Entrant[]): string {
  const lines = entrants.flatMap(({ name, outcome, faults }) => {
    if (outcome === 'absent') return [`${name}: not installed here`];
    if (outcome === 'failed') return [`${name}: FAILED`, ...faults.map((f) => `  ${f}`)];
    return [];
  });
  return lines.join('\n');
}
