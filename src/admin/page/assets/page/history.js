// The last minutes, kept in the page: one sample a second of every pool. Rates and percentiles come from the
// differences of counters. Pure: the caller says what time it is.

/**
 * @typedef {import('../../../status.ts').StatusDocument} StatusDocument
 * @typedef {import('../../../status.ts').PoolStatus} PoolStatus
 * @typedef {import('../../../status.ts').ServerStatus} ServerStatus
 *
 * @typedef {object} Live Figures of a server or a pool over the last seconds; null: not known yet.
 * @property {number | null} requestRate
 * @property {number | null} errorRate Of a pool: errors as clients see them. Of a server: its 5xx.
 * @property {number | null} p50 Seconds.
 * @property {number | null} p99 Seconds.
 * @property {Readonly<Record<string, number>>} classes Answers of servers a second, by class of status.
 */

export const SAMPLES_MAX = 600;
/** Rates and percentiles look back so far. */
const WINDOW_SECONDS = 10;
/** Without a sample for so long, lines break. */
const GAP_SECONDS = 3.5;

/** @type {Live} */
const UNKNOWN = { requestRate: null, errorRate: null, p50: null, p99: null, classes: {} };

/** Classes of status whose rates are drawn; what is informational or without an answer is left out. */
const CLASSES = /** @type {const} */ (['2xx', '3xx', '4xx', '5xx']);

/** Names that make a series of a pool beside the sessions of each server. */
export const POOL_SERIES = /** @type {const} */ ([
  'requestRate',
  'errorRate',
  'p50',
  'p99',
  'ratio',
  'floor',
  'average',
  'largest',
  'smallest',
  ...CLASSES,
]);

/** @typedef {(typeof POOL_SERIES)[number]} PoolSeries */

class PoolHistory {
  /** @type {number[]} Unix seconds */
  times = [];
  /** @type {Record<PoolSeries, (number | null)[]>} */
  series = {
    requestRate: [],
    errorRate: [],
    p50: [],
    p99: [],
    ratio: [],
    floor: [],
    average: [],
    largest: [],
    smallest: [],
    '2xx': [],
    '3xx': [],
    '4xx': [],
    '5xx': [],
  };
  /** @type {Map<string, (number | null)[]>} Sessions by server. */
  sessions = new Map();
}

export class History {
  /** @type {{ seconds: number, status: StatusDocument }[]} Newest last. */
  #window = [];
  /** @type {Map<string, PoolHistory>} */
  #pools = new Map();

  /**
   * Takes in a status document. A restarted balancer begins its counters anew, so what was before is no base.
   * @param {StatusDocument} status
   * @param {number} seconds Unix time.
   */
  add(status, seconds) {
    const last = this.#window.at(-1);
    if (last !== undefined && status.uptimeSeconds < last.status.uptimeSeconds) this.#window = [];
    this.#window.push({ seconds, status });
    while (this.#window.length > 2 && (this.#window[0]?.seconds ?? 0) < seconds - WINDOW_SECONDS)
      this.#window.shift();
    for (const pool of status.pools) this.#sample(pool, seconds);
    for (const name of this.#pools.keys()) {
      if (!status.pools.some((pool) => pool.name === name)) this.#pools.delete(name);
    }
  }

  /**
   * What the balancer has kept, before anything else is added. Its clock may not be the browser's: its newest sample is of
   * now, so that time does not run backwards when others follow.
   * @param {import('../../../../control/history.ts').HistoryDocument} past
   * @param {number} seconds Unix time.
   */
  fill({ pools }, seconds) {
    for (const { name, times, sessions, codes, requestRate, errorRate, p50, p99, ratio, floor } of pools) {
      const history = this.pool(name);
      const from = Math.max(0, times.length - SAMPLES_MAX);
      const kept = { ...codes, requestRate, errorRate, p50, p99, ratio, floor };
      const aheadSeconds = (times.at(-1) ?? seconds) - seconds;
      history.times = times.slice(from).map((time) => time - aheadSeconds);
      for (const series of POOL_SERIES) {
        const values =
          /** @type {Readonly<Record<string, readonly (number | null)[]>>} */ (kept)[series] ??
          times.map(() => null);
        history.series[series] = values.slice(from);
      }
      const lines = Object.entries(sessions).map(
        ([server, line]) => /** @type {const} */ ([server, line.slice(from)]),
      );
      history.sessions = new Map(lines);
      history.times.forEach((_time, at) => {
        const shares = lines.flatMap(([, line]) => line[at] ?? []);
        if (shares.length === 0) return;
        history.series.average[at] = shares.reduce((sum, share) => sum + share, 0) / shares.length;
        history.series.largest[at] = Math.max(...shares);
        history.series.smallest[at] = Math.min(...shares);
      });
    }
  }

  /**
   * @param {string} name
   * @returns {PoolHistory}
   */
  pool(name) {
    let found = this.#pools.get(name);
    if (found === undefined) {
      found = new PoolHistory();
      this.#pools.set(name, found);
    }
    return found;
  }

  /**
   * What the servers of the pool did over the last seconds, together, or one of them.
   * @param {string} poolName
   * @param {string | null} serverName
   * @returns {Live}
   */
  live(poolName, serverName = null) {
    const newest = this.#window.at(-1);
    const oldest = this.#window[0];
    if (newest === undefined || oldest === undefined || newest === oldest) return UNKNOWN;
    const seconds = newest.seconds - oldest.seconds;
    if (seconds <= 0) return UNKNOWN;
    const now = indexed(newest.status).get(poolName);
    const then = indexed(oldest.status).get(poolName);
    const one = serverName === null ? undefined : now?.servers.get(serverName);
    const wanted = serverName === null ? (now?.pool.servers ?? []) : one === undefined ? [] : [one];
    let requests = 0;
    let errors = 0;
    /** @type {Record<string, number>} */
    const classes = {};
    const durations = newest.status.durationBoundsSeconds.map(() => 0).concat(0);
    for (const server of wanted) {
      const same = then?.servers.get(server.name);
      const base = same?.url === server.url ? same : undefined;
      // a server that was not there yet counts from nothing
      requests += Math.max(0, server.requests - (base?.requests ?? 0));
      errors += Math.max(0, (server.codes['5xx'] ?? 0) - (base?.codes['5xx'] ?? 0));
      for (const name of CLASSES) {
        const grown = Math.max(0, (server.codes[name] ?? 0) - (base?.codes[name] ?? 0));
        classes[name] = (classes[name] ?? 0) + grown / seconds;
      }
      server.durations.forEach((value, bucket) => {
        durations[bucket] = (durations[bucket] ?? 0) + Math.max(0, value - (base?.durations[bucket] ?? 0));
      });
    }
    const bounds = newest.status.durationBoundsSeconds;
    if (serverName === null) {
      requests = (now?.pool.requests ?? 0) - (then?.pool.requests ?? 0);
      errors = (now?.pool.errors ?? 0) - (then?.pool.errors ?? 0);
    }
    return {
      requestRate: Math.max(0, requests) / seconds,
      errorRate: Math.max(0, errors) / seconds,
      p50: quantile(0.5, durations, bounds),
      p99: quantile(0.99, durations, bounds),
      classes,
    };
  }

  /**
   * @param {PoolStatus} pool
   * @param {number} seconds
   */
  #sample(pool, seconds) {
    const history = this.pool(pool.name);
    const last = history.times.at(-1);
    if (last !== undefined && seconds - last > GAP_SECONDS) push(history, last + 1, {}, []);
    const live = this.live(pool.name);
    const compared = pool.servers.filter((server) => server.state === 'up' && server.mode === 'ready');
    const shares = compared.map((server) => server.sessions);
    const hasSkew = pool.sticky !== 'none' && compared.length > 1 && pool.sessions > 0;
    const { classes, ...rates } = live;
    const values = {
      ...rates,
      ...classes,
      ratio: hasSkew ? pool.skew.ratio : null,
      floor: hasSkew ? pool.skew.floor : null,
      average: shares.length === 0 ? null : shares.reduce((sum, share) => sum + share, 0) / shares.length,
      largest: shares.length === 0 ? null : Math.max(...shares),
      smallest: shares.length === 0 ? null : Math.min(...shares),
    };
    push(history, seconds, values, pool.servers);
  }
}

