// When sessions are moved on purpose, and how many: one pool, one cycle at a time. Pure; rebalancer.ts acts.
//
//   idle ── ratio >= start and beyond chance, three cycles running ──> running
//   running ── ratio < stop ──> idle
//   running ── failures rise, or three cycles without gain ──> resting ── a minute later ──> idle
//
// Draining servers are emptied in every phase, out of the same budget and before anything else.
//
// The budget is an allowance: each cycle adds `budget` × sessions, each move takes one. It never holds more than one
// cycle's worth and one, so k cycles move at most the sum of their shares and one; a pool of 20 sessions at 2 % moves
// one session every two or three cycles.

import { measureSkew, type Skew } from './skew.ts';
import { afterTransfers, type Holding, planEmptying, planEvening, type Transfer } from './transfers.ts';

export type RebalancePhase = 'idle' | 'running' | 'resting';
export type RebalanceMode = 'off' | 'idle' | 'on';

/** Cycles in a row that must be uneven before sessions move, and without gain before moving ends. */
const CYCLES_TO_BELIEVE = 3;
/** Ratio that a cycle must gain at least, or a quarter of what its moves should have gained if that is less. */
const GAIN_MIN = 0.005;
const REST_MS = 60_000;
/** A rise of the share of failed requests by this much, with at least so many failures, ends moving. */
const FAILURE_RISE = 0.02;
const FAILURES_MIN = 5;
/** Weight of the newest cycle in the usual share of failures. */
const FAILURE_SMOOTHING = 0.2;
/** Whatever the budget: moves of one cycle, so that main's work has a bound. */
export const MOVES_PER_CYCLE_MAX = 20_000;
/** Against rounding: a ratio of 1.25 starts at 1.25. */
const EPSILON = 1e-9;

export interface RebalanceRules {
  readonly mode: RebalanceMode;
  readonly start: number;
  readonly stop: number;
  /** Share of the pool's sessions per cycle, 0..1. */
  readonly budget: number;
}

/** member: up, ready, of some weight. draining: to be emptied. out: all others; they neither give nor take. */
export type ServerRole = 'member' | 'draining' | 'out';

export interface RebalanceServer extends Holding {
  readonly role: ServerRole;
}

export interface CycleFacts {
  readonly nowMs: number;
  readonly servers: readonly RebalanceServer[];
  /** Of the whole pool, since the last cycle. */
  readonly requests: number;
  readonly failures: number;
}

export interface RebalanceState {
  readonly phase: RebalancePhase;
  /** Why it is in this phase, as text. */
  readonly why: string;
  /** Moves there is budget for; grows each cycle, shrinks with each move. */
  readonly allowance: number;
  readonly unevenCycles: number;
  readonly gainlessCycles: number;
  readonly restUntilMs: number;
  /** Ratio of the last cycle, and what it was to become by the moves planned then; null before the first. */
  readonly last: { readonly ratio: number; readonly planned: number } | null;
  /** Usual share of failed requests while nothing is moved. */
  readonly usualFailures: number;
}

export const INITIAL_STATE: RebalanceState = {
  phase: 'idle',
  why: 'nothing measured yet',
  allowance: 0,
  unevenCycles: 0,
  gainlessCycles: 0,
  restUntilMs: 0,
  last: null,
  usualFailures: 0,
};

export interface CyclePlan {
  readonly state: RebalanceState;
  /** Most sessions that may move in this cycle, for whatever reason. */
  readonly grant: number;
  readonly draining: readonly Transfer[];
  readonly levelling: readonly Transfer[];
}

/** The next cycle: what to move now. Report what was really moved with `spend`. */
export function planCycle(before: RebalanceState, rules: RebalanceRules, facts: CycleFacts): CyclePlan {
  const sessions = facts.servers.reduce(
    (sum, server) => sum + (server.role === 'out' ? 0 : server.sessions),
    0,
  );
  const share = rules.budget * sessions;
  const allowance = Math.min(before.allowance + share, share + 1);
  const grant = Math.min(Math.floor(allowance + EPSILON), Math.ceil(share), MOVES_PER_CYCLE_MAX);
  const members = facts.servers.flatMap((server, index) =>
    server.role === 'member' ? [{ ...server, index }] : [],
  );
  const draining = planDrains(facts.servers, grant);
  const skew = measureSkew(members.map((member) => ({ count: member.sessions, weight: member.weight })));
  const state = { ...nextPhase(before, rules, facts, skew), allowance };
  // one thing at a time: a drain changes the holdings that levelling would start from
  const isFree = state.phase === 'running' && draining.length === 0;
  const inMembers = isFree ? planEvening(members, grant) : [];
  const levelling = inMembers.map(({ from, to, sessions: moved }) => ({
    from: members[from]?.index ?? 0,
    to: members[to]?.index ?? 0,
    sessions: moved,
  }));
  const planned = ratioOf(afterTransfers(members, inMembers));
  return { state: { ...state, last: { ratio: skew.ratio, planned } }, grant, draining, levelling };
}

