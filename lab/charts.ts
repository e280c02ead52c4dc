// Small charts as inline SVG. Colours come from the page's variables, so that they follow light and dark. Pure.

export interface Bar {
  readonly label: string;
  readonly value: number;
  readonly text: string;
  /** What was expected, drawn as a bracket over the bar; null: nothing. */
  readonly expected: { readonly low: number; readonly high: number } | null;
  readonly isOutside: boolean;
}

export interface Strip {
  readonly label: string;
  /** Share of requests answered, and sessions lost, second by second. */
  readonly seconds: readonly { readonly share: number; readonly lost: number }[];
  /** Second in which the fault happened. */
  readonly faultSecond: number;
  readonly text: string;
}

export interface Curve {
  readonly label: string;
  /** Seconds and value, in order of time. */
  readonly points: readonly (readonly [number, number])[];
}

const WIDTH = 560;
const LABEL_WIDTH = 176;
const VALUE_WIDTH = 92;
const ROW_HEIGHT = 24;
const BAR_HEIGHT = 13;
const STRIP_HEIGHT = 15;
const TICK_HEIGHT = 18;
const ROOM = WIDTH - LABEL_WIDTH - VALUE_WIDTH;

/** Horizontal bars with what was expected as a bracket. Empty for no bars. */
export function barChart(title: string, bars: readonly Bar[]): string {
  if (bars.length === 0) return '';
  const greatest = Math.max(...bars.flatMap(({ value, expected }) => [value, finite(expected?.high)]), 1e-9);
  const x = (value: number): number => LABEL_WIDTH + round((Math.min(value, greatest) / greatest) * ROOM);
  const rows = bars.map(({ label, value, text, expected, isOutside }, index) => {
    const y = index * ROW_HEIGHT;
    const middle = y + ROW_HEIGHT / 2;
    const top = middle - BAR_HEIGHT / 2;
    const width = Math.max(value > 0 ? 2 : 0, x(value) - LABEL_WIDTH);
    const bracket = expected === null ? '' : whisker(x(expected.low), x(finite(expected.high)), middle);
    const end = Math.max(x(value), expected === null ? 0 : x(finite(expected.high)));
    return `<g><title>${escaped(`${label}: ${text}`)}</title>${labelText(label, middle)}<rect class="${isOutside ? 'bar out' : 'bar'}" x="${LABEL_WIDTH}" y="${top}" width="${round(width)}" height="${BAR_HEIGHT}" rx="2"/>${bracket}<text class="value" x="${round(end + 7)}" y="${middle + 4}">${escaped(text)}</text></g>`;
  });
  return svg(title, bars.length * ROW_HEIGHT, [
    `<line class="axis" x1="${LABEL_WIDTH}" x2="${LABEL_WIDTH}" y1="0" y2="${bars.length * ROW_HEIGHT}"/>`,
    ...rows,
  ]);
}

/** One row per architecture, one square per second: how many requests were answered. Dots are lost sessions. */
export function stripChart(title: string, strips: readonly Strip[]): string {
  if (strips.length === 0) return '';
  const longest = Math.max(...strips.map(({ seconds }) => seconds.length));
  const step = ROOM / longest;
  const rows = strips.map(({ label, seconds, faultSecond, text }, index) => {
    const middle = index * ROW_HEIGHT + ROW_HEIGHT / 2;
    const squares = seconds.map(({ share, lost }, second) => square(second, share, lost, step, middle));
    const faultX = round(LABEL_WIDTH + faultSecond * step);
    const fault = `<line class="fault" x1="${faultX}" x2="${faultX}" y1="${middle - 11}" y2="${middle + 11}"/>`;
    return `<g>${labelText(label, middle)}${squares.join('')}${fault}<text class="value" x="${WIDTH - VALUE_WIDTH + 7}" y="${middle + 4}">${escaped(text)}</text></g>`;
  });
  const height = strips.length * ROW_HEIGHT;
  const ticks = Array.from({ length: Math.floor(longest / 5) + 1 }, (_, five) => five * 5).map(
    (second) =>
      `<text class="tick" x="${round(LABEL_WIDTH + second * step)}" y="${height + 13}">${second} s</text>`,
  );
  return svg(title, height + TICK_HEIGHT, [...rows, ...ticks]);
}

