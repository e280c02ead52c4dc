// The servers of a pool: a table that sorts, and folds when there are many. Rows are kept and changed in place, so that
// focus and selections survive the updates.

import { element, setAttribute, setText } from './dom.js';
import { barScale, fairShares } from './fair-share.js';
import { counted } from './format.js';
import { ServerRow } from './server-row.js';

/**
 * @typedef {import('../../../status.ts').PoolStatus} PoolStatus
 * @typedef {import('../../../status.ts').ServerStatus} ServerStatus
 * @typedef {import('./history.js').History} History
 * @typedef {import('./server-row.js').Action} Action
 * @typedef {import('./history.js').Live} Live
 *
 * @typedef {object} Column
 * @property {string} label
 * @property {string} name
 * @property {((server: ServerStatus, live: Live) => number | string) | null} by What it sorts by; null: it does not.
 */

/** Rows shown of a pool of many, until all are asked for. */
const ROWS_FOLDED = 16;
/** From so many servers on rows are low, and there are tools to find one. */
const MANY = 9;

/** Groups of servers by how they are, the most troubled first. */
const GROUPS = [
  { name: 'down', label: 'down' },
  { name: 'ejected', label: 'ejected' },
  { name: 'starting', label: 'starting' },
  { name: 'maintenance', label: 'in maintenance' },
  { name: 'drain', label: 'draining' },
  { name: 'up', label: 'up' },
];
/** As many lines a chart shows by server; more are summed up. */
export const COLOURS_MAX = 8;

/** @type {readonly Column[]} */
const COLUMNS = [
  { label: 'Server', name: 'name', by: null },
  { label: 'Sessions', name: 'sessions', by: (server) => server.sessions },
  { label: 'Req/s', name: 'rate', by: (_server, live) => live.requestRate ?? -1 },
  { label: 'In flight', name: 'flight', by: (server) => server.inFlight },
  { label: 'p99', name: 'p99', by: (_server, live) => live.p99 ?? -1 },
  { label: '5xx/s', name: 'errors', by: (_server, live) => live.errorRate ?? -1 },
];

export class ServerTable {
  root;
  #pool;
  #history;
  #onAction;
  #body = element('tbody', { role: 'rowgroup' });
  #more = element('button', { type: 'button', class: 'quiet more' });
  #legend = legend('for-cards');
  #filter = element('input', { type: 'search' });
  #groups = element('div', { class: 'tools', role: 'group' });
  #none = element('p', { class: 'none-found', text: 'No server is like that.', role: 'status' });
  /** Group shown alone; '': all. */
  #group = '';
  /** @type {Map<string, ServerRow>} */
  #rows = new Map();
  /** @type {Map<string, HTMLTableCellElement>} */
  #heads = new Map();
  #sortedBy = 'name';
  #isAscending = true;
  #isFolded = true;
  /** @type {PoolStatus | null} */
  #shown = null;

