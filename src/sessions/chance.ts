// What chance alone would do: the expected fullest of servers filled at random, and the chi-square distribution. Pure.

/** Up to this mean a Poisson variable is reckoned with exactly; above, a normal one differs by less than 0.1 %. */
const EXACT_MEAN_MAX = 1_000;
/** Standard deviations from the mean beyond which nothing is left. */
const REACH = 12;
/** What is left of the tail when the integral ends. */
const TAIL = 1e-9;

/** Standard normal distribution function; error below 1.5e-7 (Abramowitz, Stegun 7.1.26). */
export function normalBelow(z: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(z)) / Math.SQRT2);
  const poly =
    ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  const tail = 0.5 * poly * Math.exp((-z * z) / 2);
  return z >= 0 ? 1 - tail : tail;
}

/**
 * Expected maximum of N_i / mean_i for independent Poisson variables N_i of these means (all > 0): the integral of
 * P(maximum > t), which is constant between the multiples of 1 / mean_i. Where sessions are placed at random their
 * number is fixed, which makes the counts depend on each other; from ten sessions on that changes less than 1 %.
 * At most 800 steps for each different mean.
 */
export function expectedFullest(means: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const mean of means) counts.set(mean, (counts.get(mean) ?? 0) + 1);
  const steps = [...counts].map(([mean, count]) => new Steps(mean, count));
  let sum = 0;
  for (let t = 0; ; ) {
    const isAllBelow = steps.reduce((product, { below, count }) => product * below ** count, 1);
    if (1 - isAllBelow < TAIL) return sum;
    const next = Math.min(...steps.map((step) => step.next));
    sum += (next - t) * (1 - isAllBelow);
    t = next;
    for (const step of steps) if (step.next <= t) step.advance();
  }
}

/** P(N / mean <= t) of one Poisson variable, from step to step of t. */
class Steps {
  readonly count: number;
  /** P(N / mean <= t) until `next`. */
  below: number;
  /** Where t takes the next step. */
  next: number;
  readonly #mean: number;
  readonly #width: number;
  #at: number;
  /** P(N = at) */
  #mass = 0;

  constructor(mean: number, count: number) {
    this.count = count;
    this.#mean = mean;
    this.#width = Math.max(1, Math.sqrt(mean / EXACT_MEAN_MAX));
    this.#at = Math.max(0, Math.floor(mean - REACH * Math.sqrt(mean)));
    if (mean <= EXACT_MEAN_MAX)
      this.#mass = Math.exp(this.#at * Math.log(mean) - mean - logGamma(this.#at + 1));
    this.below = this.#mass;
    this.next = (this.#at + this.#width) / mean;
  }

  advance(): void {
    const mean = this.#mean;
    this.#at += this.#width;
    if (this.#at > mean + REACH * Math.sqrt(mean) + REACH) {
      // what rounding has kept from the sum would else be left for ever
      this.below = 1;
      this.next = Number.POSITIVE_INFINITY;
      return;
    }
    this.next = (this.#at + this.#width) / mean;
    if (mean > EXACT_MEAN_MAX) {
      this.below = normalBelow((this.#at + this.#width / 2 - mean) / Math.sqrt(mean));
      return;
    }
    this.#mass *= mean / this.#at;
    this.below = Math.min(1, this.below + this.#mass);
  }
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
