// Below a pool's figures: its moves and losses by reason, and what the rebalancer is at and why.

import { element, setAttribute, setText } from './dom.js';
import { count, counted } from './format.js';

/** @typedef {import('../../../status.ts').PoolStatus} PoolStatus */

const ROWS = /** @type {const} */ (['Moved', 'Lost', 'Rebalancing']);

export class Movements {
  root = element('dl', { class: 'movements' });
  #rows = new Map(
    ROWS.map((name) => {
      const words = element('dd', { 'data-movement': name });
      const row = element('div', {}, element('dt', { text: name }), words);
      this.root.append(row);
      return [name, { row, words }];
    }),
  );

  /** @param {PoolStatus} pool */
  update(pool) {
    this.#show('Moved', byReason(pool.moves));
    this.#show('Lost', byReason(pool.lost));
    this.#show('Rebalancing', pool.rebalance === null ? '' : describeRebalance(pool.rebalance));
    this.root.hidden = [...this.#rows.values()].every(({ row }) => row.hidden);
    const words = this.#rows.get('Rebalancing')?.words;
    if (words !== undefined) setAttribute(words, 'data-phase', pool.rebalance?.phase ?? null);
  }

  /**
   * @param {(typeof ROWS)[number]} name
   * @param {string} text Empty: the row is not shown.
   */
  #show(name, text) {
    const found = this.#rows.get(name);
    if (found === undefined) return;
    found.row.hidden = text === '';
    setText(found.words, text);
  }
}

/**
 * `failure 10, rebalance 3`; reasons that never came up are left out.
 * @param {Readonly<Record<string, number>>} counts
 */
export function byReason(counts) {
  const some = Object.entries(counts).filter(([, amount]) => amount > 0);
  return some.map(([reason, amount]) => `${reason} ${count(amount)}`).join(', ');
}

/** @param {NonNullable<PoolStatus['rebalance']>} rebalance */
export function describeRebalance({ phase, why, moved, lastMoved }) {
  const so = why === '' ? phase : `${phase}: ${why}`;
  return moved === 0
    ? so
    : `${so}; ${counted(moved, 'session')} moved, ${count(lastMoved)} in the latest cycle`;
}
