// One worker's counters. The worker writes, everybody reads; readers sum over workers. Cells are
// written with plain stores: one writer, and aligned stores of 32 and 64 bits are not torn on the platforms Node runs on.
//
//   gauges    Int32    [ slot × GAUGES + name ]     zeroed by main when the worker dies
//   counters  Float64  [ slot × COUNTERS + name ]   kept: the next worker of that index goes on counting
//   pools     Float64  [ pool × POOL_CELLS + name ]
//   misc      Float64  [ rejected by kind, of no pool | listener × handshakes by result | listener × HTTP/2 abuse
//                       by kind | pauses by kind: sum and buckets | listener connections | HTTP/2 connections |
//                       HTTP/2 streams | heartbeats | all connections ]

import { FAILURE_KINDS, RETRY_REASONS } from '../base/failure.ts';
import { ABUSE_KINDS, type AbuseKind } from '../http2/abuse.ts';
import { LISTENER_IDS_MAX, POOL_IDS_MAX, SLOTS_MAX } from './limits.ts';

/** Upper bounds of the duration histograms, seconds. The last bucket (+Inf) is implied. */
export const DURATION_BUCKETS_SECONDS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;
/** Buckets per histogram, +Inf included. */
export const BUCKETS = DURATION_BUCKETS_SECONDS.length + 1;

/** Why a request went where it went: the `verdict` label of holdfast_affinity_decisions_total. */
export const AFFINITY_OUTCOMES = [
  'none',
  'new',
  'home',
  'moved',
  'refused',
  'invalid',
  'expired',
  'overflow',
  'limited',
  'adopted',
] as const;
export type AffinityOutcome = (typeof AFFINITY_OUTCOMES)[number];
/** The `reason` label of holdfast_session_moves_total. */
export const MOVE_REASONS = ['failure', 'drain', 'rebalance', 'overload', 'operator', 'removed'] as const;
export type MoveReason = (typeof MOVE_REASONS)[number];
/** The `reason` label of holdfast_sessions_ended_total. */
export const END_REASONS = ['idle', 'life', 'logout', 'evicted', 'secret'] as const;
export type EndReason = (typeof END_REASONS)[number];
/** The `reason` label of holdfast_sessions_lost_total; `removed`: there is no such server any more. */
export const LOST_REASONS = ['failure', 'drain', 'operator', 'removed'] as const;
/** Those for which a server that is still there loses sessions: all but the last. */
export const SERVER_LOST_REASONS = ['failure', 'drain', 'operator'] as const satisfies readonly LostReason[];
export type LostReason = (typeof LOST_REASONS)[number];
/** What real traffic met that speaks against a server: the `kind` label of holdfast_passive_failures_total. */
export const PASSIVE_KINDS = ['connect', 'response', 'status'] as const;
/** The `code` label of holdfast_requests_total; `none` = ended without a response. */
export const CODE_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

/** What became of TLS handshakes: the `result` label of holdfast_tls_handshakes_total. */
export const HANDSHAKE_RESULTS = ['full', 'resumed', 'failed', 'unverified', 'timed_out', 'refused'] as const;
export type HandshakeResult = (typeof HANDSHAKE_RESULTS)[number];

/** Garbage collections of the young generation and of the whole heap: the `kind` label of holdfast_gc_pause_seconds. */
export const GC_KINDS = ['minor', 'major'] as const;
export type GcKind = (typeof GC_KINDS)[number];

export const Gauge = {
  inFlight: 0,
  upstreamActive: 1,
  upstreamIdle: 2,
  /** Entries of the session table begun less those ended, and of the latter alone. */
  sessionDelta: 3,
  sessionsLeft: 4,
  /** Sessions that are counted on and have no entry yet. */
  sessionsReserved: 5,
} as const;
export type Gauge = (typeof Gauge)[keyof typeof Gauge];
/** Those that end with the thread. */
const OF_THE_LIVING = [
  Gauge.inFlight,
  Gauge.upstreamActive,
  Gauge.upstreamIdle,
  Gauge.sessionsReserved,
] as const;
const GAUGES = 6;

