// Forced log-ins per user when all servers are restarted, one after the other: what theory says by the way in which a
// session that lost its home finds the next one. Users return between two restarts; a server is back before the next
// one goes. Pure.
//
// The balancer ranks the servers for a session's key (rendezvous hashing) and moves it to the best that is left. Which
// key that is decides how often it can be hit again:
//
//   new-key    learn: each log-in brings a new key, so the next home is any other server with equal probability
//   kept-key   the balancer's own cookie: the first home is the policy's, but one key ranks the others for ever, so a
//              session goes to the best of the ranking and from there to the second best
//   hash       the client's header: the best of the ranking is the first home already
import { type Random, SeededRandom } from '../base/random.ts';
import { parOf } from './formulas.ts';
import { type Bracket, shuffled, trialBracket } from './statistics.ts';

export type Rehoming = 'new-key' | 'kept-key' | 'hash';

const SAMPLE = 4000;
const PAR_TRIALS = 800;

/** Forced log-ins per user, mean. */
export function rollingMean(rehoming: Rehoming, servers: number): number {
  const n = servers;
  if (n === 1) return 1;
  switch (rehoming) {
    // f(k) = 1 + sum over j > k of f(j) / (n - 1) for a session on the k-th server restarted, averaged over k.
    case 'new-key':
      return (((1 + 1 / (n - 1)) ** n - 1) * (n - 1)) / n;
    // With r, s first and second of the ranking and home h: 1, one more when h < r in the order of restarts (1/2),
    // one more when r < s as well (h, r, s different: (n-2)/n, in this order: 1/6).
    case 'kept-key':
      return 1.5 + (n - 2) / (6 * n);
    // Lost at r, and again when the second, s, comes after it.
    case 'hash':
      return 1.5;
  }
}

/** The formula in words, with its number. */
export function rollingText(rehoming: Rehoming, servers: number): string {
  const value = rollingMean(rehoming, servers).toFixed(2);
  switch (rehoming) {
    case 'new-key':
      return `((1+1/(n-1))^n - 1)(n-1)/n = ${value} ± 3σ: each log-in brings a new key, its rank is chance`;
    case 'kept-key':
      return `3/2 + (n-2)/(6n) = ${value} ± 3σ: one key ranks the servers for ever`;
    case 'hash':
      return `3/2 ± 3σ: the key's second server takes over, and gives back`;
  }
}

/** If a session without a home went to the server with the fewest, the one restarted before: 1 + 1/n. */
export function rollingLeast(servers: number): number {
  return servers === 1 ? 1 : 1 + 1 / servers;
}

/** One user's way through the restarts, from server `begin` (by hash: from the first of the ranking). */
export function rollingChain(
  rehoming: Rehoming,
  servers: number,
  begin: number,
  random: Random,
): { readonly lost: number; readonly home: number } {
  let ranking = shuffled(servers, random);
  let home = rehoming === 'hash' ? (ranking[0] ?? 0) : begin;
  let lost = 0;
  for (let step = 0; step < servers; step += 1) {
    if (home !== step) continue;
    lost += 1;
    if (rehoming === 'new-key') ranking = shuffled(servers, random);
    home = ranking.find((server) => server !== step) ?? home;
  }
  return { lost, home };
}

/** PAR of sessions when all servers have been restarted, sessions having lain evenly before: by trial. */
export function rollingParBracket(rehoming: Rehoming, servers: number, users: number, seed: number): Bracket {
  return trialBracket(
    new SeededRandom(seed),
    (random) => {
      const counts = new Array<number>(servers).fill(0);
      for (let user = 0; user < users; user += 1) {
        const { home } = rollingChain(rehoming, servers, user % servers, random);
        counts[home] = (counts[home] ?? 0) + 1;
      }
      return parOf(counts);
    },
    PAR_TRIALS,
  );
}

/** If each went to the server with the fewest: all but the last restarted have the same. n / (n - 1). */
export function rollingParLeast(servers: number): number {
  return servers / (servers - 1);
}

/** Within 3 standard deviations of the mean over `users` independent users; the deviation of one user is by trial. */
export function rollingBracket(rehoming: Rehoming, servers: number, users: number, seed: number): Bracket {
  const random = new SeededRandom(seed);
  const expected = rollingMean(rehoming, servers);
  let squares = 0;
  for (let one = 0; one < SAMPLE; one += 1) {
    const { lost } = rollingChain(rehoming, servers, random.below(servers), random);
    squares += (lost - expected) ** 2;
  }
  const deviation = 3 * Math.sqrt(squares / SAMPLE / users);
  return { low: expected - deviation, high: expected + deviation };
}
