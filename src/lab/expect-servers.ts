// Expectations where a server dies, hangs, restarts, joins or leaves. SESSIONS 5.4, rows F1 to F5. Pure.
import type { CellPlan } from './cells.ts';
import { around, type Check, check, exactly, type Known } from './check.ts';
import { CHURN_MEAN_MS, DRAIN_MS } from './faults.ts';
import {
  parAtJoin,
  parOf,
  rollingLeast,
  rollingRandom,
  rollingRandomBracket,
  stillThere,
} from './formulas.ts';
import type { Measured } from './measured.ts';
import { type Bracket, binomialBracket, shareBracket } from './statistics.ts';

/** Health check of the demo's balancer: interval and timeout 500 ms, two failures. */
const DETECTION_MS: Bracket = { low: 700, high: 2000 };

/** From SIGKILL to the end of its sockets: what is written meanwhile is lost without a word. */
const CLOSING_MS = 20;
/** Longest that answers of a server that hung may be stale after it went on, with what its stale writes leave behind. */
const STALE_SECONDS_MAX = 4;

/** A server dies or hangs: its sessions are gone where they were local, its requests fail until it is noticed. */
export function expectKill(plan: CellPlan, measured: Measured): readonly Check[] {
  const { judgement } = measured;
  const checks = [lossOfOne(plan, measured)];
  if (plan.fault === 'kill-one') checks.push(inFlight(plan, measured));
  else checks.push(hung(plan, measured));
  if (plan.architecture.isLocal) {
    checks.push(agreement(measured));
    if (plan.fault === 'kill-one') checks.push(evenAfter(plan, measured));
  } else {
    checks.push(
      check(
        'answers older than what was confirmed',
        '0: the lag is far shorter than the users think',
        exactly(0),
        judgement.regressions.count,
        'count',
        staleAfterHang(plan),
      ),
    );
  }
  return checks;
}

/** A replicated server that hung was cut off by the others, and is stale when it comes back. */
function staleAfterHang({ architecture, fault, servers: n, perSecond }: CellPlan): Known | undefined {
  if (fault !== 'sigstop' || architecture.demo.architecture !== 'replicated') return undefined;
  return {
    low: 0,
    high: (perSecond / n) * STALE_SECONDS_MAX,
    because:
      'Its peers had cut off the server that hung; when it went on it served what it had known before, until it had dialled them again (up to 0.5 s) and received their state. Writes it took meanwhile were based on old state and won over newer ones by their later time: last writer wins',
  };
}

function lossOfOne({ architecture, servers: n }: CellPlan, { judgement }: Measured): Check {
  const m = judgement.sessionsAtFault;
  const { lost } = judgement;
  if (!architecture.isLocal) return check('lost sessions', '0', exactly(0), lost, 'count');
  const formula = `m/n = ${m}/${n} = ${(m / n).toFixed(0)}`;
  if (architecture.placement === 'random') {
    return check('lost sessions', `${formula} ± 3σ`, binomialBracket(m, 1 / n), lost, 'count');
  }
  const by = architecture.placement === 'least' ? 1 : 2;
  const bracket = { low: Math.floor(m / n) - by, high: Math.ceil(m / n) + by };
  return check('lost sessions', `${formula} ± ${by}`, bracket, lost, 'count');
}

function inFlight({ servers: n, perSecond }: CellPlan, { judgement }: Measured): Check {
  const serviceMs = judgement.latency.read.steady.p50Ms;
  const expected = (perSecond / n) * ((serviceMs + CLOSING_MS) / 1000);
  return check(
    'errors',
    `in flight: λ/n·(S + ${CLOSING_MS} ms until the kernel has closed) = ${(perSecond / n).toFixed(0)}/s · ${(serviceMs + CLOSING_MS).toFixed(0)} ms = ${expected.toFixed(1)}`,
    { low: 0, high: Math.ceil(expected + 3 * Math.sqrt(expected)) },
    judgement.errorCount,
    'count',
  );
}

