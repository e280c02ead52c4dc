// One expectation against one measurement. Pure.
import type { Bracket } from './statistics.ts';

export type Unit = 'count' | 'share' | 'ratio' | 'ms' | 'bytes';

/** explained: outside, by a known effect whose reason is given. */
export type Verdict = 'inside' | 'explained' | 'outside';

export interface Check {
  readonly metric: string;
  /** The expectation as a formula with its numbers. */
  readonly formula: string;
  readonly low: number;
  readonly high: number;
  readonly measured: number;
  readonly unit: Unit;
  readonly verdict: Verdict;
  /** Why, where the verdict is explained; otherwise empty. */
  readonly note: string;
}

/** What is known to push a measurement out of its bracket, and how far. */
export interface Known extends Bracket {
  readonly because: string;
}

/** Compares; a share's or ratio's last digit does not decide. */
export function check(
  metric: string,
  formula: string,
  { low, high }: Bracket,
  measured: number,
  unit: Unit,
  known?: Known,
): Check {
  const isInside = isWithin({ low, high }, measured);
  const isExplained = !isInside && known !== undefined && isWithin(known, measured);
  return {
    metric,
    formula,
    low,
    high,
    measured,
    unit,
    verdict: isInside ? 'inside' : isExplained ? 'explained' : 'outside',
    note: isExplained ? known.because : '',
  };
}

/** Exactly this value. */
export function exactly(value: number): Bracket {
  return { low: value, high: value };
}

/** `value`, give or take `by`; what cannot be negative is not allowed to be. */
export function around(value: number, by: number): Bracket {
  return { low: value >= 0 ? Math.max(0, value - by) : value - by, high: value + by };
}

/** The gravest verdict; inside when there is none. */
export function worst(checks: readonly Check[]): Verdict {
  if (checks.some(({ verdict }) => verdict === 'outside')) return 'outside';
  return checks.some(({ verdict }) => verdict === 'explained') ? 'explained' : 'inside';
}

function isWithin({ low, high }: Bracket, value: number): boolean {
  const slack = 1e-9 * Math.max(1, Math.abs(value));
  return value >= low - slack && value <= high + slack;
}
