// An hour of figures of every pool, kept by main: a page that is opened in the middle of an outage shows how it began.
//
//   recent   a sample a second, RECENT of them
//   older    each tenth of those that leave `recent`, OLDER of them: an hour in all
//
// Counters are kept as they are, so that a rate over any two samples is right, thinned or not.

import { clientErrors } from '../sessions/load.ts';
import type { PoolRevision, Revision } from '../shared/revision.ts';
import type { SharedState } from '../shared/shared-state.ts';
import { BUCKETS, CODE_CLASSES, Counter, DURATION_BUCKETS_SECONDS, PoolCounter } from '../shared/stripe.ts';

const RECENT = 300;
const THINNED = 10;
const OLDER = 330;
/** What is known of the last minute is told in the status document. */
const MINUTE_MS = 60_000;
/** Percentiles are of the requests of so many samples. */
const PERCENTILE_SAMPLES = 10;

interface Sample {
  readonly nowMs: number;
  readonly wallMs: number;
  readonly requests: number;
  readonly errors: number;
  /** As CODE_CLASSES. */
  readonly codes: readonly number[];
  readonly inFlight: number;
  readonly ratio: number;
  readonly floor: number;
  readonly p50: number | null;
  readonly p99: number | null;
  /** Sessions of each server, in the order of `servers`. */
  readonly sessions: Uint32Array;
  readonly servers: readonly string[];
}

/** Lists of one length, one value for each sample; null: nothing to tell. */
export interface PoolHistory {
  readonly name: string;
  /** Unix time, seconds. */
  readonly times: readonly number[];
  readonly requestRate: readonly (number | null)[];
  readonly errorRate: readonly (number | null)[];
  /** Answers of servers a second, by class of their status. */
  readonly codes: Readonly<Record<string, readonly (number | null)[]>>;
  readonly inFlight: readonly number[];
  /** Seconds. */
  readonly p50: readonly (number | null)[];
  readonly p99: readonly (number | null)[];
  readonly ratio: readonly number[];
  readonly floor: readonly number[];
  /** By server. */
  readonly sessions: Readonly<Record<string, readonly (number | null)[]>>;
}

export interface HistoryDocument {
  readonly pools: readonly PoolHistory[];
}

/** Requests and errors of about the last minute; fewer seconds after the start. */
export interface Recent {
  readonly seconds: number;
  readonly requests: number;
  readonly errors: number;
}

/** How uneven the pool's sessions are, and what chance alone would make of them. */
type Skews = (pool: PoolRevision) => { readonly ratio: number; readonly floor: number };

interface Kept {
  readonly name: string;
  readonly recent: Sample[];
  readonly older: Sample[];
  /** How many have left `recent`. */
  left: number;
  /** Requests by duration since the start, as of each of the last PERCENTILE_SAMPLES. */
  readonly durations: Float64Array[];
}

export class History {
  readonly #shared: SharedState;
  readonly #skewOf: Skews;
  readonly #pools = new Map<number, Kept>();

  constructor(shared: SharedState, skewOf: Skews) {
    this.#shared = shared;
    this.#skewOf = skewOf;
  }

  /** Main, once a second. Pools that are gone are forgotten. */
  sample(revision: Revision, nowMs: number, wallMs: number): void {
    for (const [id, { name }] of this.#pools) {
      if (!revision.pools.some((pool) => pool.id === id && pool.config.name === name)) this.#pools.delete(id);
    }
    for (const pool of revision.pools) {
      let kept = this.#pools.get(pool.id);
      if (kept === undefined) {
        kept = { name: pool.config.name, recent: [], older: [], left: 0, durations: [] };
        this.#pools.set(pool.id, kept);
      }
      kept.recent.push(this.#sampleOf(pool, kept, nowMs, wallMs));
      if (kept.recent.length <= RECENT) continue;
      const leaving = kept.recent.shift();
      if (leaving !== undefined && kept.left % THINNED === 0) kept.older.push(leaving);
      kept.left += 1;
      if (kept.older.length > OLDER) kept.older.shift();
    }
  }

  #sampleOf(pool: PoolRevision, kept: Kept, nowMs: number, wallMs: number): Sample {
    const shared = this.#shared;
    const { slots, config } = pool;
    const names = config.servers.map(({ name }) => name);
    const known = kept.recent.at(-1)?.servers ?? [];
    const { ratio, floor } = this.#skewOf(pool);
    return {
      nowMs,
      wallMs,
      requests: shared.sumPoolCounter(pool.id, PoolCounter.requests),
      errors: clientErrors(shared, pool.id),
      codes: CODE_CLASSES.map((_name, index) =>
        slots.reduce((sum, slot) => sum + shared.sumCounter(slot, Counter.code + index), 0),
      ),
      inFlight: slots.reduce((sum, slot) => sum + Math.max(0, shared.inFlight(slot)), 0),
      ratio,
      floor,
      ...this.#percentiles(slots, kept.durations),
      sessions: Uint32Array.from(slots, (slot) => shared.control.sessions(slot)),
      servers: names.length === known.length && names.every((name, at) => name === known[at]) ? known : names,
    };
  }

