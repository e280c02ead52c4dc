// Expectations where users do something special: grow their session, write in parallel, log out and get copied. Pure.
import type { CellPlan } from './cells.ts';
import { around, type Check, check, exactly } from './check.ts';
import { REPLAY_LIFE_MS } from './faults.ts';
import type { Measured } from './measured.ts';

/** What a browser takes in one cookie, name and value together. */
const COOKIE_BYTES_MAX = 4096;
/** iron-session: name, prefix, two salts, two signatures and the separators around the encrypted part. */
const SEAL_BYTES = 230;
/** JSON around the session in the seal, and the padding of AES. */
const SEAL_INSIDE_BYTES = 50;
/** Name, header and signature of the token, and the claims beside the session. */
const TOKEN_BYTES = 72;
const TOKEN_INSIDE_BYTES = 190;
/** Steps in which the session grows. */
const GROWTH_STEP_BYTES = 50;
const GROWTH_BYTES_MAX = 64_000;
const REPLAY_STEP_MS = 200;
const LAG_REASON = 'Asynchronous: a server that has not heard of the log-out yet still accepts the cookie';

/** A session in a cookie ends at the cookie's 4096 bytes; a session in a store does not. */
export function expectGrowth({ architecture }: CellPlan, { judgement }: Measured): readonly Check[] {
  const { acceptedBytes, refusedBytes } = judgement.growth;
  if (!architecture.isCarried) {
    return [
      check(
        'largest session accepted',
        'at least 64 KB',
        { low: GROWTH_BYTES_MAX, high: Infinity },
        acceptedBytes,
        'bytes',
      ),
      check('sizes refused', 'none', exactly(0), refusedBytes === null ? 0 : 1, 'count'),
    ];
  }
  const isToken = architecture.demo.architecture === 'jwt';
  const around64 = isToken ? TOKEN_BYTES : SEAL_BYTES;
  const inside = isToken ? TOKEN_INSIDE_BYTES : SEAL_INSIDE_BYTES;
  const expected = ((COOKIE_BYTES_MAX - around64) * 3) / 4 - inside;
  return [
    check(
      'largest session accepted',
      `(4096 - ${around64})·3/4 - ${inside} = ${expected.toFixed(0)}: base64 in a cookie of 4096`,
      around(expected, 2 * GROWTH_STEP_BYTES),
      acceptedBytes,
      'bytes',
    ),
  ];
}

/** Two writes read the same session before either has written: one of them is forgotten. */
export function expectPairs({ architecture }: CellPlan, { judgement }: Measured): readonly Check[] {
  const { lost, pairs } = judgement.lostUpdates;
  const share = pairs === 0 ? 0 : lost / pairs;
  return [
    architecture.isCarried
      ? check('lost updates a pair', '1 ± 2 %: the last Set-Cookie wins', around(1, 0.02), share, 'ratio')
      : check(
          'lost updates a pair',
          'more than 0: read, change, write of the whole session',
          { low: 0.01, high: 1 },
          share,
          'ratio',
        ),
    check('errors', '0', exactly(0), judgement.errorCount, 'count'),
  ];
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
  const by = (3 * REPLAY_LIFE_MS) / Math.sqrt(12 * users) + REPLAY_STEP_MS;
  return [
    check(metric, 'all', exactly(1), share, 'share'),
    check(
      'log-out to last acceptance, mean',
      `exp/2 = ${expected / 1000} s ± 3σ: log-outs at any time of a life of ${REPLAY_LIFE_MS / 1000} s`,
      around(expected, by),
      revocationMeanMs,
      'ms',
    ),
  ];
}
