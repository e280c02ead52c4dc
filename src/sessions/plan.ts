// Dry runs: what draining, adding or removing a server would do to the sessions of its pool. Pure.
//
// Times, with mean session life T and exponential lives: a draining server whose sessions stay is down to its last one
// after T ln(n); a newcomer that gets every new session is even with the others after T ln((W + w) / W), one that gets
// its fair share of new sessions holds nine tenths of its fair share after 2.3 T. Where sessions are moved, the
// rebalancer's own decisions are played through.

import { formatDuration } from '../base/units.ts';
import type { PoolConfig } from '../config/model.ts';
import { INITIAL_STATE, planCycle, type RebalanceServer, spend } from './rebalance.ts';
import { measureSkew } from './skew.ts';
import { afterTransfers, planEmptying } from './transfers.ts';

export const PLAN_ACTIONS = ['drain', 'add', 'remove'] as const;
export type PlanAction = (typeof PLAN_ACTIONS)[number];

/** Cycles played through at most. */
const CYCLES_MAX = 10_000;
const MANY_LIVES = 2.3;

export interface PlanServer {
  readonly name: string;
  readonly sessions: number;
  /** Effective weight in configured units. */
  readonly weight: number;
  /** Up, ready, of some weight and not a backup. */
  readonly isMember: boolean;
  /** 0: no limit. */
  readonly sessionsMax: number;
}

export interface PlanQuestion {
  readonly action: PlanAction;
  readonly server: string;
  /** Of a server to be added. */
  readonly weight: number;
  readonly config: PoolConfig;
  readonly servers: readonly PlanServer[];
  /** Mean life of a session, null when nobody knows. */
  readonly meanLifeMs: number | null;
}

export interface PlanSkew {
  readonly ratio: number;
  readonly floor: number;
}

export interface SessionPlan {
  readonly action: PlanAction;
  readonly server: string;
  /** Held by the server now. */
  readonly sessions: number;
  /** Sessions that get another home. */
  readonly moves: number;
  /** Of those, sessions whose state is lost. */
  readonly lost: number;
  readonly skewBefore: PlanSkew;
  readonly skewAfter: PlanSkew;
  readonly after: readonly { readonly server: string; readonly sessions: number }[];
  /** Null when it cannot be told. */
  readonly seconds: number | null;
  /** What happens, in sentences. */
  readonly notes: readonly string[];
}

type Outcome = Pick<SessionPlan, 'moves' | 'lost' | 'seconds' | 'notes'> & {
  readonly after: readonly PlanServer[];
};

/** The plan, or a sentence that says why there is none. */
export function planChange(question: PlanQuestion): SessionPlan | string {
  const { action, server, servers } = question;
  const target = servers.find(({ name }) => name === server);
  if (action === 'add' && target !== undefined) return `there is a server ${server} already`;
  if (action !== 'add' && target === undefined) return `there is no server ${server}`;
  const outcome = target === undefined ? planAdd(question) : planLeave(question, target);
  const notes = [
    ...outcome.notes,
    ...(target === undefined ? [] : roomNotes(target, servers, outcome.moves)),
  ];
  return {
    action,
    server,
    sessions: target?.sessions ?? 0,
    moves: outcome.moves,
    lost: outcome.lost,
    skewBefore: skewOf(servers),
    skewAfter: skewOf(outcome.after),
    after: outcome.after.map(({ name, sessions }) => ({ server: name, sessions })),
    seconds: outcome.seconds,
    notes,
  };
}

/** Any server can serve a session, so that sessions may be moved without loss. */
function isMovable({ config }: PlanQuestion): boolean {
  return config.state === 'shared' && config.sticky.mode !== 'none';
}

function planLeave(question: PlanQuestion, target: PlanServer): Outcome {
  const others = question.servers.filter((server) => server !== target);
  const hasTaker = others.some(({ isMember }) => isMember);
  if (!hasTaker) return nobodyLeft(question, target, others);
  if (question.action === 'remove') return planRemove(question, target, others);
  return isMovable(question) ? drainShared(question, target) : drainLocal(question, target);
}