  /** Of the requests since the oldest in `last`, into which the present ones go. */
  #percentiles(slots: readonly number[], last: Float64Array[]): Pick<Sample, 'p50' | 'p99'> {
    const now = new Float64Array(BUCKETS);
    for (const slot of slots) {
      for (let bucket = 0; bucket < BUCKETS; bucket += 1)
        now[bucket] = (now[bucket] ?? 0) + this.#shared.sumCounter(slot, Counter.durationSum + 1 + bucket);
    }
    const [before] = last;
    last.push(now);
    if (last.length > PERCENTILE_SAMPLES) last.shift();
    if (before === undefined) return { p50: null, p99: null };
    const grown = now.map((count, bucket) => Math.max(0, count - (before[bucket] ?? 0)));
    return { p50: quantile(0.5, grown), p99: quantile(0.99, grown) };
  }

  /** Of the pool of this number. */
  recent(pool: number): Recent {
    const { recent = [] } = this.#pools.get(pool) ?? {};
    const newest = recent.at(-1);
    const oldest = recent.find(({ nowMs }) => newest !== undefined && newest.nowMs - nowMs <= MINUTE_MS);
    if (newest === undefined || oldest === undefined) return { seconds: 0, requests: 0, errors: 0 };
    return {
      seconds: (newest.nowMs - oldest.nowMs) / 1000,
      requests: Math.max(0, newest.requests - oldest.requests),
      errors: Math.max(0, newest.errors - oldest.errors),
    };
  }

  /** All that is kept, oldest first. */
  document(): HistoryDocument {
    return {
      pools: [...this.#pools.values()].map(({ name, older, recent }) =>
        poolHistory(name, [...older, ...recent]),
      ),
    };
  }
}

function poolHistory(name: string, samples: readonly Sample[]): PoolHistory {
  const rates = (pick: (sample: Sample) => number): (number | null)[] =>
    samples.map((sample, at) => {
      const before = samples[at - 1];
      const seconds = before === undefined ? 0 : (sample.nowMs - before.nowMs) / 1000;
      return before === undefined || seconds <= 0
        ? null
        : round(Math.max(0, pick(sample) - pick(before)) / seconds);
    });
  return {
    name,
    times: samples.map(({ wallMs }) => wallMs / 1000),
    requestRate: rates(({ requests }) => requests),
    errorRate: rates(({ errors }) => errors),
    codes: Object.fromEntries(
      CODE_CLASSES.map((name, index) => [name, rates(({ codes }) => codes[index] ?? 0)]),
    ),
    inFlight: samples.map(({ inFlight }) => inFlight),
    p50: samples.map(({ p50 }) => p50),
    p99: samples.map(({ p99 }) => p99),
    ratio: samples.map(({ ratio }) => ratio),
    floor: samples.map(({ floor }) => floor),
    sessions: sessionsByServer(samples),
  };
}

/** O(samples × servers), of which there may be a thousand. */
function sessionsByServer(samples: readonly Sample[]): PoolHistory['sessions'] {
  const lines = new Map<string, (number | null)[]>();
  for (const [at, { servers, sessions }] of samples.entries()) {
    servers.forEach((server, index) => {
      let line = lines.get(server);
      if (line === undefined) {
        line = samples.map(() => null);
        lines.set(server, line);
      }
      line[at] = sessions[index] ?? null;
    });
  }
  return Object.fromEntries(lines);
}

/** Seconds below which this share of the requests stayed, even within a bucket; null: there were none. */
function quantile(share: number, buckets: Float64Array): number | null {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let below = 0;
  for (const [bucket, count] of buckets.entries()) {
    const upper = DURATION_BUCKETS_SECONDS[bucket];
    if (upper === undefined) break;
    if (count > 0 && below + count >= share * total) {
      const lower = DURATION_BUCKETS_SECONDS[bucket - 1] ?? 0;
      return lower + ((upper - lower) * (share * total - below)) / count;
    }
    below += count;
  }
  return DURATION_BUCKETS_SECONDS.at(-1) ?? null;
}

function round(value: number): number {
  return Number(value.toFixed(3));
}
