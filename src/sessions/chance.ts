// What chance alone would do: the expected maximum of normal variables and the chi-square distribution. Pure.

/** Integration over +-8 standard deviations of the widest variable. */
const REACH = 8;
const STEPS = 400;

/** Standard normal distribution function; error below 1.5e-7 (Abramowitz, Stegun 7.1.26). */
export function normalBelow(z: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(z)) / Math.SQRT2);
  const poly =
    ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const tail = 0.5 * poly * Math.exp((-z * z) / 2);
  return z >= 0 ? 1 - tail : tail;
}

/**
 * Expected maximum of independent normal variables of mean 0 and these standard deviations (all > 0), by
 * integrating P(max > t) - P(max < -t). Equal deviations cost one evaluation: O(different ones).
 */
export function expectedMaximum(deviations: readonly number[]): number {
  if (deviations.length < 2) return 0;
  const counts = new Map<number, number>();
  for (const deviation of deviations) counts.set(deviation, (counts.get(deviation) ?? 0) + 1);
  const allBelow = (t: number): number => {
    let product = 1;
    for (const [deviation, count] of counts) product *= normalBelow(t / deviation) ** count;
    return product;
  };
  const width = REACH * Math.max(...deviations);
  const step = width / STEPS;
  let sum = 0;
  for (let index = 0; index <= STEPS; index += 1) {
    const simpson = index === 0 || index === STEPS ? 1 : index % 2 === 1 ? 4 : 2;
    const t = index * step;
    sum += simpson * (1 - allBelow(t) - allBelow(-t));
  }
  return (sum * step) / 3;
}

/** Probability that a chi-square variable with `freedom` degrees of freedom is below `x`. */
export function chiSquareBelow(freedom: number, x: number): number {
  if (x <= 0) return 0;
  const half = x / 2;
  const shape = freedom / 2;
  let term = Math.exp(shape * Math.log(half) - half - logGamma(shape + 1));
  let sum = term;
  for (let index = 1; term > sum * 1e-12; index += 1) {
    term *= half / (shape + index);
    sum += term;
  }
  return Math.min(1, sum);
}

const limits = new Map<number, number>();

/** The value that a chi-square variable exceeds once in a thousand times; remembered per degree of freedom. */
export function chiSquareLimit(freedom: number): number {
  if (freedom <= 0) return 0;
  const known = limits.get(freedom);
  if (known !== undefined) return known;
  let low = 0;
  let high = freedom + 20 * Math.sqrt(freedom) + 20;
  for (let round = 0; round < 60; round += 1) {
    const middle = (low + high) / 2;
    if (chiSquareBelow(freedom, middle) < 0.999) low = middle;
    else high = middle;
  }
  limits.set(freedom, high);
  return high;
}

/** Natural logarithm of the gamma function for x >= 1 (Lanczos, g = 5, six terms). */
function logGamma(x: number): number {
  const terms = [
    76.18009172947146, -86.50532032941678, 24.01409824083091, -1.231739572450155, 0.001208650973866179,
    -0.000005395239384953,
  ];
  const shifted = x + 5.5;
  let series = 1.000000000190015;
  terms.forEach((term, index) => {
    series += term / (x + 1 + index);
  });
  return (x + 0.5) * Math.log(shifted) - shifted + Math.log((2.5066282746310007 * series) / x);
}
