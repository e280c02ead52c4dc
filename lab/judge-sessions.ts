// The judge's view of sessions: which were lost, which came back from the dead, which forgot what they had confirmed.

import { mean, sum } from './statistics.ts';
import { type Exchange, isAcknowledged, isNotLoggedIn, sessionName } from './transcript.ts';
import type { Windows } from './windows.ts';

export interface SessionFindings {
  /** Acknowledged log-ins. */
  readonly sessions: number;
  /** Live sessions when the fault happened. */
  readonly sessionsAtFault: number;
  /** Those of them which have shown since whether they go on: by a loss, or by a request that was sent once the fault was applied. */
  readonly sessionsTried: number;
  /**
   * Log-in acknowledged, no log-out sent, life not over, and a complete answer says "not logged in". Once per log-in.
   */
  readonly lost: number;
  /** When each loss was noticed. */
  readonly lostAtMs: readonly number[];
  /** Acknowledged requests of lost sessions that were sent after the fault was applied, but before the loss. */
  readonly acceptedLate: number;
  /** Log-ins that a user made because the session before was lost. */
  readonly forcedLogins: number;
  /** Answers whose counter is lower than one acknowledged before the request was sent, and by how much together. */
  readonly regressions: { readonly count: number; readonly size: number };
  /** Parallel pairs only: acknowledged increments less the final counter, and the number of pairs. */
  readonly lostUpdates: { readonly lost: number; readonly pairs: number };
  /** After an acknowledged log-out the old cookie was tried, and accepted; the latter's users and time until it was refused. */
  readonly replay: {
    readonly users: number;
    readonly resurrected: number;
    /** Mean time from log-out to the last acceptance, over all users tried. */
    readonly revocationMeanMs: number;
    readonly revocationMaxMs: number;
  };
  /** Largest session accepted by everybody who tried, and smallest refused by anybody; null: none refused. */
  readonly growth: { readonly acceptedBytes: number; readonly refusedBytes: number | null };
  /** Live sessions by the server that answered last: when the fault happened, and at the end. */
  readonly homes: {
    readonly atFault: Readonly<Record<string, number>>;
    readonly atEnd: Readonly<Record<string, number>>;
  };
}

interface Session {
  readonly name: string;
  readonly exchanges: Exchange[];
  beganMs: number;
  logoutSentMs: number;
  logoutEndedMs: number;
  lostAtMs: number;
}

/** Judges everything that is about a session and not about a request. */
export function judgeSessions(transcript: readonly Exchange[], windows: Windows): SessionFindings {
  const sessions = [...bySession(transcript).values()].filter(({ beganMs }) => beganMs < Infinity);
  for (const session of sessions) session.lostAtMs = lossOf(session, windows.lifeMs);
  const lost = sessions.filter(({ lostAtMs }) => lostAtMs < Infinity);
  const liveAtFault = sessions.filter((session) => isLive(session, windows.faultMs));
  const slips = sessions.flatMap(regressionsOf);
  return {
    sessions: sessions.length,
    sessionsAtFault: liveAtFault.length,
    sessionsTried: liveAtFault.filter(
      (session) => session.lostAtMs < Infinity || acceptedFrom(session, windows.changedMs) > 0,
    ).length,
    lost: lost.length,
    lostAtMs: lost.map(({ lostAtMs }) => lostAtMs),
    acceptedLate: sum(lost.map((session) => acceptedFrom(session, windows.changedMs))),
    forcedLogins: transcript.filter(({ kind, isForced }) => kind === 'login' && isForced).length,
    regressions: { count: slips.length, size: sum(slips) },
    lostUpdates: {
      lost: sum(sessions.map(lostUpdatesOf)),
      pairs: transcript.filter((one) => one.kind === 'pair' && isAcknowledged(one)).length / 2,
    },
    replay: replayOf(sessions),
    growth: growthOf(transcript),
    homes: { atFault: homesAt(sessions, windows.faultMs), atEnd: homesAt(sessions, windows.endMs) },
  };
}

function bySession(transcript: readonly Exchange[]): ReadonlyMap<string, Session> {
  const sessions = new Map<string, Session>();
  for (const exchange of transcript) {
    const name = sessionName(exchange);
    const session = sessions.get(name) ?? {
      name,
      exchanges: [],
      beganMs: Infinity,
      logoutSentMs: Infinity,
      logoutEndedMs: Infinity,
      lostAtMs: Infinity,
    };
    sessions.set(name, session);
    session.exchanges.push(exchange);
    if (exchange.kind === 'login' && isAcknowledged(exchange)) session.beganMs = exchange.endedMs;
    if (exchange.kind === 'logout') {
      session.logoutSentMs = Math.min(session.logoutSentMs, exchange.sentMs);
      if (isAcknowledged(exchange)) session.logoutEndedMs = exchange.endedMs;
    }
  }
  return sessions;
}

