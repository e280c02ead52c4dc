// Expectations where servers restart, join or leave. Pure.
import { HOME_REBALANCE } from '../demo/balancer-config.ts';
import { rehomingOf } from './architectures.ts';
import { type CellPlan, CHURN_ENDS_MS } from './cells.ts';
import { type Check, check, exactly } from './check.ts';
import { drainMs } from './faults.ts';
import { parAtJoin, parEvenMax, parOf, stillThere } from './formulas.ts';
import type { Measured } from './measured.ts';
import { isHalf, newcomerBrackets, timeToEvenLeastMs, timeToHalfMs } from './newcomer.ts';
import { rollingBracket, rollingParBracket, rollingParText, rollingText } from './rolling.ts';
import { RETURN_MS, WRITE_SHARE } from './schedule.ts';
import { EVEN_PAR, firstMs } from './spread.ts';
import { binomialBracket, poissonBracket, shareBracket } from './statistics.ts';

/** Forced log-ins per user; nothing where another server knows the session. */
export function expectRolling(plan: CellPlan, measured: Measured): readonly Check[] {
  const { architecture, servers: n, users: m, seed } = plan;
  const { judgement, balancerLost, servers } = measured;
  const perUser = judgement.lost / m;
  const metric = 'lost sessions per user';
  const errors = closingErrors(plan, measured);
  if (!architecture.isLocal) {
    const formula =
      architecture.demo.architecture === 'replicated' ? '0: a joiner has all before it is ready' : '0';
    return [check(metric, formula, exactly(0), perUser, 'ratio'), errors];
  }
  const rehoming = rehomingOf(architecture);
  // Who got an error was told nothing, so only the balancer or only the user knows of that loss.
  const unsure = judgement.errorCount;
  return [
    check(metric, rollingText(rehoming, n), rollingBracket(rehoming, n, m, seed), perUser, 'ratio'),
    check(
      'PAR of sessions at the end',
      rollingParText(rehoming, n),
      rollingParBracket(rehoming, n, m, seed),
      parOf(servers.map((name) => judgement.homes.atEnd[name] ?? 0)),
      'ratio',
    ),
    check(
      'holdfast_sessions_lost_total less the losses users saw',
      '0, give or take one for each request that failed',
      { low: -unsure, high: unsure },
      balancerLost - judgement.lost,
      'count',
    ),
    errors,
  ];
}

/** A connection that the server is closing swallows what is written to it before both have noticed. */
function closingErrors({ perSecond }: CellPlan, { judgement }: Measured): Check {
  const noticedMs = judgement.latency.read.steady.p99Ms;
  const expected = (WRITE_SHARE * perSecond * noticedMs) / 1000;
  return check(
    'errors',
    `writes on a connection being closed: Poisson, at most n restarts · λ_w/n · W = ${expected.toFixed(1)}; W = ${noticedMs.toFixed(1)} ms, the slowest read of 100, for both sides to notice`,
    { low: 0, high: poissonBracket(expected).high },
    judgement.errorCount,
    'count',
  );
}

/** A newcomer takes new sessions only where they are local, a fair share of the requests at once where they are not. */
export function expectAddServer(plan: CellPlan, measured: Measured): readonly Check[] {
  const { judgement, marks, servers } = measured;
  const { architecture, servers: n, users: m } = plan;
  const checks = [
    check('lost sessions', '0', exactly(0), judgement.lost, 'count'),
    check('errors', '0', exactly(0), judgement.errorCount, 'count'),
  ];
  if (architecture.isBacked) return [...checks, levelled(plan, measured)];
  if (!architecture.isLocal) {
    const { after } = judgement.requestsByServer;
    const total = Object.values(after).reduce((sum, count) => sum + count, 0);
    const share = (after[marks.server] ?? 0) / Math.max(1, total);
    const formula = `1/(n+1) = 1/${n + 1} ± 3σ of a binomial`;
    const bracket = shareBracket(total, 1 / (n + 1));
    return [...checks, check("newcomer's share of the requests", formula, bracket, share, 'share')];
  }
  if (plan.churnMeanMs !== null) return [...checks, ...balanceChecks(plan, measured, plan.churnMeanMs)];
  const { atEnd } = judgement.homes;
  return [
    ...checks,
    check(
      'sessions on the newcomer',
      '0: nobody leaves, nobody comes',
      exactly(0),
      atEnd[marks.server] ?? 0,
      'count',
    ),
    check(
      'PAR of sessions',
      `(n+1)/n = ${parAtJoin(n)}, counts differ by 1`,
      { low: parAtJoin(n), high: parAtJoin(n) * parEvenMax(n, m) },
      parOf(servers.map((name) => atEnd[name] ?? 0)),
      'ratio',
    ),
  ];
}

