// How many sessions each server of a pool should hold. Pure.

/**
 * @typedef {import('../../../status.ts').ServerStatus} ServerStatus
 * @typedef {import('../../../status.ts').PoolStatus} PoolStatus
 */

/**
 * Whether the server shares the pool's load at present, as the skew compares it: up, ready, of some weight, no backup.
 * @param {ServerStatus} server
 */
export function isCompared(server) {
  return server.state === 'up' && server.mode === 'ready' && server.effectiveWeight > 0 && !server.backup;
}

/**
 * Whether the server may be given new sessions.
 * @param {ServerStatus} server
 */
export function isEligible(server) {
  return server.state === 'up' && server.mode === 'ready' && server.effectiveWeight > 0;
}

/**
 * Fair shares by server name: the sessions of the compared servers, split by weight. Servers not compared have none.
 * @param {readonly ServerStatus[]} servers
 * @returns {ReadonlyMap<string, number>}
 */
export function fairShares(servers) {
  const compared = servers.filter(isCompared);
  const sessions = compared.reduce((sum, server) => sum + server.sessions, 0);
  const weights = compared.reduce((sum, server) => sum + server.effectiveWeight, 0);
  return new Map(compared.map((server) => [server.name, (sessions * server.effectiveWeight) / weights]));
}

/**
 * Sessions that the full width of the bars stands for: a round number above every count and every fair share, so
 * that bars of one pool compare, and do not jump with every session.
 * @param {readonly ServerStatus[]} servers
 * @param {ReadonlyMap<string, number>} fair
 */
export function barScale(servers, fair) {
  const largest = Math.max(1, ...servers.map((server) => server.sessions), ...fair.values()) * 1.04;
  const power = 10 ** Math.floor(Math.log10(largest));
  const steps = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];
  return (steps.find((step) => step * power >= largest) ?? 10) * power;
}

/**
 * What the skew says, in a word for the colour and in words for people.
 * @param {PoolStatus} pool
 * @returns {{ state: 'none' | 'even' | 'chance' | 'beyond', words: string }}
 */
export function judgeSkew(pool) {
  const { skew, servers, sticky } = pool;
  if (sticky === 'none') return { state: 'none', words: 'This pool keeps no sessions.' };
  const compared = servers.filter(isCompared);
  if (compared.length < 2) return { state: 'none', words: 'Fewer than two servers to compare.' };
  if (compared.every((server) => server.sessions === 0)) return { state: 'none', words: 'No sessions yet.' };
  if (skew.beyondChance) {
    return { state: 'beyond', words: 'Beyond chance: random placement would hardly ever be so uneven.' };
  }
  if (skew.ratio <= skew.floor)
    return { state: 'even', words: 'At least as even as random placement would be.' };
  return { state: 'chance', words: 'Above the floor, but chance alone could do that.' };
}
