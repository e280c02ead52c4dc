// The report as one HTML file that asks nobody for anything: no script, no font, no request. Pure.

import { commandOf } from './cells.ts';
import { escaped } from './charts.ts';
import { DECISION_TITLES, decisionRows } from './decision.ts';
import { FAULT_TITLES, FAULTS, type Fault } from './faults.ts';
import {
  beforeOf,
  bracketText,
  type CellOutcome,
  type LabReport,
  summaryOf,
  valueText,
  verdictOf,
} from './outcome.ts';
import { figuresOf } from './report-charts.ts';
import { summaryText } from './report-markdown.ts';
import { REPORT_STYLE } from './report-style.ts';

/** The whole page. */
export function htmlReport(report: LabReport): string {
  const { machine, options } = report;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Session architectures, measured</title>
<style>${REPORT_STYLE}</style>
</head>
<body>
<header>
<h1>Session architectures, measured</h1>
<p class="lead">The same application keeps its sessions in different ways, behind the same balancer, under the same load and the same faults. The users are the judge.</p>
<p class="meta">${escaped(report.date.slice(0, 10))} · ${escaped(machine.kind)} · ${escaped(machine.platform)} · Node ${escaped(machine.node)} · ${options.servers} servers · ${options.users} users · seed ${options.seed} · ${Math.round(report.tookMs / 1000)} s${report.wasStopped ? ' · stopped before the end' : ''}</p>
${tiles(report)}
</header>
<main>
${decisionSection(report)}
${figureSection(report)}
${FAULTS.map((fault) => faultSection(report, fault)).join('\n')}
</main>
<footer><p>${escaped(summaryText(report))}. Holdfast ${escaped(report.version)}.</p></footer>
</body>
</html>
`;
}

function tiles(report: LabReport): string {
  const summary = summaryOf(report);
  const all = (['inside', 'explained', 'outside', 'failed', 'skipped'] as const).filter(
    (name) => summary[name] > 0 || name === 'inside' || name === 'outside',
  );
  const list = all.map((name) => `<li class="${name}"><b>${summary[name]}</b> ${name}</li>`);
  return `<ul class="tiles"><li><b>${summary.cells}</b> cells</li><li><b>${summary.checks}</b> checks</li>${list.join('')}</ul>`;
}

function decisionSection(report: LabReport): string {
  const rows = decisionRows(report);
  if (rows.length === 0) return '';
  const head = ['architecture', ...DECISION_TITLES].map((title) => `<th scope="col">${escaped(title)}</th>`);
  const body = rows.map(
    ({ architecture, entries, advice }) =>
      `<tbody><tr><th scope="row" rowspan="2"><span class="code">${architecture.code}</span> ${escaped(architecture.title)}</th>${entries
        .map((entry) => `<td>${escaped(entry)}</td>`)
        .join(
          '',
        )}</tr><tr class="advice"><td colspan="${entries.length}">${escaped(advice)}</td></tr></tbody>`,
  );
  return `<section><h2>Which architecture for you</h2>
<p class="note">Every entry was measured in this run; a dash means that the cell was not run. Added latency is against A1.</p>
<div class="scroll"><table class="decision"><thead><tr>${head.join('')}</tr></thead>${body.join('')}</table></div></section>`;
}

function figureSection(report: LabReport): string {
  const figures = figuresOf(report).map(
    ({ title, caption, svg }) =>
      `<figure><figcaption><b>${escaped(title)}</b><span>${escaped(caption)}</span></figcaption>${svg}</figure>`,
  );
  return figures.length === 0 ? '' : `<section class="figures">${figures.join('\n')}</section>`;
}

function faultSection(report: LabReport, fault: Fault): string {
  const outcomes = report.outcomes.filter(({ cell }) => cell.fault === fault);
  if (outcomes.length === 0) return '';
  const head = ['measure', 'expected', 'bracket', 'measured', 'verdict'].map(
    (title) => `<th scope="col">${title}</th>`,
  );
  return `<section><h2>${fault} <span>${escaped(FAULT_TITLES[fault])}</span></h2>
<div class="scroll"><table class="cells"><thead><tr>${head.join('')}</tr></thead>${outcomes
    .map((outcome) => cellBody(report, outcome))
    .join('')}</table></div></section>`;
}

function cellBody(report: LabReport, outcome: CellOutcome): string {
  const { architecture } = outcome.cell;
  const verdict = verdictOf(outcome);
  const title = `<tr class="cell"><th scope="rowgroup" colspan="5"><span class="code">${architecture.code}</span> ${escaped(architecture.title)} ${pill(verdict)}<code>${escaped(commandOf(outcome.cell, report.options))}</code></th></tr>`;
  if (outcome.type !== 'done')
    return `<tbody>${title}<tr><td colspan="5">${escaped(outcome.reason)}</td></tr></tbody>`;
  const rows = outcome.result.checks.map(
    (one, index) =>
      `<tr><td>${escaped(one.metric)}</td><td>${escaped(one.formula)}</td><td class="number">${escaped(bracketText(one))}</td><td class="number"><b>${escaped(valueText(one.measured, one.unit))}</b>${firstText(outcome, index)}</td><td>${pill(one.verdict)}${one.note === '' ? '' : `<small>${escaped(one.note)}</small>`}</td></tr>`,
  );
  return `<tbody>${title}${rows.join('')}</tbody>`;
}

function firstText(outcome: CellOutcome, index: number): string {
  const first = beforeOf(outcome)?.checks[index];
  return first === undefined
    ? ''
    : `<small>again; first ${escaped(valueText(first.measured, first.unit))}</small>`;
}

const SIGNS: Readonly<Record<string, string>> = { inside: '✓', explained: '≈', outside: '✗' };

function pill(verdict: string): string {
  return `<span class="pill ${verdict}">${SIGNS[verdict] ?? ''} ${verdict}</span>`;
}
