// One row of the table of servers: the bar of its sessions with the fair share marked, its figures, its buttons.

import { element, setAttribute, setText } from './dom.js';
import { count, deviation, duration, rate, timeOfDay } from './format.js';

/**
 * @typedef {import('../../../status.ts').ServerStatus} ServerStatus
 * @typedef {import('./history.js').Live} Live
 * @typedef {'ready' | 'drain' | 'maintenance' | 'weight'} Action
 *
 * @typedef {object} RowContext
 * @property {number} scale Sessions that a full bar stands for.
 * @property {number | null} fair Fair share; null: the server does not share the load at present.
 * @property {Live} live
 * @property {string | null} colour Class of the colour of its line in the chart; null: the lines are not by server.
 * @property {boolean} isUneven The pool's skew is beyond chance.
 */

/** @type {readonly { action: Action, label: string }[]} */
const MODES = [
  { action: 'ready', label: 'Ready' },
  { action: 'drain', label: 'Drain' },
  { action: 'maintenance', label: 'Maintenance' },
];

export class ServerRow {
  root;
  #key = element('span', { class: 'key', 'aria-hidden': 'true' });
  #state = element('span', { class: 'state' });
  #url = element('span', { class: 'url' });
  #why = element('span', { class: 'why' });
  #fill = element('span', { class: 'fill' });
  #tick = element('span', { class: 'tick' });
  #sessions = element('span', { class: 'sessions-figure' });
  #deviation = element('span', { class: 'deviation' });
  #cells;
  /** @type {ReadonlyMap<string, HTMLButtonElement>} */
  #modes;
  #weight;
  #drainedFrom = 0;

  /**
   * @param {string} pool
   * @param {string} name
   * @param {(action: Action, button: HTMLElement) => void} onAction
   */
  constructor(pool, name, onAction) {
    this.#cells = {
      requestRate: cell('Requests/s'),
      inFlight: cell('In flight'),
      p99: cell('p99'),
      errors: cell('5xx/s'),
    };
    const head = element('th', { scope: 'row', role: 'rowheader', class: 'server' });
    const full = element('span', { class: 'name', title: name }, this.#key, element('b', { text: name }));
    head.append(element('div', { class: 'who' }, full, this.#state), this.#url, this.#why);
    const bar = element('div', { class: 'bar', 'aria-hidden': 'true' }, this.#fill, this.#tick);
    const figures = element('div', { class: 'bar-figures' }, this.#sessions, this.#deviation);
    const sessions = element(
      'td',
      { role: 'cell', class: 'sessions' },
      element('div', { class: 'measure' }, bar, figures),
    );
    const label = `Mode of ${name}`;
    const group = element('div', { class: 'segments', role: 'group', 'aria-label': label });
    this.#modes = new Map(MODES.map(({ action, label: text }) => [action, button(text, action)]));
    this.#weight = button('', 'weight');
    for (const made of [...this.#modes.values(), this.#weight]) {
      made.addEventListener('click', () => onAction(/** @type {Action} */ (made.dataset.action), made));
    }
    group.append(...this.#modes.values());
    this.#weight.classList.add('weight');
    const actions = element(
      'td',
      { role: 'cell', class: 'actions' },
      element('div', {}, group, this.#weight),
    );
    this.root = element('tr', { role: 'row', 'data-server': `${pool}/${name}` });
    this.root.append(head, sessions, ...Object.values(this.#cells), actions);
  }

  /**
   * @param {ServerStatus} server
   * @param {RowContext} context
   */
  update(server, context) {
    const { live } = context;
    this.#updateState(server);
    this.#updateBar(server, context);
    setText(this.#cells.requestRate, rate(live.requestRate));
    setText(this.#cells.inFlight, count(server.inFlight));
    setText(this.#cells.p99, duration(live.p99));
    setText(this.#cells.errors, rate(live.errorRate));
    setAttribute(this.#cells.errors, 'data-some', (live.errorRate ?? 0) > 0);
    setAttribute(
      this.#cells.errors,
      'title',
      `${count(server.failures)} attempts have failed since the start`,
    );
    for (const [action, made] of this.#modes) {
      setAttribute(made, 'aria-pressed', String(action === server.mode));
    }
    setText(this.#weight, `×\u202f${server.weight}`);
    setAttribute(this.#weight, 'aria-label', `Weight of ${server.name}: ${server.weight}. Change`);
    setAttribute(this.#weight, 'title', 'Change the weight');
    setAttribute(this.#key, 'class', `key ${context.colour ?? 'none'}`);
  }

  /** @param {ServerStatus} server */
  #updateState(server) {
    const { mode, state } = server;
    if (mode !== 'drain') this.#drainedFrom = server.sessions;
    this.#drainedFrom = Math.max(this.#drainedFrom, server.sessions);
    setAttribute(this.root, 'data-state', state);
    setAttribute(this.root, 'data-mode', mode);
    const words = [
      mode === 'ready' || state !== 'up' ? state : '',
      mode === 'ready' ? '' : modeWords(server, this.#drainedFrom),
      server.unbacked > 0 ? `${count(server.unbacked)} without a backup` : '',
    ];
    setText(this.#state, words.filter((word) => word !== '').join(', '));
    setText(this.#why, whyNotUp(server));
    setAttribute(this.#why, 'hidden', state === 'up');
    const weight =
      server.effectiveWeight < server.weight
        ? `, starting slowly at ×\u202f${server.effectiveWeight.toFixed(2)}`
        : '';
    setText(this.#url, `${server.backup ? 'backup, ' : ''}${server.url.replace(/^http:\/\//, '')}${weight}`);
  }

  /**
   * @param {ServerStatus} server
   * @param {RowContext} context
   */
  #updateBar(server, { scale, fair, isUneven }) {
    this.#fill.style.width = `${(server.sessions / scale) * 100}%`;
    setAttribute(this.#tick, 'hidden', fair === null);
    this.#tick.style.left = `${((fair ?? 0) / scale) * 100}%`;
    setText(this.#sessions, count(server.sessions));
    const share = fair === null || fair === 0 ? null : server.sessions / fair;
    setText(this.#deviation, share === null ? '' : deviation(share));
    setAttribute(this.#deviation, 'title', fair === null ? null : `fair share: ${fair.toFixed(1)}`);
    setAttribute(this.#deviation, 'data-uneven', share !== null && isUneven && Math.abs(share - 1) > 0.1);
  }
}

/** @param {ServerStatus} server */
function whyNotUp({ state, check, since }) {
  if (state === 'up') return '';
  const at = since === null ? '' : `since ${timeOfDay(new Date(since))}`;
  return [at, check ?? ''].filter((part) => part !== '').join(': ');
}

/**
 * @param {ServerStatus} server
 * @param {number} from Sessions when the drain began, as far as this page has seen.
 */
function modeWords(server, from) {
  if (server.mode === 'maintenance') return 'maintenance';
  if (server.sessions === 0) return 'drained';
  return from > server.sessions ? `draining, ${count(server.sessions)} of ${count(from)} left` : 'draining';
}

/** @param {string} label Shown before the figure where the table is folded into cards. */
function cell(label) {
  return element('td', { role: 'cell', class: 'number', 'data-label': label });
}

/**
 * @param {string} text
 * @param {Action} action
 */
function button(text, action) {
  return element('button', { type: 'button', 'data-action': action, text });
}
