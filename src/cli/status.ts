// `holdfast status`: the whole balancer on one screen, once or every second.

import { setTimeout as pause } from 'node:timers/promises';
import type { PoolStatus, ServerStatus, StatusDocument } from '../admin/status.ts';
import type { Problem, Summary } from '../admin/summary.ts';
import { systemClock } from '../base/clock.ts';
import { dayAndTime, formatDuration } from '../base/units.ts';
import type { AdminCommandOptions } from './admin-access.ts';
import { type AdminClient, AdminFailure, withAdmin } from './admin-client.ts';
import { EXIT_CHECK, EXIT_OK } from './exit.ts';
import { counted, print, standardOutput } from './output.ts';
import { fitted, type Line, textOf } from './screen.ts';
import { type Cell, type Column, formatTable } from './table.ts';

const WATCH_EVERY_MS = 1_000;
/** An empty line, how it ends, and where the cursor stands. */
const SCREEN_FOOT_ROWS = 3;
/** Cursor home and everything below erased: no flicker, nothing left of a longer screen. */
const REDRAW = '\x1b[H\x1b[J';

/** Returns the exit status; with --watch only when the balancer cannot be asked and nobody watches. */
export function showStatus(options: AdminCommandOptions & { readonly watch?: boolean }): Promise<number> {
  return withAdmin(options, async (client) => {
    if (options.watch === true) return watch(client, options.json);
    const status = await client.status();
    print(statusLines(status, standardOutput().columns), status, options.json);
    return EXIT_OK;
  });
}

/** `--check`: says how it is in a few lines, and in the exit status. A balancer that cannot be asked serves nobody. */
export async function checkStatus(options: AdminCommandOptions): Promise<number> {
  let exit: number = EXIT_CHECK.failing;
  await withAdmin(options, async (client) => {
    const { summary } = await client.status();
    print(summaryLines(summary), summary, options.json);
    exit = EXIT_CHECK[summary.state];
    return undefined;
  });
  return exit;
}

/** In a terminal a balancer that goes away is waited for: it may only be restarting. */
async function watch(client: AdminClient, json: boolean | undefined): Promise<number> {
  const isScreen = process.stdout.isTTY && json !== true;
  for (;;) {
    if (isScreen) {
      process.stdout.write(REDRAW + (await screen(client)));
    } else {
      const status = await client.status();
      print([...statusLines(status, standardOutput().columns), ''], status, json);
    }
    await pause(WATCH_EVERY_MS);
  }
}

async function screen(client: AdminClient): Promise<string> {
  try {
    const { columns, hasColours } = standardOutput();
    // a terminal that does not know its size says 0
    const rows = (process.stdout.rows || Number.POSITIVE_INFINITY) - SCREEN_FOOT_ROWS;
    const lines = fitted(statusLines(await client.status(), columns), columns, rows);
    return `${lines.map((line) => textOf(line, hasColours)).join('\n')}\n\nCtrl-C ends.\n`;
  } catch (error) {
    if (error instanceof AdminFailure) return `${error.message}\n`;
    throw error;
  }
}

/** The screen as lines, its tables no wider than `columns`. Pure. */
export function statusLines(status: StatusDocument, columns: number): readonly Line[] {
  const { entries, capacity } = status.sessionTable;
  const head = `${status.host}: holdfast ${status.version}`;
  const facts = [
    head,
    `revision ${status.revision}`,
    counted(status.threads, 'thread'),
    `up ${uptime(status.uptimeSeconds)}`,
    `session table ${entries} of ${capacity}`,
  ];
  return [
    ...summaryLines(status.summary),
    facts.join(', '),
    ...status.pools.flatMap((pool) => ['', ...poolLines(pool, columns)]),
  ];
}

const STATE_WORDS = { well: 'all well', degraded: 'degraded', failing: 'CLIENTS GET ERRORS' } as const;
const STATE_TONES = { well: 'good', degraded: 'warn', failing: 'bad' } as const;

const VERDICT_TONES = { up: 'good', starting: 'warn', ejected: 'warn', down: 'bad' } as const;