/**
 * The value below which a share of the durations lies, in seconds; within a bucket as if they lay evenly. Null: there
 * are none. Longer than the last bound: that bound.
 * @param {number} share 0..1
 * @param {readonly number[]} buckets Counts; the last is what is longer than all bounds.
 * @param {readonly number[]} bounds Upper bounds, seconds.
 * @returns {number | null}
 */
export function quantile(share, buckets, bounds) {
  const total = buckets.reduce((sum, value) => sum + value, 0);
  if (total === 0) return null;
  const rank = share * total;
  let below = 0;
  for (const [index, value] of buckets.entries()) {
    const upper = bounds[index];
    if (upper === undefined) break;
    if (value > 0 && below + value >= rank) {
      const lower = bounds[index - 1] ?? 0;
      return lower + ((upper - lower) * (rank - below)) / value;
    }
    below += value;
  }
  return bounds.at(-1) ?? null;
}

/** @typedef {{ readonly pool: PoolStatus, readonly servers: ReadonlyMap<string, ServerStatus> }} Indexed */

/** @type {WeakMap<StatusDocument, ReadonlyMap<string, Indexed>>} */
const indices = new WeakMap();

/**
 * Pools by name, and their servers by theirs: with hundreds of servers looking for each of them in turn is what takes time.
 * @param {StatusDocument} status
 * @returns {ReadonlyMap<string, Indexed>}
 */
function indexed(status) {
  let index = indices.get(status);
  if (index === undefined) {
    index = new Map(status.pools.map((pool) => [pool.name, { pool, servers: byName(pool.servers) }]));
    indices.set(status, index);
  }
  return index;
}

/**
 * @param {readonly ServerStatus[]} servers
 * @returns {ReadonlyMap<string, ServerStatus>}
 */
function byName(servers) {
  return new Map(servers.map((server) => [server.name, server]));
}

/**
 * Adds one point to every series of a pool; what has no value gets a gap.
 * @param {PoolHistory} history
 * @param {number} seconds
 * @param {Partial<Record<PoolSeries, number | null>>} values
 * @param {readonly ServerStatus[]} servers
 */
function push(history, seconds, values, servers) {
  const length = history.times.length;
  history.times.push(seconds);
  for (const name of POOL_SERIES) history.series[name].push(values[name] ?? null);
  for (const server of servers) {
    if (!history.sessions.has(server.name)) history.sessions.set(server.name, new Array(length).fill(null));
  }
  const present = byName(servers);
  for (const [name, line] of history.sessions) {
    line.push(present.get(name)?.sessions ?? null);
    if (line.every((value) => value === null)) history.sessions.delete(name);
  }
  if (history.times.length <= SAMPLES_MAX) return;
  history.times.shift();
  for (const name of POOL_SERIES) history.series[name].shift();
  for (const line of history.sessions.values()) line.shift();
}
