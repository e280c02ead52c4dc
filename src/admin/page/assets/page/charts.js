// The charts of a pool over the last minutes, drawn by uPlot.

import { element, setAttribute, setText } from './dom.js';
import { count, duration, rate, ratio, timeOfDay } from './format.js';
import { COLOURS_MAX } from './server-table.js';

/**
 * @typedef {import('uplot')} Plot
 * @typedef {import('./history.js').History} History
 * @typedef {import('../../../status.ts').PoolStatus} PoolStatus
 *
 * @typedef {object} Line
 * @property {string} label
 * @property {string} colour Name of the CSS variable.
 * @property {(number | null)[]} values
 * @property {boolean} [isDashed]
 * @property {readonly (number | null)[]} [drawn] What is drawn in place of the values: they lie upon what is below.
 */

const HEIGHT = 168;
const SECONDS_SHOWN = 600;
/** At the start the charts show so much, and stretch as time passes. */
const SECONDS_SHOWN_MIN = 60;

/** uPlot's script comes before the modules and makes this global. */
const uPlot = /** @type {typeof import('uplot')} */ (Reflect.get(globalThis, 'uPlot'));

/** Half a session would be written as a whole one. */
const WHOLE_STEPS = [0, 1, 2, 3, 4, 5, 6].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));

class Chart {
  root;
  #title;
  #key = element('ul', { class: 'key-list' });
  #canvas;
  #format;
  /** @type {Plot | null} */
  #plot = null;
  #plotted = '';
  /** @type {readonly Line[]} */
  #lines = [];
  /** @type {readonly number[]} */
  #times = [];
  #floor;
  #steps;

  /**
   * @param {string} title
   * @param {(value: number | null) => string} format
   * @param {number} floor Lowest value of the axis.
   * @param {number[] | null} steps What the axis may count by; null: by anything.
   */
  constructor(title, format, floor = 0, steps = null) {
    this.#title = title;
    this.#format = format;
    this.#floor = floor;
    this.#steps = steps;
    this.#canvas = element('div', { class: 'canvas', role: 'img' });
    this.root = element(
      'figure',
      {},
      element('figcaption', {}, element('h3', { text: title }), this.#key),
      this.#canvas,
    );
    new ResizeObserver(() => this.#resize()).observe(this.#canvas);
  }

  /**
   * @param {readonly number[]} times
   * @param {readonly Line[]} lines
   */
  draw(times, lines) {
    this.#times = times;
    this.#lines = lines;
    const wanted = JSON.stringify(lines.map(({ label, colour }) => [label, colour]));
    if (wanted !== this.#plotted) this.#make(wanted);
    this.#plot?.setData([[...times], ...lines.map(drawnOf)]);
    this.#showKey(null);
  }

  /** Colours are read from the style sheet when the lines are made; call when they have changed. */
  recolour() {
    if (this.#plotted !== '') this.#make(this.#plotted);
  }

  /** @param {string} wanted */
  #make(wanted) {
    this.#plot?.destroy();
    this.#plotted = wanted;
    this.#key.replaceChildren(
      ...this.#lines.map(({ label, colour }) =>
        element('li', { class: colour }, element('span', { class: 'swatch' }), `${label} `, element('b', {})),
      ),
    );
    this.#plot = new uPlot(this.#options(), [[...this.#times], ...this.#lines.map(drawnOf)], this.#canvas);
  }

  /** @returns {import('uplot').Options} */
  #options() {
    const axis = {
      stroke: colourOf('ink-soft'),
      font: '11px Inter, "Segoe UI", "Liberation Sans", Arial, sans-serif',
    };
    const grid = { stroke: colourOf('line'), width: 1 };
    return {
      width: Math.max(120, this.#canvas.clientWidth),
      height: HEIGHT,
      legend: { show: false },
      padding: [8, 6, 0, 0],
      cursor: { y: false, points: { size: 5 }, drag: { x: false, y: false }, sync: { key: 'holdfast' } },
      scales: {
        x: { time: true, range: () => this.#timeRange() },
        y: { range: (_plot, _low, high) => [this.#floor, niceTop(high ?? this.#floor, this.#floor)] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          ticks: { show: false },
          size: 24,
          space: 70,
          values: (_plot, splits, _axis, _space, step) => splits.map((split) => timeText(split, step)),
          incrs: [15, 30, 60, 120],
        },
        {
          ...axis,
          grid,
          ticks: { show: false },
          size: 52,
          space: 36,
          values: (_plot, splits) => splits.map((split) => this.#format(split)),
          ...(this.#steps === null ? {} : { incrs: this.#steps }),
        },
      ],
      series: [{}, ...this.#lines.map((line) => seriesOf(line))],
      hooks: { setCursor: [(plot) => this.#showKey(plot.cursor.idx ?? null)] },
    };
  }

  /** @returns {[number, number]} */
  #timeRange() {
    const end = this.#times.at(-1) ?? Date.now() / 1000;
    const begin = this.#times[0] ?? end;
    return [Math.max(end - SECONDS_SHOWN, Math.min(begin, end - SECONDS_SHOWN_MIN)), end];
  }

  /**
   * Values of the key: those under the cursor, or the newest.
   * @param {number | null} index
   */
  #showKey(index) {
    const at = index ?? this.#times.length - 1;
    this.#lines.forEach(({ values }, position) => {
      const figure = this.#key.children[position]?.querySelector('b');
      if (figure !== null && figure !== undefined) setText(figure, this.#format(values[at] ?? null));
    });
    const spoken = this.#lines
      .map(({ label, values }) => `${label} ${this.#format(values.at(-1) ?? null)}`)
      .join(', ');
    setAttribute(this.#canvas, 'aria-label', `${this.#title} over the last ten minutes; now: ${spoken}`);
  }

  #resize() {
    const width = this.#canvas.clientWidth;
    if (this.#plot !== null && width > 0 && width !== this.#plot.width)
      this.#plot.setSize({ width, height: HEIGHT });
  }
}

export class PoolCharts {
  root = element('div', { class: 'charts' });
  #history;
  #sessions = new Chart('Sessions', (value) => (value === null ? '–' : count(value)), 0, WHOLE_STEPS);
  #requests = new Chart('Requests per second', rate);
  #classes = new Chart('Answers per second by status', rate);
  #latency = new Chart('Latency', duration);
  #skew = new Chart('Skew and its floor', (value) => (value === null ? '–' : ratio(value)), 1);
  #charts = [this.#sessions, this.#requests, this.#classes, this.#latency, this.#skew];

  /** @param {History} history */
  constructor(history) {
    this.#history = history;
    this.root.append(...this.#charts.map((chart) => chart.root));
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', () => {
      for (const chart of this.#charts) chart.recolour();
    });
  }

  /** @param {PoolStatus} pool */
  update(pool) {
    const { times, series, sessions } = this.#history.pool(pool.name);
    const bySize = [
      { label: 'most', colour: 'line-1', values: series.largest },
      { label: 'mean', colour: 'line-0', values: series.average },
      { label: 'least', colour: 'line-2', values: series.smallest },
    ];
    const byServer = pool.servers.map(({ name }, index) => ({
      label: name,
      colour: `line-${index}`,
      values: sessions.get(name) ?? [],
    }));
    this.#sessions.draw(times, pool.servers.length > COLOURS_MAX ? bySize : byServer);
    this.#requests.draw(times, [
      { label: 'requests', colour: 'line-0', values: series.requestRate },
      { label: 'errors', colour: 'bad', values: series.errorRate },
    ]);
    this.#classes.draw(times, stacked(series));
    this.#latency.draw(times, [
      { label: 'p50', colour: 'line-0', values: series.p50 },
      { label: 'p99', colour: 'line-1', values: series.p99 },
    ]);
    this.#skew.draw(times, [
      { label: 'ratio', colour: 'line-0', values: series.ratio },
      { label: 'floor', colour: 'floor', values: series.floor, isDashed: true },
    ]);
  }
}