function hung({ servers: n, perSecond }: CellPlan, { judgement }: Measured): Check {
  const low = (perSecond / n) * (DETECTION_MS.low / 1000);
  const high = (perSecond / n) * (DETECTION_MS.high / 1000);
  return check(
    'requests that hang (errors)',
    `λ/n · time to notice = ${(perSecond / n).toFixed(0)}/s · 0.7 to 2 s`,
    { low: low - 3 * Math.sqrt(low), high: high + 3 * Math.sqrt(high) },
    judgement.errorCount,
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

function evenAfter(
  { architecture, servers: n, users: m }: CellPlan,
  { judgement, marks, servers }: Measured,
): Check {
  const left = servers.filter((name) => name !== marks.server);
  const par = parOf(left.map((name) => judgement.homes.atEnd[name] ?? 0));
  // The lost share of an even placement falls on the others by chance; of a placement by chance all is chance.
  const byChance = architecture.placement === 'random' ? m : m / n;
  const high = 1 + (3 * Math.sqrt(byChance * (n - 1))) / m;
  return check(
    'PAR of sessions on those left',
    'the lost share falls on the others by chance',
    { low: 1, high },
    par,
    'ratio',
  );
}

/** Forced log-ins per user; nothing where another server knows the session. */
export function expectRolling(plan: CellPlan, { judgement, balancerLost }: Measured): readonly Check[] {
  const { architecture, servers: n, users: m } = plan;
  const perUser = judgement.lost / m;
  const errors = check(
    'errors',
    'a few in flight: 0 to 3 a restart',
    { low: 0, high: 3 * n },
    judgement.errorCount,
    'count',
  );
  if (!architecture.isLocal) {
    const formula =
      architecture.demo.architecture === 'replicated' ? '0: a joiner has all before it is ready' : '0';
    return [check('lost sessions per user', formula, exactly(0), perUser, 'ratio'), errors];
  }
  const loss = check(
    'lost sessions per user',
    `((1+1/(n-1))^n - 1)(n-1)/n = ${rollingRandom(n).toFixed(2)}: moved by hash (to the fewest: 1+1/n = ${rollingLeast(n)})`,
    rollingRandomBracket(n, m, plan.seed),
    perUser,
    'ratio',
  );
  const agreed = check(
    'holdfast_sessions_lost_total less the losses users saw',
    '0 ± 1 %',
    { low: -Math.ceil(judgement.lost * 0.01), high: Math.ceil(judgement.lost * 0.01) },
    balancerLost - judgement.lost,
    'count',
  );
  return [loss, agreed, errors];
}

/** A newcomer takes new sessions only where they are local, a fair share of the requests at once where they are not. */
export function expectAddServer(plan: CellPlan, measured: Measured): readonly Check[] {
  const { judgement, marks, servers } = measured;
  const { architecture, servers: n, users: m } = plan;
  const checks = [
    check('lost sessions', '0', exactly(0), judgement.lost, 'count'),
    check('errors', '0', exactly(0), judgement.errorCount, 'count'),
  ];
  if (!architecture.isLocal) {
    const { after } = judgement.requestsByServer;
    const total = Object.values(after).reduce((sum, count) => sum + count, 0);
    const share = (after[marks.server] ?? 0) / Math.max(1, total);
    const bracket = shareBracket(total, 1 / (n + 1));
    return [
      ...checks,
      check("newcomer's share of the requests", `1/(n+1) = 1/${n + 1}`, bracket, share, 'share'),
    ];
  }
  const { atEnd } = judgement.homes;
  const par = parOf(servers.map((name) => atEnd[name] ?? 0));
  const held = atEnd[marks.server] ?? 0;
  if (!plan.hasChurn) {
    const expected = parAtJoin(n);
    return [
      ...checks,
      check('sessions on the newcomer', '0: nobody leaves, nobody comes', exactly(0), held, 'count'),
      check('PAR of sessions', `(n+1)/n = ${expected}`, around(expected, 0.05), par, 'ratio'),
    ];
  }
  const elapsedMs = plan.endMs - (marks.appliedMs ?? plan.faultMs);
  const arrived = 1 - stillThere(elapsedMs, CHURN_MEAN_MS);
  const fair = m / (n + 1);
  const isLeast = architecture.placement === 'least';
  const expected = isLeast ? Math.min(fair, m * arrived) : fair * arrived;
  const seconds = `t = ${(elapsedMs / 1000).toFixed(1)} s, T = ${CHURN_MEAN_MS / 1000} s`;
  const by = isLeast ? 0.2 * expected : 3 * Math.sqrt(expected);
  const formula = isLeast
    ? `min(m/(n+1), m(1-e^{-t/T})) = ${expected.toFixed(0)}`
    : `m/(n+1)·(1-e^{-t/T}) = ${expected.toFixed(0)}`;
  return [
    ...checks,
    check('sessions on the newcomer', `${formula} (${seconds})`, around(expected, by), held, 'count'),
  ];
}

/** Local sessions wait for their end or die at the deadline; shared ones move away at once. */
export function expectDrain(plan: CellPlan, { judgement, marks }: Measured): readonly Check[] {
  const { architecture, servers: n } = plan;
  const m = judgement.sessionsAtFault;
  const stoppedMs = marks.stoppedMs ?? plan.endMs;
  const during = judgement.lostAtMs.filter((atMs) => atMs < stoppedMs).length;
  const checks = [check('sessions lost while it drains', '0', exactly(0), during, 'count')];
  const after = judgement.lost - during;
  if (!architecture.isLocal) {
    const answered = judgement.requestsByServer.after[marks.server] ?? 0;
    return [
      ...checks,
      check('sessions lost when it stops', '0', exactly(0), after, 'count'),
      check('requests it gets while it drains', '0', exactly(0), answered, 'count'),
    ];
  }
  const left = plan.hasChurn ? stillThere(DRAIN_MS, CHURN_MEAN_MS) : 1;
  const formula = plan.hasChurn
    ? `m/n·e^{-D/T} = ${((m / n) * left).toFixed(0)} ± 3σ (D = ${DRAIN_MS / 1000} s, T = ${CHURN_MEAN_MS / 1000} s)`
    : `m/n = ${(m / n).toFixed(0)}: nobody leaves`;
  const bracket = plan.hasChurn ? binomialBracket(m, left / n) : around(m / n, 2);
  return [...checks, check('sessions lost when it stops', formula, bracket, after, 'count')];
}