/** Where the others have a limit, whether they have room for those that would move. */
function roomNotes(target: PlanServer, servers: readonly PlanServer[], moves: number): readonly string[] {
  const others = servers.filter((server) => server !== target && server.isMember);
  if (moves === 0 || others.some(({ sessionsMax }) => sessionsMax === 0)) return [];
  const room = others.reduce(
    (sum, { sessionsMax, sessions }) => sum + Math.max(0, sessionsMax - sessions),
    0,
  );
  return room >= moves ? [] : [`the others have room for ${room} of these ${moves} sessions (maxSessions)`];
}

function nobodyLeft(question: PlanQuestion, target: PlanServer, others: readonly PlanServer[]): Outcome {
  const isDrain = question.action === 'drain';
  const lost = isDrain || question.config.state === 'shared' ? 0 : target.sessions;
  const notes = ['no other server is eligible: new sessions are refused with 503'];
  return { moves: 0, lost, seconds: null, notes, after: isDrain ? question.servers : others };
}

function drainShared(question: PlanQuestion, target: PlanServer): Outcome {
  const { servers, config } = question;
  const after = emptied(servers, target);
  const perCycle = config.rebalance.budget * servers.reduce((sum, { sessions }) => sum + sessions, 0);
  const seconds =
    perCycle > 0 ? (Math.ceil(target.sessions / perCycle) * config.rebalance.everyMs) / 1_000 : null;
  const notes = [
    `its ${target.sessions} sessions move to the other servers, at most ${perCycle.toFixed(1)} every ${formatDuration(config.rebalance.everyMs)}; busy ones when they are idle`,
  ];
  return { moves: target.sessions, lost: 0, seconds, notes, after };
}

/** The target's sessions go where there is most room. */
function emptied(servers: readonly PlanServer[], target: PlanServer): readonly PlanServer[] {
  const holdings = servers.map(({ sessions, weight, isMember }) => ({
    sessions,
    weight: isMember ? weight : 0,
  }));
  const after = afterTransfers(holdings, planEmptying(holdings, servers.indexOf(target), target.sessions));
  return servers.map((server, index) => ({
    ...server,
    sessions: after[index]?.sessions ?? 0,
    isMember: server.isMember && server !== target,
  }));
}

function drainLocal(question: PlanQuestion, target: PlanServer): Outcome {
  const { servers, meanLifeMs, config } = question;
  const after = servers.map((server) => (server === target ? { ...server, isMember: false } : server));
  const notes = [
    'no new sessions; those it has stay until they end, since only this server has their state',
    ...(meanLifeMs === null ? [unknownLife(config)] : []),
  ];
  const limitMs = config.sticky.lifeMs;
  const seconds =
    meanLifeMs === null
      ? null
      : Math.min(meanLifeMs * Math.log(Math.max(1, target.sessions)), limitMs) / 1_000;
  return { moves: 0, lost: 0, seconds: target.sessions === 0 ? 0 : seconds, notes, after };
}

function planRemove(question: PlanQuestion, target: PlanServer, others: readonly PlanServer[]): Outcome {
  const { config } = question;
  const isLocal = config.state === 'local';
  const lost = isLocal ? target.sessions : 0;
  const isOver = isLocal && isOfApplication(config);
  const filled = emptied(question.servers, target).filter(({ name }) => name !== target.name);
  const isFilled =
    config.sticky.mode === 'learn' &&
    (config.sticky.bound.factor === 0 || config.sticky.bound.by === 'requests');
  const spread = isOver ? others : isFilled ? filled : spreadByWeight(others, target.sessions);
  if (target.sessions === 0) return { moves: 0, lost: 0, seconds: 0, notes: [], after: spread };
  const notes = [
    'its sessions get another home at their next request',
    ...(isLocal ? ['their state is lost with the server'] : []),
    ...(isOver ? ['they count again when their users have logged in anew'] : []),
  ];
  return { moves: target.sessions, lost, seconds: null, notes, after: spread };
}

function isOfApplication({ sticky }: PoolConfig): boolean {
  return sticky.mode === 'learn' || (sticky.mode === 'cookie-hash' && sticky.cookieOwner === 'application');
}

