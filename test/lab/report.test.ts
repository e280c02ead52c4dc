// The report from finished cells made by hand.
import { describe, expect, test } from 'vitest';
import { architecturesNamed } from '../../lab/architectures.ts';
import { type LabOptions, planCell } from '../../lab/cells.ts';
import { expectationsOf } from '../../lab/expectations.ts';
import type { Fault } from '../../lab/faults.ts';
import { judge } from '../../lab/judge.ts';
import { parseLoadOptions, progressLine, setCookiesIn, summaryLines } from '../../lab/load.ts';
import type { Measured } from '../../lab/measured.ts';
import { bracketText, type CellOutcome, type LabReport, summaryOf, valueText } from '../../lab/outcome.ts';
import { barLine } from '../../lab/progress.ts';
import { htmlReport } from '../../lab/report-html.ts';
import { markdownReport } from '../../lab/report-markdown.ts';
import type { Exchange } from '../../lab/transcript.ts';
import { jsonReport } from '../../lab/write-report.ts';

const OPTIONS: LabOptions = { only: [], faults: [], quick: false, seed: 1, servers: 4, users: 40 };
const NAMES = ['a', 'b', 'c', 'd'];
const SPREAD = [
  { afterMs: 0, par: 1.25, held: 0 },
  { afterMs: 500, par: 1.2, held: 2 },
];

function cellOf(name: string, fault: Fault) {
  const [architecture] = architecturesNamed(name);
  if (architecture === undefined) throw new Error(`there is no ${name}`);
  return { architecture, fault };
}

/** 40 users, ten on each server; those on `a` find themselves logged out after the fault, `lost` of them. */
function finished(name: string, fault: Fault, lost: number, balancerLost = lost): CellOutcome {
  const cell = cellOf(name, fault);
  const plan = planCell(cell, OPTIONS);
  const exchange = (user: number, kind: 'login' | 'read', sentMs: number, status: number): Exchange => ({
    user,
    session: 0,
    kind,
    scheduledMs: sentMs,
    sentMs,
    endedMs: sentMs + 2,
    outcome: { type: 'complete', status, server: NAMES[user % 4] ?? 'a', counter: 0 },
    cookieBytes: 95,
    sessionBytes: 0,
    isForced: false,
  });
  const transcript = Array.from({ length: 40 }, (_, user) => user).flatMap((user) => [
    exchange(user, 'login', user, 200),
    exchange(user, 'read', plan.steadyMs + user, 200),
    exchange(user, 'read', plan.faultMs + 10, user % 4 === 0 && user / 4 < lost ? 401 : 200),
  ]);
  const marks = {
    faultMs: plan.faultMs,
    backMs: null,
    appliedMs: null,
    stoppedMs: null,
    server: 'a',
    gone: ['a'],
  };
  const measured: Measured = {
    judgement: judge(transcript, { ...plan, changedMs: plan.faultMs }),
    marks,
    memory: { copies: 1, bytesPerSession: 1000, storeBytes: 40_000, heapBytesMean: 1, rssBytesMean: 2 },
    wire: { messagesPerWrite: 0, messageBytesPerWrite: 0, storeOperationsPerRequest: 0 },
    balancerLost,
    spread: fault === 'add-server' ? SPREAD : [],
    servers: NAMES,
  };
  const checks = expectationsOf(plan, measured);
  return {
    type: 'done',
    cell,
    result: { plan, measured, checks, tookMs: 9000, busyShare: 0.4 },
    before: null,
  };
}

const REPORT: LabReport = {
  version: '0.0.0',
  date: '2026-01-02T03:04:05.000Z',
  machine: { kind: '2-core virtual machine', node: '26.0.0', platform: 'linux x64' },
  options: OPTIONS,
  outcomes: [
    finished('memory', 'none', 0),
    finished('memory', 'kill-one', 10),
    finished('jwt', 'kill-one', 0),
    { type: 'failed', cell: cellOf('database', 'kill-one'), reason: 'a port | was <taken>' },
    { type: 'skipped', cell: cellOf('redis', 'kill-one'), reason: 'redis-server is not on the PATH' },
  ],
  tookMs: 60_000,
  wasStopped: false,
};

describe('verdicts', () => {
  test('a quarter lost is what theory says of memory, and the balancer must agree with the users', () => {
    expect(summaryOf(REPORT)).toMatchObject({ cells: 5, inside: 3, outside: 0, failed: 1, skipped: 1 });
    const wrong = { ...REPORT, outcomes: [finished('memory', 'kill-one', 10, 9)] };
    expect(summaryOf(wrong).outside).toBe(1);
    expect(summaryOf({ ...REPORT, outcomes: [finished('jwt', 'kill-one', 3)] }).outside).toBe(1);
  });
});