/** When the loss was noticed; Infinity when the session was not lost. */
function lossOf(session: Session, lifeMs: number): number {
  const noticed = session.exchanges.filter(
    (one) =>
      isNotLoggedIn(one) &&
      one.kind !== 'login' &&
      one.kind !== 'replay' &&
      one.kind !== 'logout' &&
      one.sentMs >= session.beganMs &&
      one.endedMs < session.beganMs + lifeMs &&
      one.endedMs < session.logoutSentMs,
  );
  return Math.min(Infinity, ...noticed.map(({ endedMs }) => endedMs));
}

function acceptedFrom({ exchanges }: Session, fromMs: number): number {
  return exchanges.filter((one) => one.kind !== 'login' && one.sentMs >= fromMs && isAcknowledged(one))
    .length;
}

function isLive(session: Session, atMs: number): boolean {
  return session.beganMs <= atMs && session.logoutSentMs > atMs && session.lostAtMs > atMs;
}

/** Sizes of the regressions of one session. */
function regressionsOf({ exchanges }: Session): readonly number[] {
  const known = exchanges
    .flatMap((one) => {
      const counter = acknowledgedCounter(one);
      return counter === null ? [] : [{ endedMs: one.endedMs, sentMs: one.sentMs, counter }];
    })
    .sort((a, b) => a.endedMs - b.endedMs);
  return known.flatMap(({ sentMs, counter }) => {
    const before = known.filter((other) => other.endedMs <= sentMs).map((other) => other.counter);
    const highest = Math.max(0, ...before);
    return counter < highest ? [highest - counter] : [];
  });
}

/** 0 for a session without pairs. */
function lostUpdatesOf({ exchanges }: Session): number {
  const increments = exchanges.filter((one) => one.kind === 'pair' && isAcknowledged(one));
  if (increments.length === 0) return 0;
  const quietMs = Math.max(...increments.map(({ endedMs }) => endedMs));
  const final = exchanges
    .filter((one) => one.kind === 'read' && one.sentMs > quietMs)
    .map(acknowledgedCounter);
  const counter = final.find((value) => value !== null);
  return counter === undefined || counter === null ? 0 : increments.length - counter;
}

function replayOf(sessions: readonly Session[]): SessionFindings['replay'] {
  const tried = sessions.filter(
    ({ logoutEndedMs, exchanges }) =>
      logoutEndedMs < Infinity &&
      exchanges.some(({ kind, sentMs }) => kind === 'replay' && sentMs >= logoutEndedMs),
  );
  const accepted = tried.map(({ exchanges, logoutEndedMs }) => {
    const times = exchanges.flatMap((one) =>
      one.kind === 'replay' && one.sentMs >= logoutEndedMs && isAcknowledged(one) ? [one.endedMs] : [],
    );
    return times.length === 0 ? null : Math.max(...times) - logoutEndedMs;
  });
  const latencies = accepted.map((value) => value ?? 0);
  return {
    users: tried.length,
    resurrected: accepted.filter((value) => value !== null).length,
    revocationMeanMs: mean(latencies),
    revocationMaxMs: Math.max(0, ...latencies),
  };
}

function growthOf(transcript: readonly Exchange[]): SessionFindings['growth'] {
  const tries = transcript.filter(({ kind, outcome }) => kind === 'grow' && outcome.type === 'complete');
  const refused = tries.filter((one) => !isAcknowledged(one)).map(({ sessionBytes }) => sessionBytes);
  const refusedBytes = refused.length === 0 ? null : Math.min(...refused);
  const accepted = tries.filter(isAcknowledged).map(({ sessionBytes }) => sessionBytes);
  const below = accepted.filter((bytes) => refusedBytes === null || bytes < refusedBytes);
  return { acceptedBytes: Math.max(0, ...below), refusedBytes };
}

function homesAt(sessions: readonly Session[], atMs: number): Readonly<Record<string, number>> {
  const homes: Record<string, number> = {};
  for (const session of sessions) {
    if (!isLive(session, atMs)) continue;
    const last = session.exchanges
      .filter((one) => one.endedMs <= atMs && isAcknowledged(one))
      .reduce<Exchange | null>(
        (latest, one) => (latest === null || one.endedMs > latest.endedMs ? one : latest),
        null,
      );
    const server = last?.outcome.type === 'complete' ? last.outcome.server : null;
    if (server !== null && server !== undefined) homes[server] = (homes[server] ?? 0) + 1;
  }
  return homes;
}

function acknowledgedCounter(exchange: Exchange): number | null {
  const { outcome } = exchange;
  return outcome.type === 'complete' && isAcknowledged(exchange) ? outcome.counter : null;
}
