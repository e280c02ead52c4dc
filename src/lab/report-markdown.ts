// The report as Markdown: decision table, every cell with expectation, measurement, verdict and the command that
// repeats it, and what the words mean. Pure.
import { commandOf } from './cells.ts';
import type { Check } from './check.ts';
import { DECISION_TITLES, decisionRows } from './decision.ts';
import { FAULT_TITLES, FAULTS } from './faults.ts';
import {
  bracketText,
  type CellOutcome,
  checksOf,
  type LabReport,
  summaryOf,
  valueText,
  verdictOf,
} from './outcome.ts';
import { ARCHITECTURE_TEXT, READING_TEXT } from './report-text.ts';
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
    DEFINITIONS,
  ];
  return `${sections.filter((text) => text !== '').join('\n\n')}\n`;
}

/** One line that sums the run up. */
export function summaryText(report: LabReport): string {
  const { cells, checks, inside, explained, outside, failed, skipped } = summaryOf(report);
  const others = [
    `${explained} explained`,
    `${outside} outside`,
    ...(failed === 0 ? [] : [`${failed} failed`]),
    ...(skipped === 0 ? [] : [`${skipped} skipped`]),
  ];
  return `${cells} cells, ${checks} checks: ${inside} cells inside their brackets, ${others.join(', ')}`;
}

function headText(report: LabReport): string {
  const { options, machine } = report;
  const quick = options.quick ? ' (quick)' : '';
  return `# Session architectures, measured

The same small application, with its sessions kept in six ways, behind the same balancer, under the same load and the
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
  const parts = ['npx holdfast lab', `--seed ${options.seed}`];
  if (options.quick) parts.push('--quick');
  if (options.only.length > 0) parts.push(`--only ${options.only.join(',')}`);
  if (options.faults.length > 0) parts.push(`--fault ${options.faults.join(',')}`);
  return parts.join(' ');
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
  return `## ${fault}: ${FAULT_TITLES[fault]}\n\n${table}`;
}

function cellRows(report: LabReport, outcome: CellOutcome): readonly (readonly string[])[] {
  const { architecture } = outcome.cell;
  const name = `${architecture.code} ${architecture.title}`;
  const command = `\`${commandOf(outcome.cell, report.options)}\``;
  if (outcome.type !== 'done')
    return [[name, '', '', '', outcome.reason, MARKS[outcome.type] ?? '', command]];
  return outcome.result.checks.map((one) => [
    name,
    one.metric,
    one.formula,
    bracketText(one),
    `**${valueText(one.measured, one.unit)}**`,
    MARKS[one.verdict] ?? '',
    command,
  ]);
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

const DEFINITIONS = `## What the words mean

Load is open loop: when each request is sent is fixed before the run from the seed, and latency counts from that time,
so a stall is not hidden by a client that waits. Each user has a cookie jar of its own and makes one request in each
period at a time of chance (4 in 10 write). A user who learns that the session is gone logs in again at once. The
balancer is a process of its own with one thread; health checks every 500 ms, two failures take a server out.

- **acknowledged**: complete answer of 2xx or 3xx within 5 s.
- **lost session**: log-in acknowledged, no log-out, life not over, and a complete answer says "not logged in". Once per
  log-in. 0 losses of m sessions shows only that the rate is under 3/m with 95 % confidence.
- **errors**: answers of 5xx, refused or reset connections, truncated answers, no answer within 5 s.
- **unavailable**: number of 100 ms bins after the fault in which fewer than 99 % of the requests were answered by
  something other than an error. A bin holds about 24 requests, so a single error makes one.
- **older than what was confirmed** (regression): the counter in an answer is lower than one acknowledged before the
  request was sent.
- **lost updates**: of pairs of writes sent at once, acknowledged increments less the final counter.
- **PAR**: peak to average ratio, the fullest server over the mean; 1/PAR of the capacity is usable.
- **copies** (memory factor): bytes of session state in all servers and the store, over live sessions times their mean size.
  A Redis replica is one more copy that the servers cannot see.
- **log-out to last acceptance**: how long a copy of the cookie works after an acknowledged log-out; 0 where it never does.
- **brackets**: counts by chance are inside when they are within 3 standard deviations of the binomial; where no
  closed form exists, within what 99.7 % of seeded trials of the theory give.
- **✓ inside**, **≈ explained** (outside, by a known effect named under Deviations), **✗ outside**.`;
