// The dialogs: a change is shown with what it would do before it is made; the token is asked for when one is needed.

import { changeServer, fetchPlan, forgetToken, hasToken, keepToken } from './api.js';
import { byId, element, setText } from './dom.js';
import { describeEffect, describePlan } from './prediction.js';

/**
 * @typedef {import('../../../status.ts').PoolStatus} PoolStatus
 * @typedef {import('../../../status.ts').ServerStatus} ServerStatus
 * @typedef {import('./server-row.js').Action} Action
 */

/** @type {Readonly<Record<Action, string>>} */
const TITLES = { ready: 'Make ready', drain: 'Drain', maintenance: 'Maintenance for', weight: 'Weight of' };
/** @type {Readonly<Record<Action, string>>} */
const CONFIRMS = { ready: 'Make ready', drain: 'Drain', maintenance: 'Take out now', weight: 'Set weight' };

export class ChangeDialog {
  #dialog = byId('change', HTMLDialogElement);
  #title = byId('change-title', HTMLElement);
  #weightLabel = byId('change-weight', HTMLElement);
  #weight = byId('change-weight-value', HTMLInputElement);
  #effect = byId('change-effect', HTMLElement);
  #error = byId('change-error', HTMLElement);
  #confirm = byId('change-confirm', HTMLButtonElement);
  #cancel = byId('change-cancel', HTMLButtonElement);
  #token = new TokenDialog();
  /** @type {{ pool: PoolStatus, server: ServerStatus, action: Action } | null} */
  #asked = null;

  constructor() {
    byId('change-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#apply();
    });
    this.#cancel.addEventListener('click', () => this.#dialog.close());
    this.#dialog.addEventListener('close', () => {
      // the event comes late: the dialog may be open again by now, for something else
      if (!this.#dialog.open) this.#asked = null;
    });
  }

  /**
   * @param {PoolStatus} pool
   * @param {ServerStatus} server
   * @param {Action} action
   */
  open(pool, server, action) {
    const asked = { pool, server, action };
    this.#asked = asked;
    setText(this.#title, `${TITLES[action]} ${pool.name}/${server.name}`);
    setText(this.#confirm, CONFIRMS[action]);
    this.#confirm.classList.toggle('danger', action === 'maintenance');
    this.#weightLabel.hidden = action !== 'weight';
    this.#weight.disabled = action !== 'weight';
    this.#weight.value = String(server.weight);
    this.#error.hidden = true;
    this.#showEffect(describeEffect(pool, server, action));
    this.#dialog.showModal();
    if (action === 'weight') this.#weight.select();
    else if (action === 'maintenance') this.#cancel.focus();
    else this.#confirm.focus();
    if (action === 'drain' || action === 'maintenance') void this.#predict(asked);
  }

  /** @param {{ pool: PoolStatus, server: ServerStatus, action: Action }} asked */
  async #predict(asked) {
    const { pool, server, action } = asked;
    const plan = describePlan(
      await fetchPlan(pool.name, server.name, action === 'drain' ? 'drain' : 'remove'),
    );
    if (this.#asked === asked && plan.length > 0)
      this.#showEffect([...describeEffect(pool, server, action), ...plan]);
  }

  /** @param {readonly import('./prediction.js').Sentence[]} sentences */
  #showEffect(sentences) {
    this.#effect.replaceChildren(...sentences.map(({ text, tone }) => element('p', { class: tone, text })));
  }

  async #apply() {
    const asked = this.#asked;
    if (asked === null) return;
    const { pool, server, action } = asked;
    const change = action === 'weight' ? { weight: this.#weight.valueAsNumber } : { mode: action };
    this.#confirm.disabled = true;
    let outcome = await changeServer(pool.name, server.name, change);
    while (outcome.kind === 'token') {
      if (!(await this.#token.ask())) break;
      outcome = await changeServer(pool.name, server.name, change);
    }
    this.#confirm.disabled = false;
    if (this.#asked !== asked) return;
    if (outcome.kind === 'done') this.#dialog.close();
    else
      this.#showError(
        outcome.kind === 'failed' ? outcome.message : 'nothing was changed: the token is missing',
      );
  }

  /** @param {string} message */
  #showError(message) {
    setText(this.#error, message);
    this.#error.hidden = false;
  }
}

class TokenDialog {
  #dialog = byId('token', HTMLDialogElement);
  #value = byId('token-value', HTMLInputElement);
  #error = byId('token-error', HTMLElement);
  #forget = byId('forget', HTMLButtonElement);
  /** @type {(isGiven: boolean) => void} */
  #answer = () => undefined;

  constructor() {
    this.#forget.hidden = !hasToken();
    this.#forget.addEventListener('click', () => {
      forgetToken();
      this.#forget.hidden = true;
    });
    byId('token-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      keepToken(this.#value.value.trim());
      this.#forget.hidden = false;
      this.#answer(true);
      this.#dialog.close();
    });
    byId('token-cancel', HTMLButtonElement).addEventListener('click', () => this.#dialog.close());
    this.#dialog.addEventListener('close', () => {
      if (this.#dialog.open) return;
      this.#value.value = '';
      this.#answer(false);
    });
  }

  /**
   * Asks for the token; says so when the one that was kept is wrong.
   * @returns {Promise<boolean>} False: the user would rather not.
   */
  ask() {
    const isWrong = hasToken();
    forgetToken();
    this.#forget.hidden = true;
    setText(this.#error, 'That token is not the right one.');
    this.#error.hidden = !isWrong;
    this.#value.value = '';
    this.#dialog.showModal();
    this.#value.focus();
    return new Promise((resolve) => {
      this.#answer = resolve;
    });
  }
}