  /**
   * @param {string} pool
   * @param {History} history
   * @param {(server: string, action: Action, button: HTMLElement) => void} onAction
   */
  constructor(pool, history, onAction) {
    this.#pool = pool;
    this.#history = history;
    this.#onAction = onAction;
    const table = element('table', { role: 'table', 'aria-label': `Servers of ${pool}` });
    table.append(element('thead', { role: 'rowgroup' }, this.#headRow()), this.#body);
    this.#more.addEventListener('click', () => {
      this.#isFolded = !this.#isFolded;
      this.#redraw();
    });
    setAttribute(this.#filter, 'placeholder', 'Find a server');
    setAttribute(this.#filter, 'aria-label', `Find a server of ${pool} by name or address`);
    setAttribute(this.#groups, 'aria-label', `Servers of ${pool} by state`);
    this.#filter.addEventListener('input', () => this.#redraw());
    this.#groups.append(this.#filter);
    for (const name of ['', ...GROUPS.map((group) => group.name)])
      this.#groups.append(this.#groupButton(name));
    this.root = element(
      'div',
      { class: 'servers' },
      this.#groups,
      this.#legend,
      table,
      this.#none,
      this.#more,
    );
  }

  /** @param {string} name Of the group; '': all. */
  #groupButton(name) {
    const made = element('button', { type: 'button', class: 'quiet', 'data-group': name });
    made.addEventListener('click', () => {
      this.#group = this.#group === name ? '' : name;
      this.#redraw();
    });
    return made;
  }

  /**
   * How many there are of each; those of which there are none are left out.
   * @param {readonly ServerStatus[]} servers
   */
  #showGroups(servers) {
    const isMany = servers.length >= MANY;
    setAttribute(this.#groups, 'hidden', !isMany);
    const counts = new Map([['', servers.length]]);
    for (const server of servers) counts.set(groupOf(server), (counts.get(groupOf(server)) ?? 0) + 1);
    if (!isMany || !counts.has(this.#group)) this.#group = '';
    for (const made of this.#groups.querySelectorAll('button')) {
      const name = made.dataset.group ?? '';
      const amount = counts.get(name) ?? 0;
      setAttribute(made, 'hidden', amount === 0);
      setAttribute(made, 'aria-pressed', String(name === this.#group));
      setText(made, `${amount} ${GROUPS.find((group) => group.name === name)?.label ?? 'in all'}`);
    }
  }

  /**
   * Those that were asked for.
   * @param {readonly ServerStatus[]} servers
   */
  #asked(servers) {
    if (this.#groups.hidden) return servers;
    const text = this.#filter.value.trim().toLowerCase();
    return servers.filter(
      (server) =>
        (this.#group === '' || groupOf(server) === this.#group) &&
        (server.name.toLowerCase().includes(text) || server.url.toLowerCase().includes(text)),
    );
  }

  #headRow() {
    const row = element('tr', { role: 'row' });
    for (const { label, name } of COLUMNS) {
      const head = element('th', {
        scope: 'col',
        role: 'columnheader',
        class: name === 'name' || name === 'sessions' ? name : 'number',
      });
      const sort = element('button', { type: 'button', text: label });
      sort.addEventListener('click', () => {
        // figures are wanted largest first
        this.#isAscending = this.#sortedBy === name ? !this.#isAscending : name === 'name';
        this.#sortedBy = name;
        this.#redraw();
      });
      head.append(sort);
      if (name === 'sessions') head.append(legend());
      this.#heads.set(name, head);
      row.append(head);
    }
    row.append(
      element('th', { scope: 'col', role: 'columnheader', class: 'actions', text: 'Mode and weight' }),
    );
    return row;
  }

  /** @param {PoolStatus} pool */
  update(pool) {
    this.#shown = pool;
    this.#redraw();
  }

  #redraw() {
    const pool = this.#shown;
    if (pool === null) return;
    const fair = fairShares(pool.servers);
    const scale = barScale(pool.servers, fair);
    this.#showGroups(pool.servers);
    const sorted = this.#sorted(this.#asked(pool.servers));
    setAttribute(this.#none, 'hidden', sorted.length > 0);
    const isMany = sorted.length > ROWS_FOLDED;
    const shown = isMany && this.#isFolded ? sorted.slice(0, ROWS_FOLDED) : sorted;
    const rows = shown.map(({ server, live }) => {
      const row = this.#row(server.name);
      const colour = pool.servers.length > COLOURS_MAX ? null : `line-${pool.servers.indexOf(server)}`;
      row.update(server, {
        scale,
        fair: fair.get(server.name) ?? null,
        live,
        colour,
        isUneven: pool.skew.beyondChance,
      });
      return row;
    });
    this.#place(rows);
    const present = new Set(pool.servers.map((server) => server.name));
    for (const name of this.#rows.keys()) if (!present.has(name)) this.#rows.delete(name);
    for (const { name } of COLUMNS) {
      const order = this.#isAscending ? 'ascending' : 'descending';
      setAttribute(this.#heads.get(name) ?? this.root, 'aria-sort', name === this.#sortedBy ? order : null);
    }
    setAttribute(this.#more, 'hidden', !isMany);
    setText(this.#more, this.#isFolded ? `Show all ${counted(sorted.length, 'server')}` : 'Show fewer');
    setAttribute(this.#more, 'aria-expanded', String(!this.#isFolded));
    setAttribute(this.root, 'data-many', pool.servers.length >= MANY);
  }

  /**
   * Puts the rows into the table in this order and touches nothing when they are.
   * @param {readonly ServerRow[]} rows
   */
  #place(rows) {
    const wanted = rows.map((row) => row.root);
    const isSame =
      wanted.length === this.#body.children.length &&
      wanted.every((row, index) => this.#body.children[index] === row);
    if (isSame) return;
    const focused = document.activeElement;
    this.#body.replaceChildren(...wanted);
    if (focused instanceof HTMLElement && this.#body.contains(focused))
      focused.focus({ preventScroll: true });
  }

  /** @param {string} name */
  #row(name) {
    let row = this.#rows.get(name);
    if (row === undefined) {
      row = new ServerRow(this.#pool, name, (action, button) => this.#onAction(name, action, button));
      this.#rows.set(name, row);
    }
    return row;
  }

  /**
   * By the chosen column; the configured order stands for the names and among equals.
   * @param {readonly ServerStatus[]} servers
   */
  #sorted(servers) {
    const found = servers.map((server) => ({ server, live: this.#history.live(this.#pool, server.name) }));
    const by = COLUMNS.find(({ name }) => name === this.#sortedBy)?.by;
    const sign = this.#isAscending ? 1 : -1;
    if (by == null) {
      if (!this.#isAscending) found.reverse();
    } else {
      found.sort((a, b) => sign * (Number(by(a.server, a.live)) - Number(by(b.server, b.live))));
    }
    // among many the troubled ones would be out of sight
    if (servers.length >= MANY) found.sort((a, b) => trouble(a.server) - trouble(b.server));
    return found;
  }
}

/** @param {ServerStatus} server */
function groupOf({ state, mode }) {
  if (mode === 'maintenance' || state === 'up') return mode === 'ready' ? 'up' : mode;
  return state;
}

/** @param {ServerStatus} server */
function trouble(server) {
  return GROUPS.findIndex(({ name }) => name === groupOf(server));
}

/** What the mark on the bars means. Cards have no heads, so they have it above. */
function legend(place = '') {
  const mark = element('span', { class: 'tick', 'aria-hidden': 'true' });
  return element('span', { class: `legend ${place}` }, mark, 'fair share');
}