/** Offsets inside one slot's counter block. */
export const Counter = {
  code: 0,
  failures: CODE_CLASSES.length,
  requestBytes: CODE_CLASSES.length + 1,
  responseBytes: CODE_CLASSES.length + 2,
  created: CODE_CLASSES.length + 3,
  /** Not a count: moving average of the time to the first response byte, ms; 0 = nothing measured yet. */
  firstByteMs: CODE_CLASSES.length + 4,
  ended: CODE_CLASSES.length + 5,
  lost: CODE_CLASSES.length + 5 + END_REASONS.length,
  /** Sum in seconds, followed by the buckets (not cumulative). */
  durationSum: CODE_CLASSES.length + 5 + END_REASONS.length + LOST_REASONS.length,
  connectSum: CODE_CLASSES.length + 6 + END_REASONS.length + LOST_REASONS.length + BUCKETS,
  /** One for each of PASSIVE_KINDS. */
  passive: CODE_CLASSES.length + 7 + END_REASONS.length + LOST_REASONS.length + 2 * BUCKETS,
  /** Not counts: share of failures of late, 0..1, and when it was so. */
  failing:
    CODE_CLASSES.length + 7 + END_REASONS.length + LOST_REASONS.length + 2 * BUCKETS + PASSIVE_KINDS.length,
} as const;
const COUNTERS = Counter.failing + 2;
/** The share of failures halves in so long when nothing more is heard, so that the server is tried again. */
const FAILING_HALF_MS = 5_000;
/** Less than this is forgotten. */
const FAILING_MIN = 0.02;

/** Offsets inside one pool's block. */
export const PoolCounter = {
  affinity: 0,
  moves: AFFINITY_OUTCOMES.length,
  retries: AFFINITY_OUTCOMES.length + MOVE_REASONS.length,
  queued: AFFINITY_OUTCOMES.length + MOVE_REASONS.length + RETRY_REASONS.length,
  requests: AFFINITY_OUTCOMES.length + MOVE_REASONS.length + RETRY_REASONS.length + 1,
  /** Retries that the budget did not allow. */
  retriesRefused: AFFINITY_OUTCOMES.length + MOVE_REASONS.length + RETRY_REASONS.length + 2,
  /** Not a count: retries that the thread's budget would allow now. */
  retryTokens: AFFINITY_OUTCOMES.length + MOVE_REASONS.length + RETRY_REASONS.length + 3,
  /** One for each of LOST_REASONS, of all servers that the pool has or had. */
  lost: AFFINITY_OUTCOMES.length + MOVE_REASONS.length + RETRY_REASONS.length + 4,
  /** Answers of servers with a status of 500 and above that went to clients. */
  serverErrors:
    AFFINITY_OUTCOMES.length + MOVE_REASONS.length + RETRY_REASONS.length + 4 + LOST_REASONS.length,
  /** One for each of FAILURE_KINDS. */
  rejected: AFFINITY_OUTCOMES.length + MOVE_REASONS.length + RETRY_REASONS.length + 5 + LOST_REASONS.length,
} as const;
const POOL_CELLS = PoolCounter.rejected + FAILURE_KINDS.length;
/** Of a request that was refused before it had a pool. */
export const NO_POOL = -1;

const GAUGE_BYTES = SLOTS_MAX * GAUGES * 4;
const COUNTER_BYTES = SLOTS_MAX * COUNTERS * 8;
const POOL_BYTES = POOL_IDS_MAX * POOL_CELLS * 8;
const HANDSHAKES = FAILURE_KINDS.length;
const HTTP2_ABUSE = HANDSHAKES + LISTENER_IDS_MAX * HANDSHAKE_RESULTS.length;
const GC_PAUSES = HTTP2_ABUSE + LISTENER_IDS_MAX * ABUSE_KINDS.length;
const GC_PAUSE_CELLS = 1 + BUCKETS;
const CONNECTIONS = GC_PAUSES + GC_KINDS.length * GC_PAUSE_CELLS;
const HTTP2_CONNECTIONS = CONNECTIONS + LISTENER_IDS_MAX;
const HTTP2_STREAMS = HTTP2_CONNECTIONS + LISTENER_IDS_MAX;
const BEATS = HTTP2_STREAMS + LISTENER_IDS_MAX;
const ALL_CLIENTS = BEATS + 1;
const MISC_CELLS = ALL_CLIENTS + 1;

