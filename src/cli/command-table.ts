// Every command with its arguments and options, read off the program that parses them: help, completion, man page and
// docs/commands.md cannot say different things.

import type { Command, Option } from 'commander';

export interface CommandEntry {
  /** The word after `holdfast`. */
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  /** `drain [options] <pool/server>`. */
  readonly usage: string;
  readonly options: readonly OptionEntry[];
  /** What may stand first after it, where that is one of a few words. */
  readonly firstWords: readonly string[];
  /** The notes below its help, without the empty lines around them. */
  readonly notes: string;
}

export interface OptionEntry {
  /** `-c, --config <file>`. */
  readonly flags: string;
  /** `--config`. */
  readonly long: string;
  /** `-c`, or ''. */
  readonly short: string;
  readonly description: string;
  /** Words it may have; none: any. */
  readonly choices: readonly string[];
  /** What stands between < > or [ ], or '' where it takes no value. */
  readonly value: string;
}

/** In the order of the help. */
export function commandTable(program: Command): readonly CommandEntry[] {
  const help = program.createHelp();
  return program.commands.map((command) => ({
    name: command.name(),
    summary: command.summary(),
    description: command.description(),
    usage: `${command.name()} ${command.usage()}`,
    options: command.options.map((option) => entryOf(option, help.optionDescription(option))),
    firstWords: command.registeredArguments[0]?.argChoices ?? [],
    notes: notesOf(command),
  }));
}

/** What its help says below the options. */
function notesOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text.slice(command.helpInformation().length).trim();
}

function entryOf(option: Option, description: string): OptionEntry {
  return {
    flags: option.flags,
    long: option.long ?? '',
    short: option.short ?? '',
    description,
    choices: option.argChoices ?? [],
    value: /[<[](.+)[>\]]/.exec(option.flags)?.[1] ?? '',
  };
}
