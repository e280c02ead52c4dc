// `holdfast completion bash|zsh|fish`: a script that completes commands, options and their words. Pure but for the printing.

import { Argument, type Command } from 'commander';
import { type CommandEntry, commandTable, type OptionEntry } from './command-table.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const NOTES = `
  bash    source <(holdfast completion bash)                                       in ~/.bashrc
  zsh     source <(holdfast completion zsh)                                        in ~/.zshrc, after compinit
  fish    holdfast completion fish > ~/.config/fish/completions/holdfast.fish      once`;

export function register(program: Command): void {
  program
    .command('completion')
    .summary('print a script that completes commands in your shell')
    .description('Print a script that completes commands, options and their words in your shell.')
    .addArgument(new Argument('<shell>', 'which shell').choices(SHELLS))
    .addHelpText('after', NOTES)
    .action((shell: Shell) => {
      process.stdout.write(completionScript(shell, commandTable(program)));
    });
}

/** The script, ending in a line feed. */
export function completionScript(shell: Shell, commands: readonly CommandEntry[]): string {
  return { bash, zsh, fish }[shell](commands);
}

/** Values that are files, by the name that stands in the help. */
function isFile(option: OptionEntry): boolean {
  return option.value === 'file';
}

function bash(commands: readonly CommandEntry[]): string {
  const options = commands.map(
    ({ name, firstWords, options: own }) =>
      `    ${name}) words="${[...firstWords, '--help', ...own.map(({ long }) => long)].join(' ')}" ;;`,
  );
  const values = commands.flatMap(({ name, options: own }) =>
    own.filter(takesValue).map((option) => {
      const flags = [option.long, option.short].filter((flag) => flag !== '');
      const answer = isFile(option)
        ? 'COMPREPLY=($(compgen -f -- "$word")); return'
        : `words="${option.choices.join(' ')}"`;
      return `    ${flags.map((flag) => `"${name} ${flag}"`).join(' | ')}) ${answer} ;;`;
    }),
  );
  return `# bash completion for holdfast
_holdfast() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" command="\${COMP_WORDS[1]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(' ')} help --help --version" -- "$word"))
    return
  fi
  case "$command" in
${options.join('\n')}
  esac
  case "$command $before" in
${values.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _holdfast holdfast
`;
}

function zsh(commands: readonly CommandEntry[]): string {
  const words = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`);
  const cases = commands.map(({ name, firstWords, options }) => {
    const first = firstWords.length > 0 ? [`'1:word:(${firstWords.join(' ')})'`] : [];
    const specs = options.map((option) => {
      const value = takesValue(option) ? `:${option.value.replaceAll(':', '\\:')}:${zshValues(option)}` : '';
      return quoted(`${option.long}[${option.description.replace(/[[\]:]/g, ' ')}]${value}`);
    });
    return `    ${name}) _arguments ${[...specs, ...first, "'*:argument:'"].join(' ')} ;;`;
  });
  return `#compdef holdfast
_holdfast() {
  local -a commands=(
${words.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command="\${words[2]}"
  shift words
  (( CURRENT-- ))
  case "$command" in
${cases.join('\n')}
  esac
}
compdef _holdfast holdfast
`;
}

function zshValues(option: OptionEntry): string {
  return isFile(option) ? '_files' : option.choices.length > 0 ? `(${option.choices.join(' ')})` : '';
}

function fish(commands: readonly CommandEntry[]): string {
  const lines = commands.flatMap(({ name, summary, firstWords, options }) => {
    const when = `-n ${quoted(`__fish_seen_subcommand_from ${name}`)}`;
    return [
      `complete -c holdfast -n __fish_use_subcommand -a ${name} -d ${quoted(summary)}`,
      ...(firstWords.length === 0 ? [] : [`complete -c holdfast ${when} -a ${quoted(firstWords.join(' '))}`]),
      ...options.map((option) => {
        const short = option.short === '' ? '' : ` -s ${option.short.slice(1)}`;
        const words = option.choices.length > 0 ? ` -a ${quoted(option.choices.join(' '))}` : '';
        const value = isFile(option) ? ' -r -F' : takesValue(option) ? ` -x${words}` : '';
        return `complete -c holdfast ${when} -l ${option.long.slice(2)}${short}${value} -d ${quoted(option.description)}`;
      }),
    ];
  });
  return `# fish completion for holdfast
complete -c holdfast -f
${lines.join('\n')}
`;
}

function takesValue({ value }: OptionEntry): boolean {
  return value !== '';
}

/** In single quotes, which bash, zsh and fish take as they are but for the quote itself. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