export class Stripe {
  readonly buffer: SharedArrayBuffer;
  readonly #gauges: Int32Array;
  readonly #counters: Float64Array;
  readonly #pools: Float64Array;
  readonly #misc: Float64Array;

  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(GAUGE_BYTES + COUNTER_BYTES + POOL_BYTES + MISC_CELLS * 8);
    this.#gauges = new Int32Array(this.buffer, 0, SLOTS_MAX * GAUGES);
    this.#counters = new Float64Array(this.buffer, GAUGE_BYTES, SLOTS_MAX * COUNTERS);
    this.#pools = new Float64Array(this.buffer, GAUGE_BYTES + COUNTER_BYTES, POOL_IDS_MAX * POOL_CELLS);
    this.#misc = new Float64Array(this.buffer, GAUGE_BYTES + COUNTER_BYTES + POOL_BYTES, MISC_CELLS);
  }

  gauge(slot: number, gauge: Gauge): number {
    return this.#gauges[slot * GAUGES + gauge] as number;
  }

  addGauge(slot: number, gauge: Gauge, amount: number): void {
    const index = slot * GAUGES + gauge;
    this.#gauges[index] = (this.#gauges[index] as number) + amount;
  }

  /** Of the session table, 1: one has begun at the slot; -1: it has ended there or gone elsewhere. */
  addEntry(slot: number, amount: 1 | -1): void {
    this.addGauge(slot, Gauge.sessionDelta, amount);
    if (amount < 0) this.addGauge(slot, Gauge.sessionsLeft, 1);
  }

  /** For two threads that each count first and then look whether the other has: one of them sees both. */
  gaugeInOrder(slot: number, gauge: Gauge): number {
    return Atomics.load(this.#gauges, slot * GAUGES + gauge);
  }

  addGaugeInOrder(slot: number, gauge: Gauge, amount: number): void {
    Atomics.add(this.#gauges, slot * GAUGES + gauge, amount);
  }

  counter(slot: number, offset: number): number {
    return this.#counters[slot * COUNTERS + offset] as number;
  }

  count(slot: number, offset: number, amount = 1): void {
    const index = slot * COUNTERS + offset;
    this.#counters[index] = (this.#counters[index] as number) + amount;
  }

  /** Records one duration in the histogram whose sum is at `sumOffset` (its buckets follow). */
  observe(slot: number, sumOffset: number, seconds: number): void {
    observeIn(this.#counters, slot * COUNTERS + sumOffset, seconds);
  }

  /** Moving average with weight 1/8 for the newest value, as TCP smooths its round-trip time (RFC 6298). */
  smoothFirstByte(slot: number, ms: number): void {
    const index = slot * COUNTERS + Counter.firstByteMs;
    const old = this.#counters[index] as number;
    this.#counters[index] = old === 0 ? ms : old + (ms - old) / 8;
  }

  /** An attempt on the server has failed, or was answered well. The newest counts for a quarter. */
  noteOutcome(slot: number, hasFailed: boolean, nowMs: number): void {
    const index = slot * COUNTERS + Counter.failing;
    if (!hasFailed && this.#counters[index] === 0) return;
    const old = this.failing(slot, nowMs);
    const share = old + ((hasFailed ? 1 : 0) - old) / 4;
    this.#counters[index] = share < FAILING_MIN ? 0 : share;
    this.#counters[index + 1] = nowMs;
  }

  /** Share of failures among what this thread has tried on the server of late, 0..1. */
  failing(slot: number, nowMs: number): number {
    const index = slot * COUNTERS + Counter.failing;
    const share = this.#counters[index] as number;
    if (share === 0) return 0;
    const elapsedMs = Math.max(0, nowMs - (this.#counters[index + 1] as number));
    const faded = share * 0.5 ** (elapsedMs / FAILING_HALF_MS);
    return faded < FAILING_MIN ? 0 : faded;
  }

  /** Main, when the server is another process than the one that failed. */
  forgetFailing(slot: number): void {
    this.#counters[slot * COUNTERS + Counter.failing] = 0;
  }

  poolCounter(pool: number, offset: number): number {
    return this.#pools[pool * POOL_CELLS + offset] as number;
  }

  countPool(pool: number, offset: number, amount = 1): void {
    const index = pool * POOL_CELLS + offset;
    this.#pools[index] = (this.#pools[index] as number) + amount;
  }

  /** For the cells that are no counts. */
  setPool(pool: number, offset: number, value: number): void {
    this.#pools[pool * POOL_CELLS + offset] = value;
  }

  /** Main, before a pool's number is given to another pool. */
  clearPool(pool: number): void {
    this.#pools.fill(0, pool * POOL_CELLS, (pool + 1) * POOL_CELLS);
  }

  rejected(kindIndex: number, pool: number): number {
    if (pool === NO_POOL) return this.#misc[kindIndex] as number;
    return this.poolCounter(pool, PoolCounter.rejected + kindIndex);
  }

  countRejected(kindIndex: number, pool: number): void {
    if (pool === NO_POOL) this.#misc[kindIndex] = (this.#misc[kindIndex] as number) + 1;
    else this.countPool(pool, PoolCounter.rejected + kindIndex);
  }

  handshakes(listener: number, result: HandshakeResult): number {
    return this.#misc[handshakeCell(listener, result)] as number;
  }

  countHandshake(listener: number, result: HandshakeResult): void {
    const index = handshakeCell(listener, result);
    this.#misc[index] = (this.#misc[index] as number) + 1;
  }

  http2Abuse(listener: number, kind: AbuseKind): number {
    return this.#misc[abuseCell(listener, kind)] as number;
  }

  countHttp2Abuse(listener: number, kind: AbuseKind): void {
    const index = abuseCell(listener, kind);
    this.#misc[index] = (this.#misc[index] as number) + 1;
  }

  /** `offset` 0: seconds in all; from 1 on: how many of each bucket. */
  gcPauses(kind: GcKind, offset: number): number {
    return this.#misc[gcPauseCell(kind) + offset] as number;
  }

  observeGcPause(kind: GcKind, seconds: number): void {
    observeIn(this.#misc, gcPauseCell(kind), seconds);
  }

  http2Connections(listener: number): number {
    return this.#misc[HTTP2_CONNECTIONS + listener] as number;
  }

  addHttp2Connections(listener: number, amount: number): void {
    const index = HTTP2_CONNECTIONS + listener;
    this.#misc[index] = (this.#misc[index] as number) + amount;
  }

  http2Streams(listener: number): number {
    return this.#misc[HTTP2_STREAMS + listener] as number;
  }

  addHttp2Streams(listener: number, amount: number): void {
    const index = HTTP2_STREAMS + listener;
    this.#misc[index] = (this.#misc[index] as number) + amount;
  }

  clientConnections(listener: number): number {
    return this.#misc[CONNECTIONS + listener] as number;
  }

  addClientConnections(listener: number, amount: number): void {
    const index = CONNECTIONS + listener;
    this.#misc[index] = (this.#misc[index] as number) + amount;
    this.#misc[ALL_CLIENTS] = this.allClientConnections + amount;
  }

  /** Of all listeners. */
  get allClientConnections(): number {
    return this.#misc[ALL_CLIENTS] as number;
  }

  /** How often the worker has said that it runs. */
  get beats(): number {
    return this.#misc[BEATS] as number;
  }

  /** The worker, at each of its ticks. */
  beat(): void {
    this.#misc[BEATS] = this.beats + 1;
  }

  /**
   * Main, after the worker has died: what was in flight there is no more, nor what it counted on. Session deltas and those
   * that have left stay: they are totals.
   */
  clearGauges(): void {
    for (let slot = 0; slot < SLOTS_MAX; slot += 1) {
      for (const gauge of OF_THE_LIVING) {
        Atomics.store(this.#gauges, slot * GAUGES + gauge, 0);
      }
    }
    this.#misc.fill(0, CONNECTIONS);
  }

  /** Main, before a slot is given to another server. */
  clearSlot(slot: number): void {
    for (let gauge = 0; gauge < GAUGES; gauge += 1) Atomics.store(this.#gauges, slot * GAUGES + gauge, 0);
    this.#counters.fill(0, slot * COUNTERS, (slot + 1) * COUNTERS);
  }
}

/** A histogram: its sum at `at`, its buckets behind it. */
function observeIn(cells: Float64Array, at: number, seconds: number): void {
  cells[at] = (cells[at] as number) + seconds;
  let bucket = 0;
  while (bucket < BUCKETS - 1 && seconds > (DURATION_BUCKETS_SECONDS[bucket] as number)) bucket += 1;
  cells[at + 1 + bucket] = (cells[at + 1 + bucket] as number) + 1;
}

function gcPauseCell(kind: GcKind): number {
  return GC_PAUSES + GC_KINDS.indexOf(kind) * GC_PAUSE_CELLS;
}

function abuseCell(listener: number, kind: AbuseKind): number {
  return HTTP2_ABUSE + listener * ABUSE_KINDS.length + ABUSE_KINDS.indexOf(kind);
}

function handshakeCell(listener: number, result: HandshakeResult): number {
  return HANDSHAKES + listener * HANDSHAKE_RESULTS.length + HANDSHAKE_RESULTS.indexOf(result);
}
