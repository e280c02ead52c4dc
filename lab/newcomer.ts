// What theory says of a server that joins while users come and go: a birth and death process, in closed form where
// placement is smooth, played through by trial for the bracket that chance allows. Pure.
import type { Random } from '../src/base/random.ts';
import { SeededRandom } from '../src/base/random.ts';
import { parAtJoin, parOf } from './formulas.ts';
import { EVEN_PAR, firstMs, SAMPLE_MS, type SpreadSample } from './spread.ts';
import { type Bracket, quantile } from './statistics.ts';

/** Everything the process depends on. */
export interface NewcomerPlan {
  /** Servers before the newcomer. */
  readonly servers: number;
  readonly users: number;
  /** Mean life of a session. */
  readonly lifeMs: number;
  /** From a departure to the log-in of whoever comes next. */
  readonly returnMs: number;
  /** Users come and go for so long before the newcomer is there. */
  readonly beforeMs: number;
  /** And for so long after it. */
  readonly afterMs: number;
  /** New sessions go to the server with the fewest, or to each in turn. */
  readonly placement: 'least' | 'turn';
}

/** What the newcomer's first seconds come to. */
export interface NewcomerBrackets {
  /** Sessions it has at the end. */
  readonly held: Bracket;
  /** Until PAR is under EVEN_PAR. */
  readonly evenMs: Bracket;
  /** Until it has half of its fair share. */
  readonly halfMs: Bracket;
}

const TRIALS = 600;
const TAIL = 0.0015;

/** Until PAR falls under `limit` after a join, when every new session goes to the newcomer, lives of mean `lifeMs`. */
export function timeToEvenLeastMs(servers: number, lifeMs: number, limit: number): number {
  return lifeMs * Math.log(parAtJoin(servers) / limit);
}

/** The same when new sessions go to all in turn. */
export function timeToEvenInTurnMs(servers: number, lifeMs: number, limit: number): number {
  return lifeMs * Math.log(1 / servers / (limit - 1));
}

/** Until the newcomer has half of its fair share: m(1-e^{-t/T}), or m/(n+1) of that, is m/(2(n+1)). */
export function timeToHalfMs(servers: number, lifeMs: number, placement: 'least' | 'turn'): number {
  return placement === 'turn' ? lifeMs * Math.LN2 : -lifeMs * Math.log(1 - 1 / (2 * (servers + 1)));
}

/** True when a newcomer has half of its fair share. */
export function isHalf(held: number, users: number, servers: number): boolean {
  return held >= users / (2 * (servers + 1));
}

/** Brackets by trial. */
export function newcomerBrackets(plan: NewcomerPlan, seed: number): NewcomerBrackets {
  const random = new SeededRandom(seed);
  const runs = Array.from({ length: TRIALS }, () => playNewcomer(plan, random));
  const bracketOf = (pick: (run: readonly SpreadSample[]) => number): Bracket => {
    const values = runs.map(pick).sort((a, b) => a - b);
    return { low: quantile(values, TAIL), high: quantile(values, 1 - TAIL) };
  };
  return {
    held: bracketOf((run) => run.at(-1)?.held ?? 0),
    evenMs: bracketOf((run) => firstMs(run, ({ par }) => par < EVEN_PAR)),
    halfMs: bracketOf((run) => firstMs(run, ({ held }) => isHalf(held, plan.users, plan.servers))),
  };
}

/** One run of the process. */
export function playNewcomer(plan: NewcomerPlan, random: Random): readonly SpreadSample[] {
  const { servers, users, lifeMs, returnMs, beforeMs, afterMs } = plan;
  const counts = Array.from({ length: servers + 1 }, (_, index) =>
    index === servers ? 0 : Math.floor(users / servers) + (index < users % servers ? 1 : 0),
  );
  const away: number[] = [];
  const samples: SpreadSample[] = [];
  let turn = random.below(servers);
  let inside = users;
  let nowMs = -beforeMs;
  let sampleMs = 0;
  const place = (atMs: number): void => {
    const open = atMs >= 0 ? servers + 1 : servers;
    turn = (turn + 1) % open;
    const index = plan.placement === 'turn' ? turn : fewest(counts, open, random);
    counts[index] = (counts[index] ?? 0) + 1;
    inside += 1;
  };
  while (nowMs < afterMs) {
    const leaveMs = nowMs + (inside === 0 ? Infinity : (-Math.log(1 - random.next()) * lifeMs) / inside);
    const backMs = away[0] ?? Infinity;
    const nextMs = Math.min(leaveMs, backMs);
    for (; sampleMs < Math.min(nextMs, afterMs); sampleMs += SAMPLE_MS) {
      samples.push({ afterMs: sampleMs, par: parOf(counts), held: counts[servers] ?? 0 });
    }
    nowMs = nextMs;
    if (backMs <= leaveMs) {
      away.shift();
      place(backMs);
    } else {
      take(counts, random.below(inside));
      inside -= 1;
      away.push(leaveMs + returnMs);
    }
  }
  return samples;
}

function fewest(counts: readonly number[], open: number, random: Random): number {
  const least = Math.min(...counts.slice(0, open));
  const ties = counts.flatMap((count, index) => (index < open && count === least ? [index] : []));
  return ties[random.below(ties.length)] ?? 0;
}

/** Takes the session number `which` of all away from its server. */
function take(counts: number[], which: number): void {
  let left = which;
  for (const [index, count] of counts.entries()) {
    if (left < count) {
      counts[index] = count - 1;
      return;
    }
    left -= count;
  }
}
