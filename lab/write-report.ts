// Writes a run's files: the page, the Markdown, and everything as JSON.
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { commandOf } from './cells.ts';
import { type LabReport, summaryOf, verdictOf } from './outcome.ts';
import { htmlReport } from './report-html.ts';
import { markdownReport } from './report-markdown.ts';

/** Writes report.html, report.md and report.json into the directory, made if need be; returns its path. */
export async function writeReport(report: LabReport, directory: string): Promise<string> {
  const folder = resolve(directory);
  await mkdir(folder, { recursive: true });
  await Promise.all([
    writeFile(join(folder, 'report.html'), htmlReport(report)),
    writeFile(join(folder, 'report.md'), markdownReport(report)),
    writeFile(join(folder, 'report.json'), `${JSON.stringify(jsonReport(report), null, 1)}\n`),
  ]);
  return folder;
}

/** The run without the plans' arrivals, which the seed gives. Pure. */
export function jsonReport(report: LabReport): object {
  const { outcomes, ...rest } = report;
  return {
    ...rest,
    summary: summaryOf(report),
    cells: outcomes.map((outcome) => {
      const { architecture, fault } = outcome.cell;
      const head = {
        architecture: architecture.name,
        code: architecture.code,
        fault,
        verdict: verdictOf(outcome),
        command: commandOf(outcome.cell, report.options),
      };
      if (outcome.type !== 'done') return { ...head, reason: outcome.reason };
      const { plan, measured, checks, tookMs, busyShare } = outcome.result;
      const { before } = outcome;
      const { arrivals, architecture: _architecture, fault: _fault, ...planned } = plan;
      return {
        ...head,
        tookMs,
        busyShare,
        plan: { ...planned, arrivals: arrivals.length },
        checks,
        measured,
        ...(before === null ? {} : { before }),
      };
    }),
  };
}