/** `moved` sessions really moved in the cycle. */
export function spend(state: RebalanceState, moved: number): RebalanceState {
  return { ...state, allowance: Math.max(0, state.allowance - moved) };
}

/** The fullest draining server first, until the grant is used up. */
function planDrains(servers: readonly RebalanceServer[], grant: number): readonly Transfer[] {
  let holdings: readonly Holding[] = servers.map(({ role, sessions, weight }) => ({
    sessions,
    weight: role === 'member' ? weight : 0,
  }));
  const transfers: Transfer[] = [];
  let left = grant;
  const draining = servers
    .map(({ role, sessions }, index) => ({ role, sessions, index }))
    .filter(({ role }) => role === 'draining')
    .sort((a, b) => b.sessions - a.sessions);
  for (const { index } of draining) {
    const planned = planEmptying(holdings, index, left);
    holdings = afterTransfers(holdings, planned);
    left -= planned.reduce((sum, transfer) => sum + transfer.sessions, 0);
    transfers.push(...planned);
  }
  return transfers;
}

function nextPhase(
  before: RebalanceState,
  rules: RebalanceRules,
  facts: CycleFacts,
  skew: Skew,
): RebalanceState {
  if (rules.mode === 'off') {
    const why = 'rebalancing is off';
    return { ...before, phase: 'idle', why, unevenCycles: 0, gainlessCycles: 0 };
  }
  if (before.phase === 'running') return whileRunning(before, rules, facts, skew);
  const usualFailures = smoothedFailures(before, facts);
  if (before.phase === 'resting' && facts.nowMs < before.restUntilMs) return { ...before, usualFailures };
  const isUneven = skew.ratio >= rules.start - EPSILON && skew.isBeyondChance;
  const unevenCycles = isUneven ? before.unevenCycles + 1 : 0;
  const base = { ...before, usualFailures, unevenCycles, gainlessCycles: 0, last: null };
  const ratio = skew.ratio.toFixed(3);
  if (unevenCycles >= CYCLES_TO_BELIEVE) {
    return { ...base, phase: 'running', why: `ratio ${ratio} is not below start ${rules.start}` };
  }
  return { ...base, phase: 'idle', why: idleReason(rules, skew, unevenCycles) };
}

function idleReason(rules: RebalanceRules, skew: Skew, unevenCycles: number): string {
  const ratio = skew.ratio.toFixed(3);
  if (unevenCycles > 0) return `ratio ${ratio} seen ${unevenCycles} of ${CYCLES_TO_BELIEVE} times`;
  if (skew.ratio < rules.start - EPSILON) return `ratio ${ratio} is below start ${rules.start}`;
  return `ratio ${ratio} may be chance with so few sessions`;
}

function whileRunning(
  before: RebalanceState,
  rules: RebalanceRules,
  facts: CycleFacts,
  skew: Skew,
): RebalanceState {
  const base = { ...before, unevenCycles: 0 };
  if (skew.ratio < rules.stop) {
    const why = `even enough: ratio ${skew.ratio.toFixed(3)} is below stop ${rules.stop}`;
    return { ...base, phase: 'idle', why };
  }
  const restUntilMs = facts.nowMs + REST_MS;
  const failing = failureShare(facts);
  if (facts.failures >= FAILURES_MIN && failing > before.usualFailures + FAILURE_RISE) {
    const why = `failed requests rose from ${percent(before.usualFailures)} to ${percent(failing)}`;
    return { ...base, phase: 'resting', why, restUntilMs };
  }
  const gainlessCycles = countGainless(before, skew.ratio);
  if (gainlessCycles < CYCLES_TO_BELIEVE) return { ...base, gainlessCycles };
  const why = `${CYCLES_TO_BELIEVE} cycles without gain at ratio ${skew.ratio.toFixed(3)}`;
  return { ...base, phase: 'resting', why, restUntilMs, gainlessCycles: 0 };
}

/** A cycle that planned no gain (its share was below one session) says nothing. */
function countGainless({ last, gainlessCycles }: RebalanceState, ratio: number): number {
  const planned = last === null ? 0 : last.ratio - last.planned;
  if (last === null || planned < EPSILON) return gainlessCycles;
  return last.ratio - ratio < Math.min(GAIN_MIN, planned / 4) ? gainlessCycles + 1 : 0;
}

function ratioOf(members: readonly Holding[]): number {
  return measureSkew(members.map(({ sessions, weight }) => ({ count: sessions, weight }))).ratio;
}

function failureShare({ requests, failures }: CycleFacts): number {
  return requests > 0 ? Math.min(1, failures / requests) : 0;
}

function smoothedFailures({ usualFailures }: RebalanceState, facts: CycleFacts): number {
  if (facts.requests === 0) return usualFailures;
  return usualFailures + FAILURE_SMOOTHING * (failureShare(facts) - usualFailures);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
