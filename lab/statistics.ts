// Quantiles, brackets and seeded trials: what is needed to say whether a number is within chance. Pure.
import type { Random } from '../src/base/random.ts';

/** A range of values, both ends included. */
export interface Bracket {
  readonly low: number;
  readonly high: number;
}

/** A count with probability `share` in each of `trials` independent trials, within 3 standard deviations. */
export function binomialBracket(trials: number, share: number): Bracket {
  const deviation = 3 * Math.sqrt(trials * share * (1 - share));
  return { low: Math.max(0, trials * share - deviation), high: Math.min(trials, trials * share + deviation) };
}

/** The same as a share of the trials. */
export function shareBracket(trials: number, share: number): Bracket {
  if (trials <= 0) return { low: 0, high: 1 };
  const { low, high } = binomialBracket(trials, share);
  return { low: low / trials, high: high / trials };
}

/**
 * A count of rare, independent events of which `expected` are expected, within 99.7 %: each end is left to at most
 * 0.15 %. Exact, since 3 standard deviations are too narrow for few events.
 */
export function poissonBracket(expected: number): Bracket {
  let term = Math.exp(-expected);
  let upTo = term;
  let low = 0;
  let high = 0;
  while (upTo < 1 - TAIL && high < expected + 12 * Math.sqrt(expected) + 40) {
    high += 1;
    term *= expected / high;
    if (upTo <= TAIL) low = high;
    upTo += term;
  }
  return { low, high };
}

const TAIL = 0.0015;

/** What a statistic of chance falls within 99.7 times of 100, by trial. */
export function trialBracket(random: Random, trial: (random: Random) => number, trials = 2000): Bracket {
  const values = Array.from({ length: trials }, () => trial(random)).sort((a, b) => a - b);
  return { low: quantile(values, TAIL), high: quantile(values, 1 - TAIL) };
}

/** Quantile of ascending values by the nearest rank; 0 of none. */
export function quantile(ascending: readonly number[], part: number): number {
  const rank = Math.min(ascending.length - 1, Math.max(0, Math.ceil(part * ascending.length) - 1));
  return ascending[rank] ?? 0;
}

export function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : sum(values) / values.length;
}

export function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

/** The numbers from 0 to `count` - 1 in an order of chance. */
export function shuffled(count: number, random: Random): readonly number[] {
  const all = Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last -= 1) {
    const other = random.below(last + 1);
    [all[last], all[other]] = [all[other] ?? 0, all[last] ?? 0];
  }
  return all;
}

/** Numbers of times each value occurs, by value. */
export function tally<T>(values: Iterable<T>): Map<T, number> {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}
