// What theory says the experiments will show. Each with the bracket that chance allows. Pure.
import { SeededRandom } from '../src/base/random.ts';
import { measureSkew } from '../src/sessions/skew.ts';
import { type Bracket, shuffled, trialBracket } from './statistics.ts';

const TRIALS_OF_REQUESTS = 800;

/** Part of the users that are still in the session they had, after `elapsed` of mean life `life`. */
export function stillThere(elapsedMs: number, lifeMs: number): number {
  return Math.exp(-elapsedMs / lifeMs);
}

/** PAR (largest over mean) of sessions right after one more server came: it has none. */
export function parAtJoin(servers: number): number {
  return (servers + 1) / servers;
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

/**
 * PAR of `requests` requests drawn by Zipf(1) over users who are dealt out evenly by count, whoever is hot: by trial,
 * in which users and requests are drawn again each time.
 */
export function parZipfBracket(servers: number, users: number, requests: number, seed: number): Bracket {
  const upTo: number[] = [];
  for (let rank = 1; rank <= users; rank += 1) upTo.push((upTo.at(-1) ?? 0) + 1 / rank);
  const total = upTo.at(-1) ?? 1;
  return trialBracket(
    new SeededRandom(seed),
    (random) => {
      // Who is shuffled to place k is on server k modulo n: even by count.
      const order = shuffled(users, random);
      const loads = new Array<number>(servers).fill(0);
      for (let request = 0; request < requests; request += 1) {
        const rank = indexAbove(upTo, random.next() * total);
        add(loads, (order[rank] ?? 0) % servers, 1);
      }
      return parOf(loads);
    },
    TRIALS_OF_REQUESTS,
  );
}

/** First index whose value is at least `wanted`, in ascending values. O(log n). */
function indexAbove(ascending: readonly number[], wanted: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? 0) >= wanted) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * PAR on the servers left after `killed` of them died with their sessions, each of which began again on one of those
 * left, by chance: by trial. `isEven`: sessions lay evenly before; otherwise by chance.
 */
export function parAfterCrashBracket(
  servers: number,
  users: number,
  killed: number,
  isEven: boolean,
  seed: number,
): Bracket {
  const left = servers - killed;
  return trialBracket(new SeededRandom(seed), (random) => {
    const counts = new Array<number>(left).fill(0);
    for (let user = 0; user < users; user += 1) {
      const home = isEven ? user % servers : random.below(servers);
      add(counts, home < left ? home : random.below(left), 1);
    }
    return parOf(counts);
  });
}

/** Most that PAR can be when the counts of `users` sessions differ by one, and one more is on its way. */
export function parEvenMax(servers: number, users: number): number {
  return (Math.ceil(users / servers) + 1) / (users / servers);
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