/**
 * @param {Line} line
 * @returns {import('uplot').Series}
 */
function seriesOf({ label, colour, isDashed, drawn }) {
  const dash = isDashed === true ? { dash: [4, 4] } : {};
  const fill = drawn === undefined ? {} : { fill: colourOf(colour) };
  return {
    ...fill,
    label,
    stroke: colourOf(colour),
    width: 1.6,
    points: { show: false },
    spanGaps: false,
    ...dash,
  };
}

/**
 * Errors lie at the bottom, where few are seen as well as many; each class upon the ones before it. uPlot fills down to the
 * axis, so the highest is drawn first.
 * @param {Readonly<Record<string, readonly (number | null)[]>>} series
 * @returns {readonly Line[]}
 */
function stacked(series) {
  /** @type {(number | null)[]} */
  let below = [];
  const lines = [
    { label: '5xx', colour: 'class-5' },
    { label: '4xx', colour: 'class-4' },
    { label: '3xx', colour: 'class-3' },
    { label: '2xx', colour: 'class-2' },
  ].map(({ label, colour }) => {
    const values = [...(series[label] ?? [])];
    below = values.map((value, at) => (value === null ? null : value + (below[at] ?? 0)));
    return { label, colour, values, drawn: below };
  });
  return lines.reverse();
}

/**
 * @param {Line} line
 * @returns {(number | null)[]}
 */
function drawnOf({ values, drawn }) {
  return [...(drawn ?? values)];
}

/** @param {string} name CSS variable, without its dashes. */
function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/**
 * Top of the axis: some room above the highest value, never a scale of nothing.
 * @param {number} high
 * @param {number} floor
 */
function niceTop(high, floor) {
  return high > floor ? floor + (high - floor) * 1.15 : floor + (floor === 0 ? 1 : 0.2);
}

/**
 * @param {number} seconds Unix time
 * @param {number} step Seconds between two marks.
 */
function timeText(seconds, step) {
  const text = timeOfDay(new Date(seconds * 1000));
  return step < 60 ? text : text.slice(0, 5);
}
