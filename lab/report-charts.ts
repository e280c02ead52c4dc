// Which charts the report shows, drawn from the finished cells. Pure.
import { type Bar, barChart, type Curve, lineChart, type Strip, stripChart } from './charts.ts';
import { type Fault, HANG_MS, REPLAY_LIFE_MS } from './faults.ts';
import { architecturesIn, type LabReport, resultOf, valueText } from './outcome.ts';

export interface Figure {
  readonly title: string;
  readonly caption: string;
  readonly svg: string;
}

type Result = NonNullable<ReturnType<typeof resultOf>>;

/** The figures for which there is something to show. */
export function figuresOf(report: LabReport): readonly Figure[] {
  return [...faultFigures(report), ...costFigures(report)].filter(({ svg }) => svg !== '');
}

function faultFigures(report: LabReport): readonly Figure[] {
  return [
    bars(
      report,
      'kill-one',
      'lost sessions',
      'Sessions lost when one server is killed',
      'Of all users, on any of the servers.',
    ),
    bars(
      report,
      'rolling-restart',
      'lost sessions per user',
      'Log-ins again per user, rolling restart',
      'How often each user was logged out while all servers were restarted once.',
    ),
    strips(
      report,
      'store-killed',
      'The session store is killed, and back after 5 s',
      'Share of requests answered, by second.',
    ),
    strips(
      report,
      'sigstop',
      `One server hangs for ${HANG_MS / 1000} s`,
      'Until health checks notice, its requests hang.',
    ),
    strips(
      report,
      'balancer-restart',
      'The balancer is restarted',
      'Affinity in a sealed cookie survives; affinity in a table alone does not.',
    ),
  ];
}

function costFigures(report: LabReport): readonly Figure[] {
  return [
    latencyFigure(report),
    plainBars(
      report,
      'none',
      'Copies of each session in memory',
      'Bytes kept by all servers and the store, over bytes of live sessions.',
      ({ measured }) => measured.memory.copies,
      'ratio',
    ),
    plainBars(
      report,
      'none',
      'Cookie header of each request',
      'What every request carries, session of 1 KB.',
      ({ measured }) => measured.judgement.cookieBytesMean,
      'bytes',
    ),
    bars(
      report,
      'replay',
      'log-out to last acceptance, mean',
      'A copied cookie after log-out',
      `How long it still works, on average; sessions live ${REPLAY_LIFE_MS / 1000} s in this cell.`,
    ),
    bars(
      report,
      'ban',
      'sessions of banned users that go on',
      'A ban, by a call to one server',
      'Part of the banned sessions that still work.',
    ),
    lines(report),
    plainBars(
      report,
      'add-server',
      "Newcomer's sessions or requests, of its fair share",
      'A few seconds after it joined. Local sessions stay where they are.',
      newcomerShare,
      'share',
    ),
  ];
}

function eachResult(
  report: LabReport,
  fault: Fault,
): readonly { readonly label: string; readonly result: Result }[] {
  return architecturesIn(report).flatMap((architecture) => {
    const result = resultOf(report, architecture.name, fault);
    return result === null ? [] : [{ label: `${architecture.code} ${architecture.name}`, result }];
  });
}

/** One bar per architecture from the check with that name, with its bracket. */
function bars(report: LabReport, fault: Fault, metric: string, title: string, caption: string): Figure {
  const all = eachResult(report, fault).flatMap(({ label, result }): Bar[] => {
    const found = result.checks.find((one) => one.metric === metric);
    if (found === undefined) return [];
    const { low, high, measured, unit, verdict } = found;
    return [
      {
        label,
        value: measured,
        text: valueText(measured, unit),
        expected: { low, high },
        isOutside: verdict === 'outside',
      },
    ];
  });
  return { title, caption: `${caption} Brackets: what was expected.`, svg: barChart(title, all) };
}

function plainBars(
  report: LabReport,
  fault: Fault,
  title: string,
  caption: string,
  pick: (result: Result) => number,
  unit: 'ratio' | 'bytes' | 'share',
): Figure {
  const all = eachResult(report, fault).map(({ label, result }): Bar => {
    const value = pick(result);
    return { label, value, text: valueText(value, unit), expected: null, isOutside: false };
  });
  return { title, caption, svg: barChart(title, all) };
}

function newcomerShare({ measured, plan }: Result): number {
  const { judgement, marks } = measured;
  if (plan.architecture.isLocal) {
    const fair = plan.users / (plan.servers + 1);
    return (judgement.homes.atEnd[marks.server] ?? 0) / fair;
  }
  const { after } = judgement.requestsByServer;
  const total = Object.values(after).reduce((sum, count) => sum + count, 0);
  return ((after[marks.server] ?? 0) / Math.max(1, total)) * (plan.servers + 1);
}

function latencyFigure(report: LabReport): Figure {
  const title = 'Latency when nothing happens: median, and 99 of 100';
  const all = eachResult(report, 'none').map(({ label, result }): Bar => {
    const { p50Ms, p99Ms } = result.measured.judgement.latency.write.steady;
    return {
      label,
      value: p50Ms,
      text: `${valueText(p50Ms, 'ms')}, ${valueText(p99Ms, 'ms')}`,
      expected: { low: p50Ms, high: p99Ms },
      isOutside: false,
    };
  });
  return {
    title,
    caption:
      'Writes, from the time they were due, through the balancer. Bar: median; bracket: up to the 99th percentile.',
    svg: barChart(title, all),
  };
}

/** How evenly sessions lie after a server has joined, for the architectures where that takes time. */
function lines(report: LabReport): Figure {
  const title = 'Time to balance: the fullest server over the mean, after one has joined';
  const all = eachResult(report, 'add-server').flatMap(({ label, result }): Curve[] => {
    const { spread } = result.measured;
    if (!result.plan.architecture.isLocal || spread.length === 0) return [];
    return [{ label, points: spread.map(({ afterMs, par }) => [afterMs / 1000, par] as const) }];
  });
  return {
    title,
    caption: 'Seconds since it was up. 1 is even; without users who come and go nothing changes.',
    svg: lineChart(title, all),
  };
}

function strips(report: LabReport, fault: Fault, title: string, caption: string): Figure {
  const all = eachResult(report, fault).map(({ label, result }): Strip => {
    const { judgement } = result.measured;
    return {
      label,
      seconds: judgement.availability,
      faultSecond: (result.measured.marks.faultMs - result.plan.steadyMs) / 1000,
      text: `${judgement.lost} lost`,
    };
  });
  return {
    title,
    caption: `${caption} The line marks the fault, dots are lost sessions.`,
    svg: stripChart(title, all),
  };
}
