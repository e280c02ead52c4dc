// One pool on the page: its figures, the skew gauge, the servers, the charts and the busiest sessions.

import { PoolCharts } from './charts.js';
import { element, setAttribute, setText } from './dom.js';
import { isEligible } from './fair-share.js';
import { count, counted, duration, percent, rate } from './format.js';
import { Movements } from './movements.js';
import { ServerTable } from './server-table.js';
import { SkewGauge } from './skew-gauge.js';

/**
 * @typedef {import('../../../status.ts').PoolStatus} PoolStatus
 * @typedef {import('./history.js').History} History
 * @typedef {import('./server-row.js').Action} Action
 */

const FIGURES = /** @type {const} */ ([
  'Sessions',
  'Requests/s',
  'Errors/s',
  'p50',
  'p99',
  'In flight',
  'Moved',
  'Lost',
]);
const HOTTEST_SHOWN = 5;

/** @type {Readonly<Record<string, string | undefined>>} */
const MODE_CONDITIONS = { drain: 'draining', maintenance: 'in maintenance' };

/** @type {Readonly<Record<string, string>>} */
const STATE_WORDS = {
  local: 'state only in the session’s home',
  shared: 'state shared by the servers',
};

export class PoolSection {
  root;
  #history;
  #table;
  #gauge;
  #movements = new Movements();
  #charts;
  #toggle = element('button', { type: 'button', class: 'toggle' });
  #about = element('p', { class: 'about' });
  #condition = element('span', { class: 'condition' });
  #content = element('div', { class: 'content' });
  #figures = new Map(FIGURES.map((name) => [name, element('dd', {})]));
  #hottest = element('ol', { class: 'hottest' });
  #hottestBox;

  /**
   * @param {string} name
   * @param {History} history
   * @param {boolean} isOpen
   * @param {(server: string, action: Action, button: HTMLElement) => void} onAction
   */
  constructor(name, history, isOpen, onAction) {
    this.#history = history;
    this.#table = new ServerTable(name, history, onAction);
    this.#gauge = new SkewGauge(`Skew of pool ${name}`);
    this.#charts = new PoolCharts(history);
    this.#toggle.append(element('span', { class: 'chevron', 'aria-hidden': 'true' }), name);
    this.#toggle.addEventListener('click', () => this.open(!this.isOpen));
    this.#content.id = `content-${name}`;
    setAttribute(this.#toggle, 'aria-controls', this.#content.id);
    const head = element(
      'div',
      { class: 'pool-head' },
      element('h2', {}, this.#toggle),
      this.#condition,
      this.#about,
    );
    this.#hottestBox = element(
      'div',
      { class: 'hottest-box' },
      element('h3', { text: 'Busiest sessions' }),
      this.#hottest,
    );
    this.#content.append(
      element('div', { class: 'summary' }, this.#figureList(), this.#gauge.root),
      this.#movements.root,
      this.#table.root,
      this.#charts.root,
      this.#hottestBox,
    );
    this.root = element(
      'section',
      { class: 'pool', id: `pool-${name}`, 'aria-label': `Pool ${name}` },
      head,
      this.#content,
    );
    this.open(isOpen);
  }

  get isOpen() {
    return !this.#content.hidden;
  }

  /** @param {boolean} isOpen */
  open(isOpen) {
    this.#content.hidden = !isOpen;
    setAttribute(this.#toggle, 'aria-expanded', String(isOpen));
  }

  #figureList() {
    const list = element('dl', { class: 'figures' });
    for (const [name, value] of this.#figures) {
      setAttribute(value, 'data-figure', name);
      list.append(element('div', {}, element('dt', { text: name }), value));
    }
    return list;
  }

  /** @param {PoolStatus} pool */
  update(pool) {
    const live = this.#history.live(pool.name);
    const lost = total(pool.lost);
    const moved = total(pool.moves);
    const eligible = pool.servers.filter(isEligible).length;
    setText(this.#about, `${pool.policy}, sticky ${pool.sticky}, ${STATE_WORDS[pool.state] ?? pool.state}`);
    setText(this.#condition, conditionOf(pool.servers));
    setAttribute(
      this.#condition,
      'data-tone',
      eligible === 0 ? 'bad' : eligible < pool.servers.length ? 'warn' : 'good',
    );
    if (!this.isOpen) return;
    const inFlight = pool.servers.reduce((sum, server) => sum + server.inFlight, 0);
    const shown = {
      Sessions: count(pool.sessions),
      'Requests/s': rate(live.requestRate),
      'Errors/s': rate(live.errorRate),
      p50: duration(live.p50),
      p99: duration(live.p99),
      'In flight': count(inFlight),
      Moved: count(moved),
      Lost: count(lost),
    };
    for (const name of FIGURES) setText(this.#figure(name), shown[name]);
    setAttribute(this.#figure('Errors/s'), 'data-some', (live.errorRate ?? 0) > 0);
    this.#gauge.update(pool);
    this.#movements.update(pool);
    this.#table.update(pool);
    this.#charts.update(pool);
    this.#updateHottest(pool);
  }

  /** @param {(typeof FIGURES)[number]} name */
  #figure(name) {
    return this.#figures.get(name) ?? this.#about;
  }

  /** @param {PoolStatus} pool */
  #updateHottest(pool) {
    const hottest = pool.hottest.slice(0, HOTTEST_SHOWN);
    this.#hottestBox.hidden = hottest.length === 0;
    while (this.#hottest.children.length > hottest.length) this.#hottest.lastElementChild?.remove();
    hottest.forEach(({ key, server, requestsPerSecond, share }, index) => {
      let item = this.#hottest.children[index];
      if (item === undefined) {
        item = element('li', {}, element('code', {}), element('span', {}), element('b', {}));
        this.#hottest.append(item);
      }
      const [code, home, figure] = item.children;
      if (code === undefined || home === undefined || figure === undefined) return;
      setText(code, key);
      setText(home, `on ${server}`);
      setText(figure, `${rate(requestsPerSecond)} req/s, ${percent(share)}`);
    });
  }
}

/** @param {Readonly<Record<string, number>>} counts */
function total(counts) {
  return Object.values(counts).reduce((sum, amount) => sum + amount, 0);
}

/**
 * `4 servers: 1 down, 1 draining`
 * @param {readonly import('../../../status.ts').ServerStatus[]} servers
 */
function conditionOf(servers) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { state, mode } of servers) {
    const how = mode === 'maintenance' || state === 'up' ? MODE_CONDITIONS[mode] : state;
    if (how !== undefined) counts.set(how, (counts.get(how) ?? 0) + 1);
  }
  const parts = [...counts].map(([how, amount]) => `${amount} ${how}`);
  return `${counted(servers.length, 'server')}: ${parts.length === 0 ? 'all up' : parts.join(', ')}`;
}
