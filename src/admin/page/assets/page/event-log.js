// The list of events: newest first, each with its time; screen readers are told of new ones.

import { element, setText } from './dom.js';
import { timeOfDay } from './format.js';

/** @typedef {import('./page-events.js').PageEvent} PageEvent */

const ENTRIES_MAX = 200;
/** Numbers of the same key so close together are added. What has no number is one with the newest only, if it is the same again. */
const MERGE_MS = 12_000;

/**
 * @typedef {object} Entry
 * @property {string} key
 * @property {number} amount
 * @property {number} atMs Of the latest that went into it.
 * @property {HTMLElement} item
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

  /**
   * @param {PageEvent} event
   * @param {Date} at When it was.
   */
  add(event, at = new Date()) {
    const nowMs = at.getTime();
    const index = this.#entries.findIndex(
      ({ key, atMs, text }, place) =>
        key === event.key &&
        nowMs - atMs < MERGE_MS &&
        (event.amount > 0 || (place === 0 && text.textContent === event.text(0))),
    );
    const same = this.#entries[index];
    if (same !== undefined) {
      same.amount += event.amount;
      same.atMs = nowMs;
      setText(same.text, event.text(same.amount));
      setText(same.time, timeOfDay(at));
      if (index === 0) return;
      this.#entries.splice(index, 1);
      this.#entries.unshift(same);
      this.#list.prepend(same.item);
      return;
    }
    const time = element('time', { text: timeOfDay(at) });
    const text = element('span', { class: 'what', text: event.text(event.amount) });
    const where = event.where === '' ? [] : [element('b', { text: event.where }), ' '];
    const item = element('li', { class: event.tone }, time, element('p', {}, ...where, text));
    this.#list.prepend(item);
    this.#entries.unshift({ key: event.key, amount: event.amount, atMs: nowMs, item, text, time });
    if (this.#entries.length > ENTRIES_MAX) {
      this.#entries.pop();
      this.#list.lastElementChild?.remove();
    }
    this.#list.hidden = false;
    this.#empty.hidden = true;
  }
}