const CURVE_HEIGHT = 150;
/** Beside each other, curves are told apart by their dashes, in print and by everybody. */
const DASHES = ['', '7 3', '2 3', '9 3 2 3'];

/** Values over time, from 1 upwards. Empty for no curves. */
export function lineChart(title: string, curves: readonly Curve[]): string {
  if (curves.length === 0) return '';
  const points = curves.flatMap((curve) => curve.points);
  const seconds = Math.max(1, ...points.map(([second]) => second));
  const highest = Math.max(1.1, ...points.map(([, value]) => value));
  const x = (second: number): number => round(LABEL_WIDTH + (second / seconds) * ROOM);
  const y = (value: number): number =>
    round(CURVE_HEIGHT - ((value - 1) / (highest - 1)) * (CURVE_HEIGHT - 8));
  const lines = curves.map(({ label, points: own }, index) => {
    const path = own.map(([second, value]) => `${x(second)},${y(value)}`).join(' ');
    const dash = DASHES[index % DASHES.length];
    const middle = 14 + index * ROW_HEIGHT;
    const key = `<line class="curve" stroke-dasharray="${dash}" x1="2" x2="30" y1="${middle}" y2="${middle}"/><text class="label" x="36" y="${middle + 4}">${escaped(label)}</text>`;
    return `<g><title>${escaped(label)}</title><polyline class="curve" stroke-dasharray="${dash}" points="${path}"/>${key}</g>`;
  });
  const levels = [1, round(highest * 100) / 100].map(
    (value) =>
      `<line class="axis" x1="${LABEL_WIDTH}" x2="${LABEL_WIDTH + ROOM}" y1="${y(value)}" y2="${y(value)}"/><text class="tick" x="${LABEL_WIDTH + ROOM + 7}" y="${y(value) + 4}">${value}</text>`,
  );
  const ticks = Array.from({ length: Math.floor(seconds) + 1 }, (_, second) => second).map(
    (second) => `<text class="tick" x="${x(second)}" y="${CURVE_HEIGHT + 14}">${second} s</text>`,
  );
  return svg(title, CURVE_HEIGHT + TICK_HEIGHT, [...levels, ...lines, ...ticks]);
}

function square(second: number, share: number, lost: number, step: number, middle: number): string {
  const x = round(LABEL_WIDTH + second * step);
  const hint = `second ${second}: ${Math.round(share * 100)} % answered${lost > 0 ? `, ${lost} sessions lost` : ''}`;
  const width = round(Math.max(1, step - 1.5));
  const bad = round(1 - share);
  const dot =
    lost > 0
      ? `<circle class="lost" cx="${round(x + width / 2)}" cy="${middle}" r="${round(Math.min(5, 2 + Math.sqrt(lost) / 4))}"/>`
      : '';
  const base = `x="${x}" y="${middle - STRIP_HEIGHT / 2}" width="${width}" height="${STRIP_HEIGHT}" rx="2"`;
  const failed = bad > 0 ? `<rect class="down" ${base} fill-opacity="${bad}"/>` : '';
  return `<g><title>${hint}</title><rect class="up" ${base}/>${failed}${dot}</g>`;
}

function whisker(from: number, to: number, middle: number): string {
  const [left, right] = to - from < 2 ? [from - 1, from + 1] : [from, to];
  const ends = [left, right].map(
    (at) =>
      `<line class="bracket" x1="${round(at)}" x2="${round(at)}" y1="${middle - 8}" y2="${middle + 8}"/>`,
  );
  return `<line class="bracket" x1="${round(left)}" x2="${round(right)}" y1="${middle}" y2="${middle}"/>${ends.join('')}`;
}

function labelText(label: string, middle: number): string {
  return `<text class="label" x="${LABEL_WIDTH - 8}" y="${middle + 4}" text-anchor="end">${escaped(label)}</text>`;
}

function svg(title: string, height: number, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">${parts.join('')}</svg>`;
}

/** Text that may stand in markup. */
export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (found) => ESCAPES[found] ?? found);
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function finite(value: number | undefined): number {
  return value === undefined || !Number.isFinite(value) ? 0 : value;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
