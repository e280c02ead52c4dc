// The documents that the admin API answers with, property by property (JSON Schema 2020-12). The compiler holds each against
// its type: a property more or less does not compile.

import type { KeptEvent } from '../control/event-log.ts';
import type { HistoryDocument, PoolHistory, Recent } from '../control/history.ts';
import type { ReloadResult } from '../control/results.ts';
import { PLAN_ACTIONS } from '../sessions/plan.ts';
import { MODE_NAMES, VERDICT_NAMES } from '../shared/control.ts';
import { CODE_CLASSES, LOST_REASONS, MOVE_REASONS } from '../shared/stripe.ts';
import type { ExplainDocument, PlanDocument, TakeoverResult } from './source.ts';
import type {
  HotSessionStatus,
  LoadSkewStatus,
  PoolStatus,
  RebalanceStatus,
  ServerStatus,
  SkewStatus,
  StatusDocument,
} from './status.ts';
import type { Problem, Summary } from './summary.ts';

/** A part of JSON Schema. */
export interface Schema {
  readonly type?: string | readonly string[];
  readonly $ref?: string;
  readonly description?: string;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
}

/** All properties of T, each there in every answer; more may come. */
type Properties<T> = Readonly<Record<keyof T, Schema>>;

const of = (type: string, description?: string): Schema =>
  description === undefined ? { type } : { type, description };
const text = (description?: string): Schema => of('string', description);
const integer = (description?: string): Schema => of('integer', description);
const number = (description?: string): Schema => of('number', description);
const yes = (description?: string): Schema => of('boolean', description);
const words = (list: readonly string[], description?: string): Schema => ({
  ...text(description),
  enum: list,
});
const time = (description: string): Schema => ({ ...text(description), format: 'date-time' });
const orNull = (schema: Schema): Schema => ({ ...schema, type: [String(schema.type), 'null'] });
const list = (items: Schema, description?: string): Schema => ({ ...of('array', description), items });
const a = (name: SchemaName): Schema => ({ $ref: `#/components/schemas/${name}` });

function object<T>(properties: Properties<T>, description?: string): Schema {
  return { ...of('object', description), required: Object.keys(properties), properties };
}

/** A count for each word. */
function counts(names: readonly string[], description: string): Schema {
  return object(Object.fromEntries(names.map((name) => [name, integer()])), description);
}

const EVENNESS: Properties<LoadSkewStatus> = {
  ratio: number('the fullest server over its fair share; 1 is even'),
  cv: number('standard deviation of the shares over their mean'),
  jain: number('Jain’s index; 1 is even'),
  gini: number('Gini coefficient; 0 is even'),
  trough: number('the emptiest server over its fair share'),
};

const SERVER: Properties<ServerStatus> = {
  name: text(),
  url: text(),
  state: words(VERDICT_NAMES, 'what health says'),
  mode: words(MODE_NAMES, 'what the operator says'),
  weight: number('as configured, or set by the operator'),
  effectiveWeight: number('what choosing uses now: a slow start lowers it'),
  backup: yes('gets requests only where no other can'),
  sessions: integer(),
  tentative: integer('sessions whose client has not shown its cookie yet; not among `sessions`'),
  unbacked: integer('sessions that only this server has, by its own report, although the pool’s are shared'),
  inFlight: integer('requests'),
  connections: object<ServerStatus['connections']>({ active: integer(), idle: integer() }, 'to the server'),
  maxConnections: integer('0: no limit'),
  maxSessions: integer('0: no limit'),
  requests: integer('since the start'),
  codes: counts(CODE_CLASSES, 'those of `requests` by class of the status; none: ended without a response'),
  failures: integer('attempts that failed: no connection, or none that answered'),
  durations: list(integer(), 'requests in each bucket of `durationBoundsSeconds`, and last the longer ones'),
  created: integer('sessions'),
  ended: integer('sessions'),
  lost: integer('sessions'),
  check: orNull(text('what the last health check found')),
  since: orNull(time('since when `state` stands')),
};

const POOL: Properties<PoolStatus> = {
  name: text(),
  policy: text('as configured'),
  sticky: text('its mode'),
  state: words(['local', 'shared'], 'where the application keeps sessions'),
  sessions: integer(),
  requests: integer('since the start'),
  errors: integer('those that went wrong for the client: 5xx of a server, an own reply, broken off'),
  recent: object<Recent>(
    { seconds: number(), requests: integer(), errors: integer() },
    'of about the last minute',
  ),
  skew: object<SkewStatus>(
    {
      ...EVENNESS,
      floor: number('the ratio that placing as many sessions at random would give'),
      excess: number('how far the ratio is above that'),
      beyondChance: yes(),
    },
    'of the sessions',
  ),
  loadSkew: object<PoolStatus['loadSkew']>(
    {
      requests: object<LoadSkewStatus>(EVENNESS, 'of the last minute'),
      inFlight: object<LoadSkewStatus>(EVENNESS, 'of now'),
    },
    'of the load',
  ),
  sessionsEffective: number('how many equally busy sessions would be as uneven'),
  hottest: list(
    object<HotSessionStatus>({
      key: text('eight hex digits of the hashed key'),
      server: text(),
      requestsPerSecond: number(),
      share: number('of the pool’s requests'),
    }),
    'the busiest sessions',
  ),
  moves: counts(MOVE_REASONS, 'sessions that got another home, by reason'),
  lost: counts(LOST_REASONS, 'sessions, by reason, of all servers that the pool has or had'),
  rebalance: orNull(
    object<RebalanceStatus>(
      {
        phase: text(),
        why: text('why it is in this phase'),
        moved: integer('sessions, since the start'),
        lastMoved: integer('sessions, in the latest cycle'),
      },
      'null: its sessions are not moved',
    ),
  ),
  servers: list(a('Server')),
};

