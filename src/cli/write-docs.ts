// Writes docs/commands.md and docs/holdfast.1 from the commands: `node src/cli/write-docs.ts`.

import { writeFileSync } from 'node:fs';
import { packageVersion } from '../base/version.ts';
import { createProgram } from '../cli.ts';
import { commandReference, manPage } from './command-docs.ts';
import { commandTable } from './command-table.ts';

const commands = commandTable(createProgram([]));
writeFileSync(new URL('../../docs/commands.md', import.meta.url), commandReference(commands));
writeFileSync(new URL('../../docs/holdfast.1', import.meta.url), manPage(commands, packageVersion()));
