// "Which architecture for you": one row per architecture, every entry taken from a measured cell. Pure.
import { type Architecture, hasHomes } from './architectures.ts';
import { architecturesIn, type LabReport, resultOf, valueText } from './outcome.ts';

export interface DecisionRow {
  readonly architecture: Architecture;
  /** In the order of DECISION_TITLES; a dash where nothing was measured. */
  readonly entries: readonly string[];
  /** What follows from the numbers, as text. */
  readonly advice: string;
}

export const DECISION_TITLES = [
  'lost when a server crashes',
  'log-ins again per user, rolling restart',
  'a new server helps',
  'store dies for 5 s',
  'lost when the balancer restarts',
  'median read',
  'median write',
  'copies in memory',
  'Cookie header',
  'copied cookie after log-out',
  'a ban at one server ends',
  'lost updates a pair',
] as const;

const NOT_MEASURED = '–';
const BASE = 'memory';

/** The rows, for architectures of which at least the quiet cell or the crash was measured. */
export function decisionRows(report: LabReport): readonly DecisionRow[] {
  return architecturesIn(report)
    .filter(
      ({ name }) => resultOf(report, name, 'none') !== null || resultOf(report, name, 'kill-one') !== null,
    )
    .map((architecture) => ({
      architecture,
      entries: entriesOf(report, architecture),
      advice: adviceOf(report, architecture),
    }));
}

function entriesOf(report: LabReport, architecture: Architecture): readonly string[] {
  const { name } = architecture;
  const quiet = resultOf(report, name, 'none');
  return [
    lostShare(report, name, 'kill-one'),
    ofCell(report, name, 'rolling-restart', ({ judgement }, { users }) =>
      valueText(judgement.lost / users, 'ratio'),
    ),
    newcomerText(report, architecture),
    storeText(report, architecture),
    lostShare(report, name, 'balancer-restart'),
    latencyText(report, name, 'read'),
    latencyText(report, name, 'write'),
    quiet === null ? NOT_MEASURED : valueText(quiet.measured.memory.copies, 'ratio'),
    quiet === null ? NOT_MEASURED : valueText(quiet.measured.judgement.cookieBytesMean, 'bytes'),
    ofCell(report, name, 'replay', ({ judgement: { replay } }) =>
      replay.resurrected === 0 ? 'refused' : `works ${valueText(replay.revocationMeanMs, 'ms')} on average`,
    ),
    ofCell(report, name, 'ban', ({ judgement }) =>
      valueText(judgement.lost / Math.max(1, judgement.sessionsTried), 'share'),
    ),
    ofCell(report, name, 'parallel', ({ judgement: { lostUpdates } }) =>
      valueText(lostUpdates.pairs === 0 ? 0 : lostUpdates.lost / lostUpdates.pairs, 'ratio'),
    ),
  ];
}

type Result = NonNullable<ReturnType<typeof resultOf>>;

function ofCell(
  report: LabReport,
  name: string,
  fault: Parameters<typeof resultOf>[2],
  text: (measured: Result['measured'], plan: Result['plan']) => string,
): string {
  const result = resultOf(report, name, fault);
  return result === null ? NOT_MEASURED : text(result.measured, result.plan);
}

function lostShare(report: LabReport, name: string, fault: 'kill-one' | 'balancer-restart'): string {
  return ofCell(report, name, fault, ({ judgement }) =>
    valueText(judgement.lost / Math.max(1, judgement.sessionsAtFault), 'share'),
  );
}

function newcomerText(report: LabReport, architecture: Architecture): string {
  return ofCell(report, architecture.name, 'add-server', ({ judgement, marks }, plan) => {
    if (!hasHomes(architecture)) return 'at once';
    const held = judgement.homes.atEnd[marks.server] ?? 0;
    return `${held} of ${Math.round(plan.users / (plan.servers + 1))} sessions after ${valueText(plan.endMs - (marks.appliedMs ?? plan.faultMs), 'ms')}`;
  });
}

function storeText(report: LabReport, { name, store }: Architecture): string {
  if (store === 'none') return 'has none';
  return ofCell(report, name, 'store-killed', ({ judgement }) => {
    if (judgement.unavailableBins + judgement.lost + judgement.errorCount === 0) return 'nobody notices';
    const awayMs = judgement.unavailableBins * 100;
    const lost = judgement.lost / Math.max(1, judgement.sessionsAtFault);
    return `all down ${valueText(awayMs, 'ms')}, ${valueText(lost, 'share')} lost`;
  });
}

function latencyText(report: LabReport, name: string, kind: 'read' | 'write'): string {
  const base = resultOf(report, BASE, 'none')?.measured.judgement.latency[kind].steady.p50Ms;
  return ofCell(report, name, 'none', ({ judgement }) => {
    const { p50Ms } = judgement.latency[kind].steady;
    if (base === undefined || name === BASE) return valueText(p50Ms, 'ms');
    const more = p50Ms - base;
    if (Math.abs(more) < 0.05) return `${valueText(p50Ms, 'ms')} (±0)`;
    return `${valueText(p50Ms, 'ms')} (${more < 0 ? '−' : '+'}${valueText(Math.abs(more), 'ms')})`;
  });
}

/** Clauses that the measurements justify, in the order of their weight. */
function adviceOf(report: LabReport, { name, isCarried, isLocal, store, copies }: Architecture): string {
  const crash = resultOf(report, name, 'kill-one')?.measured.judgement;
  const replay = resultOf(report, name, 'replay')?.measured.judgement.replay;
  const outage = resultOf(report, name, 'store-killed')?.measured.judgement;
  const quiet = resultOf(report, name, 'none')?.measured.judgement;
  if (quiet !== undefined && quiet.successShare < 0.5)
    return 'does not work: most requests meet a server that does not know the session';
  const clauses: string[] = [];
  if (isLocal && crash !== undefined && crash.lost > 0)
    clauses.push('when some users may log in again after a crash or a deployment');
  const restart = resultOf(report, name, 'balancer-restart')?.measured.judgement;
  if (restart !== undefined && restart.lost > 0)
    clauses.push(
      'only with a saved session table (sessions.file), or a restart of the balancer logs most users out',
    );
  if (crash !== undefined && crash.lost === 0) clauses.push('nobody is logged out by a crash');
  if (copies(2) === 2)
    clauses.push(
      'for a few servers and small sessions: every server holds all of them, every change goes to all',
    );
  if (outage !== undefined && outage.unavailableBins + outage.lost === 0)
    clauses.push('the store may die without anybody noticing; needs a balancer with affinity');
  else if (outage !== undefined) {
    const seconds = valueText(outage.unavailableBins * 100, 'ms');
    clauses.push(
      outage.lost > 0
        ? `one process that takes everybody down and logs everybody out`
        : `one process that takes everybody down for ${seconds}`,
    );
  } else if (store !== 'none') clauses.push('needs a store that must not die');
  if (isCarried) clauses.push('for sessions under about 2.8 KB');
  if (replay !== undefined && replay.resurrected > 0)
    clauses.push('only where nobody has to be logged out before the cookie expires');
  return clauses.length === 0 ? 'too little was measured to say' : clauses.join('; ');
}
