/** A bar chart as one self-contained SVG, readable on a light and on a dark page. */
import type { Figures } from './report.ts';
import type { Scenario } from './scenarios.ts';

const WIDTH = 760;
const LABEL_WIDTH = 130;
const VALUE_WIDTH = 150;
const BAR_HEIGHT = 18;
const ROW_HEIGHT = 26;
const TITLE_HEIGHT = 40;
const MARGIN = 16;
const CAPTION_CHARS_MAX = 110;

const STYLE = `text{font:13px system-ui,sans-serif;fill:#1f2328}
.title{font-weight:600;font-size:14px}.faint{fill:#59636e;font-size:12px}
.bar{fill:#8c959f}.own{fill:#0969da}.range{stroke:#1f2328;stroke-width:1.5;opacity:.7}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.faint{fill:#9198a1}
.bar{fill:#656c76}.own{fill:#4493f8}.range{stroke:#e6edf3}}`;

/** CPU per request for each scenario, cheapest first: bar = median, whisker = min..max over the rounds. */
export function chartOf(
  scenarios: readonly Scenario[],
  figures: readonly Figures[],
  caption: string,
): string {
  const parts: string[] = [];
  let top = MARGIN;
  for (const { name, title } of scenarios) {
    const own = figures.filter((one) => one.scenario === name);
    if (own.length === 0) continue;
    parts.push(panel(top, title, own));
    top += TITLE_HEIGHT + own.length * ROW_HEIGHT;
  }
  const lines = wrapped(caption);
  const height = top + MARGIN * (lines.length + 1);
  lines.forEach((line, index) => {
    parts.push(`<text class="faint" x="${MARGIN}" y="${top + MARGIN * (index + 1)}">${escaped(line)}</text>`);
  });
  const title = 'CPU time of the proxy per request, microseconds';
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">
<title>${title}</title>
<style>${STYLE}</style>
${parts.join('\n')}
</svg>
`;
}

function panel(top: number, title: string, figures: readonly Figures[]): string {
  const sorted = [...figures].sort((a, b) => a.cpuMicros.median - b.cpuMicros.median);
  const greatest = Math.max(...sorted.map((one) => one.cpuMicros.max));
  const room = WIDTH - LABEL_WIDTH - VALUE_WIDTH - MARGIN;
  const scale = (value: number): number => Math.round((value / greatest) * room * 10) / 10;
  const lines = [`<text class="title" x="${MARGIN}" y="${top + 22}">${escaped(title)}</text>`];
  sorted.forEach((one, index) => {
    const y = top + TITLE_HEIGHT + index * ROW_HEIGHT;
    const middle = y + BAR_HEIGHT / 2;
    const { median, min, max } = one.cpuMicros;
    const factor = one.toHaproxy === null ? '' : `, ${one.toHaproxy.toFixed(2)} × haproxy`;
    const isOwn = one.peer === 'holdfast';
    const [left, right] = [LABEL_WIDTH + scale(min), LABEL_WIDTH + scale(max)];
    lines.push(
      `<text x="${LABEL_WIDTH - 8}" y="${y + 14}" text-anchor="end">${escaped(one.peer)}</text>`,
      `<rect class="bar${isOwn ? ' own' : ''}" x="${LABEL_WIDTH}" y="${y}" width="${scale(median)}" height="${BAR_HEIGHT}" rx="2"/>`,
      `<line class="range" x1="${left}" x2="${right}" y1="${middle}" y2="${middle}"/>`,
      `<text x="${right + 8}" y="${y + 14}">${median.toFixed(1)} µs<tspan class="faint">${factor}</tspan></text>`,
    );
  });
  return lines.join('\n');
}

/** Breaks between words, since SVG text does not wrap. */
function wrapped(text: string): readonly string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.length - 1;
    if (`${lines[last]} ${word}`.length > CAPTION_CHARS_MAX) lines.push(word);
    else lines[last] = `${lines[last]} ${word}`.trimStart();
  }
  return lines;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
