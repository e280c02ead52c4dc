// What a change would do, in sentences: from the status document alone, and from the balancer's own plan. Pure.

import { isEligible } from './fair-share.js';
import { count, counted, ratio } from './format.js';

/**
 * @typedef {import('../../../status.ts').PoolStatus} PoolStatus
 * @typedef {import('../../../status.ts').ServerStatus} ServerStatus
 * @typedef {import('./server-row.js').Action} Action
 *
 * @typedef {object} Sentence
 * @property {string} text
 * @property {'plain' | 'warn' | 'bad'} tone
 */

/**
 * @param {PoolStatus} pool
 * @param {ServerStatus} server
 * @param {Action} action
 * @returns {Sentence[]}
 */
export function describeEffect(pool, server, action) {
  const holds = server.sessions === 0 ? 'holds no sessions' : `holds ${counted(server.sessions, 'session')}`;
  const facts = plain(`${server.name} ${holds} of ${count(pool.sessions)} in the pool.`);
  if (action === 'ready') return [facts, plain('It gets requests and new sessions again.')];
  if (action === 'weight')
    return [facts, plain('Its share of new sessions follows the weight; 0 gives it none.')];
  const others = pool.servers.filter((other) => other.name !== server.name && isEligible(other));
  const last =
    others.length > 0
      ? []
      : [bad('No other server of this pool is eligible: requests without a home here will get 503.')];
  return [facts, action === 'drain' ? drainEffect(pool, server) : maintenanceEffect(pool, server), ...last];
}

/**
 * @param {PoolStatus} pool
 * @param {ServerStatus} server
 */
function drainEffect(pool, server) {
  if (server.sessions === 0) return plain('It gets no new sessions.');
  if (pool.state === 'local') {
    return plain(
      'It gets no new sessions. Requests of its sessions still go there until the sessions end: none is lost.',
    );
  }
  return plain('It gets no new sessions. Its sessions move to the other servers.');
}

/**
 * @param {PoolStatus} pool
 * @param {ServerStatus} server
 */
function maintenanceEffect(pool, server) {
  if (server.sessions === 0) return plain('It gets no requests at all.');
  const amount = counted(server.sessions, 'session');
  if (pool.state === 'local') {
    return bad(
      `It gets no requests at all. Only ${server.name} has the state of its sessions: ${amount} will be lost.`,
    );
  }
  return warn(`It gets no requests at all. ${amount} will be given another home.`);
}

/**
 * The balancer's prediction, as far as its figures are there; nothing when there are none.
 * @param {unknown} plan Reply of GET /api/pools/:pool/plan
 * @returns {Sentence[]}
 */
export function describePlan(plan) {
  const moved = numberAt(plan, ['moved', 'moves', 'sessionsMoved']);
  const lost = numberAt(plan, ['lost', 'sessionsLost']);
  const before = numberAt(plan, [
    'before.ratio',
    'skewBefore.ratio',
    'skew.before.ratio',
    'skew.before',
    'ratioBefore',
  ]);
  const after = numberAt(plan, [
    'after.ratio',
    'skewAfter.ratio',
    'skew.after.ratio',
    'skew.after',
    'ratioAfter',
  ]);
  const counts = [
    ...(moved === null ? [] : [`${counted(moved, 'session')} would move`]),
    ...(lost === null ? [] : [`${count(lost)} would be lost`]),
  ];
  return [
    ...(counts.length === 0 ? [] : [{ text: `Predicted: ${counts.join(', ')}.`, tone: tone(lost) }]),
    ...(before === null || after === null
      ? []
      : [plain(`Skew of the other servers: ${ratio(before)} now, ${ratio(after)} then.`)]),
  ];
}

/**
 * @param {number | null} lost
 * @returns {Sentence['tone']}
 */
function tone(lost) {
  return lost !== null && lost > 0 ? 'bad' : 'plain';
}

/**
 * The first of the paths at which there is a number.
 * @param {unknown} value
 * @param {readonly string[]} paths
 * @returns {number | null}
 */
function numberAt(value, paths) {
  for (const path of paths) {
    /** @type {unknown} */
    let here = value;
    for (const step of path.split('.'))
      here = typeof here === 'object' && here !== null ? Reflect.get(here, step) : null;
    if (typeof here === 'number') return here;
  }
  return null;
}

/** @param {string} text @returns {Sentence} */
function plain(text) {
  return { text, tone: 'plain' };
}

/** @param {string} text @returns {Sentence} */
function warn(text) {
  return { text, tone: 'warn' };
}

/** @param {string} text @returns {Sentence} */
function bad(text) {
  return { text, tone: 'bad' };
}
