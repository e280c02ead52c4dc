// docs/commands.md and the man page, from the table that the help is made of. Pure.

import type { CommandEntry } from './command-table.ts';

/** docs/commands.md. */
export function commandReference(commands: readonly CommandEntry[]): string {
  const rows = commands.map(({ name, summary }) => `| [\`${name}\`](#holdfast-${name}) | ${summary} |`);
  const sections = commands.map(({ name, description, usage, options, notes }) =>
    [
      `## holdfast ${name}`,
      description,
      `    holdfast ${usage}`,
      ['| option | |', '|---|---|', ...options.map(row), '| `-h, --help` | print the help |'].join('\n'),
      ...(notes === '' ? [] : [notes.replace(/^ *(?=\S)/gm, '    ')]),
    ].join('\n\n'),
  );
  return `# Commands

Written by \`npm run docs\` from what \`--help\` says. The same as a man page: \`man holdfast\` where the package is installed globally.
In a checkout write \`npx holdfast\`.

| command | |
|---|---|
${rows.join('\n')}

Admin commands talk to the running balancer at \`--admin\` (default http://127.0.0.1:9090, or \`HOLDFAST_ADMIN_URL\`), with \`--token\` or
\`HOLDFAST_ADMIN_TOKEN\` where one is configured. Where there is one pool, \`SERVER\` will do for \`POOL/SERVER\`.
\`run\` and \`check\` look for \`holdfast.yaml\`, then \`/etc/holdfast/holdfast.yaml\`, unless \`--config\` or \`HOLDFAST_CONFIG\` names a file.

${sections.join('\n\n')}
`;
}

function row({ flags, description }: CommandEntry['options'][number]): string {
  return `| \`${flags}\` | ${escaped(description)} |`;
}

/** Markdown would take < and | for its own. */
function escaped(text: string): string {
  return text.replaceAll('<', '&lt;').replaceAll('|', '\\|');
}

/** The page for section 1, in the macros of man(7). */
export function manPage(commands: readonly CommandEntry[], version: string): string {
  const sections = commands.flatMap(({ usage, description, options, notes }) => [
    `.SS "holdfast ${roff(usage)}"`,
    roff(description),
    ...options.flatMap(({ flags, description: text }) => ['.TP', `.B ${roff(flags)}`, roff(text)]),
    ...(notes === '' ? [] : ['.PP', '.nf', ...notes.split('\n').map(roff), '.fi']),
  ]);
  return `.TH HOLDFAST 1 "" "holdfast ${version}" "User Commands"
.SH NAME
holdfast \\- reverse\\-proxy load balancer with session affinity
.SH SYNOPSIS
.B holdfast
.I command
.RI [ options ]
.SH DESCRIPTION
Sends each user back to the server that holds the session, counts sessions, keeps them over failures, reloads and
restarts, and drains servers to the last one.
.SH COMMANDS
${sections.join('\n')}
.SH FILES
.TP
.I holdfast.yaml, /etc/holdfast/holdfast.yaml
The configuration, unless \\-\\-config or HOLDFAST_CONFIG names another.
.SH ENVIRONMENT
.TP
.B HOLDFAST_ADMIN_URL, HOLDFAST_ADMIN_TOKEN
What admin commands take for \\-\\-admin and \\-\\-token.
.SH SIGNALS
.TP
.B SIGTERM, SIGINT
Stop gracefully; a second one at once.
.TP
.B SIGHUP
Read the configuration again.
`;
}

/** Backslashes and hyphens as they are meant; no line begins with a control character. */
function roff(text: string): string {
  const plain = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('"', '\\(dq');
  return /^[.']/.test(plain) ? `\\&${plain}` : plain;
}
