// `holdfast demo` and `holdfast lab` in an installed package: one line that says where they are.

import type { Command } from 'commander';
import { EXIT_USAGE } from './exit.ts';

const COMMANDS = {
  demo: { summary: 'run a demo: servers, balancer and dashboard', run: 'npm ci && npm start' },
  lab: { summary: 'measure what each session architecture loses and costs', run: 'npm ci && npm run lab' },
} as const;

export function registerDevelopmentOnly(program: Command): void {
  for (const [name, { summary, run }] of Object.entries(COMMANDS)) {
    program
      .command(name)
      .summary(`${summary} (in a checkout of the repository)`)
      .allowUnknownOption()
      .allowExcessArguments()
      .action(() => {
        process.stderr.write(
          `holdfast ${name}: comes with a checkout of the repository, not with the package; there: ${run}\n`,
        );
        process.exitCode = EXIT_USAGE;
      });
  }
}
