// Which server a request would go to, and why, as text: asked with the data path's own code, leaving no trace.

import { unreachable } from '../base/assert.ts';
import { formatDuration } from '../base/units.ts';
import { type HeadLimits, RequestHead } from '../http1/message.ts';
import { parseRequestHead } from '../http1/request.ts';
import { EFFECTIVE_MODE_NAMES, Mode, VERDICT_NAMES, Verdict } from '../shared/control.ts';
import { homeGeneration, homeSlot } from '../shared/session-table.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { AFFINITY_OUTCOMES, MOVE_REASONS } from '../shared/stripe.ts';
import { Affinity, Finding } from './affinity.ts';
import { hasAllSessions, isFull } from './candidates.ts';
import type { Chooser } from './chooser.ts';
import { describeSources } from './key-sources.ts';
import { headersOf, type PoolPlan, Source } from './plan.ts';

const HEAD_BYTES_MAX = 64 * 1024;
const HEADERS_MAX = 100;

/** What is known of a request. */
export interface ExplainQuestion {
  /** Cookie header: `name=value; name=value`. A bare value is taken for the pool's own cookie. */
  readonly cookie: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly address: string;
  /** Path and query, for keys that are read from there; `/` when it is left out. */
  readonly target?: string;
}

export interface ExplainedSession {
  /** Eight hex digits of the hashed key, as in the list of the hottest. */
  readonly key: string;
  /** null: a server that is no longer of the pool. */
  readonly home: string | null;
  readonly ageSeconds: number;
  readonly idleSeconds: number;
  readonly requests: number;
  /** Requests and tunnels open now. */
  readonly busy: number;
  /** It does not count yet: its client or application has not confirmed it. */
  readonly tentative: boolean;
  readonly moved: boolean;
}

export interface Explanation {
  /** null: none. */
  readonly server: string | null;
  /** As counted by holdfast_affinity_decisions_total. */
  readonly outcome: string;
  /** Why it would leave its home; null: it would not. */
  readonly move: string | null;
  /** The session's entry in the table, null for none. */
  readonly session: ExplainedSession | null;
  /** In order, how the decision comes about. */
  readonly reasons: readonly string[];
  /** Every other server, and why it is not the one. */
  readonly others: readonly { readonly server: string; readonly why: string }[];
}

/** The explanation, or a sentence that says why the question cannot be one. */
export function explain(
  chooser: Chooser,
  plan: PoolPlan,
  shared: SharedState,
  question: ExplainQuestion,
  nowMs: number,
  wallMs: number,
): Explanation | string {
  const text = requestText(plan, question);
  if (typeof text !== 'object') return text;
  const head = new RequestHead();
  const limits: HeadLimits = {
    headBytesMax: HEAD_BYTES_MAX,
    headerCountMax: HEADERS_MAX,
    watched: headersOf(plan.sources),
  };
  if (parseRequestHead(text, 0, text.length, limits, head) !== text.length)
    return 'no valid request has such a header';
  const affinity = new Affinity();
  const entry = chooser.peek(plan, text, head, question.address, nowMs, wallMs, affinity);
  const session = entry === -1 ? null : describeSession(plan, shared, entry, nowMs);
  const known = describeArrival(plan, affinity, session);
  const slot = chooser.choose(plan, affinity, [], nowMs);
  const server = slot === -1 ? null : nameOf(plan, slot);
  return {
    server,
    outcome: AFFINITY_OUTCOMES[affinity.outcome] ?? 'none',
    move: affinity.pendingReason === -1 ? null : (MOVE_REASONS[affinity.pendingReason] ?? null),
    session,
    reasons: [...known, describeChoice(plan, affinity, server)],
    others: plan.config.servers.flatMap(({ name }, index) =>
      name === server ? [] : [{ server: name, why: whyNot(plan, shared, index, affinity) }],
    ),
  };
}

function requestText(plan: PoolPlan, question: ExplainQuestion): Buffer | string {
  const lines = question.headers.map(([name, value]) => `${name}: ${value}`);
  const { cookie, target = '/' } = question;
  if (cookie !== '') {
    lines.push(`cookie: ${cookie.includes('=') ? cookie : `${cookieNameOf(plan)}=${cookie}`}`);
  }
  if (lines.some((line) => /[\r\n]/.test(line))) return 'a header must not have a line break';
  if (!/^\/[\x21-\x7e]*$/.test(target)) return 'a target must be a path, with or without a query';
  return Buffer.from(
    `GET ${target} HTTP/1.1\r\nhost: explain\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`,
    'latin1',
  );
}

/** The cookie that a bare value is taken for. */
function cookieNameOf({ sources, config }: PoolPlan): string {
  return sources.find(({ kind }) => kind === 'cookie')?.name ?? config.sticky.cookie;
}

