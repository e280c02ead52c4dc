// The skew gauge: how full the fullest server is against its fair share, on a scale that begins at even; the part of
// the scale that random placement would reach anyway is marked as chance.

import { element, setAttribute, setText } from './dom.js';
import { judgeSkew } from './fair-share.js';
import { ratio } from './format.js';

/** @typedef {import('../../../status.ts').PoolStatus} PoolStatus */

const SCALE_MIN = 1.2;

export class SkewGauge {
  root;
  #figure = element('span', { class: 'figure' });
  #floor = element('span', { class: 'floor-text' });
  #words = element('p', { class: 'words' });
  #chance = element('span', { class: 'chance' });
  #needle = element('span', { class: 'needle' });
  #scaleEnd = element('span', {});
  #meter;

  /** @param {string} label */
  constructor(label) {
    this.#meter = element('div', { class: 'meter', role: 'meter', 'aria-label': label, 'aria-valuemin': 1 });
    this.#meter.append(this.#chance, this.#needle);
    const heading = element(
      'div',
      { class: 'gauge-head' },
      element('span', { class: 'label', text: 'Skew' }),
    );
    heading.append(this.#figure, this.#floor);
    const scale = element(
      'div',
      { class: 'scale', 'aria-hidden': 'true' },
      element('span', { text: '1 even' }),
      this.#scaleEnd,
    );
    this.root = element('div', { class: 'gauge' }, heading, this.#meter, scale, this.#words);
  }

  /** @param {PoolStatus} pool */
  update(pool) {
    const { state, words } = judgeSkew(pool);
    const { ratio: value, floor } = pool.skew;
    const isMeasured = state !== 'none';
    const end = scaleEnd(Math.max(value, floor));
    setAttribute(this.root, 'data-state', state);
    setText(this.#figure, isMeasured ? ratio(value) : '–');
    setText(this.#floor, isMeasured ? `floor ${ratio(floor)}` : '');
    setText(this.#words, words);
    setText(this.#scaleEnd, `${end.toFixed(1)}×`);
    setAttribute(this.#meter, 'aria-valuemax', end);
    setAttribute(this.#meter, 'aria-valuenow', isMeasured ? value : 1);
    const spoken = isMeasured
      ? `${ratio(value)} times the fair share, floor ${ratio(floor)}. ${words}`
      : words;
    setAttribute(this.#meter, 'aria-valuetext', spoken);
    this.#chance.style.width = `${place(isMeasured ? floor : 1, end)}%`;
    this.#needle.style.left = `${place(isMeasured ? value : 1, end)}%`;
  }
}

/**
 * Right end of the scale: 1.2, 1.5, 2, 3, ... with some room behind what is shown.
 * @param {number} largest
 */
function scaleEnd(largest) {
  const wanted = 1 + (largest - 1) * 1.15;
  return [SCALE_MIN, 1.5, 2, 3, 4, 6, 10].find((end) => end >= wanted) ?? Math.ceil(wanted);
}

/**
 * Per cent of the scale.
 * @param {number} value
 * @param {number} end
 */
function place(value, end) {
  return Math.min(100, Math.max(0, ((value - 1) / (end - 1)) * 100));
}
