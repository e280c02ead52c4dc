// Expectations where users do something special, or something is done to them: they grow their session, write in
// parallel, log out and get copied, are banned, and their keys are changed. Pure.
import type { Architecture } from './architectures.ts';
import { type CellPlan, GROWTH_SIZES } from './cells.ts';
import { around, type Check, check, exactly } from './check.ts';
import { sealedBytesMax, tokenBytesMax } from './cookie-size.ts';
import { REPLAY_LIFE_MS, REPLAY_STEP_MS } from './faults.ts';
import type { Measured } from './measured.ts';
import { REPLAY_MARGIN_MS } from './schedule.ts';
import { grownBytes } from './simulate.ts';
import type { Bracket } from './statistics.ts';

const LAG_REASON = 'Asynchronous: a server that has not heard of the log-out yet still accepts the cookie';

/** A session in a cookie ends at the cookie's 4096 bytes; a session in a store does not. */
export function expectGrowth({ architecture }: CellPlan, { judgement }: Measured): readonly Check[] {
  const { acceptedBytes, refusedBytes } = judgement.growth;
  if (!architecture.isCarried) {
    return [
      check(
        'largest session accepted',
        'all that were tried: at least 64 KB',
        { low: GROWTH_SIZES.at(-1) ?? 0, high: Infinity },
        acceptedBytes,
        'bytes',
      ),
      check('sizes refused', 'none', exactly(0), refusedBytes === null ? 0 : 1, 'count'),
    ];
  }
  const isToken = architecture.demo.architecture === 'jwt';
  const most = isToken ? tokenBytesMax() : sealedBytesMax();
  const fitting = Math.max(...GROWTH_SIZES.map(grownBytes).filter((bytes) => bytes <= most));
  return [
    check(
      'largest session accepted',
      `${most} B of JSON fill a cookie of 4096 (${isToken ? 'base64, claims, signature' : 'AES blocks in base64, salts, MAC, attributes'}); the largest size tried under it`,
      exactly(fitting),
      acceptedBytes,
      'bytes',
    ),
  ];
}

/** Two writes read the same session before either has written: one of them is forgotten. */
export function expectPairs({ architecture }: CellPlan, { judgement }: Measured): readonly Check[] {
  const { lost, pairs } = judgement.lostUpdates;
  const share = pairs === 0 ? 0 : lost / pairs;
  const [formula, bracket] = lostUpdatesOf(architecture, pairs);
  return [
    check('lost updates a pair', formula, bracket, share, 'ratio'),
    check('errors', '0', exactly(0), judgement.errorCount, 'count'),
  ];
}

/** What a pair loses, in words and as a bracket. */
function lostUpdatesOf({ isCarried, isBacked }: Architecture, pairs: number): readonly [string, Bracket] {
  if (isCarried) return ['1: both start from one cookie, the last wins', exactly(1)];
  if (isBacked)
    return [
      '0: between them nothing is waited for, both read and write in the memory of one server',
      exactly(0),
    ];
  const low = pairs === 0 ? 0 : 1 / pairs;
  return ['from one in all to one a pair: how often two overlap has no formula', { low, high: 1 }];
}

/** What servers keep they can end; what the client keeps works until it expires, unless a list says no. */
export function expectReplay({ architecture, users }: CellPlan, { judgement }: Measured): readonly Check[] {
  const { resurrected, users: tried, revocationMeanMs } = judgement.replay;
  const share = tried === 0 ? 0 : resurrected / tried;
  const cannotRevoke = architecture.isCarried && architecture.demo.denyList !== true;
  const metric = 'copied cookies that work after log-out';
  if (!cannotRevoke) {
    const lag = architecture.demo.replication === 'async';
    return [
      check(
        metric,
        '0',
        exactly(0),
        share,
        'share',
        !lag ? undefined : { low: 0, high: 0.1, because: LAG_REASON },
      ),
      check(
        'log-out to last acceptance, mean',
        '0',
        exactly(0),
        revocationMeanMs,
        'ms',
        !lag ? undefined : { low: 0, high: 100, because: LAG_REASON },
      ),
    ];
  }
  const expected = REPLAY_LIFE_MS / 2;
  // Mean of `users` times of a uniform distribution, and the step in which the copy is tried.
  const by = (3 * (REPLAY_LIFE_MS - 2 * REPLAY_MARGIN_MS)) / Math.sqrt(12 * users) + REPLAY_STEP_MS;
  return [
    check(metric, 'all', exactly(1), share, 'share'),
    check(
      'log-out to last acceptance, mean',
      `exp/2 = ${expected / 1000} s ± 3σ and the step of ${REPLAY_STEP_MS} ms: log-outs at any time of a life of ${REPLAY_LIFE_MS / 1000} s`,
      around(expected, by),
      revocationMeanMs,
      'ms',
    ),
  ];
}

/** A ban by a call to one server reaches what that server can reach: its memory, its peers, the store, a list. */
export function expectBan(plan: CellPlan, { judgement }: Measured): readonly Check[] {
  const { architecture, servers: n } = plan;
  // nobody knows of those that have not asked again, as on a machine that is too busy
  const m = judgement.sessionsTried;
  const metric = 'sessions of banned users that go on';
  const share = m === 0 ? 0 : 1 - judgement.lost / m;
  const late = check(
    'requests accepted after the ban, of sessions it ended',
    '0',
    exactly(0),
    judgement.acceptedLate,
    'count',
  );
  if (architecture.isLocal) {
    const ended = m / n;
    const bracket: Bracket = {
      low: 1 - (Math.ceil(ended) + 1) / m,
      high: 1 - (Math.floor(ended) - 1) / m,
    };
    const formula = `(n-1)/n, counts differ by 1: the server knows its own sessions only`;
    return [check(metric, formula, bracket, share, 'share'), late];
  }
  if (architecture.isCarried && architecture.demo.denyList !== true)
    return [check(metric, 'all, until they expire: nobody to ask', exactly(1), share, 'share')];
  return [check(metric, '0', exactly(0), share, 'share'), late];
}

/** A new key of cookies and tokens logs out whoever brings what the old one sealed, unless the old one is kept. */
export function expectKeys({ fault }: CellPlan, { judgement }: Measured): readonly Check[] {
  const m = judgement.sessionsAtFault;
  return fault === 'keys-rotated'
    ? [check('lost sessions', '0: the old key still opens', exactly(0), judgement.lost, 'count')]
    : [check('lost sessions', `all: m = ${m}`, exactly(m), judgement.lost, 'count')];
}
