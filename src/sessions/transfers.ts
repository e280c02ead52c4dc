// Which servers give how many sessions to which, so that the fullest and the emptiest come together. Pure.
//
// A server above its fair share only gives, one below only takes, and no pair changes places: what is planned here can
// never call for its own reversal.

/** One server's sessions and capacity; weights in any common unit. */
export interface Holding {
  readonly sessions: number;
  readonly weight: number;
}

/** `from` and `to` are places in the list that was planned for. */
export interface Transfer {
  readonly from: number;
  readonly to: number;
  readonly sessions: number;
}

/** A plan is made in this many steps at most, plus two per server. */
const STEPS = 256;

interface Party {
  readonly index: number;
  readonly weight: number;
  sessions: number;
  /** How many it may still give, or take. */
  left: number;
}

/**
 * Transfers that bring the servers (all of weight > 0) nearer to their fair shares, fullest to emptiest first, `most`
 * sessions in all. O((STEPS + servers) × servers).
 */
export function planEvening(servers: readonly Holding[], most: number): readonly Transfer[] {
  const sessions = servers.reduce((sum, server) => sum + server.sessions, 0);
  const weights = servers.reduce((sum, server) => sum + server.weight, 0);
  if (sessions === 0 || weights === 0) return [];
  const surplus = (server: Holding): number => server.sessions - (sessions * server.weight) / weights;
  const parties = servers.map((server, index) => ({ server, index, above: surplus(server) }));
  const givers = parties.filter(({ above }) => above > 0).map(toParty);
  const takers = parties.filter(({ above }) => above < 0).map(toParty);
  return plan(givers, takers, most, true);
}

/** Transfers that empty `from`, emptiest taker first, `most` sessions in all. Servers of weight 0 take nothing. */
export function planEmptying(servers: readonly Holding[], from: number, most: number): readonly Transfer[] {
  const giver = servers[from];
  if (giver === undefined) return [];
  const takers = servers
    .map((server, index) => ({ server, index, above: Number.POSITIVE_INFINITY }))
    .filter(({ server, index }) => index !== from && server.weight > 0)
    .map(toParty);
  const givers = [{ index: from, weight: 1, sessions: giver.sessions, left: giver.sessions }];
  return plan(givers, takers, most, false);
}

/** The holdings once the transfers are done. */
export function afterTransfers(
  servers: readonly Holding[],
  transfers: readonly Transfer[],
): readonly Holding[] {
  const sessions = servers.map((server) => server.sessions);
  for (const { from, to, sessions: moved } of transfers) {
    sessions[from] = (sessions[from] ?? 0) - moved;
    sessions[to] = (sessions[to] ?? 0) + moved;
  }
  return servers.map(({ weight }, index) => ({ sessions: sessions[index] ?? 0, weight }));
}

function toParty(entry: { readonly server: Holding; readonly index: number; readonly above: number }): Party {
  const { sessions, weight } = entry.server;
  return { index: entry.index, weight, sessions, left: Math.ceil(Math.abs(entry.above)) };
}

function plan(givers: Party[], takers: Party[], most: number, isEven: boolean): readonly Transfer[] {
  const planned = new Map<string, Transfer>();
  const stepMax = Math.max(1, Math.ceil(most / STEPS));
  let left = most;
  while (left > 0) {
    const giver = extreme(givers, (best, other) => other > best);
    const taker = extreme(takers, (best, other) => other < best);
    if (giver === null || taker === null) break;
    const pairMax = isEven ? withoutOvershoot(giver, taker) : giver.left;
    const sessions = Math.min(left, stepMax, giver.left, taker.left, pairMax);
    if (sessions < 1) {
      // a session is too much for one of them, the lighter: the others go on
      (giver.weight < taker.weight ? giver : taker).left = 0;
      continue;
    }
    giver.sessions -= sessions;
    giver.left -= sessions;
    taker.sessions += sessions;
    taker.left -= sessions;
    left -= sessions;
    const key = `${giver.index} ${taker.index}`;
    const before = planned.get(key)?.sessions ?? 0;
    planned.set(key, { from: giver.index, to: taker.index, sessions: before + sessions });
  }
  return [...planned.values()];
}

/** Most sessions that may pass without the taker being fuller than the giver afterwards. */
function withoutOvershoot(giver: Party, taker: Party): number {
  const difference = giver.sessions * taker.weight - taker.sessions * giver.weight;
  return Math.floor(difference / (giver.weight + taker.weight));
}

/** The party with the extreme load per weight among those with something left. */
function extreme(
  parties: readonly Party[],
  isBetter: (best: number, other: number) => boolean,
): Party | null {
  let found: Party | null = null;
  for (const party of parties) {
    if (party.left < 1) continue;
    if (found === null || isBetter(found.sessions / found.weight, party.sessions / party.weight))
      found = party;
  }
  return found;
}
