// Forced log-ins per user when all servers are restarted, one after the other: what theory says by the way in which a
// session that lost its home finds the next one. Users return between two restarts; a server is back before the next
// one goes. Pure.
//
// The balancer ranks the servers for a session's key (rendezvous hashing) and moves it to the best that is left. Which
// key that is, and whether the rank alone decides, tells how often a session can be hit again:
//
//   fewest     learn: only servers below their fair share take it, so those of the k-th go to the one restarted before
//   kept-key   the balancer's own cookie: the first home is the policy's, but one key ranks the others for ever, so a
//              session goes to the best of the ranking and from there to the second best
//   hash       the client's header: the best of the ranking is the first home already
import { type Random, SeededRandom } from '../src/base/random.ts';
import { parOf } from './formulas.ts';
import { type Bracket, shuffled, trialBracket } from './statistics.ts';

export type Rehoming = 'fewest' | 'kept-key' | 'hash';

/** Where each session goes its own way. */
export type Ranked = Exclude<Rehoming, 'fewest'>;

const SAMPLE = 4000;
const PAR_TRIALS = 800;

/** Forced log-ins per user, mean. */
export function rollingMean(rehoming: Rehoming, servers: number): number {
  const n = servers;
  if (n === 1) return 1;
  switch (rehoming) {
    // The first server's m/n spread over the others; then each holds m/(n-1) when its turn comes: m in n-1 turns.
    case 'fewest':
      return 1 + 1 / n;
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
    case 'fewest':
      return `1 + 1/n = ${value}, give or take a session a restart: they go where there are too few`;
    case 'kept-key':
      return `3/2 + (n-2)/(6n) = ${value} ± 3σ: one key ranks the servers for ever`;
    case 'hash':
      return `3/2 ± 3σ: the key's second server takes over, and gives back`;
  }
}

/** The same for the PAR at the end. */
export function rollingParText(rehoming: Rehoming, servers: number): string {
  return rehoming === 'fewest'
    ? `n/(n-1) = ${(servers / (servers - 1)).toFixed(2)}, give or take a session a restart: the last restarted is empty, the others are even`
    : 'the last restarted is empty, the first has most: by trial';
}

/** One user's way through the restarts, from server `begin` (by hash: from the first of the ranking). */
export function rollingChain(
  rehoming: Ranked,
  servers: number,
  begin: number,
  random: Random,
): { readonly lost: number; readonly home: number } {
  const ranking = shuffled(servers, random);
  let home = rehoming === 'hash' ? (ranking[0] ?? 0) : begin;
  let lost = 0;
  for (let step = 0; step < servers; step += 1) {
    if (home !== step) continue;
    lost += 1;
    home = ranking.find((server) => server !== step) ?? home;
  }
  return { lost, home };
}

/**
 * PAR of sessions when all servers have been restarted, sessions having lain evenly before: by trial. To the fewest:
 * n/(n-1), since all but the last restarted have the same, give or take a session a restart.
 */
export function rollingParBracket(rehoming: Rehoming, servers: number, users: number, seed: number): Bracket {
  const n = servers;
  if (rehoming === 'fewest') return { low: n / (n - 1), high: n / (n - 1) + (n * n) / users };
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

/** To the fewest: exact, but for a session a restart. Else within 3 standard deviations of the mean over `users` independent users; the deviation of one user is by trial. */
export function rollingBracket(rehoming: Rehoming, servers: number, users: number, seed: number): Bracket {
  const random = new SeededRandom(seed);
  const expected = rollingMean(rehoming, servers);
  if (rehoming === 'fewest') return { low: expected - servers / users, high: expected + servers / users };
  let squares = 0;
  for (let one = 0; one < SAMPLE; one += 1) {
    const { lost } = rollingChain(rehoming, servers, random.below(servers), random);
    squares += (lost - expected) ** 2;
  }
  const deviation = 3 * Math.sqrt(squares / SAMPLE / users);
  return { low: expected - deviation, high: expected + deviation };
}
