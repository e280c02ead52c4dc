// What happened, in sentences: from `change` events, and from counters that grew between two status documents. Pure.

import { counted } from './format.js';

/**
 * @typedef {import('../../../status.ts').StatusDocument} StatusDocument
 * @typedef {import('../../../status.ts').PoolStatus} PoolStatus
 * @typedef {import('../../../../control/results.ts').ChangeEvent} ChangeEvent
 *
 * @typedef {object} PageEvent
 * @property {string} key Events of one key that follow each other closely are one, with their numbers added.
 * @property {'bad' | 'warn' | 'good' | 'plain'} tone
 * @property {string} where `pool/server`, a pool, or nothing.
 * @property {number} amount Sessions, where there is a number; 0 else.
 * @property {(amount: number) => string} text
 */

/** @type {Readonly<Record<string, string>>} */
const MOVE_WORDS = {
  failure: 'moved: their home failed',
  drain: 'moved: their home drains',
  rebalance: 'moved to even out the load',
  overload: 'moved: their home was full',
  operator: 'moved by the operator',
  removed: 'moved: their home was removed',
};

/** @type {Readonly<Record<string, PageEvent['tone']>>} */
const VERDICT_TONES = { up: 'good', down: 'bad', ejected: 'bad', starting: 'plain' };

/**
 * @param {ChangeEvent} event
 * @returns {PageEvent}
 */
export function describeChange(event) {
  const where = [event.pool, event.server].filter((part) => typeof part === 'string').join('/');
  const key = `${event.type} ${where}`;
  if (event.type === 'verdict') {
    const reason = text(event.reason);
    const tone = VERDICT_TONES[text(event.to)] ?? 'plain';
    return pageEvent(
      `${key} ${text(event.to)}`,
      tone,
      where,
      `is ${text(event.to)}${reason === '' ? '' : `: ${reason}`}`,
    );
  }
  if (event.type === 'server')
    return pageEvent(key, 'plain', where, `set by ${text(event.by) || 'the operator'}: ${settings(event)}`);
  if (event.type === 'rebalance' && typeof event.to === 'string') {
    const tone = event.to === 'running' ? 'warn' : 'plain';
    return pageEvent(`${key} ${event.to}`, tone, where, `rebalancing ${event.to}: ${text(event.why)}`);
  }
  if (event.type === 'reload') {
    const by = text(event.by) === '' ? '' : ` by ${text(event.by)}`;
    if (event.ok === true)
      return pageEvent(key, 'plain', '', `Configuration reloaded${by}, revision ${text(event.revision)}`);
    return pageEvent(key, 'bad', '', `Reload${by} refused: ${text(event.message)}`);
  }
  if (event.type === 'certificates' && event.ok !== true)
    return pageEvent(key, 'bad', '', `Changed certificates refused: ${text(event.message)}`);
  return pageEvent(key, 'plain', where, `${event.type} ${settings(event)}`.trim());
}

/**
 * Whether the second document is of another process than the first, which came so long before it.
 * @param {StatusDocument} before
 * @param {StatusDocument} now
 * @param {number} elapsedSeconds
 */
export function wasRestarted(before, now, elapsedSeconds) {
  return now.uptimeSeconds < Math.max(before.uptimeSeconds, elapsedSeconds);
}

/**
 * Moves and losses between two documents of the same run.
 * @param {StatusDocument} before
 * @param {StatusDocument} now
 * @param {number} elapsedSeconds between the arrivals of the two: a process younger than that was started meanwhile
 * @returns {PageEvent[]}
 */
export function describeGrowth(before, now, elapsedSeconds = 0) {
  if (wasRestarted(before, now, elapsedSeconds)) {
    return [pageEvent('restart', 'warn', '', 'The balancer was started anew')];
  }
  return now.pools.flatMap((pool) => {
    const old = before.pools.find(({ name }) => name === pool.name);
    return old === undefined ? [] : [...movesOf(old, pool), ...lossesOf(old, pool)];
  });
}

/**
 * @param {PoolStatus} old
 * @param {PoolStatus} pool
 * @returns {PageEvent[]}
 */
function movesOf(old, pool) {
  return Object.entries(pool.moves).flatMap(([reason, total]) => {
    const amount = total - (old.moves[reason] ?? 0);
    if (amount <= 0) return [];
    const words = MOVE_WORDS[reason] ?? `moved: ${reason}`;
    const tone = reason === 'failure' ? 'warn' : 'plain';
    return [{ key: `moved ${pool.name} ${reason}`, tone, where: pool.name, amount, text: sessions(words) }];
  });
}

/**
 * @param {PoolStatus} old
 * @param {PoolStatus} pool
 * @returns {PageEvent[]}
 */
function lossesOf(old, pool) {
  const removed = (pool.lost.removed ?? 0) - (old.lost.removed ?? 0);
  const words = sessions('lost with a removed server');
  const withServers = {
    key: `lost ${pool.name} removed`,
    tone: /** @type {const} */ ('bad'),
    where: pool.name,
  };
  const ofRemoved = removed <= 0 ? [] : [{ ...withServers, amount: removed, text: words }];
  const bases = new Map(old.servers.map((server) => [server.name, server]));
  const ofPresent = pool.servers.flatMap((server) => {
    const base = bases.get(server.name);
    if (base === undefined || base.url !== server.url || server.lost <= base.lost) return [];
    const amount = server.lost - base.lost;
    const where = `${pool.name}/${server.name}`;
    const tone = /** @type {const} */ ('bad');
    return [{ key: `lost ${where}`, tone, where, amount, text: sessions('lost with their state') }];
  });
  return [...ofRemoved, ...ofPresent];
}

/**
 * @param {string} words
 * @returns {(amount: number) => string}
 */
function sessions(words) {
  return (amount) => `${counted(amount, 'session')} ${words}`;
}

/**
 * @param {string} key
 * @param {PageEvent['tone']} tone
 * @param {string} where
 * @param {string} words
 * @returns {PageEvent}
 */
function pageEvent(key, tone, where, words) {
  return { key, tone, where, amount: 0, text: () => words };
}

/**
 * The plain values of an event beside its type and place.
 * @param {ChangeEvent} event
 */
function settings(event) {
  return Object.entries(event)
    .filter(
      ([name, value]) =>
        !['type', 'pool', 'server', 'slot', 'wallMs', 'at', 'number', 'by'].includes(name) &&
        typeof value !== 'object',
    )
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}

/** @param {unknown} value */
function text(value) {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