function describeSession(
  plan: PoolPlan,
  shared: SharedState,
  entry: number,
  nowMs: number,
): ExplainedSession {
  const { table, control } = shared;
  const home = table.home(entry);
  const isCurrent = control.generation(homeSlot(home)) === homeGeneration(home);
  return {
    key: (table.keyLow(entry) >>> 0).toString(16).padStart(8, '0'),
    home: isCurrent ? nameOf(plan, homeSlot(home)) : null,
    ageSeconds: Math.max(0, nowMs - table.createdMs(entry)) / 1_000,
    idleSeconds: Math.max(0, nowMs - table.seenMs(entry)) / 1_000,
    requests: table.requests(entry),
    busy: table.busy(entry),
    tentative: table.isTentative(entry),
    moved: table.notes.hasMoved(entry),
  };
}

function describeArrival(
  plan: PoolPlan,
  affinity: Affinity,
  session: ExplainedSession | null,
): readonly string[] {
  const source = describeSource(plan);
  if (plan.source === Source.none) return ['the pool keeps no sessions (sticky none)'];
  if (affinity.arrival === Finding.invalid)
    return [`${source} is forged, damaged or of another secret: it is ignored`];
  const isOver = affinity.isEnded || (affinity.shownCount > 0 && !affinity.hasKey);
  if (affinity.arrival === Finding.expired || isOver) return [`${source} belongs to a session that is over`];
  if (affinity.isAdopted)
    return [`no session of ours, and a cookie of sticky.adopt names ${nameOf(plan, affinity.homeSlot)}`];
  if (!affinity.hasKey) return [`the request does not show ${source}`];
  if (session !== null) {
    const { home, requests, idleSeconds, tentative, moved } = session;
    return [
      `the table knows the session by ${source}: home ${home ?? 'a removed server'}, ${requests} requests, seen ${formatDuration(Math.round(idleSeconds) * 1_000)} ago`,
      ...(tentative ? ['it does not count yet: nobody has confirmed it'] : []),
      ...(moved ? ['it has been moved since its cookie was set'] : []),
    ];
  }
  const unknown = `the table does not know the session of ${source}`;
  if (affinity.homeSlot !== -1)
    return [unknown, `the cookie itself names ${nameOf(plan, affinity.homeSlot)}`];
  if (affinity.isHomeRemoved) return [unknown, 'the cookie names a server that is no longer of the pool'];
  return [unknown];
}

function describeSource(plan: PoolPlan): string {
  switch (plan.source) {
    case Source.none:
      return 'nothing';
    case Source.ownCookie:
      return `the balancer's cookie ${plan.config.sticky.cookie}`;
    case Source.named:
      return describeSources(plan.sources);
    case Source.address:
      return "the client's address";
    default:
      return unreachable(plan.source);
  }
}

function describeChoice(plan: PoolPlan, affinity: Affinity, server: string | null): string {
  if (affinity.failure === 'no-server') return 'no server is eligible: it waits for a while, then 503';
  // whether moveRate is used up is known to each thread for its own part only
  if (affinity.failure === 'home-down' || affinity.failure === 'paced')
    return 'its home is down and whenDown is refuse: it waits for a while, then 503';
  if (affinity.failure === 'session-lost')
    return 'its home is gone and whenLost is 404: its client begins another';
  if (affinity.failure === 'busy')
    return 'all that may serve it are at maxConnections: it waits in the queue';
  if (affinity.failure === 'full')
    return 'none that may serve it takes another session (maxSessions): it waits in the queue';
  const name = server ?? '';
  if (affinity.outcome === Finding.home || affinity.outcome === Finding.adopted)
    return `${name} is its home and can be asked`;
  if (affinity.outcome === Finding.moved)
    return `its home cannot serve it: ${name} ranks best for its key among the others`;
  if (affinity.isOverflow) return `its home cannot take it now: ${name} serves this request only`;
  const isRanked = affinity.hasKey && plan.isHashed && plan.source !== Source.ownCookie;
  if (isRanked) return `${name} ranks best for its key`;
  return `the policy ${plan.config.policy} picks ${name} at this moment; another thread may pick another`;
}

function whyNot(plan: PoolPlan, shared: SharedState, index: number, affinity: Affinity): string {
  const { control } = shared;
  const slot = plan.slots[index] ?? 0;
  const verdict = control.verdict(slot);
  const mode = control.mode(slot);
  if (verdict === Verdict.down || verdict === Verdict.ejected) return `it is ${VERDICT_NAMES[verdict]}`;
  if (mode !== Mode.ready) return `it is in mode ${EFFECTIVE_MODE_NAMES[mode]}`;
  if (control.weight(slot) === 0) return 'its weight is 0';
  if (verdict === Verdict.starting) return 'it has not been checked yet';
  if (isFull(plan, shared, index)) return 'it is at maxConnections';
  if (hasAllSessions(plan, shared, index) && affinity.homeSlot !== slot) return 'it is at maxSessions';
  if (plan.config.servers[index]?.backup === true) return 'it is a backup';
  return affinity.outcome === Finding.home ? "it is not the session's home" : 'it was not picked';
}

function nameOf(plan: PoolPlan, slot: number): string {
  return plan.config.servers[plan.indexBySlot[slot] ?? -1]?.name ?? 'a server of another pool';
}