const PROBLEM: Properties<Problem> = {
  state: words(['failing', 'degraded']),
  pool: text(),
  server: orNull(text('null: the pool as a whole')),
  text: text('without the names'),
  since: orNull(time('null: not known')),
  sessions: integer('sessions whose home cannot serve them at present'),
};

const STATUS: Properties<StatusDocument> = {
  version: text(),
  host: text('host name of the balancer'),
  summary: object<Summary>(
    {
      state: words(['well', 'degraded', 'failing'], 'failing: clients get errors'),
      problems: list(object<Problem>(PROBLEM), 'the worst first'),
    },
    'how it is, and why',
  ),
  revision: integer('of the configuration, from 1'),
  threads: integer('that proxy'),
  uptimeSeconds: number(),
  sessionTable: object<StatusDocument['sessionTable']>({ entries: integer(), capacity: integer() }),
  durationBoundsSeconds: list(number(), 'upper bounds of every server’s `durations`'),
  pools: list(a('Pool')),
};

const rates = (description: string): Schema => list(orNull(number()), description);

const POOL_HISTORY: Properties<PoolHistory> = {
  name: text(),
  times: list(number(), 'Unix time, seconds; every other list is as long'),
  requestRate: rates('a second'),
  errorRate: rates('a second'),
  codes: object(
    Object.fromEntries(CODE_CLASSES.map((name) => [name, list(orNull(number()))])),
    'answers of servers a second, by class of the status',
  ),
  inFlight: list(integer(), 'requests'),
  p50: rates('seconds'),
  p99: rates('seconds'),
  ratio: list(number(), 'skew of the sessions'),
  floor: list(number(), 'what chance alone would make of it'),
  sessions: { ...of('object', 'by server'), additionalProperties: list(orNull(integer())) },
};

const EVENT: Properties<Pick<KeptEvent, 'at' | 'number' | 'type'>> = {
  at: time('when'),
  number: integer('from 1 at the start of the process'),
  type: text('verdict, server, reload, …; what else there is depends on it'),
};

const SKEW_OF_PLAN = object<PlanDocument['skewBefore']>({ ratio: number(), floor: number() });

const PLAN: Properties<PlanDocument> = {
  action: words(PLAN_ACTIONS),
  server: text(),
  sessions: integer('held by the server now'),
  moves: integer('sessions that would get another home'),
  lost: integer('those of them whose state would be lost'),
  skewBefore: SKEW_OF_PLAN,
  skewAfter: SKEW_OF_PLAN,
  after: list(object<PlanDocument['after'][number]>({ server: text(), sessions: integer() })),
  seconds: orNull(number('how long it may take; null: cannot be told')),
  notes: list(text(), 'what happens, in sentences'),
};

const EXPLANATION: Properties<ExplainDocument> = {
  server: orNull(text('null: none')),
  outcome: text('as counted by `holdfast_affinity_decisions_total`'),
  move: orNull(text('why it would leave its home; null: it would not')),
  session: orNull(
    object<NonNullable<ExplainDocument['session']>>(
      {
        key: text('eight hex digits of the hashed key'),
        home: orNull(text('null: a server that is no longer of the pool')),
        ageSeconds: number(),
        idleSeconds: number(),
        requests: integer(),
        busy: integer('requests and tunnels open now'),
        tentative: yes('it does not count yet'),
        moved: yes(),
      },
      'null: it is not known',
    ),
  ),
  reasons: list(text(), 'in order, how the decision comes about'),
  others: list(
    object<ExplainDocument['others'][number]>({ server: text(), why: text() }),
    'every other server, and why it is not the one',
  ),
};

type Reloaded = Omit<Extract<ReloadResult, { readonly ok: true }>, 'ok'>;
type Takeover = Omit<Extract<TakeoverResult, { readonly ok: true }>, 'ok'>;

export type SchemaName =
  | 'Status'
  | 'Pool'
  | 'Server'
  | 'History'
  | 'Events'
  | 'Event'
  | 'Changed'
  | 'Plan'
  | 'Explanation'
  | 'Reloaded'
  | 'Takeover';

/** Documents and parts of them by name. */
export const SCHEMAS: Readonly<Record<SchemaName, Schema>> = {
  Status: object<StatusDocument>(STATUS),
  Pool: object<PoolStatus>(POOL),
  Server: object<ServerStatus>(SERVER),
  History: object<HistoryDocument>({ pools: list(object<PoolHistory>(POOL_HISTORY)) }),
  Events: object<{ readonly events: unknown }>({ events: list(a('Event'), 'the oldest first') }),
  Event: object<Pick<KeptEvent, 'at' | 'number' | 'type'>>(EVENT),
  Changed: object<{ readonly pool: unknown; readonly server: unknown }>({
    pool: text(),
    server: a('Server'),
  }),
  Plan: object<PlanDocument>(PLAN),
  Explanation: object<ExplainDocument>(EXPLANATION),
  Reloaded: object<Reloaded>({ revision: integer(), changes: list(text(), 'one sentence each') }),
  Takeover: object<Takeover>({ directory: text('readable by the same user only') }),
};
