// Rates as people write them: `100/s`, `90/m`, `1000/h`. Pure; null means "not of this form".

const UNITS = [
  ['s', 1],
  ['m', 60],
  ['h', 3600],
] as const;

/** Listeners and routes with a limit: each has its place in shared memory. */
export const RATE_LIMITS_MAX = 64;

/** What a rate looks like, for schemas. */
export const RATE_PATTERN = '^\\d+(\\.\\d+)?/[smh]$';

/** Events a second of `100/s`, `90/m` or `1000/h`. */
export function parseRate(text: string): number | null {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)\/([smh])$/.exec(text);
  const unit = UNITS.find(([name]) => name === match?.[2]);
  return match === null || unit === undefined ? null : Number(match[1]) / unit[1];
}

/** The first unit in which the number is a plain one, parsing back to the same rate. */
export function formatRate(perSecond: number): string {
  for (const [unit, seconds] of UNITS) {
    const amount = Number((perSecond * seconds).toPrecision(12));
    if (Number.isInteger(amount * 1000) && amount >= 0.001) return `${amount}/${unit}`;
  }
  return `${Number(perSecond.toPrecision(12))}/s`;
}

/** What tells clients apart for a rate limit. Header and cookie names as written. */
export type RateLimitKey =
  | { readonly kind: 'address' }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string };