/** Sessions move to the newcomer until no server has more than `stop` times its fair share. */
function levelled({ servers: n, users: m }: CellPlan, { judgement, marks }: Measured): Check {
  const fair = m / (n + 1);
  const { stop } = HOME_REBALANCE;
  const low = Math.floor(m - n * stop * fair);
  return check(
    'sessions on the newcomer',
    `moved there, m/(n+1) = ${fair.toFixed(0)}, at least m - n·${stop}·m/(n+1) = ${low}: levelling ends at ${stop}`,
    { low, high: Math.ceil(stop * fair) },
    judgement.homes.atEnd[marks.server] ?? 0,
    'count',
  );
}

/** Users come and go: how fast the newcomer fills. */
function balanceChecks(plan: CellPlan, measured: Measured, lifeMs: number): readonly Check[] {
  const { servers: n, users: m, seed, endMs, faultMs, architecture } = plan;
  const { marks, spread, judgement } = measured;
  const placement = architecture.placement === 'least' ? 'least' : 'turn';
  const appliedMs = marks.appliedMs ?? endMs;
  // What happens in the last moments, when nobody leaves any more, is not compared.
  const afterMs = endMs - CHURN_ENDS_MS - appliedMs;
  const within = spread.filter((sample) => sample.afterMs < afterMs);
  const { held, halfMs, evenMs } = newcomerBrackets(
    { servers: n, users: m, lifeMs, returnMs: RETURN_MS, beforeMs: appliedMs - faultMs, afterMs, placement },
    seed,
  );
  // Log-ins and log-outs on their way to the newcomer or from it: the users and the balancer do not agree on these.
  const underWay = poissonBracket(((2 * m) / (n + 1) / lifeMs) * judgement.latency.login.after.meanMs).high;
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  const law = placement === 'least' ? 'min(m/(n+1), m(1-e^{-t/T}))' : 'm/(n+1)·(1-e^{-t/T})';
  const expected = newcomerShare(n, m, placement, 1 - stillThere(afterMs, lifeMs));
  const half = placement === 'least' ? 'T·ln(1/(1-1/(2(n+1))))' : 'T·ln 2';
  const checks = [
    check(
      'sessions on the newcomer',
      `${law} = ${expected.toFixed(0)} after ${seconds(afterMs)}, T = ${lifeMs / 1000} s; bracket by trial, and up to ${underWay} log-ins and log-outs on the way`,
      { low: held.low - underWay, high: held.high + underWay },
      within.at(-1)?.held ?? 0,
      'count',
    ),
    check(
      'time until it has half of its fair share',
      `${half} = ${seconds(timeToHalfMs(n, lifeMs, placement))}; bracket by trial`,
      halfMs,
      firstMs(within, (sample) => isHalf(sample.held, m, n)),
      'ms',
    ),
  ];
  if (placement === 'turn') return checks;
  const even = check(
    `time until PAR < ${EVEN_PAR}`,
    `T·ln((n+1)/n/${EVEN_PAR}) = ${seconds(timeToEvenLeastMs(n, lifeMs, EVEN_PAR))}; bracket by trial`,
    evenMs,
    firstMs(within, (sample) => sample.par < EVEN_PAR),
    'ms',
  );
  return [...checks, even];
}

/** Sessions the newcomer has once the part `gone` of those that were there has ended. */
function newcomerShare(n: number, m: number, placement: 'least' | 'turn', gone: number): number {
  const fair = m / (n + 1);
  return placement === 'least' ? Math.min(fair, m * gone) : fair * gone;
}

/** Local sessions wait for their end or die at the deadline; shared ones move away at once. */
export function expectDrain(plan: CellPlan, { judgement, marks }: Measured): readonly Check[] {
  const { architecture, servers: n, churnMeanMs } = plan;
  const m = judgement.sessionsAtFault;
  const stoppedMs = marks.stoppedMs ?? plan.endMs;
  const during = judgement.lostAtMs.filter((atMs) => atMs < stoppedMs).length;
  const after = judgement.lost - during;
  const checks = [check('sessions lost while it drains', '0', exactly(0), during, 'count')];
  const metric = 'sessions lost when it stops';
  if (!architecture.isLocal) {
    const answered = judgement.requestsByServer.after[marks.server] ?? 0;
    const none = check(metric, '0', exactly(0), after, 'count');
    if (architecture.isBacked) return [...checks, none];
    return [...checks, none, check('requests it gets while it drains', '0', exactly(0), answered, 'count')];
  }
  const homes = m / n;
  if (churnMeanMs === null) {
    const bracket = { low: Math.floor(homes) - 1, high: Math.ceil(homes) + 1 };
    const formula = `m/n = ${homes.toFixed(0)} ± 1: nobody leaves`;
    return [...checks, check(metric, formula, bracket, after, 'count')];
  }
  const elapsedMs = drainMs(architecture);
  const left = stillThere(elapsedMs, churnMeanMs);
  const formula = `m/n·e^{-D/T} = ${(homes * left).toFixed(0)} ± 3σ of a binomial (D = ${elapsedMs / 1000} s, T = ${churnMeanMs / 1000} s)`;
  return [...checks, check(metric, formula, binomialBracket(homes, left), after, 'count')];
}
