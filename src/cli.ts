// The face: `holdfast COMMAND`. Commands register here and load their implementation only when they run, so that
// --help is quick. A new command is one import and one line in COMMANDS.

import { Command, CommanderError } from 'commander';
import { packageVersion } from './base/version.ts';
import { register as registerAdmin } from './cli/admin.ts';
import { register as registerCheck } from './cli/check.ts';
import { register as registerCompletion } from './cli/completion.ts';
import { registerDevelopmentOnly } from './cli/development-only.ts';
import { EXIT_OK, EXIT_READER_GONE, EXIT_USAGE } from './cli/exit.ts';
import { register as registerExplain } from './cli/explain.ts';
import { register as registerPlan } from './cli/plan.ts';
import { register as registerRun } from './cli/run.ts';

type Register = (program: Command) => void;

const COMMANDS: readonly Register[] = [
  registerRun,
  registerCheck,
  registerAdmin,
  registerPlan,
  registerExplain,
  registerCompletion,
];

const DESCRIPTION =
  'A reverse-proxy load balancer with session affinity that shows its sessions, keeps them and moves them.';

/** Runs one command and returns its exit status. `development`: commands of a checkout that the package lacks. */
export async function main(argv: readonly string[], development: readonly Register[]): Promise<number> {
  process.stdout.on('error', leaveWhenReaderIsGone);
  try {
    await createProgram(development).parseAsync([...argv]);
    return Number(process.exitCode ?? EXIT_OK);
  } catch (error) {
    // commander has printed its message already; help and version "fail" with 0
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE;
    throw error;
  }
}

/** All commands; without those of a checkout, sentences that say where they are. */
export function createProgram(development: readonly Register[]): Command {
  const program = new Command('holdfast')
    .description(DESCRIPTION)
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .showHelpAfterError('(add --help for usage)')
    .exitOverride();
  for (const register of COMMANDS) register(program);
  for (const register of development.length > 0 ? development : [registerDevelopmentOnly]) register(program);
  return program;
}

/** `holdfast check --print | head` ends quietly, with the status of who was ended by SIGPIPE. */
function leaveWhenReaderIsGone(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(EXIT_READER_GONE);
  throw error;
}
