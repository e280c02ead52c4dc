// What theory says the experiments will show. SESSIONS 5.4; each with the bracket that chance allows. Pure.
import { SeededRandom } from '../base/random.ts';
import { measureSkew } from '../sessions/skew.ts';
import { type Bracket, trialBracket } from './statistics.ts';

/**
 * Forced log-ins per user when `servers` servers are restarted one after the other and a session without a home goes
 * to any other server with equal probability: f(k) = 1 + sum over j > k of f(j) / (n - 1), averaged over k.
 * Closed form: ((1 + 1/(n-1))^n - 1) (n-1) / n.
 */
export function rollingRandom(servers: number): number {
  const n = servers;
  return n === 1 ? 1 : (((1 + 1 / (n - 1)) ** n - 1) * (n - 1)) / n;
}

/** The same when a session without a home goes to the server with the fewest: the one restarted before. 1 + 1/n. */
export function rollingLeast(servers: number): number {
  return servers === 1 ? 1 : 1 + 1 / servers;
}

/** Within 3 standard deviations of `rollingRandom` for the mean over `users` independent users. */
export function rollingRandomBracket(servers: number, users: number, seed: number): Bracket {
  const chain = (random: SeededRandom): number => {
    let home = random.below(servers);
    let lost = 0;
    for (let step = 0; step < servers; step += 1) {
      if (home !== step) continue;
      lost += 1;
      const other = random.below(servers - 1);
      home = other >= step ? other + 1 : other;
    }
    return lost;
  };
  const random = new SeededRandom(seed);
  const sample = Array.from({ length: 4000 }, () => chain(random));
  const expected = rollingRandom(servers);
  const variance = sample.reduce((sum, value) => sum + (value - expected) ** 2, 0) / sample.length;
  const deviation = 3 * Math.sqrt(variance / users);
  return { low: expected - deviation, high: expected + deviation };
}

/** Part of the users that are still in the session they had, after `elapsed` of mean life `life`. */
export function stillThere(elapsedMs: number, lifeMs: number): number {
  return Math.exp(-elapsedMs / lifeMs);
}

/** PAR (largest over mean) of sessions right after one more server came: it has none. */
export function parAtJoin(servers: number): number {
  return (servers + 1) / servers;
}

/** Until PAR falls under `limit` after a join, when every new session goes to the newcomer, lives of mean `lifeMs`. */
export function timeToEvenLeastMs(servers: number, lifeMs: number, limit: number): number {
  return lifeMs * Math.log(parAtJoin(servers) / limit);
}

/** The same when new sessions go to all in turn. */
export function timeToEvenInTurnMs(servers: number, lifeMs: number, limit: number): number {
  return lifeMs * Math.log(1 / servers / (limit - 1));
}

/** PAR of `users` sessions each on a server of chance, with its bracket by trial. */
export function parRandomBracket(servers: number, users: number, seed: number): Bracket {
  return trialBracket(new SeededRandom(seed), (random) => {
    const counts = new Array<number>(servers).fill(0);
    for (let user = 0; user < users; user += 1) add(counts, random.below(servers), 1);
    return parOf(counts);
  });
}

/** Effective number of equally busy sessions under Zipf(1): (sum of 1/k)^2 / (sum of 1/k^2). */
export function zipfEffective(users: number): number {
  let first = 0;
  let second = 0;
  for (let rank = 1; rank <= users; rank += 1) {
    first += 1 / rank;
    second += 1 / rank ** 2;
  }
  return (first * first) / second;
}

/** PAR of requests when Zipf(1) users are dealt out evenly by count, whoever is hot: by trial. */
export function parZipfBracket(servers: number, users: number, seed: number): Bracket {
  return trialBracket(
    new SeededRandom(seed),
    (random) => {
      const room = Array.from({ length: servers }, () => Math.ceil(users / servers));
      const loads = new Array<number>(servers).fill(0);
      for (let rank = 1; rank <= users; rank += 1) {
        let server = random.below(servers);
        while ((room[server] ?? 0) === 0) server = (server + 1) % servers;
        add(room, server, -1);
        add(loads, server, 1 / rank);
      }
      return parOf(loads);
    },
    800,
  );
}

/** Chance that a read, `thinkMs` on average after a write, meets a server that has not heard of it for `lagMs`. */
export function staleReadShare(servers: number, lagMs: number, thinkMs: number): number {
  return ((1 - Math.exp(-lagMs / thinkMs)) * (servers - 1)) / servers;
}

/** Largest over mean. */
export function parOf(counts: readonly number[]): number {
  return measureSkew(counts.map((count) => ({ count, weight: 1 }))).ratio;
}

function add(counts: number[], index: number, amount: number): void {
  counts[index] = (counts[index] ?? 0) + amount;
}
