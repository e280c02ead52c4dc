// Pearson's test: is an uneven count more than chance?

/** Pearson's statistic against expected counts in proportion to `weights`. */
export function chiSquare(
  counts: readonly number[],
  weights: readonly number[] = counts.map(() => 1),
): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const weightSum = weights.reduce((sum, weight) => sum + weight, 0);
  return counts.reduce((sum, count, index) => {
    const expected = (total * (weights[index] as number)) / weightSum;
    return sum + (count - expected) ** 2 / expected;
  }, 0);
}

/** 99.9 % points of chi-square by degrees of freedom (SESSIONS section 2.3). */
export const CHI_SQUARE_999: Readonly<Record<number, number>> = {
  1: 10.83,
  2: 13.8,
  3: 16.3,
  4: 18.5,
  7: 24.3,
  9: 27.9,
};
