// The report as Markdown: decision table, every cell with expectation, measurement, verdict and the command that
// repeats it, and what the words mean. Pure.
import { commandOf, commandText } from './cells.ts';
import type { Check } from './check.ts';
import { DECISION_TITLES, decisionRows } from './decision.ts';
import { FAULT_TITLES, FAULTS } from './faults.ts';
import {
  beforeOf,
  bracketText,
  type CellOutcome,
  checksOf,
  type LabReport,
  type Spoilt,
  summaryOf,
  valueText,
  verdictOf,
} from './outcome.ts';
import { ARCHITECTURE_TEXT, DEFINITIONS, READING_TEXT } from './report-text.ts';
import { mean } from './statistics.ts';

const MARKS: Readonly<Record<string, string>> = {
  inside: '✓ inside',
  explained: '≈ explained',
  outside: '✗ outside',
  failed: 'failed',
  skipped: 'skipped',
};

/** The lab alone keeps two cores busy for about half of the time. */
const BUSY_SHARE_MAX = 0.7;

/** The whole report. */
export function markdownReport(report: LabReport): string {
  const sections = [
    headText(report),
    ARCHITECTURE_TEXT,
    decisionText(report),
    READING_TEXT,
    ...FAULTS.map((fault) => faultText(report, fault)),
    deviationsText(report),
    repeatsText(report),
    DEFINITIONS,
  ];
  return `${sections.filter((text) => text !== '').join('\n\n')}\n`;
}

/** One line that sums the run up. */
export function summaryText(report: LabReport): string {
  const { cells, checks, inside, explained, outside, failed, skipped, repeated } = summaryOf(report);
  const others = [
    `${explained} explained`,
    `${outside} outside`,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(skipped === 0 ? [] : [`${skipped} skipped`]),
    ...(repeated === 0 ? [] : [`${repeated} measured twice`]),
  ];
  return `${cells} cells, ${checks} checks: ${inside} cells inside their brackets, ${others.join(', ')}`;
}

function headText(report: LabReport): string {
  const { options, machine } = report;
  const quick = options.quick ? ' (quick)' : '';
  return `# Session architectures, measured

The same small application, with its sessions kept in seven ways, behind the same balancer, under the same load and the
same faults. The simulated users are the judge: what they were told counts, not what servers believe.

- ${summaryText(report)}${report.wasStopped ? ' (stopped before the end)' : ''}.
- Run of ${report.date.slice(0, 10)}${quick}, Holdfast ${report.version}, ${machine.kind}, ${machine.platform}, Node ${machine.node}; ${Math.round(report.tookMs / 1000)} s in all.
- ${options.servers} servers, ${options.users} users, seed ${options.seed}. Repeat everything with \`${repeatCommand(report)}\`, any cell with the command beside it.${busyText(report)}`;
}

/** How much of the machine was in use: latencies of a machine that others use as well are theirs too. */
function busyText({ outcomes }: LabReport): string {
  const shares = outcomes.flatMap((outcome) => (outcome.type === 'done' ? [outcome.result.busyShare] : []));
  if (shares.length === 0) return '';
  const busy = valueText(mean(shares), 'share');
  const warning =
    mean(shares) > BUSY_SHARE_MAX
      ? ' That is more than the lab alone uses: other programs had their part, so read the latencies as upper limits.'
      : '';
  return `\n- The processors were busy ${busy} of the time, the lab included.${warning}`;
}

function repeatCommand({ options }: LabReport): string {
  return commandText(options);
}

function decisionText(report: LabReport): string {
  const rows = decisionRows(report);
  if (rows.length === 0) return '';
  const titles = ['architecture', ...DECISION_TITLES];
  const table = markdownTable(
    titles,
    rows.map(({ architecture, entries }) => [`${architecture.code} ${architecture.title}`, ...entries]),
  );
  const advice = rows.map(
    ({ architecture, advice: text }) => `- **${architecture.code} ${architecture.title}**: ${text}.`,
  );
  return `## Which architecture for you

All entries are measurements of this run; a dash means that the cell was not run. Added latency is against A1 of the
same run.

${table}

${advice.join('\n')}`;
}

function faultText(report: LabReport, fault: (typeof FAULTS)[number]): string {
  const outcomes = report.outcomes.filter(({ cell }) => cell.fault === fault);
  if (outcomes.length === 0) return '';
  const rows = outcomes.flatMap((outcome) => cellRows(report, outcome));
  const table = markdownTable(
    ['architecture', 'measure', 'expected', 'bracket', 'measured', 'verdict', 'repeat with'],
    rows,
  );
  return `## ${fault}: ${FAULT_TITLES[fault]}\n\n${table}${spreadText(outcomes)}`;
}

