// Expectations where servers die or hang. Pure.
import type { CellPlan } from './cells.ts';
import { type Check, check, exactly } from './check.ts';
import { parAfterCrashBracket, parEvenMax, parOf } from './formulas.ts';
import type { Measured } from './measured.ts';
import { WRITE_SHARE } from './schedule.ts';
import { binomialBracket, poissonBracket } from './statistics.ts';
import { hangNoticedMs, staleMsMax } from './times.ts';

/** One or two servers are killed: their sessions are gone where they were local. */
export function expectKill(plan: CellPlan, measured: Measured): readonly Check[] {
  const checks = [lossCheck(plan, measured, killedIn(plan)), inFlight(plan, measured)];
  if (!plan.architecture.isLocal) return [...checks, notOlder(measured)];
  return [...checks, agreement(measured), evenAfter(plan, measured)];
}

/** A server hangs: the same, but that its requests hang until it is noticed. */
export function expectHang(plan: CellPlan, measured: Measured): readonly Check[] {
  const checks = [lossCheck(plan, measured, 1), hung(plan, measured)];
  if (plan.architecture.isLocal) return [...checks, agreement(measured)];
  const isStale = plan.architecture.demo.architecture === 'replicated';
  return [...checks, isStale ? staleAfterHang(plan, measured) : notOlder(measured)];
}

function killedIn({ fault }: CellPlan): number {
  return fault === 'kill-two' ? 2 : 1;
}

function lossCheck({ architecture, servers: n }: CellPlan, { judgement }: Measured, killed: number): Check {
  const m = judgement.sessionsAtFault;
  const { lost } = judgement;
  if (!architecture.isLocal) return check('lost sessions', '0', exactly(0), lost, 'count');
  const share = killed / n;
  const formula = `${killed === 1 ? '' : `${killed}·`}m/n = ${(m * share).toFixed(0)} of ${m}`;
  if (architecture.placement === 'random') {
    const bracket = binomialBracket(m, share);
    return check('lost sessions', `${formula} ± 3σ of a binomial`, bracket, lost, 'count');
  }
  // The counts of servers differ by one at most, whether filled in turn or by the fewest.
  const bracket = { low: Math.floor(m * share) - killed, high: Math.ceil(m * share) + killed };
  return check('lost sessions', `${formula} ± ${killed}: counts differ by 1`, bracket, lost, 'count');
}

function inFlight(plan: CellPlan, { judgement, marks }: Measured): Check {
  const { servers: n, perSecond } = plan;
  const serviceMs = judgement.latency.write.steady.meanMs;
  const closingMs = (marks.stoppedMs ?? marks.faultMs) - marks.faultMs;
  const rate = (WRITE_SHARE * perSecond * killedIn(plan)) / n;
  const expected = (rate * (serviceMs + closingMs)) / 1000;
  return check(
    'errors',
    `writes in flight, reads are tried again: Poisson, at most λ_w·(S + C) = ${rate.toFixed(0)}/s · (${serviceMs.toFixed(1)} + ${closingMs.toFixed(0)} ms) = ${expected.toFixed(1)}; S: mean write, C: from the signal to the end of the process, both measured`,
    { low: 0, high: poissonBracket(expected).high },
    judgement.errorCount,
    'count',
  );
}

function hung({ servers: n, perSecond }: CellPlan, { judgement }: Measured): Check {
  const noticed = hangNoticedMs();
  const rate = perSecond / n;
  return check(
    'requests that hang (errors)',
    `Poisson, λ/n · time to notice = ${rate.toFixed(0)}/s · ${noticed.low / 1000} to ${noticed.high / 1000} s: two timeouts, and up to an interval before the first check`,
    {
      low: poissonBracket((rate * noticed.low) / 1000).low,
      high: poissonBracket((rate * noticed.high) / 1000).high,
    },
    judgement.errorCount,
    'count',
  );
}

function notOlder({ judgement }: Measured): Check {
  return check(
    'answers older than what was confirmed',
    '0: the lag is far shorter than the users think',
    exactly(0),
    judgement.regressions.count,
    'count',
  );
}

/**
 * A replicated server that hung was cut off by the others. When it goes on it serves what it had known before until it
 * is told; a write it takes meanwhile is based on that and wins over newer ones by its later time, so every later
 * answer of that session is older too.
 */
function staleAfterHang(plan: CellPlan, { judgement, marks }: Measured): Check {
  const { servers: n, perSecond, periodMs, endMs } = plan;
  const staleMs = staleMsMax();
  const later = Math.max(0, endMs - (marks.backMs ?? endMs)) / periodMs;
  const expected = (perSecond / n) * (staleMs / 1000) * (1 + WRITE_SHARE * later);
  return check(
    'answers older than what was confirmed',
    `Poisson, at most λ/n·W·(1 + w·k) = ${expected.toFixed(0)}: stale for W = ${staleMs / 1000} s until dialled again, a stale write (w = ${WRITE_SHARE}) wins by its later time and spoils the k = ${later.toFixed(1)} answers that follow`,
    { low: 0, high: poissonBracket(expected).high },
    judgement.regressions.count,
    'count',
  );
}

/** The balancer's own count must be the users'. */
function agreement({ balancerLost, judgement }: Measured): Check {
  return check(
    'holdfast_sessions_lost_total less the losses users saw',
    '0',
    exactly(0),
    balancerLost - judgement.lost,
    'count',
  );
}

function evenAfter(plan: CellPlan, { judgement, marks, servers }: Measured): Check {
  const { architecture, servers: n, users: m, seed } = plan;
  const isEven = architecture.placement !== 'random';
  const left = servers.filter((name) => !marks.gone.includes(name));
  const isFilled = isEven && architecture.sticky === 'learn';
  const high = isFilled
    ? parEvenMax(left.length, m)
    : parAfterCrashBracket(n, m, killedIn(plan), isEven, seed).high;
  const par = parOf(left.map((name) => judgement.homes.atEnd[name] ?? 0));
  return check(
    'PAR of sessions on those left',
    isFilled
      ? 'even, one on its way: they go where there are too few'
      : 'at most what chance gives when the lost fall on those left: by trial',
    { low: 1, high },
    par,
    'ratio',
  );
}
