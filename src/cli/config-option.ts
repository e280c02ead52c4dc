// Which configuration file `run` and `check` mean.

import { existsSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { EXIT_USAGE } from './exit.ts';

/** Looked at in this order when none is named. */
const PLACES = ['holdfast.yaml', '/etc/holdfast/holdfast.yaml'];

/** Adds --config. */
export function addConfigOption(command: Command): Command {
  return command.addOption(
    new Option('-c, --config <file>', `the configuration file (default: ${PLACES.join(', else ')})`).env(
      'HOLDFAST_CONFIG',
    ),
  );
}

/** The file that is meant; ends the command with a wrong usage when there is none. */
export function configFile(given: string | undefined, command: Command): string {
  const found = given ?? PLACES.find((path) => existsSync(path));
  if (found === undefined)
    command.error(`error: there is no ${PLACES.join(' and no ')}; name a file by --config FILE`, {
      exitCode: EXIT_USAGE,
    });
  return found;
}