/** Seconds after a join at which the report says how sessions lie. */
const SERIES_SECONDS = [0, 0.5, 1, 1.5, 2, 3, 4, 5, 6];

/** How PAR falls after a join, where it takes time. */
function spreadText(outcomes: readonly CellOutcome[]): string {
  const rows = outcomes.flatMap((outcome) => {
    if (outcome.type !== 'done' || !outcome.cell.architecture.isLocal) return [];
    const { spread } = outcome.result.measured;
    if (spread.length === 0) return [];
    const { code, title } = outcome.cell.architecture;
    const values = SERIES_SECONDS.map((second) => {
      const sample = spread.find(({ afterMs }) => afterMs === second * 1000);
      return sample === undefined ? '' : `${valueText(sample.par, 'ratio')} (${sample.held})`;
    });
    return [[`${code} ${title}`, ...values]];
  });
  if (rows.length === 0) return '';
  const titles = ['PAR (sessions on the newcomer)', ...SERIES_SECONDS.map((second) => `${second} s`)];
  return `\n\nHow sessions lie on the servers, in seconds since the newcomer was up:\n\n${markdownTable(titles, rows)}`;
}

function cellRows(report: LabReport, outcome: CellOutcome): readonly (readonly string[])[] {
  const { architecture } = outcome.cell;
  const name = `${architecture.code} ${architecture.title}`;
  const command = `\`${commandOf(outcome.cell, report.options)}\``;
  if (outcome.type !== 'done')
    return [[name, '', '', '', outcome.reason, MARKS[outcome.type] ?? '', command]];
  const first = beforeOf(outcome)?.checks ?? [];
  return outcome.result.checks.map((one, index) => [
    name,
    one.metric,
    one.formula,
    bracketText(one),
    `**${valueText(one.measured, one.unit)}**${againText(first[index])}`,
    MARKS[one.verdict] ?? '',
    command,
  ]);
}

/** Beside a number that was measured again. */
function againText(first: Check | undefined): string {
  return first === undefined ? '' : ` (again; first ${valueText(first.measured, first.unit)})`;
}

function repeatsText(report: LabReport): string {
  const lines = report.outcomes.flatMap((outcome) => {
    const before = beforeOf(outcome);
    if (outcome.type !== 'done' || before === null) return [];
    const { architecture, fault } = outcome.cell;
    return [`- ${architecture.code} ${architecture.title} × ${fault}: ${repeatText(before, outcome.result)}`];
  });
  const list = lines.length === 0 ? 'None.' : lines.join('\n');
  return `## Measured twice

A cell outside its bracket is measured once more when the processors had no time left while it ran (busy over 85 %),
as long as the run has time for it. The second measurement counts, whatever it is.

${list}`;
}

/** Both results of a cell that was measured twice, where they were outside or differ in verdict. */
export function repeatText(before: Spoilt, { checks }: { readonly checks: readonly Check[] }): string {
  const both = before.checks.flatMap((first, index) => {
    const second = checks[index];
    if (second === undefined || (first.verdict === 'inside' && second.verdict === 'inside')) return [];
    return [
      `${first.metric}: first ${valueText(first.measured, first.unit)} (${first.verdict}), then ${valueText(second.measured, second.unit)} (${second.verdict})`,
    ];
  });
  return `measured again because the machine was ${valueText(before.busyShare, 'share')} busy: ${both.join('; ')}`;
}

function deviationsText(report: LabReport): string {
  const lines = report.outcomes.flatMap((outcome) => {
    const { architecture, fault } = outcome.cell;
    const where = `${architecture.code} ${architecture.title} × ${fault}`;
    if (outcome.type !== 'done') return [`- ${where}: ${outcome.type}, ${outcome.reason}`];
    return checksOf(outcome)
      .filter(({ verdict }) => verdict !== 'inside')
      .map((one) => `- ${where}: ${deviationText(one)}`);
  });
  if (lines.length === 0) return '## Deviations\n\nNone: every measurement is inside its bracket.';
  return `## Deviations\n\n${lines.join('\n')}`;
}

/** One deviation in words. */
export function deviationText(one: Check): string {
  const what = `${one.metric} ${valueText(one.measured, one.unit)}, expected ${bracketText(one)}`;
  return one.verdict === 'explained' ? `${what}. ${one.note}` : `${what}. Not explained.`;
}

/** A table whose cells may hold anything. */
export function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(titles), `|${' --- |'.repeat(titles.length)}`, ...rows.map(line)].join('\n');
}

/** A cell's verdict for a list. */
export function outcomeMark(outcome: CellOutcome): string {
  return MARKS[verdictOf(outcome)] ?? '';
}
