// Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker 2005): every
// server gets a score from the key and its own seed, the best score wins. Adding a server takes 1/(n+1) of the keys,
// all to itself; a server that is left out hands its keys to all the others. O(n), no allocation.
//
// score = -ln(u) / weight, u uniform in (0, 1) from key and seed; the lowest wins. With equal weights the order of u
// is the same, and the logarithm is left out. Weights are the configured ones: slow start and the operator's changes
// are one balancer's own, and balancers must agree. Nothing depends on the order of servers or on slots.

import { mixWords } from '../base/hash.ts';

/** What rendezvous needs to know of a pool. Arrays are indexed by the server's place in the configuration. */
export interface RankedServers {
  readonly seedLow: Int32Array;
  readonly seedHigh: Int32Array;
  /** Configured weights; 1 where 0 is configured, since such a server may still be ranked among the rest. */
  readonly rankWeights: Float64Array;
  readonly hasEqualWeights: boolean;
}

const WORDS = 0x1_0000_0000;
/** The ranking by which sessions of a dead home are spread: not the one that places unknown keys. */
export const FAILOVER_TURN = 0x1_0000;

/** The word that all servers are scored by. `turn` makes independent rankings of one key. */
export function rankWord(keyLow: number, keyHigh: number, turn: number): number {
  return mixWords(keyLow ^ Math.imul(turn, 0x9e3779b1), keyHigh);
}

/** Lower is better. */
export function scoreOf(servers: RankedServers, index: number, word: number): number {
  const mixed = mixWords(word ^ (servers.seedLow[index] as number), servers.seedHigh[index] as number) >>> 0;
  if (servers.hasEqualWeights) return -mixed;
  return -Math.log((mixed + 0.5) / WORDS) / (servers.rankWeights[index] as number);
}

/** Best server among range[0, count); -1 when count is 0. */
export function winnerOf(servers: RankedServers, range: Int32Array, count: number, word: number): number {
  let best = -1;
  let bestScore = 0;
  for (let at = 0; at < count; at += 1) {
    const index = range[at] as number;
    const score = scoreOf(servers, index, word);
    if (best === -1 || score < bestScore || (score === bestScore && isBefore(servers, index, best))) {
      best = index;
      bestScore = score;
    }
  }
  return best;
}

/** Breaks the tie of two scores by the seeds, which every balancer has alike. */
function isBefore(servers: RankedServers, index: number, other: number): boolean {
  const low = (servers.seedLow[index] as number) - (servers.seedLow[other] as number);
  return low !== 0 ? low < 0 : (servers.seedHigh[index] as number) < (servers.seedHigh[other] as number);
}