describe('Markdown', () => {
  const text = markdownReport(REPORT);

  test('has a row per check with formula, bracket, number, verdict and the command that repeats it', () => {
    expect(text).toContain(
      '| A1 memory, sticky (cookie-hash, least sessions) | lost sessions | m/n = 10 of 40 ± 1: counts differ by 1 | 9 … 11 | **10** | ✓ inside | `npm run lab -- --only memory --fault kill-one --seed 1 --users 40` |',
    );
  });

  test('says what failed and what was skipped, and why', () => {
    expect(text).toContain('a port \\| was <taken> | failed |');
    expect(text).toContain('central database × kill-one: failed, a port');
    expect(text).toContain('redis-server is not on the PATH | skipped |');
  });

  test('a cell that was measured twice shows both results, everywhere', () => {
    const first = finished('memory', 'kill-one', 5);
    const second = finished('memory', 'kill-one', 10);
    if (first.type !== 'done' || second.type !== 'done') throw new Error('not finished');
    const before = { checks: first.result.checks, busyShare: 0.97 };
    const report = { ...REPORT, outcomes: [{ ...second, before }] };
    const twice = markdownReport(report);
    expect(twice).toContain('| **10** (again; first 5) | ✓ inside |');
    expect(twice).toContain('1 measured twice');
    expect(twice).toContain(
      '- A1 memory, sticky (cookie-hash, least sessions) × kill-one: measured again because the machine was 97 % busy: lost sessions: first 5 (outside), then 10 (inside)',
    );
    expect(htmlReport(report)).toContain('again; first 5');
    expect(JSON.stringify(jsonReport(report))).toContain('"busyShare":0.97');
    expect(text).toContain('The second measurement counts, whatever it is.\n\nNone.');
  });

  test('after a join: how sessions lie, over time, as a table and as a curve', () => {
    const report = { ...REPORT, outcomes: [finished('memory-learn', 'add-server', 0)] };
    expect(markdownReport(report)).toContain('| 1.25 (0) | 1.2 (2) |');
    const joined = htmlReport(report);
    expect(joined).toContain('points="176,8 322,36.4"');
    expect(joined).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('the decision table has what was measured, a dash for the rest', () => {
    const row = text.split('\n').find((line) => line.startsWith('| A1 memory, sticky'));
    expect(row).toContain('| 25 % | – |');
    expect(text).toContain('nobody is logged out by a crash');
  });
});

describe('HTML', () => {
  const page = htmlReport(REPORT);

  test('asks nobody for anything', () => {
    expect(page).not.toMatch(/<script|<link|<img|@import|url\(|https?:\/\//);
  });

  test('shows charts and escapes what it did not write', () => {
    expect(page).toContain('aria-label="Sessions lost when one server is killed"');
    expect(page).toContain('was &lt;taken&gt;');
    expect(page).toContain('prefers-color-scheme:dark');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
  });
});

test('JSON has every cell, without the arrivals that the seed gives', () => {
  const parsed: unknown = JSON.parse(JSON.stringify(jsonReport(REPORT)));
  expect(parsed).toMatchObject({
    summary: { cells: 5 },
    cells: [
      { architecture: 'memory', fault: 'none', verdict: 'inside', plan: { arrivals: expect.any(Number) } },
      {},
      {},
      {},
      {},
    ],
  });
});

test('numbers as readers want them', () => {
  expect(valueText(0.254, 'share')).toBe('25.4 %');
  expect(valueText(1500, 'ms')).toBe('1.5 s');
  expect(valueText(1.6249, 'ratio')).toBe('1.625');
  expect(bracketText({ low: 5, high: 5, unit: 'count' })).toBe('5');
  expect(bracketText({ low: 64_000, high: Infinity, unit: 'bytes' })).toBe('≥ 64000 B');
});

test('the progress bar', () => {
  expect(barLine(2, 4, 10_000, 60_000, 'redis × none')).toBe(
    '[████████████············] 2/4  about 0:50 left  redis × none',
  );
});

describe('load', () => {
  test('refuses to aim at other machines', () => {
    expect(parseLoadOptions(['--url', 'http://example.com'])).toContain('only http:// on this machine');
    expect(parseLoadOptions(['--url', 'http://127.0.0.1.example.com'])).toContain(
      'only http:// on this machine',
    );
    expect(parseLoadOptions(['--url', 'https://127.0.0.1'])).toContain('only http:// on this machine');
    expect(parseLoadOptions(['--url', 'http://[::1]:8080/x', '--users', '5'])).toEqual({
      url: 'http://[::1]:8080',
      users: 5,
      rate: 200,
      seconds: 60,
    });
    expect(parseLoadOptions(['--users', '0'])).toContain('--users 0');
    expect(parseLoadOptions(['--nonsense'])).toContain('nonsense');
  });

  test('finds cookies in headers and sums up', () => {
    expect(setCookiesIn({ 'Set-Cookie': ['a=1', 'b=2'], other: 'x' })).toEqual(['a=1', 'b=2']);
    expect(setCookiesIn({ 'set-cookie': 'a=1' })).toEqual(['a=1']);
    const summary = { requests: 600, byClass: { '2xx': 590, '4xx': 8, '5xx': 2 }, errors: 1 };
    expect(
      summaryLines({ ...summary, seconds: 10, p50Ms: 2, p99Ms: 9, maxMs: 40, loginsAgain: 8 }),
    ).toContain('600 requests in 10.0 s (60/s)');
  });
});

test('a load says each second what came in it and what has come in all', () => {
  const line = progressLine(12, { 2: 2400, 4: 3, 5: 1 }, { 2: 2200, 4: 3, 5: 0 });
  expect(line).toBe('  12 s     201/s  2xx 2400, 4xx 3, 5xx 1\n');
});
