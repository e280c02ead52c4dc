// How unevenly load lies on servers, and how unevenly chance alone would lay it. Pure.
//
// For load n_i on a server of weight w_i: share w_i / sum(w), fair share f_i = N * share_i, x_i = n_i / f_i.
//
//   ratio   max x_i                                 1 = even; 1 / ratio of the capacity is usable
//   trough  min x_i
//   cv      sqrt(sum share_i * (x_i - 1)^2)         standard deviation of x, weighted by capacity
//   jain    (sum x)^2 / (k * sum x^2)
//   gini    sum share_i * share_j * |x_i - x_j| / 2
//   floor   ratio that random placement would give   E[max N_i / f_i], N_i Poisson of mean f_i; where servers hold
//                                                    many this is 1 + e_k * sqrt(k / N), e_k the expected maximum
//                                                    of k standard normals, and more where they hold few
//   floorCv sqrt((k - 1) / N), exact for multinomial counts
//   excess  sqrt(max(0, cv^2 - floorCv^2))
//   chi2    N * cv^2, which for counts is Pearson's statistic with k - 1 degrees of freedom
//
// Why independent variables stand for counts with a fixed sum: n_i - N*share_i = sqrt(N) * (sqrt(share_i) * Z_i -
// share_i * S) with S common to all servers and of mean 0, so dividing by N * share_i and taking the maximum leaves S
// out of the expectation.

import { chiSquareLimit, expectedFullest } from './chance.ts';

/** Load of one server and its capacity in any unit common to all. */
export interface Load {
  readonly count: number;
  readonly weight: number;
}

export interface Skew {
  readonly ratio: number;
  readonly cv: number;
  readonly jain: number;
  readonly gini: number;
  readonly trough: number;
  readonly floor: number;
  readonly floorCv: number;
  readonly excess: number;
  readonly chi2: number;
  /** What `chi2` exceeds by chance once in a thousand times. */
  readonly chi2Limit: number;
  /** chi2 is above its limit: this is not bad luck. */
  readonly isBeyondChance: boolean;
}

/** No load, or nothing to compare it with. */
export const EVEN: Skew = {
  ratio: 1,
  cv: 0,
  jain: 1,
  gini: 0,
  trough: 1,
  floor: 1,
  floorCv: 0,
  excess: 0,
  chi2: 0,
  chi2Limit: 0,
  isBeyondChance: false,
};

/**
 * Skew of these loads. Servers of weight 0 take nothing on purpose and are left out with what they hold.
 * `effective`: how many independent equal pieces the load consists of, when not the counts themselves (hot
 * sessions make it smaller); only floor, excess and chi2 use it. O(k log k).
 */
export function measureSkew(loads: readonly Load[], effective?: number): Skew {
  const weighed = loads.filter((load) => load.weight > 0);
  const total = weighed.reduce((sum, load) => sum + load.count, 0);
  if (total <= 0 || weighed.length < 2) return EVEN;
  const weights = weighed.reduce((sum, load) => sum + load.weight, 0);
  const shares = weighed.map((load) => load.weight / weights);
  const ratios = weighed.map((load, index) => load.count / (total * (shares[index] ?? 0)));
  const variance = ratios.reduce((sum, x, index) => sum + (shares[index] ?? 0) * (x - 1) ** 2, 0);
  const pieces = effective ?? total;
  const floorVariance = (weighed.length - 1) / pieces;
  const chi2 = pieces * variance;
  const chi2Limit = chiSquareLimit(weighed.length - 1);
  return {
    ratio: Math.max(...ratios),
    cv: Math.sqrt(variance),
    jain: jain(ratios),
    gini: gini(ratios, shares),
    trough: Math.min(...ratios),
    // dearer than all the rest together, and the rebalancer does not ask
    get floor() {
      return expectedRatio(shares, pieces);
    },
    floorCv: Math.sqrt(floorVariance),
    excess: Math.sqrt(Math.max(0, variance - floorVariance)),
    chi2,
    chi2Limit,
    isBeyondChance: chi2 > chi2Limit,
  };
}

/** A scrape asks for each pool's several times, a plan in each of its cycles. */
const FLOORS_KEPT = 256;
const floors = new Map<string, number>();

/**
 * Ratio to expect when each of `pieces` falls on server i with probability shares[i], independently. Within 1 % from
 * ten pieces on.
 */
export function expectedRatio(shares: readonly number[], pieces: number): number {
  if (pieces <= 0 || shares.length < 2) return 1;
  const key = `${pieces} ${shares.join(' ')}`;
  const known = floors.get(key);
  if (known !== undefined) return known;
  if (floors.size >= FLOORS_KEPT) floors.clear();
  const floor = expectedFullest(shares.map((share) => share * pieces));
  floors.set(key, floor);
  return floor;
}

function jain(ratios: readonly number[]): number {
  const sum = ratios.reduce((total, x) => total + x, 0);
  const squares = ratios.reduce((total, x) => total + x * x, 0);
  return (sum * sum) / (ratios.length * squares);
}

/** Sorted by x, each server meets the share below it once: sum of share_i * (x_i * below_i - weighted below_i). */
function gini(ratios: readonly number[], shares: readonly number[]): number {
  const order = ratios.map((x, index) => ({ x, share: shares[index] ?? 0 })).sort((a, b) => a.x - b.x);
  let below = 0;
  let belowWeighted = 0;
  let sum = 0;
  for (const { x, share } of order) {
    sum += share * (x * below - belowWeighted);
    below += share;
    belowWeighted += share * x;
  }
  return sum;
}
