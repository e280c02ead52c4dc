// `holdfast drain`: the server takes no new sessions; with --wait, what is left and how long it may take.

import { setTimeout as pause } from 'node:timers/promises';
import type { ServerStatus } from '../admin/status.ts';
import { systemClock } from '../base/clock.ts';
import { formatDuration } from '../base/units.ts';
import type { AdminCommandOptions, ServerPath } from './admin-access.ts';
import { type AdminClient, AdminRefusal, withAdmin } from './admin-client.ts';
import { describeServer, warnOfNobody } from './change.ts';
import { DrainProgress, type DrainReport } from './drain-progress.ts';
import { EXIT_LATE, EXIT_OK } from './exit.ts';
import { counted, print } from './output.ts';

const POLL_MS = 1_000;
/** What a shell reports of a program that Ctrl-C has ended. */
const EXIT_INTERRUPTED = 130;
const ERASE_LINE = '\r\x1b[K';

/** Returns the exit status. `deadlineMs` null: waits as long as it takes. */
export function drainServer(
  given: ServerPath,
  options: AdminCommandOptions,
  isWaiting: boolean,
  deadlineMs: number | null,
): Promise<number> {
  return withAdmin(options, async (client) => {
    const path = await client.whole(given);
    const server = await client.change(path, { mode: 'drain' });
    await warnOfNobody(client, path.pool);
    if (isWaiting) return waitUntilEmpty(client, path, deadlineMs, options.json === true);
    print([describeServer(path, server)], { pool: path.pool, server }, options.json);
    return EXIT_OK;
  });
}

async function waitUntilEmpty(
  client: AdminClient,
  path: ServerPath,
  deadlineMs: number | null,
  isJson: boolean,
): Promise<number> {
  process.once('SIGINT', () => leave(path));
  const progress = new DrainProgress();
  const beganMs = systemClock.nowMs();
  for (;;) {
    const server = await client.server(path);
    const nowMs = systemClock.nowMs();
    if (server.mode !== 'drain') throw new AdminRefusal('conflict', undone(path, server));
    const report = progress.observe(server.sessions + server.tentative, server.inFlight, nowMs);
    const isLate = deadlineMs !== null && nowMs - beganMs >= deadlineMs;
    const isOver = report.isEmpty || isLate;
    if (isLate && !report.isEmpty) await client.change(path, { mode: 'maintenance' });
    if (isJson) print([], { pool: path.pool, server: path.server, ...report, isOver }, true);
    else sayProgress(path, report, isOver);
    if (isOver) {
      if (!isJson) print([verdict(path, report)], null, false);
      return report.isEmpty ? EXIT_OK : EXIT_LATE;
    }
    await pause(Math.min(POLL_MS, deadlineMs === null ? POLL_MS : Math.max(0, beganMs + deadlineMs - nowMs)));
  }
}

/** In a terminal one line that changes, otherwise a line a second. */
function sayProgress({ pool, server }: ServerPath, report: DrainReport, isOver: boolean): void {
  const text = `${pool}/${server}: ${left(report)} left${outlook(report)}`;
  const { stderr } = process;
  if (stderr.isTTY) stderr.write(`${ERASE_LINE}${isOver ? '' : text}`);
  else if (!isOver) stderr.write(`${text}\n`);
}

function left({ sessions, inFlight }: DrainReport): string {
  return `${counted(sessions, 'session')}, ${counted(inFlight, 'request')} in flight`;
}

function outlook({ sessionsPerMinute, secondsLeft }: DrainReport): string {
  if (sessionsPerMinute === null) return '';
  const rate = `, ${sessionsPerMinute.toFixed(1)} fewer a minute`;
  return secondsLeft === null
    ? rate
    : `${rate}, empty in about ${formatDuration(Math.ceil(secondsLeft) * 1000)}`;
}

function verdict({ pool, server }: ServerPath, report: DrainReport): string {
  if (report.isEmpty) return `${pool}/${server}: empty, it can be stopped`;
  return `${pool}/${server}: maintenance at the deadline; ${left(report)} were left`;
}

function undone({ pool, server }: ServerPath, now: ServerStatus): string {
  return `${pool}/${server} was set to ${now.mode} by somebody else, no longer waiting`;
}

function leave({ pool, server }: ServerPath): void {
  process.stderr.write(
    `\n${pool}/${server} is still draining; undo it by: holdfast ready ${pool}/${server}\n`,
  );
  process.exit(EXIT_INTERRUPTED);
}