/** As the ranking by key does it on average. */
function spreadByWeight(servers: readonly PlanServer[], sessions: number): readonly PlanServer[] {
  const weights = servers.reduce((sum, { isMember, weight }) => sum + (isMember ? weight : 0), 0);
  return servers.map((server) => {
    if (!server.isMember) return server;
    return { ...server, sessions: Math.round(server.sessions + (sessions * server.weight) / weights) };
  });
}

function planAdd(question: PlanQuestion): Outcome {
  const { server, weight, servers, config } = question;
  const newcomer: PlanServer = { name: server, sessions: 0, weight, isMember: weight > 0, sessionsMax: 0 };
  const all = [...servers, newcomer];
  if (!newcomer.isMember)
    return { moves: 0, lost: 0, seconds: null, notes: ['weight 0 takes no sessions'], after: all };
  if (isMovable(question) && config.rebalance.mode !== 'off') return addRebalanced(question, all);
  return addUnmoved(question, all, newcomer);
}

/** Plays the rebalancer through, all sessions being free to move. */
function addRebalanced({ config }: PlanQuestion, all: readonly PlanServer[]): Outcome {
  const { rebalance } = config;
  let servers = all;
  let state = INITIAL_STATE;
  let moves = 0;
  let cycles = 0;
  let hasStarted = false;
  for (; cycles < CYCLES_MAX; cycles += 1) {
    const facts: readonly RebalanceServer[] = servers.map(({ sessions, weight, isMember }) => ({
      sessions,
      weight,
      role: isMember ? 'member' : 'out',
    }));
    const nowMs = cycles * rebalance.everyMs;
    const plan = planCycle(state, rebalance, { nowMs, servers: facts, requests: 0, failures: 0 });
    const after = afterTransfers(facts, plan.levelling);
    servers = servers.map((server, index) => ({ ...server, sessions: after[index]?.sessions ?? 0 }));
    const moved = plan.levelling.reduce((sum, { sessions }) => sum + sessions, 0);
    moves += moved;
    state = spend(plan.state, moved);
    if (state.phase === 'running') hasStarted = true;
    else if (hasStarted || state.unevenCycles === 0) break;
  }
  const isEnough = hasStarted ? `until the ratio is below ${rebalance.stop}` : state.why;
  const notes = [
    hasStarted ? `the rebalancer moves ${moves} sessions, ${isEnough}` : `nothing moves: ${isEnough}`,
  ];
  return { moves, lost: 0, seconds: (cycles * rebalance.everyMs) / 1_000, notes, after: servers };
}

function addUnmoved(question: PlanQuestion, all: readonly PlanServer[], newcomer: PlanServer): Outcome {
  const { meanLifeMs, config } = question;
  const weights = all.reduce((sum, { isMember, weight }) => sum + (isMember ? weight : 0), 0);
  const isLeast = config.policy === 'least-sessions';
  const lives = isLeast ? Math.log(weights / (weights - newcomer.weight)) : MANY_LIVES;
  const sessions = all.reduce((sum, server) => sum + (server.isMember ? server.sessions : 0), 0);
  const after = all.map((server) =>
    server.isMember ? { ...server, sessions: Math.round((sessions * server.weight) / weights) } : server,
  );
  const notes = [
    isLeast
      ? 'only new sessions go to it, all of them until it holds its fair share'
      : 'only new sessions go to it, a fair share of them; the time is until it holds nine tenths of its share',
    ...(config.slowStartMs > 0 ? [`slow start paces the first ${formatDuration(config.slowStartMs)}`] : []),
    ...(meanLifeMs === null ? [unknownLife(config)] : []),
  ];
  return {
    moves: 0,
    lost: 0,
    seconds: meanLifeMs === null ? null : (lives * meanLifeMs) / 1_000,
    notes,
    after,
  };
}

function unknownLife({ sticky }: PoolConfig): string {
  return `too few sessions have ended lately to tell how long they live: at least ${formatDuration(sticky.idleMs)} after their last request, at most ${formatDuration(sticky.lifeMs)}`;
}

function skewOf(servers: readonly PlanServer[]): PlanSkew {
  const members = servers.filter(({ isMember }) => isMember);
  const { ratio, floor } = measureSkew(members.map(({ sessions, weight }) => ({ count: sessions, weight })));
  return { ratio, floor };
}
