// The list "What happens": newest first, each with its time; screen readers are told of new ones.

import { element, setText } from './dom.js';
import { timeOfDay } from './format.js';

/** @typedef {import('./happenings.js').Happening} Happening */

const ENTRIES_MAX = 200;
/** Happenings of the same key so close together are one. */
const MERGE_MS = 12_000;

/**
 * @typedef {object} Entry
 * @property {string} key
 * @property {number} amount
 * @property {number} atMs Of the latest that went into it.
 * @property {HTMLElement} text
 * @property {HTMLElement} time
 */

export class EventLog {
  #list;
  #empty;
  /** @type {Entry[]} Newest first. */
  #entries = [];

  /**
   * @param {HTMLElement} list
   * @param {HTMLElement} empty Shown for as long as there is nothing.
   */
  constructor(list, empty) {
    this.#list = list;
    this.#empty = empty;
  }

  /** @param {Happening} happening */
  add(happening) {
    const nowMs = Date.now();
    const same = this.#entries.find((entry) => entry.key === happening.key && nowMs - entry.atMs < MERGE_MS);
    if (same !== undefined) {
      same.amount += happening.amount;
      same.atMs = nowMs;
      setText(same.text, happening.text(same.amount));
      setText(same.time, timeOfDay(new Date()));
      return;
    }
    const time = element('time', { text: timeOfDay(new Date()) });
    const text = element('span', { class: 'what', text: happening.text(happening.amount) });
    const where = happening.where === '' ? [] : [element('b', { text: happening.where }), ' '];
    this.#list.prepend(element('li', { class: happening.tone }, time, element('p', {}, ...where, text)));
    this.#entries.unshift({ key: happening.key, amount: happening.amount, atMs: nowMs, text, time });
    if (this.#entries.length > ENTRIES_MAX) {
      this.#entries.pop();
      this.#list.lastElementChild?.remove();
    }
    this.#list.hidden = false;
    this.#empty.hidden = true;
  }
}