/** The narrower the terminal, the fewer: what is wrong stays to the last. */
const COLUMNS: readonly Column[] = [
  { heading: 'SERVER' },
  { heading: 'STATE' },
  { heading: 'MODE', isLeftOut: 1 },
  { heading: 'WEIGHT', isLeftOut: 7 },
  { heading: 'SESSIONS', isLeftOut: 2 },
  { heading: 'IN FLIGHT', isLeftOut: 4 },
  { heading: 'REQUESTS', isLeftOut: 5 },
  { heading: '5XX', isLeftOut: 2 },
  { heading: 'FAILURES', isLeftOut: 6 },
  { heading: 'LOST', isLeftOut: 3 },
  { heading: 'URL', isLeftOut: 8 },
  { heading: 'NOTES' },
];

/** The rest is counted: servers by the hundred would push the first ones off the screen. */
const PROBLEMS_SHOWN = 10;
/** From so many servers on the troubled ones come first, as on the page. */
const MANY = 9;

/** One line for each problem, the worst first; one that says so when there is none. */
function summaryLines({ state, problems }: Summary): readonly Line[] {
  if (problems.length === 0) return [[{ text: STATE_WORDS[state], tone: STATE_TONES[state] }]];
  const more = problems.length - PROBLEMS_SHOWN;
  return [...problems.slice(0, PROBLEMS_SHOWN).map(problemLine), ...(more > 0 ? [`and ${more} more`] : [])];
}

function problemLine({ state: how, pool, server, text, since }: Problem): Line {
  const at = since === null ? '' : ` since ${dayAndTime(Date.parse(since), systemClock.wallMs())}`;
  const what = `: ${server === null ? `pool ${pool}` : `${pool}/${server}`} ${text}${at}`;
  return [{ text: STATE_WORDS[how], tone: STATE_TONES[how] }, { text: what }];
}

function poolLines(pool: PoolStatus, columns: number): readonly Line[] {
  const { skew } = pool;
  const isSticky = pool.sticky !== 'none';
  const facts = [
    `pool ${pool.name}: ${pool.policy}, sticky ${pool.sticky}, state ${pool.state}`,
    ...(isSticky ? [counted(pool.sessions, 'session')] : []),
    `${counted(pool.requests, 'request')}, ${counted(pool.errors, 'error')}`,
    ...(isSticky && pool.sessions > 0
      ? [`skew ${skew.ratio.toFixed(2)} (by chance ${skew.floor.toFixed(2)})${skew.beyondChance ? ' !' : ''}`]
      : []),
  ];
  return [facts.join(', '), ...formatTable(COLUMNS, inOrder(pool.servers).map(serverRow), columns)];
}

/** As configured; of many, those that are not up and ready before the others. */
function inOrder(servers: readonly ServerStatus[]): readonly ServerStatus[] {
  if (servers.length < MANY) return servers;
  return servers.toSorted((a, b) => Number(isWell(a)) - Number(isWell(b)));
}

function isWell({ state, mode }: ServerStatus): boolean {
  return state === 'up' && mode === 'ready';
}

function serverRow(server: ServerStatus): readonly Cell[] {
  const { name, state, mode, weight, sessions, inFlight, requests, codes, failures, lost, url } = server;
  const notes = [
    ...(server.backup ? ['backup'] : []),
    ...(server.unbacked > 0 ? [`${counted(server.unbacked, 'session')} without a backup`] : []),
    ...(state === 'up' || server.check === null ? [] : [server.check]),
  ];
  return [
    name,
    { text: state, tone: VERDICT_TONES[state] },
    { text: mode, tone: mode === 'ready' ? null : 'warn' },
    weight,
    sessions,
    inFlight,
    requests,
    codes['5xx'] ?? 0,
    failures,
    lost,
    url,
    notes.join(', '),
  ];
}

/** Two units are enough: `3d4h`, `12m5s`. */
function uptime(seconds: number): string {
  const whole = Math.floor(seconds);
  const sizes = [86_400, 3_600, 60, 1];
  const largest = sizes.findIndex((size) => whole >= size);
  const finest = sizes[Math.min(sizes.length - 1, (largest < 0 ? sizes.length - 1 : largest) + 1)] ?? 1;
  const rest = whole - (whole % finest);
  return (
    sizes
      .map((size, index) => {
        const above = sizes[index - 1];
        const amount = Math.floor((above === undefined ? rest : rest % above) / size);
        return amount === 0 ? '' : formatDuration(amount * size * 1000);
      })
      .join('') || '0s'
  );
}
