// What a change would do, in sentences: from the status document alone, and from the balancer's own plan. Pure.

import { isEligible } from './fair-share.js';
import { age, count, counted, ratio } from './format.js';

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
  const held = server.sessions === 0 ? 'none' : count(server.sessions);
  const facts = plain(`${server.name} holds ${held} of ${counted(pool.sessions, 'session')} in the pool.`);
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
 * The balancer's prediction; nothing when it is none.
 * @param {unknown} plan Reply of GET /api/pools/:pool/plan
 * @returns {Sentence[]}
 */
export function describePlan(plan) {
  const moves = numberAt(plan, 'moves');
  const lost = numberAt(plan, 'lost');
  if (moves === null || lost === null) return [];
  const seconds = numberAt(plan, 'seconds');
  const before = numberAt(plan, 'skewBefore', 'ratio');
  const after = numberAt(plan, 'skewAfter', 'ratio');
  const counts = `Predicted: ${counted(moves, 'session')} moved, ${count(lost)} lost`;
  const time = seconds === null || seconds === 0 ? '' : `, over in about ${age(seconds)}`;
  return [
    { text: `${counts}${time}.`, tone: lost > 0 ? 'bad' : 'plain' },
    ...(before === null || after === null ? [] : [plain(`Skew ${ratio(before)} now, ${ratio(after)} then.`)]),
  ];
}

/**
 * The number at this path, null when there is none.
 * @param {unknown} value
 * @param {...string} path
 * @returns {number | null}
 */
function numberAt(value, ...path) {
  /** @type {unknown} */
  let here = value;
  for (const step of path) {
    here = typeof here === 'object' && here !== null ? Reflect.get(here, step) : null;
  }
  return typeof here === 'number' ? here : null;
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
