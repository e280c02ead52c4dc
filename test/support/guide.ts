// Follows a document word for word: its files are written, its commands run in one shell, one after the other.

import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What each command said, by the command; of one that stands there several times, all. */
export type Said = ReadonlyMap<string, readonly string[]>;

/** Files of a document: fenced blocks whose first line is a comment with a name. */
export function writeFiles(markdown: string, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [, text = ''] of markdown.matchAll(/^```\w+\n([\s\S]*?)^```$/gm)) {
    const name = /^(?:\/\/|#) ([\w.-]+\.\w+)\n/.exec(text)?.[1];
    if (name !== undefined) writeFileSync(join(folder, name), text);
  }
}

/** Commands of a document: indented by four. */
export function commandsOf(markdown: string): readonly string[] {
  const outside = markdown.replace(/^```[\s\S]*?^```$/gm, '');
  return outside
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .map((line) => line.slice(4));
}

/**
 * Runs the commands in one shell in the folder; `npx holdfast` is `holdfast`. Whatever they leave running in the background ends
 * with the shell. Rejects with everything said when one fails.
 */
export function follow(commands: readonly string[], folder: string, holdfast: string): Promise<Said> {
  const mark = '\u0001';
  const script = [
    `trap 'kill -9 $(jobs -p) 2>/dev/null || true' EXIT`,
    // in the background it is the process itself that a later kill is for
    `npx() { shift; if [ $BASHPID != $$ ]; then exec ${holdfast} "$@"; fi; ${holdfast} "$@"; }`,
    ...commands.flatMap((command, index) => [`printf '${mark}${index}\\n'`, command]),
  ].join('\n');
  return new Promise((resolve, reject) => {
    execFile(
      'bash',
      ['-eu', '-c', script],
      { cwd: folder, encoding: 'utf8', timeout: 100_000 },
      (error, out, err) => {
        if (error !== null) {
          reject(new Error(`${error.message.slice(0, 200)}\n${out}\n${err}`));
          return;
        }
        const said = new Map<string, string[]>();
        for (const part of out.split(mark).slice(1)) {
          const end = part.indexOf('\n');
          const command = commands[Number(part.slice(0, end))] ?? '';
          said.set(command, [...(said.get(command) ?? []), part.slice(end + 1)]);
        }
        resolve(said);
      },
    );
  });
}
