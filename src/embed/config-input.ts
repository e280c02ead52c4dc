// What createBalancer may be given, turned into a checked configuration: a file, YAML text, or an object.

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BalancerConfig } from '../config/balancer-config.ts';
import type { Loaded } from '../config/load.ts';
import type { HoldfastConfig } from '../config/model.ts';
import { formatProblem, type Problem } from '../config/problem.ts';
import { readConfigFile, readConfigText } from '../config/read-config-file.ts';
import { embeddedConfig, refusePools, refuseUnsupported } from './unsupported-keys.ts';

/** Name in messages of a configuration that is no file. */
const UNNAMED = 'config';

/**
 * - `URL` or a string without a line break: path of a YAML file;
 * - a string with line breaks: YAML text;
 * - an object: the same keys as in YAML, durations and sizes as text (`'30m'`, `'64KiB'`).
 */
export type ConfigInput = URL | string | BalancerConfig;

/** Values for `${NAME}` in the configuration. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The configuration is not valid. `message` holds every problem, one a line; `problems` the same with their places. */
export class ConfigError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], text: string) {
    super(`the configuration is not valid:\n${text}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

export interface CheckedInput {
  /** As an embedded balancer uses it. */
  readonly config: HoldfastConfig;
  /** As text, one each. */
  readonly warnings: readonly string[];
  /** Absolute path, to be read again by a reload; null: the input was no file. */
  readonly file: string | null;
}

/** Rejects with ConfigError. */
export async function readConfigInput(input: ConfigInput, env?: Environment): Promise<CheckedInput> {
  const file = fileOf(input);
  if (file !== null) return checked(await readConfigFile(file, env), file, formatProblem);
  const options = { file: UNNAMED, env: env ?? process.env };
  if (typeof input === 'string') return checked(readConfigText(input, options), null, formatProblem);
  // JSON is YAML: the object takes the same way through the same checks
  const text = JSON.stringify(input, null, 1);
  const lines = text.split('\n');
  const format = (problem: Problem): string => {
    const line = lines[problem.line - 1]?.trim() ?? '';
    return line === '' ? problem.message : `${problem.message} (at ${line})`;
  };
  return checked(readConfigText(text, options), null, format);
}

function fileOf(input: ConfigInput): string | null {
  if (input instanceof URL) return fileURLToPath(input);
  return typeof input === 'string' && !input.includes('\n') ? resolve(input) : null;
}

function checked(loaded: Loaded, file: string | null, format: (problem: Problem) => string): CheckedInput {
  const { config, warnings, written } = loaded;
  const name = file ?? UNNAMED;
  const problems =
    config === null
      ? loaded.problems
      : [...refuseUnsupported(written, name), ...refusePools(config, written, name)];
  if (config === null || problems.length > 0)
    throw new ConfigError(problems, problems.map(format).join('\n'));
  return { config: embeddedConfig(config, written), warnings: warnings.map(format), file };
}
