// The commands that ask or change a running balancer: status, sessions, drain, ready, maintenance, weight, reload.

import { type Command, InvalidArgumentError } from 'commander';
import { WEIGHT_MAX } from '../config/limits.ts';
import type { AdminCommandOptions, ServerPath } from './admin-access.ts';
import { addAdminOptions, parseDeadline, parseServerPath, parseWeight } from './admin-options.ts';
import { EXIT_USAGE } from './exit.ts';

type WaitOptions = AdminCommandOptions & { readonly wait?: boolean; readonly deadline?: number };

const TOP_DEFAULT = 10;
const TOP_MAX = 1_000;

const DRAIN_NOTES = `
A draining server gets no new sessions; requests of its sessions still go to it. --wait reports on standard error
(with --json as JSON lines on standard output) and ends when no session and no request is left, or with --deadline
by putting the server into maintenance: what is left gets a new home then, and the exit status is 3.`;

const EVENTS_NOTES = `
--follow goes on over a takeover or a restart: with all events of the next process, which numbers its own from 1. It ends with
exit status 1 when nobody can be asked for 10 seconds.`;

const READY_NOTES = `
--wait returns when the server takes part: up, by its checks. With --deadline the exit status is 3 when it was not up
by then; it stays ready, and takes part as soon as it is up.`;

export function register(program: Command): void {
  registerStatus(program);
  registerEvents(program);
  registerDrain(program);
  registerReady(program);
  registerMaintenance(program);
  registerWeight(program);
  registerSessions(program);
  registerReload(program);
}

function registerStatus(program: Command): void {
  const command = program.command('status').summary('show pools, servers, sessions and skew');
  command.description('Show pools, servers, sessions and skew of a running balancer.');
  command.option('--watch', 'again every second; in a terminal the screen is redrawn');
  command.option('--check', 'only what is wrong; exit status 0 all well, 1 degraded, 2 clients get errors');
  addAdminOptions(command).action(
    async (options: AdminCommandOptions & { readonly watch?: boolean; readonly check?: boolean }) => {
      if (options.check === true && options.watch === true)
        command.error('error: --check and --watch exclude each other', { exitCode: EXIT_USAGE });
      const { checkStatus, showStatus } = await import('./status.ts');
      process.exitCode = await (options.check === true ? checkStatus(options) : showStatus(options));
    },
  );
}

function registerEvents(program: Command): void {
  const command = program.command('events').summary('show what happened');
  command.description(
    'Show the last 500 events: changes of verdicts, servers and configuration, who made them and why.',
  );
  command.option('--follow', 'then each as it comes');
  addAdminOptions(command.addHelpText('after', EVENTS_NOTES)).action(
    async (options: AdminCommandOptions & { readonly follow?: boolean }) => {
      const { showEvents } = await import('./events.ts');
      process.exitCode = await showEvents(options);
    },
  );
}

function registerDrain(program: Command): void {
  const command = program.command('drain').summary('let a server keep its sessions and take no new ones');
  command.description('Drain a server: its sessions stay, new ones go elsewhere.');
  command.argument('<pool/server>', 'the server', parseServerPath);
  command.option('--wait', 'show what is left until the server is empty');
  command.option('--deadline <duration>', 'with --wait: maintenance after so long, e.g. 10m', parseDeadline);
  addAdminOptions(command.addHelpText('after', DRAIN_NOTES)).action(
    async (path: ServerPath, options: WaitOptions) => {
      refuseDeadlineAlone(command, options);
      const { drainServer } = await import('./drain.ts');
      process.exitCode = await drainServer(path, options, options.wait === true, options.deadline ?? null);
    },
  );
}

function registerReady(program: Command): void {
  const command = program.command('ready').summary('let a server take new sessions again');
  command.description('Let a server take new sessions again.');
  command.argument('<pool/server>', 'the server', parseServerPath);
  command.option('--wait', 'return when it takes part');
  command.option('--deadline <duration>', 'with --wait: no longer than this, e.g. 30s', parseDeadline);
  addAdminOptions(command.addHelpText('after', READY_NOTES)).action(
    async (path: ServerPath, options: WaitOptions) => {
      refuseDeadlineAlone(command, options);
      const { changeServer, readyServer } = await import('./change.ts');
      process.exitCode = await (options.wait === true
        ? readyServer(path, options, options.deadline ?? null)
        : changeServer(path, { mode: 'ready' }, options));
    },
  );
}

function refuseDeadlineAlone(command: Command, { wait, deadline }: WaitOptions): void {
  if (deadline !== undefined && wait !== true)
    command.error('error: --deadline needs --wait', { exitCode: EXIT_USAGE });
}

function registerMaintenance(program: Command): void {
  const command = program.command('maintenance').summary('take a server out at once');
  command.description('Take a server out at once; its sessions get new homes.');
  command.argument('<pool/server>', 'the server', parseServerPath);
  addAdminOptions(command).action(async (path: ServerPath, options: AdminCommandOptions) => {
    const { changeServer } = await import('./change.ts');
    process.exitCode = await changeServer(path, { mode: 'maintenance' }, options);
  });
}

function registerWeight(program: Command): void {
  const command = program.command('weight').summary("set a server's weight");
  command.description("Set a server's weight until it is removed; 0 takes no new sessions.");
  command.argument('<pool/server>', 'the server', parseServerPath);
  command.argument('<weight>', `0 to ${WEIGHT_MAX}`, parseWeight);
  addAdminOptions(command).action(async (path: ServerPath, weight: number, options: AdminCommandOptions) => {
    const { changeServer } = await import('./change.ts');
    process.exitCode = await changeServer(path, { weight }, options);
  });
}

function registerSessions(program: Command): void {
  const command = program.command('sessions').summary('show session counts, skew and the hottest sessions');
  command.description('Show how sessions are spread and which are the busiest (hashed keys only).');
  command.argument('[pool]', 'only this pool');
  command.option('--top <n>', 'how many of the hottest sessions', parseTop, TOP_DEFAULT);
  addAdminOptions(command).action(
    async (pool: string | undefined, options: AdminCommandOptions & { readonly top: number }) => {
      const { showSessions } = await import('./sessions.ts');
      process.exitCode = await showSessions(pool ?? null, options.top, options);
    },
  );
}

function registerReload(program: Command): void {
  const command = program.command('reload').summary('read the configuration file again');
  command.description('Let the balancer read its configuration file again; an invalid one changes nothing.');
  addAdminOptions(command).action(async (options: AdminCommandOptions) => {
    const { reload } = await import('./reload.ts');
    process.exitCode = await reload(options);
  });
}

function parseTop(text: string): number {
  const top = Number(text);
  if (!Number.isInteger(top) || top < 0 || top > TOP_MAX)
    throw new InvalidArgumentError(`expected 0 to ${TOP_MAX}.`);
  return top;
}
