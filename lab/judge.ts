// The judge: from what the clients saw to the measures of an experiment. The definitions are those of the docs page;
// servers' own counts are evidence for other checks, never input here. Pure.
import { judgeSessions, type SessionFindings } from './judge-sessions.ts';
import { mean, quantile } from './statistics.ts';
import { type Exchange, type FailureClass, isAcknowledged, type Kind } from './transcript.ts';
import type { Windows } from './windows.ts';

export interface Latency {
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Before the fault, the ten seconds from one second before it, and all that follows it. */
export interface LatencyByWindow {
  readonly steady: Latency;
  readonly fault: Latency;
  readonly after: Latency;
}

export type ErrorClass = '5xx' | FailureClass;

export interface Judgement extends SessionFindings {
  /** Log-ins left out: reads and writes sent. */
  readonly requests: number;
  readonly acknowledged: number;
  /** Acknowledged requests of all that were answered: the share of logged-in requests that succeed. */
  readonly successShare: number;
  /** Neither acknowledged nor refused: nobody knows whether the write happened. */
  readonly unknown: number;
  readonly errors: Readonly<Record<ErrorClass, number>>;
  /** Answers of 5xx by kind of request and status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Sum of `errors`. */
  readonly errorCount: number;
  readonly skipped: number;
  /** 100 ms bins after the fault in which fewer than 99 % of the requests were answered by something but an error. */
  readonly unavailableBins: number;
  readonly latency: Readonly<Record<'read' | 'write' | 'login', LatencyByWindow>>;
  readonly cookieBytesMean: number;
  /** Answered requests by server, in the steady window and after the fault. */
  readonly requestsByServer: {
    readonly steady: Readonly<Record<string, number>>;
    readonly after: Readonly<Record<string, number>>;
  };
  /** Reads, writes and log-ins sent once the fault was applied, and those of them that were acknowledged. */
  readonly afterChange: Readonly<
    Record<'read' | 'write' | 'login', { readonly sent: number; readonly acknowledged: number }>
  >;
  /** Share of requests answered without an error, second by second, for the chart. */
  readonly availability: readonly {
    readonly second: number;
    readonly share: number;
    readonly lost: number;
  }[];
}

const BIN_MS = 100;
const AVAILABLE_SHARE = 0.99;
const FAULT_BEFORE_MS = 1000;
const FAULT_AFTER_MS = 10_000;
const LOAD: ReadonlySet<Kind> = new Set(['read', 'write', 'pair', 'grow']);

/** Judges one experiment. O(requests log requests). */
export function judge(transcript: readonly Exchange[], windows: Windows): Judgement {
  const load = transcript.filter(({ kind }) => LOAD.has(kind));
  const sent = load.filter(({ outcome }) => outcome.type !== 'skipped');
  const answered = sent.filter(({ outcome }) => outcome.type === 'complete');
  const acknowledged = answered.filter(isAcknowledged);
  const errors = countErrors(transcript);
  const findings = judgeSessions(transcript, windows);
  return {
    ...findings,
    requests: sent.length,
    acknowledged: acknowledged.length,
    successShare: answered.length === 0 ? 0 : acknowledged.length / answered.length,
    unknown: load.filter(isUnknown).length,
    errors,
    statuses: countStatuses(transcript),
    errorCount: Object.values(errors).reduce((total, count) => total + count, 0),
    skipped: load.length - sent.length,
    unavailableBins: countUnavailable(load, windows),
    latency: {
      read: latencyOf(transcript, ['read'], windows),
      write: latencyOf(transcript, ['write', 'pair', 'grow'], windows),
      login: latencyOf(transcript, ['login'], windows),
    },
    cookieBytesMean: mean(acknowledged.map(({ cookieBytes }) => cookieBytes)),
    requestsByServer: {
      steady: byServer(
        answered.filter(({ sentMs }) => sentMs >= windows.steadyMs && sentMs < windows.faultMs),
      ),
      after: byServer(answered.filter(({ sentMs }) => sentMs >= windows.changedMs)),
    },
    afterChange: {
      read: outcomesOf(transcript, 'read', windows),
      write: outcomesOf(transcript, 'write', windows),
      login: outcomesOf(transcript, 'login', windows),
    },
    availability: availabilityOf(load, findings.lostAtMs, windows),
  };
}

/** No complete answer, or one that says that the balancer does not know what the server did. */
function isUnknown({ outcome }: Exchange): boolean {
  if (outcome.type === 'failed') return outcome.failure !== 'refused';
  return outcome.type === 'complete' && (outcome.status === 502 || outcome.status === 504);
}

function countErrors(transcript: readonly Exchange[]): Readonly<Record<ErrorClass, number>> {
  const errors: Record<ErrorClass, number> = { '5xx': 0, refused: 0, reset: 0, truncated: 0, timeout: 0 };
  for (const { outcome } of transcript) {
    if (outcome.type === 'failed') errors[outcome.failure] += 1;
    else if (outcome.type === 'complete' && outcome.status >= 500) errors['5xx'] += 1;
  }
  return errors;
}

function countStatuses(transcript: readonly Exchange[]): Readonly<Record<string, number>> {
  const statuses: Record<string, number> = {};
  for (const { outcome, kind } of transcript) {
    if (outcome.type !== 'complete' || outcome.status < 500) continue;
    const name = `${kind} ${outcome.status}`;
    statuses[name] = (statuses[name] ?? 0) + 1;
  }
  return statuses;
}

/** Answered by the application: a 401 is the loss of a session, not unavailability. */
function isAvailable({ outcome }: Exchange): boolean {
  return outcome.type === 'complete' && outcome.status < 500;
}

function countUnavailable(load: readonly Exchange[], { faultMs, endMs }: Windows): number {
  const bins = new Map<number, { all: number; available: number }>();
  for (const exchange of load) {
    if (exchange.scheduledMs < faultMs || exchange.scheduledMs >= endMs) continue;
    const index = Math.floor((exchange.scheduledMs - faultMs) / BIN_MS);
    const bin = bins.get(index) ?? { all: 0, available: 0 };
    bin.all += 1;
    if (isAvailable(exchange)) bin.available += 1;
    bins.set(index, bin);
  }
  return [...bins.values()].filter(({ all, available }) => available < AVAILABLE_SHARE * all).length;
}

function availabilityOf(
  load: readonly Exchange[],
  lostAtMs: readonly number[],
  { steadyMs, endMs }: Windows,
): Judgement['availability'] {
  const seconds = Math.max(0, Math.ceil((endMs - steadyMs) / 1000));
  const of = (atMs: number): number => Math.floor((atMs - steadyMs) / 1000);
  const all = new Array<number>(seconds).fill(0);
  const available = new Array<number>(seconds).fill(0);
  const lost = new Array<number>(seconds).fill(0);
  const count = (counts: number[], second: number): void => {
    if (second >= 0 && second < seconds) counts[second] = (counts[second] ?? 0) + 1;
  };
  for (const exchange of load) {
    count(all, of(exchange.scheduledMs));
    if (isAvailable(exchange)) count(available, of(exchange.scheduledMs));
  }
  for (const atMs of lostAtMs) count(lost, of(atMs));
  return all.map((total, second) => ({
    second,
    share: total === 0 ? 1 : (available[second] ?? 0) / total,
    lost: lost[second] ?? 0,
  }));
}

function latencyOf(
  transcript: readonly Exchange[],
  kinds: readonly Kind[],
  { faultMs, endMs }: Windows,
): LatencyByWindow {
  const chosen = transcript.filter((exchange) => kinds.includes(exchange.kind) && isAcknowledged(exchange));
  const within = (fromMs: number, untilMs: number): Latency => {
    const values = chosen
      .filter(({ scheduledMs }) => scheduledMs >= fromMs && scheduledMs < untilMs)
      .map(({ scheduledMs, endedMs }) => endedMs - scheduledMs)
      .sort((a, b) => a - b);
    return {
      count: values.length,
      meanMs: mean(values),
      p50Ms: quantile(values, 0.5),
      p90Ms: quantile(values, 0.9),
      p99Ms: quantile(values, 0.99),
      maxMs: values.at(-1) ?? 0,
    };
  };
  return {
    steady: within(0, faultMs),
    fault: within(faultMs - FAULT_BEFORE_MS, faultMs + FAULT_AFTER_MS),
    after: within(faultMs, Math.max(endMs, faultMs)),
  };
}

function outcomesOf(transcript: readonly Exchange[], kind: Kind, { changedMs }: Windows) {
  const sent = transcript.filter(
    (one) => one.kind === kind && one.sentMs >= changedMs && one.outcome.type !== 'skipped',
  );
  return { sent: sent.length, acknowledged: sent.filter(isAcknowledged).length };
}

function byServer(exchanges: readonly Exchange[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { outcome } of exchanges) {
    if (outcome.type !== 'complete' || outcome.server === null) continue;
    counts[outcome.server] = (counts[outcome.server] ?? 0) + 1;
  }
  return counts;
}
