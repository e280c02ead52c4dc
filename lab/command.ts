// `holdfast lab`: the experiments with every session architecture.

import { type Command, InvalidArgumentError } from 'commander';
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE } from '../src/cli/exit.ts';
import type { Fault } from './faults.ts';

interface CommandOptions {
  readonly only: readonly string[];
  readonly fault: readonly string[];
  readonly quick?: boolean;
  readonly seed: number;
  readonly report: string;
  readonly servers: number;
  readonly users: number;
}

const USERS = 300;
const INTERRUPTED = 130;

const NOTES = `
Starts real servers, stores and a balancer for each experiment, lets simulated users in, does harm (kills, hangs,
restarts, slow stores) and compares what the users saw with what theory says. Writes report.html, report.md and
report.json. All of it takes about 15 minutes on 2 idle cores (at most 23), --quick
under 2. Redis is skipped where it is absent.
Exit status: 0 all as expected, 1 something failed or is outside its bracket, 2 wrong usage, 130 stopped by Ctrl-C.`;

export function register(program: Command): void {
  program
    .command('lab')
    .summary('measure what each session architecture loses and costs')
    .description('Run the experiments: session architectures under load and faults.')
    .option('--only <names>', 'architectures, separated by commas', parseNames, [])
    .option('--fault <names>', 'faults, separated by commas', parseNames, [])
    .option('--quick', 'a few cells in under 2 minutes')
    .option('--seed <n>', 'same seed, same load and victims', parseWhole(0, 2 ** 31), 1)
    .option('--report <directory>', 'where the report goes', 'lab-results')
    .option('--servers <n>', 'servers of each demo', parseWhole(2, 8), 4)
    .option('--users <n>', 'simulated users', parseWhole(8, 5000), USERS)
    .addHelpText('after', NOTES)
    .action(async (options: CommandOptions) => {
      process.exitCode = await runCommand(options);
    });
}

async function runCommand(options: CommandOptions): Promise<number> {
  const [{ runLab }, { ARCHITECTURES, architecturesNamed }, { FAULTS }] = await Promise.all([
    import('./run-lab.ts'),
    import('./architectures.ts'),
    import('./faults.ts'),
  ]);
  const faults = FAULTS.filter((fault) => options.fault.includes(fault));
  const isFault = (name: string): name is Fault => (FAULTS as readonly string[]).includes(name);
  const unknown = [
    ...options.fault
      .filter((name) => !isFault(name))
      .map((name) => `--fault ${name}: one of ${FAULTS.join(', ')}`),
    ...options.only
      .filter((name) => architecturesNamed(name).length === 0)
      .map((name) => `--only ${name}: one of ${ARCHITECTURES.map((one) => one.name).join(', ')}`),
  ];
  if (unknown.length > 0) {
    process.stderr.write(`${unknown.join('\n')}\n`);
    return EXIT_USAGE;
  }
  const stop = new AbortController();
  const onSignal = (): void => stop.abort(new Error('stopped'));
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const { only, seed, servers, users } = options;
  const { isGood } = await runLab(
    { only, faults, quick: options.quick === true, seed, servers, users },
    options.report,
    {
      isTerminal: process.stdout.isTTY === true,
      columns: process.stdout.columns ?? 100,
      write: (text) => process.stdout.write(text),
    },
    stop.signal,
  );
  process.off('SIGINT', onSignal);
  process.off('SIGTERM', onSignal);
  if (stop.signal.aborted) return INTERRUPTED;
  return isGood ? EXIT_OK : EXIT_FAILED;
}

function parseNames(text: string, before: readonly string[]): readonly string[] {
  return [...before, ...text.split(',').filter((name) => name !== '')];
}

function parseWhole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max)
      throw new InvalidArgumentError(`expected ${min} to ${max}.`);
    return value;
  };
}
