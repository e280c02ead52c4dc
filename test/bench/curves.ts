/** Curves of one axis as one self-contained SVG, both scales logarithmic, readable on a light and on a dark page. */

export type Curve = { readonly name: string; readonly points: readonly (readonly [number, number])[] };

const WIDTH = 760;
const HEIGHT = 320;
const LEFT = 64;
const RIGHT = 130;
const TOP = 44;
const BOTTOM = 48;
/** Those of the colour-blind safe set of Okabe and Ito, in the order of the curves. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00'];
const STYLE = `text{font:13px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:14px}
.faint{fill:#59636e;font-size:12px}.grid{stroke:#d1d9e0}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#9198a1}.grid{stroke:#3d444d}}`;

/** `across` says what is on the horizontal axis. CPU time goes up, in microseconds a request. */
export function curvesOf(title: string, across: string, curves: readonly Curve[]): string {
  const all = curves.flatMap(({ points }) => points);
  const x = scaleOf(
    all.map(([at]) => at),
    LEFT,
    WIDTH - RIGHT,
  );
  const y = scaleOf(
    all.map(([, micros]) => micros),
    HEIGHT - BOTTOM,
    TOP,
  );
  const parts = [
    `<text class="title" x="${LEFT}" y="22">${title}: CPU µs a request</text>`,
    `<text class="faint" x="${LEFT}" y="${HEIGHT - 10}">${across}</text>`,
  ];
  for (const at of new Set(all.map(([value]) => value))) parts.push(tick(x(at), HEIGHT - 28, short(at)));
  for (const micros of roundSteps(all.map(([, value]) => value))) {
    const height = y(micros);
    parts.push(
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${height}" y2="${height}"/>`,
      `<text class="faint" x="${LEFT - 8}" y="${height + 4}" text-anchor="end">${short(micros)}</text>`,
    );
  }
  for (const [index, { name, points }] of curves.entries()) {
    const colour = COLOURS[index % COLOURS.length];
    const line = points.map(([at, micros]) => `${x(at)},${y(micros)}`).join(' ');
    const [lastAt = 1, lastMicros = 1] = points.at(-1) ?? [];
    parts.push(
      `<polyline points="${line}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      `<text x="${x(lastAt) + 8}" y="${y(lastMicros) + 4}">${name}</text>`,
    );
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">
<title>${title}</title>
<style>${STYLE}</style>
${parts.join('\n')}
</svg>
`;
}

function tick(x: number, y: number, text: string): string {
  return `<text class="faint" x="${x}" y="${y}" text-anchor="middle">${text}</text>`;
}

function scaleOf(values: readonly number[], from: number, to: number): (value: number) => number {
  const least = Math.log10(Math.min(...values));
  const most = Math.log10(Math.max(...values));
  const share = (value: number): number =>
    most === least ? 0.5 : (Math.log10(value) - least) / (most - least);
  return (value) => Math.round((from + share(value) * (to - from)) * 10) / 10;
}

/** 1, 2 and 5 times the powers of ten among them. */
function roundSteps(values: readonly number[]): readonly number[] {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const steps: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(least)); power <= most; power *= 10)
    for (const factor of [1, 2, 5])
      if (power * factor >= least && power * factor <= most) steps.push(power * factor);
  return steps;
}

function short(value: number): string {
  if (value >= 1e6) return `${value / 1e6} M`;
  return value >= 1000 ? `${value / 1000} k` : String(value);
}
