// `holdfast run`: the balancer in the foreground.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseAdminUrl } from './admin-options.ts';
import { addConfigOption, configFile } from './config-option.ts';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'];

interface RunOptions {
  readonly config?: string;
  readonly threads?: number;
  readonly logLevel: string;
  readonly takeover?: string | true;
}

const NOTES = `
SIGTERM and SIGINT stop gracefully (a second one at once), SIGHUP reloads the configuration.
With --takeover the process takes the listening sockets, sessions and modes of the running one, and then
lets it finish: no connection is lost and no session moves. Both must run as the same user on the same machine.
Where its terminal is closed, it stops gracefully.
Exit status: 0 stopped as asked, 1 could not start or the configuration is invalid, 2 wrong usage, 129 the terminal
was closed.`;

export function register(program: Command): void {
  const command = program.command('run').summary('run the balancer');
  addConfigOption(command.description('Run the balancer with a configuration file, in the foreground.'))
    .option('--threads <n>', 'data-plane threads; wins over the configuration', parseThreads)
    .option(
      '--takeover [admin]',
      'replace the running process, asked at this admin URL (default: as configured)',
      // who has a password in the URL must not see it in a message
      (text) => new URL(parseAdminUrl(text)).origin,
    )
    .addOption(
      new Option('--log-level <level>', 'least of what is logged').choices(LOG_LEVELS).default('info'),
    )
    .addHelpText('after', NOTES)
    .action(async (options: RunOptions) => {
      const { runForeground } = await import('../run/foreground.ts');
      process.exitCode = await runForeground({
        configFile: configFile(options.config, command),
        threads: options.threads ?? null,
        logLevel: options.logLevel,
        takeover: options.takeover === true ? '' : (options.takeover ?? null),
      });
    });
}

function parseThreads(text: string): number {
  const threads = Number(text);
  if (!Number.isInteger(threads) || threads < 1 || threads > 64)
    throw new InvalidArgumentError('expected 1 to 64.');
  return threads;
}
