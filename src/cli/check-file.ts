// What `holdfast check` does. Results go to standard output, problems and warnings to standard error.

import type { HoldfastConfig } from '../config/model.ts';
import { formatProblem, type Problem } from '../config/problem.ts';
import { readConfigFile } from '../config/read-config-file.ts';
import { EXIT_FAILED, EXIT_OK } from './exit.ts';

/** Returns the exit status. With `print`, standard output is the effective configuration and loads again. */
export async function checkFile(file: string, print: boolean): Promise<number> {
  const { config, problems, warnings } = await readConfigFile(file);
  for (const problem of problems) process.stderr.write(`${formatProblem(problem)}\n`);
  for (const warning of warnings) process.stderr.write(`${formatWarning(warning)}\n`);
  if (config === null) return EXIT_FAILED;
  const verdict = `${file}: valid (${summary(config)})`;
  if (!print) {
    process.stdout.write(`${verdict}\n`);
    return EXIT_OK;
  }
  const { printConfig } = await import('../config/print.ts');
  process.stdout.write(`# ${verdict}\n${printConfig(config)}`);
  return EXIT_OK;
}

export async function printSchema(): Promise<void> {
  const { configJsonSchemaText } = await import('../config/json-schema.ts');
  process.stdout.write(configJsonSchemaText());
}

function formatWarning(warning: Problem): string {
  return formatProblem({ ...warning, message: `warning: ${warning.message}` });
}

/** `listening on 127.0.0.1:8080, 1 route, 1 pool, 4 servers`. */
function summary(config: HoldfastConfig): string {
  const addresses = config.listen.map(({ address }) => address).join(', ');
  const serverCount = config.pools.reduce((sum, pool) => sum + pool.servers.length, 0);
  const counts = [
    counted(config.routes.length, 'route'),
    counted(config.pools.length, 'pool'),
    counted(serverCount, 'server'),
  ];
  return [`listening on ${addresses}`, ...counts].join(', ');
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
