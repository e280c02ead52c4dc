// When each simulated user does what: fixed before the first request is sent, from the seed alone, so that a slow
// server cannot slow down its own load (open loop).
import type { Random } from '../src/base/random.ts';
import { shuffled } from './statistics.ts';
import type { Kind } from './transcript.ts';

/** One planned request. `leave` logs out and comes back as somebody new, with an empty cookie jar. */
export interface Arrival {
  readonly atMs: number;
  readonly user: number;
  readonly kind: Kind | 'leave';
  /** grow: characters to store in the session. */
  readonly size: number;
}

/** Steady load: every user logs in, then makes one request in each period, at a time of chance within it. */
export interface SteadyPlan {
  readonly users: number;
  /** All log-ins fall within this time. */
  readonly loginMs: number;
  readonly periodMs: number;
  /** End of the load. */
  readonly endMs: number;
  /** Part of the requests that write. */
  readonly writes: number;
  /** Mean life of a session and when lives begin to end; absent: users stay. */
  readonly churn?: { readonly meanMs: number; readonly fromMs: number; readonly untilMs: number };
}

/** Part of a period by which a request may come early or late: two of one user never meet. */
const JITTER = 0.15;
/** From the last log-in to the first request. */
const SETTLE_MS = 400;
/** Part of the requests that write, but where it is said that most read. */
export const WRITE_SHARE = 0.4;
export const MOSTLY_READS_WRITE_SHARE = 0.1;
/** From a departure to the log-in of whoever comes next. */
export const RETURN_MS = 150;
/** Nobody logs out so soon after the log-in, or so shortly before the end of the session's life. */
export const REPLAY_MARGIN_MS = 300;

/** Log-ins evenly spread, in the order of the users. */
function logins(users: number, loginMs: number): Arrival[] {
  return Array.from({ length: users }, (_, user) => arrival((user * loginMs) / users, user, 'login'));
}

/** When the requests of a steady plan begin. */
export function loadFromMs(plan: { readonly loginMs: number }): number {
  return plan.loginMs + SETTLE_MS;
}

/** The plan of a steady load. */
export function steadySchedule(plan: SteadyPlan, random: Random): readonly Arrival[] {
  const { users, periodMs, endMs, writes, churn } = plan;
  const all = logins(users, plan.loginMs);
  const fromMs = loadFromMs(plan);
  for (let user = 0; user < users; user += 1) {
    const phaseMs = random.next() * periodMs;
    for (let period = 0; ; period += 1) {
      const jitterMs = (random.next() * 2 - 1) * JITTER * periodMs;
      const atMs = fromMs + phaseMs + period * periodMs + jitterMs;
      if (atMs >= endMs) break;
      const kind = random.next() < writes ? 'write' : 'read';
      if (atMs >= fromMs) all.push(arrival(atMs, user, kind));
    }
  }
  if (churn !== undefined) all.push(...departures(users, churn, random));
  return inOrder(all);
}

/** Hot users: request k falls on user i with a probability proportional to 1 / (i + 1), over all users' ids shuffled. */
export function zipfSchedule(
  plan: SteadyPlan & { readonly perSecond: number },
  random: Random,
): readonly Arrival[] {
  const { users, endMs, perSecond, writes } = plan;
  const all = logins(users, plan.loginMs);
  const ranks = shuffled(users, random);
  const cumulative: number[] = [];
  for (let rank = 1; rank <= users; rank += 1) cumulative.push((cumulative.at(-1) ?? 0) + 1 / rank);
  const total = cumulative.at(-1) ?? 1;
  for (let atMs = loadFromMs(plan); atMs < endMs; atMs += (-Math.log(1 - random.next()) * 1000) / perSecond) {
    const wanted = random.next() * total;
    const rank = cumulative.findIndex((upTo) => upTo >= wanted);
    const kind = random.next() < writes ? 'write' : 'read';
    all.push(arrival(atMs, ranks[Math.max(0, rank)] ?? 0, kind));
  }
  return inOrder(all);
}

/** Each user sends `pairs` pairs of writes at once, each pair well after the one before, then reads the counter. */
export function pairSchedule(
  users: number,
  loginMs: number,
  pairs: number,
  gapMs: number,
  random: Random,
): readonly Arrival[] {
  const all = logins(users, loginMs);
  for (let user = 0; user < users; user += 1) {
    const fromMs = loadFromMs({ loginMs }) + random.next() * gapMs;
    for (let pair = 0; pair < pairs; pair += 1) {
      const atMs = fromMs + pair * gapMs;
      all.push(arrival(atMs, user, 'pair'), arrival(atMs, user, 'pair'));
    }
    all.push(arrival(fromMs + pairs * gapMs + 500, user, 'read'));
  }
  return inOrder(all);
}

/** Each user stores more and more in the session: `sizes` in ascending order, one every `gapMs`. */
export function growthSchedule(
  users: number,
  loginMs: number,
  sizes: readonly number[],
  gapMs: number,
  random: Random,
): readonly Arrival[] {
  const all = logins(users, loginMs);
  for (let user = 0; user < users; user += 1) {
    const fromMs = loadFromMs({ loginMs }) + random.next() * gapMs;
    for (const [index, size] of sizes.entries())
      all.push({ ...arrival(fromMs + index * gapMs, user, 'grow'), size });
  }
  return inOrder(all);
}

/** Each user logs out at a time of chance within the session's life; whoever copied the cookie tries it again and again. */
export function replaySchedule(
  users: number,
  loginMs: number,
  lifeMs: number,
  everyMs: number,
  random: Random,
): readonly Arrival[] {
  const all = logins(users, loginMs);
  for (let user = 0; user < users; user += 1) {
    const loginAtMs = (user * loginMs) / users;
    const logoutAtMs = loginAtMs + REPLAY_MARGIN_MS + random.next() * (lifeMs - 2 * REPLAY_MARGIN_MS);
    if (logoutAtMs - loginAtMs > 600) all.push(arrival(loginAtMs + 200, user, 'write'));
    all.push(arrival(logoutAtMs, user, 'logout'));
    const untilMs = loginAtMs + lifeMs + 800;
    for (let atMs = logoutAtMs + 100; atMs < untilMs; atMs += everyMs)
      all.push(arrival(atMs, user, 'replay'));
  }
  return inOrder(all);
}

function departures(
  users: number,
  churn: NonNullable<SteadyPlan['churn']>,
  random: Random,
): readonly Arrival[] {
  const all: Arrival[] = [];
  for (let user = 0; user < users; user += 1) {
    let atMs = churn.fromMs;
    for (;;) {
      atMs += -Math.log(1 - random.next()) * churn.meanMs;
      if (atMs >= churn.untilMs) break;
      all.push(arrival(atMs, user, 'leave'), arrival(atMs + RETURN_MS, user, 'login'));
      atMs += RETURN_MS;
    }
  }
  return all;
}

function arrival(atMs: number, user: number, kind: Arrival['kind']): Arrival {
  return { atMs, user, kind, size: 0 };
}

function inOrder(all: readonly Arrival[]): readonly Arrival[] {
  return [...all].sort((a, b) => a.atMs - b.atMs);
}
