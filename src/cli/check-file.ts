// What `holdfast check` does. Results go to standard output, problems and warnings to standard error.

import type { WrittenValue } from '../config/load.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { type Problem, problemLines, warningLines } from '../config/problem.ts';
import { readConfigFile } from '../config/read-config-file.ts';
import { EXIT_FAILED, EXIT_OK } from './exit.ts';
import { counted } from './output.ts';

/** Returns the exit status. With `print`, standard output is the effective configuration and loads again. */
export async function checkFile(file: string, print: boolean): Promise<number> {
  const { config, problems: found, warnings, written } = await readConfigFile(file);
  const problems = [...found, ...(await placeProblems(file, config, written))];
  for (const line of [...problems.flatMap(problemLines), ...warnings.flatMap(warningLines)])
    process.stderr.write(`${line}\n`);
  if (config === null || problems.length > 0) return EXIT_FAILED;
  const verdict = `${file}: valid (${summary(config)})`;
  if (!print) {
    process.stdout.write(`${verdict}\n`);
    return EXIT_OK;
  }
  const { printConfig } = await import('../config/print.ts');
  process.stdout.write(`# ${verdict}\n${printConfig(config)}`);
  return EXIT_OK;
}

/** What a start would find wrong with the place where sessions are kept. */
async function placeProblems(
  file: string,
  config: HoldfastConfig | null,
  written: readonly WrittenValue[],
): Promise<readonly Problem[]> {
  const kept = config?.sessions.file ?? null;
  if (kept === null) return [];
  const { keepingProblem } = await import('../control/session-keeper.ts');
  const message = keepingProblem(kept);
  if (message === null) return [];
  const place = written.find(({ keys }) => keys.join('.') === 'sessions.file')?.place;
  const { line, column } = place ?? { line: 0, column: 0 };
  return [{ file, line, column, message: `sessions.file: ${message}` }];
}

export async function printSchema(): Promise<void> {
  const { configJsonSchemaText } = await import('../config/json-schema.ts');
  process.stdout.write(configJsonSchemaText());
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
