// `holdfast check`: is this configuration valid, and what does it come to?

import type { Command } from 'commander';
import { addConfigOption, configFile } from './config-option.ts';

interface CheckOptions {
  readonly config?: string;
  readonly print?: boolean;
  readonly schema?: boolean;
}

const NOTES = `
Exit status: 0 valid, 1 invalid, 2 wrong usage. Every problem is printed as FILE:LINE:COLUMN: message.`;

export function register(program: Command): void {
  const command = program.command('check').summary('check a configuration file');
  command.description('Check a configuration file and print every problem in it, each with its place.');
  addConfigOption(command)
    .option('--print', 'print the effective configuration with all defaults, secrets hidden')
    .option('--schema', 'print the JSON Schema of configuration files, for editors')
    .addHelpText('after', NOTES)
    .action(async (options: CheckOptions) => {
      const { print = false, schema = false } = options;
      const config = schema ? options.config : configFile(options.config, command);
      const { printSchema, checkFile } = await import('./check-file.ts');
      if (schema) await printSchema();
      if (config !== undefined) process.exitCode = await checkFile(config, print);
    });
}
